"""The command line: all commands, and how every error ends.

Data goes to stdout, messages and progress to stderr. A user's mistake is one line and exit code 2. Every command
imports what it needs when it runs, so that `--help` and `recipes` answer at once.
"""

import os
import sys
import warnings
from typing import Annotated, NoReturn

import typer

from polyhead.cli import audit, compare, monitor, select, train, tune, use
from polyhead.cli.arguments import ClickException, Commands, describe_usage_error
from polyhead.errors import PolyheadError

app = typer.Typer(
    cls=Commands,
    name="polyhead",
    help="One image in, every answer out: one network with many outputs, evaluated honestly, in one ONNX file.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(help=app.info.help)
def prepare(
    plugins: Annotated[
        bool, typer.Option("--plugins", help="Load task kinds and sources from installed packages.")
    ] = False,
) -> None:
    """Runs before every command."""
    if plugins:
        from polyhead.recipe.plugins import load_plugins

        load_plugins()


app.add_typer(train.commands)
app.add_typer(tune.commands)
app.add_typer(use.commands)
app.add_typer(audit.commands)
app.add_typer(compare.commands)
app.add_typer(monitor.commands)
app.add_typer(select.commands)


def main() -> None:
    """Run the command line."""
    warnings.filterwarnings("ignore", module="PIL")  # about odd metadata in images that it reads anyway
    try:
        code = app(prog_name="polyhead", standalone_mode=False)
        sys.stdout.flush()
    except ClickException as error:
        if error.format_message().startswith("Usage:"):  # there are no arguments
            print(error.format_message(), file=sys.stderr)
            sys.exit(2)
        _fail(describe_usage_error(error))
    except PolyheadError as error:
        _fail(str(error), error.exit_code)
    except BrokenPipeError:  # the reader of the output, such as `head`, has stopped
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    # A safety net for what no check foresaw.
    except MemoryError:
        _fail("there is not enough memory for this; give fewer or smaller images, or a smaller training.batch_size")
    except RecursionError:
        _fail("an input is nested too deeply to be read")
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error))
    sys.exit(code or 0)


def _fail(words: str, code: int = 2) -> NoReturn:
    print(f"polyhead: {PolyheadError(words)}", file=sys.stderr)
    sys.exit(code)
