"""From YAML text to a recipe and back: loading, overrides, and errors that name the key."""

import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML

from polyhead.errors import PolyheadError, nearest, shorten
from polyhead.files import find_path_fault, open_regular
from polyhead.recipe.builtin import built_in_names, read_text
from polyhead.recipe.plugins import load_named_plugins
from polyhead.recipe.schema import Recipe
from polyhead.recipe.yaml import DEEPEST, LONGEST, read_yaml
from polyhead.tasks import KINDS, Task, is_learnt

RecipeLike: TypeAlias = str | os.PathLike[str] | Mapping[str, object] | Recipe  # a name, a file, its values, itself
Changes: TypeAlias = Iterable[str | Mapping[str, object]] | Mapping[str, object]  # "a.b=value", or {"a.b": value}


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
            f"no recipe is called {shorten(given, 60)!r}{nearest(given, names)}; inside are {', '.join(names)}, "
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
    """The start of a file: a recipe whole, and enough of anything else to see that it is none.

    A pipe is read that another process already writes to, as a shell's `<(...)` gives, and no other.
    """
    if not path.is_fifo():
        with open_regular(path) as file:
            return file.read(LONGEST + 1)
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as pipe:
        os.set_blocking(pipe.fileno(), True)  # with nobody at its other end, it reads as empty
        return pipe.read(LONGEST + 1)


def _hint(path: Path) -> str:
    if path.suffix.lower() == ".onnx":
        return "; it looks like a model, and a recipe is a YAML file"
    data = path if path.suffix.lower() in (".csv", ".tsv") else path.parent
    return f"; a recipe is a YAML file, such as `init {data}` prints for labelled images"


def load_recipe(recipe: RecipeLike, overrides: Changes = (), **also: object) -> Recipe:
    """Read and check a recipe.

    Args:
        recipe: the name of a built-in one, the path of a YAML file, a dict of the same keys, or a `Recipe`.
        overrides: `"a.b=value"` each, the value in YAML (what a key wants as text may stand as it is); or a dict of
            dotted keys.
        also: values set by dotted path with `__` for the dot, where not None: `data__path="images"`.

    Raises:
        PolyheadError: the first thing that is wrong, in one line that names the key.
    """
    raw, where = read_values(recipe, overrides)
    for name, value in also.items():
        if value is not None:
            _set(raw, name.replace("__", "."), value)
    return check_recipe(raw, where)


def read_values(recipe: RecipeLike, overrides: Changes = ()) -> tuple[dict[str, Any], str]:
    """The plain values of a recipe (see `load_recipe`), unchecked as yet, and what to call it in an error.

    Raises:
        PolyheadError: there is no such recipe, it holds no keys, an override has no such form, or an installed package
            that brings one of its kinds is broken.
    """
    if isinstance(recipe, Recipe):
        raw, where = recipe_values(recipe), recipe.name
    elif isinstance(recipe, Mapping):
        raw, where = _copy_plain(recipe), shorten(str(recipe.get("name") or "recipe"), 60)
    elif isinstance(recipe, str | os.PathLike):
        where = os.fsdecode(recipe)
        raw = read_yaml(recipe_text(where), where)
        if not isinstance(raw, dict):
            hint = _hint(Path(where)) if Path(where).suffix not in (".yaml", ".yml") else ""
            raise PolyheadError(
                f"{where}: expected a recipe (keys such as data, tasks, network); got {_short(raw)}{hint}"
            )
    else:
        raise PolyheadError(f"expected a recipe's name, its path, a dict or a Recipe; got {type(recipe).__name__}")
    override_values(raw, overrides)
    load_named_plugins(raw)
    return raw, where


def load_run_plugins(model: str | os.PathLike[str]) -> None:
    """Load the kinds of installed packages that the recipe of a run folder names; a model file makes nothing load.

    Raises:
        PolyheadError: the recipe cannot be read, or a package that it needs is broken.
    """
    recipe = Path(model) / "recipe.yaml"
    if recipe.is_file():
        read_values(recipe)


def _copy_plain(value: Any, depth: int = 0) -> Any:
    """A copy of a program's values as YAML would give them: paths as text, tuples as lists."""
    if depth > DEEPEST:
        raise PolyheadError(f"recipe: is nested more than {DEEPEST} levels deep, which no recipe is")
    if isinstance(value, Mapping):
        return {key: _copy_plain(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_copy_plain(inner, depth + 1) for inner in value]
    return os.fsdecode(value) if isinstance(value, os.PathLike) else value


def override_values(raw: dict[str, Any], overrides: Changes) -> None:
    """Set values of a recipe that is plain values still: `a.b=value` each, the value in YAML; or by dotted key.

    Raises:
        PolyheadError: one of them has another form, or sets what cannot be.
    """
    for override in [overrides] if isinstance(overrides, str | Mapping) else overrides:
        if isinstance(override, Mapping):
            for key, value in override.items():
                _set(raw, str(key), _copy_plain(value))
            continue
        key, sign, text = override.partition("=")
        if not sign or not key.strip():
            raise PolyheadError(f"`overrides` {shorten(override, 60)}: expected KEY=VALUE, such as training.epochs=5")
        _set(raw, key.strip(), _read_setting(key.strip(), text))


def _read_setting(key: str, text: str) -> Any:
    """The value of an override: YAML; or the text as it stands, where the key wants one and YAML reads otherwise."""
    *parents, last = key.split(".")
    fields = [model.model_fields[last] for model in _models_at(tuple(parents)) if last in model.model_fields]
    wants = {kind for field in fields for kind in _types(field.annotation)}
    wants_text = bool(wants) and wants <= {str, type(None)}
    try:
        value = read_yaml(text, f"`overrides` {shorten(key, 60)}")
    except PolyheadError as error:
        if wants_text:
            return text
        words = "put a text that holds any of : { } [ ] # & * ! | > between quotes"
        raise PolyheadError(f"{error}; {words}") from None
    return text if wants_text and not isinstance(value, str | None) else value


def _types(annotation: Any) -> list[Any]:
    """The types that a field's annotation names, one beside the other."""
    if get_origin(annotation) not in (Annotated, Union, UnionType):
        return [annotation]
    return [kind for argument in get_args(annotation) for kind in _types(argument)]


def check_recipe(raw: Mapping[str, Any], where: str) -> Recipe:
    """A recipe from plain values; `where` stands before an error."""
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise PolyheadError(f"{where}: {_explain(error, raw)}") from None


def recipe_values(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values, every key with its own: what `check_recipe` reads."""
    return recipe.model_dump(mode="json", exclude={"tasks": {"__all__": {"fitted"}}}, exclude_none=True)


def write_recipe(recipe: Recipe) -> str:
    """The recipe as YAML text, every key with its value."""
    values = recipe_values(recipe)
    stream = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = 110
    yaml.dump(values, stream)
    return stream.getvalue()


def _set(raw: dict[str, Any], key: str, value: Any) -> None:
    place: Any = raw
    *parents, last = key.split(".")
    for parent in parents:
        place = place.setdefault(parent, {}) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        held = shorten(".".join(parents), 100)
        raise PolyheadError(f"{shorten(key, 100)}: there is no such key to set; {held} holds no keys")
    place[last] = value


def _explain(error: ValidationError, raw: Any) -> str:
    """The first mistake as `key: expected ...; got ... (did you mean ...?)`."""
    first = _choose(error.errors(include_url=False), raw)
    keys = _keys(first["loc"], raw)
    key = ".".join(shorten(part, 60) for part in keys)
    kind, given, context = first["type"], first["input"], first.get("ctx", {})
    if kind == "value_error":
        message = str(context["error"])
        return f"{key}: {message}" if key else message
    if kind == "extra_forbidden":
        if any(is_learnt(model, keys[-1]) for model in _models_at(first["loc"][:-1])):
            return f"{key}: is learnt from the data; take it out"
        return f"{key}: there is no such key{_tell_fields(first['loc'], keys[-1])}"
    if kind == "missing":
        return (
            f"{key}: is missing"
            if isinstance(first["loc"][-1], str)
            else f"{key}: has too few values; got {_short(given)}"
        )
    if kind in ("union_tag_invalid", "literal_error"):
        if kind == "union_tag_invalid":
            key, given = f"{key}.{context['discriminator'].strip(chr(39))}", context["tag"]
        expected = context.get("expected_tags") or context["expected"]
        words = expected.replace("'", "").replace(" or ", ", ")
        return f"{key}: expected {words}; got {_short(given)}{nearest(str(given), words.split(', '))}"
    if kind == "union_tag_not_found":
        return f"{key}.{context['discriminator'].strip(chr(39))}: is missing"
    if kind == "invalid_key" or "[key]" in first["loc"]:
        return f"{key}: expected a key that is text; put {_short(keys[-1])} between quotes"
    if kind in ("too_long", "too_short"):
        wanted = first["msg"].partition(" should have ")[2].partition(" after ")[0]
        return f"{key}: expected {wanted}; got {context['actual_length']:,}"
    wanted = re.sub(r"^\w+ should (be|have) ", "", first["msg"]).replace("a valid dictionary", "keys")
    if kind == "int_parsing_size":
        wanted = "a smaller number"
    wanted = re.sub(" or (instance of|object to) .*", "", wanted)
    return f"{key}: expected {wanted}; got {_short(given)}"


def _choose(errors: Sequence[Any], raw: Any) -> Any:
    """The first mistake; of those that pydantic finds for each of several types at its place, the most telling one."""
    place = _keys(errors[0]["loc"], raw)
    alike = [error for error in errors if _keys(error["loc"], raw)[: len(place)] == place]

    def telling(error: Any) -> tuple[int, bool]:
        likely = "literal_error" if isinstance(error["input"], str) else "too_short"
        return len(_keys(error["loc"], raw)), error["type"] == likely

    return max(alike, key=telling)


def _tell_fields(location: tuple[int | str, ...], key: str) -> str:
    """What could have been meant by a key that is none, and which there are."""
    fields = sorted({name for model in _models_at(location[:-1]) for name in _fields(model)})
    others = [model for model in _models_at(location[:-2]) if key in _fields(model)]
    kinds = ", ".join(str(model.model_fields["kind"].default) for model in others if "kind" in model.model_fields)
    hint = f" here, but in kind: {kinds}" if kinds else nearest(key, fields)
    return f"{hint}; expected {', '.join(fields)}"


def _keys(location: tuple[int | str, ...], raw: Any) -> list[str]:
    """The place of a mistake in the user's own keys, without the kinds that pydantic puts between them."""
    keys: list[str] = []
    for item in location:
        if item == "[key]":
            continue
        if isinstance(raw, dict):
            if item not in raw and item == raw.get("kind"):
                continue
            raw = raw.get(item)
        elif isinstance(raw, list) and isinstance(item, int):
            raw = raw[item] if item < len(raw) else None
        else:
            continue
        keys.append(str(item))
    return keys


def _models_at(location: tuple[int | str, ...]) -> list[type[BaseModel]]:
    """What the part of a recipe at `location` may be."""
    models: list[type[BaseModel]] = [Recipe]
    for item in location:
        models = [model for parent in models for model in _step(parent, item)] or models
    return models


def _fields(model: type[BaseModel]) -> list[str]:
    """The keys that a part of a recipe may have."""
    return [name for name in model.model_fields if not is_learnt(model, name)]


def _step(parent: type[BaseModel], item: int | str) -> list[type[BaseModel]]:
    if isinstance(item, str) and item in parent.model_fields:
        return _models(parent.model_fields[item].annotation)
    tag = parent.model_fields.get("kind")
    return [parent] if tag and tag.default == item else []


def _models(annotation: Any) -> list[type[BaseModel]]:
    if annotation is Task:
        return list(KINDS.values())
    if get_args(annotation):
        return [model for argument in get_args(annotation) for model in _models(argument)]
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []


def _short(value: Any) -> str:
    return shorten(repr(value), 60)
