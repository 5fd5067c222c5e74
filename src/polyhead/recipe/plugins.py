"""Task kinds and sources of labels that installed packages bring, through the entry points of the same names.

They come from what is installed on this machine, never from a path in a recipe or in a model file. A recipe that names
a kind makes the package that brings it load; a model file makes nothing load: a program calls `load_plugins` first.
"""

from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import BaseModel

from polyhead.errors import PolyheadError, show_text
from polyhead.progress import warn
from polyhead.recipe.sources import PLUGIN_SOURCES, SOURCE_KINDS
from polyhead.tasks import KINDS, Task

TASKS, SOURCES = "polyhead.tasks", "polyhead.sources"  # groups of entry points
BUILT_IN = {TASKS: frozenset(KINDS), SOURCES: frozenset(SOURCE_KINDS)}
WORDS = {TASKS: "task kind", SOURCES: "source"}


def load_plugins() -> list[str]:
    """Load the task kinds and sources that installed packages bring: recipes and model files may use them from then on.

    A package that is broken, or that calls its own by the name of a built-in one, is left out with a logged warning.

    Returns:
        The kinds of tasks and sources that are there now, besides the built-in ones.
    """
    for group in (TASKS, SOURCES):
        for entry in entry_points(group=group):
            try:
                _load(entry)
            except PolyheadError as error:
                warn(str(error))
    return [*(kind for kind in KINDS if kind not in BUILT_IN[TASKS]), *PLUGIN_SOURCES]


def load_named_plugins(raw: Mapping[str, Any]) -> None:
    """Load those that a recipe names, as plain values, and that an installed package brings.

    Raises:
        PolyheadError: the package is broken.
    """
    for group, kind in _list_kinds(raw):
        if kind not in BUILT_IN[group] and kind not in (KINDS if group == TASKS else PLUGIN_SOURCES):
            for entry in entry_points(group=group, name=kind):
                _load(entry)


def _list_kinds(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The kinds that a recipe names, each with its group of entry points; whatever else the recipe holds."""
    tasks, data = raw.get("tasks"), raw.get("data")
    for task in tasks.values() if isinstance(tasks, dict) else ():
        if isinstance(task, dict) and isinstance(task.get("kind"), str):
            yield TASKS, task["kind"]
    source = data.get("source") if isinstance(data, dict) else None
    if isinstance(source, dict) and isinstance(source.get("kind"), str):
        yield SOURCES, source["kind"]


def _load(entry: EntryPoint) -> None:
    """Import what an entry point names, and note it under its name.

    Raises:
        PolyheadError: it cannot be imported, is not what it should be, or its name is taken.
    """
    group, name = entry.group, entry.name
    package = entry.dist.name if entry.dist else "unknown"
    what = f"the {WORDS[group]} {show_text(name)!r} of the package {package}"
    advice = f"update the package, or remove it: pip uninstall {package}"
    if name in BUILT_IN[group]:
        raise PolyheadError(f"{what} has the name of a built-in one and is not used; {advice}")
    found: dict[str, Any] = KINDS if group == TASKS else PLUGIN_SOURCES
    try:
        model = entry.load()
    except Exception as error:  # whatever another's code raises
        said = " ".join(str(error).split())
        raise PolyheadError(f"{what} cannot be loaded ({type(error).__name__}: {said}); {advice}") from error
    if found.get(name, model) is not model:
        raise PolyheadError(f"{what} is also that of another package; remove one of them: pip uninstall {package}")
    if fault := _find_fault(model, group, name):
        raise PolyheadError(f"{what} cannot be used: {fault}; {advice}")
    found[name] = model


def _find_fault(model: Any, group: str, name: str) -> str:
    """Why something is no task kind, or no source, called so; blank where it is one."""
    base = Task if group == TASKS else BaseModel
    if not (isinstance(model, type) and issubclass(model, base)):
        return f"expected a subclass of {base.__name__}"
    kind = model.model_fields.get("kind")
    if kind is None or kind.default != name:
        return f"expected a field `kind: Literal[{name!r}] = {name!r}`"
    if group == TASKS and not getattr(model, "HEAD", ""):
        return "expected an attribute HEAD, the dotted path of its head"
    if group == SOURCES and not callable(getattr(model, "read", None)):
        return "expected a method `read`"
    return ""
