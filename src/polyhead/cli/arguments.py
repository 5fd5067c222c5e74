"""Arguments that commands share, and usage errors as one line."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from polyhead.errors import PolyheadError, nearest, shorten
from polyhead.files import find_path_fault

# Newer versions of typer contain click, older ones depend on it; this is the base of its errors in either case.
ClickException: Any = typer.BadParameter.__mro__[2]


class Commands(TyperGroup):
    """Commands that translate the library's errors for the command line: `force` becomes --force."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except PolyheadError as error:
            every = [parameter for command in self.commands.values() for parameter in command.params]
            own = self.commands[ctx.invoked_subcommand or ""].params
            options = {str(it.name): it.opts[0] for it in [*every, *own] if it.param_type_name == "option"}
            options["polyhead.load_plugins()"] = "`polyhead --plugins`"
            error.args = (name_options(str(error), options, self.commands),)
            raise


def name_options(words: str, options: Mapping[str, str], commands: Iterable[str]) -> str:
    """The same words with `argument` as --option, and `command ARGUMENTS` as `polyhead command ARGUMENTS`."""

    def rename(found: re.Match[str]) -> str:
        if found[1] in options:
            return options[found[1]]
        return f"`polyhead {found[1]}`" if found[1].partition(" ")[0] in commands else found[0]

    return re.sub("`([^`]*)`", rename, words)


def read_text(text: str) -> str:
    """The path of a file or a folder, or a pattern of paths.

    Raises:
        typer.BadParameter: no file can have this path.
    """
    if fault := find_path_fault(text):
        raise typer.BadParameter(f"the path {fault}")
    if text.startswith("~") and os.path.expanduser(text) == text and not os.path.lexists(text):
        raise typer.BadParameter(f"there is no user {shorten(text.partition('/')[0], 60)}")
    return text


def read_path(text: str) -> Path:
    """The same as a `Path`."""
    return Path(read_text(text))


def read_new_file(text: str) -> Path:
    """The path of a file to write.

    Raises:
        typer.BadParameter: it is a folder, or no file can have this path.
    """
    path = read_path(text)
    if os.path.isdir(path):
        raise typer.BadParameter(f"{text} is a folder; name a file in it")
    return path


def path_option(name: str, help_text: str, metavar: str = "PATH", parser: Callable[[str], Any] = read_path) -> Any:
    """An option that takes a path."""
    return typer.Option(name, metavar=metavar, parser=parser, help=help_text)


def images_argument(help_text: str) -> Any:
    """An argument that takes images, folders, patterns and label files."""
    return typer.Argument(metavar="IMAGE|DIR|PATTERN|CSV...", parser=read_text, help=help_text)


Model = Annotated[Path, typer.Argument(metavar="RUN|MODEL", parser=read_path, help="A run folder or a model.onnx.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]


def describe_usage_error(error: Any) -> str:
    """Click's usage error as one line that says which argument is wrong, and what was expected."""
    context, parameter = error.ctx, getattr(error, "param", None)
    command = context.command_path.partition(" ")[2] if context else ""
    message = " ".join(error.format_message().split()).rstrip(".")
    if choice := re.search("(?:^|error, )'(.*)' is not one of (.*)", error.message):
        choices = re.findall("'(.*?)'", choice[2])
        words = f"expected {', '.join(choices)}; got {_show(choice[1], choices)}"
    elif unknown := re.search("No such command '(.*?)'", message):
        commands = list(context.command.commands)
        words = f"there is no command {_show(unknown[1], commands)}; there are {', '.join(commands)}"
    elif hasattr(error, "possibilities"):
        options = [name for other in context.command.params for name in other.opts if name.startswith("-")]
        words = f"there is no option {_show(error.option_name, options)}"
    elif type(error).__name__ == "MissingParameter":
        words = "is missing"
    else:
        words = re.sub("^Input should be ", "expected ", error.message if parameter else message)
    name = _name(parameter) + ("" if words == "is missing" else ":") if parameter else ""
    line = " ".join(filter(None, [f"{command}:" if command else "", name, words]))
    return f"{line} (see `{' '.join(filter(None, ['polyhead', command, '--help']))}`)"


def _show(word: str, words: Iterable[str]) -> str:
    """A wrong word, and the nearest right one."""
    return f"{shorten(word, 60)!r}{nearest(word, words)}"


def _name(parameter: Any) -> str:
    """What a user calls a parameter: `--out`, `RECIPE`."""
    return str(parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar or parameter.name)
