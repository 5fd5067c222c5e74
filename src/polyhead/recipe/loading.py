"""From YAML text to a recipe and back."""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError
from ruamel.yaml import YAML

from polyhead.errors import PolyheadError, nearest, shorten
from polyhead.files import find_path_fault, open_regular
from polyhead.recipe.builtin import built_in_names, read_text
from polyhead.recipe.explain import explain, show_value
from polyhead.recipe.overrides import Changes, copy_plain, override_values, set_value
from polyhead.recipe.plugins import load_named_plugins
from polyhead.recipe.schema import Recipe
from polyhead.recipe.yaml import LONGEST, read_yaml

RecipeLike: TypeAlias = str | os.PathLike[str] | Mapping[str, object] | Recipe  # a name, a file, its values, itself


def recipe_text(recipe: str | Path) -> str:
    """The YAML text of a built-in recipe, by name, or of a file.

    Raises:
        PolyheadError: there is neither.
    """
    names, given = built_in_names(), str(recipe)
    if given in names:
        return read_text(given)
    path = Path(recipe)
    if (fault := find_path_fault(given)) or not (path.suffix in (".yaml", ".yml") or os.path.lexists(path)):
        raise PolyheadError(
            f"no recipe is called {shorten(given, 60)!r}{nearest(given, names)}; there are {', '.join(names)}; "
            f"or give the path of a .yaml file{f'; this one {fault}' if fault else ''}"
        )
    if path.is_dir():
        inside = path / "recipe.yaml"
        hint = f"the recipe of this run is {inside}" if inside.exists() else f"`init {path}` proposes one"
        raise PolyheadError(f"{path}: is a folder, not a recipe; {hint}")
    try:
        content = _read_bytes(path)
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or f"is not UTF-8 text ({shorten(str(error.args[-1]), 60)})"
        hint = _hint(path) if path.exists() else ""
        raise PolyheadError(f"{path}: cannot be read as a recipe: {reason}{hint}") from None
    if len(content) > LONGEST:
        raise PolyheadError(f"{path}: is too large for a recipe: more than {LONGEST:,} bytes{_hint(path)}")
    if not text.strip():
        raise PolyheadError(
            f"{path}: is empty; write a recipe into it, such as what `init DATA` prints (where init fails, "
            "the file that it was to print to stays empty)"
        )
    return text


def _read_bytes(path: Path) -> bytes:
    """The start of a file: all of a recipe, and enough of anything else to see that it is not one.

    A pipe is read only if another process already writes to it, as in a shell's `<(...)`.
    """
    if not path.is_fifo():
        with open_regular(path) as file:
            return file.read(LONGEST + 1)
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as pipe:
        os.set_blocking(pipe.fileno(), True)  # if nobody has opened its other end, it reads as empty
        return pipe.read(LONGEST + 1)


def _hint(path: Path) -> str:
    if path.suffix.lower() == ".onnx":
        return "; it looks like a model, and a recipe is a YAML file"
    data = path if path.suffix.lower() in (".csv", ".tsv", ".xlsx", ".json", ".jsonl", ".parquet") else path.parent
    return f"; a recipe is a YAML file, such as `init {data}` prints for labelled images"


def load_recipe(recipe: RecipeLike, overrides: Changes = (), **also: object) -> Recipe:
    """Read and check a recipe.

    Args:
        recipe: the name of a built-in one, the path of a YAML file, a dict of the same keys, or a `Recipe`.
        overrides: `"a.b=value"` each, the value in YAML (a text needs no quotes where the key takes one); or a dict of
            dotted keys.
        also: further values by dotted key, with `__` for the dot: `data__path="images"`; None is ignored.

    Raises:
        PolyheadError: the first error, in one line that names the key.
    """
    raw, where = read_values(recipe, overrides)
    for name, value in also.items():
        if value is not None:
            set_value(raw, name.replace("__", "."), value)
    return check_recipe(raw, where)


def read_values(recipe: RecipeLike, overrides: Changes = ()) -> tuple[dict[str, Any], str]:
    """The plain values of a recipe (see `load_recipe`), not validated yet, and its name in errors.

    Raises:
        PolyheadError: there is no such recipe, it holds no keys, an override has no such form, or an installed package
            that brings one of its kinds is broken.
    """
    if isinstance(recipe, Recipe):
        raw, where = recipe_values(recipe), recipe.name
    elif isinstance(recipe, Mapping):
        raw, where = copy_plain(recipe), shorten(str(recipe.get("name") or "recipe"), 60)
    elif isinstance(recipe, str | os.PathLike):
        where = os.fsdecode(recipe)
        raw = read_yaml(recipe_text(where), where)
        if not isinstance(raw, dict):
            hint = _hint(Path(where)) if Path(where).suffix not in (".yaml", ".yml") else ""
            raise PolyheadError(
                f"{where}: expected a recipe (keys such as data, tasks, network); got {show_value(raw)}{hint}"
            )
        if where not in built_in_names():
            _place_data(raw, Path(where))
    else:
        raise PolyheadError(f"expected a recipe's name, its path, a dict or a Recipe; got {type(recipe).__name__}")
    override_values(raw, overrides)
    load_named_plugins(raw)
    return raw, where


def _place_data(raw: dict[str, Any], recipe: Path) -> None:
    """Make `data.path` absolute where it is in the recipe's folder; else it stays relative to the current one."""
    data = raw.get("data")
    if not isinstance(data, dict):
        return
    path = data.get("path")
    if not isinstance(path, str) or find_path_fault(path) or path.startswith("~") or os.path.isabs(path):
        return
    beside = os.path.join(os.path.abspath(recipe.parent), path)
    if recipe.is_file() and os.path.exists(beside):
        raw["data"] = data | {"path": os.path.normpath(beside)}


def load_run_plugins(model: str | os.PathLike[str]) -> None:
    """Load the kinds of installed packages that the recipe of a run folder names; a model file makes nothing load.

    Raises:
        PolyheadError: the recipe cannot be read, or a package that it needs is broken.
    """
    recipe = Path(model) / "recipe.yaml"
    if recipe.is_file():
        read_values(recipe)


def check_recipe(raw: Mapping[str, Any], where: str) -> Recipe:
    """A recipe from plain values; errors begin with `where`."""
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise PolyheadError(f"{where}: {explain(error, raw)}") from None


def recipe_values(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values, every key with its value, as `check_recipe` reads them.

    Of what is still to be planned only what the recipe says itself.
    """
    values = recipe.model_dump(mode="json", exclude={"tasks": {"__all__": {"fitted"}}}, exclude_none=True)
    if not recipe.is_complete:
        for name in ("network", "image", "training"):
            values.pop(name)
            if name in recipe.model_fields_set:
                values[name] = getattr(recipe, name).model_dump(mode="json", exclude_unset=True)
    return values


def write_recipe(recipe: Recipe) -> str:
    """The recipe as YAML text, every key with its value."""
    return write_yaml(recipe_values(recipe))


def write_yaml(values: Mapping[str, Any]) -> str:
    """Plain values as YAML text."""
    stream = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = 110
    yaml.dump(values, stream)
    return stream.getvalue()
