"""From YAML text to a recipe and back: loading, `--set`, and errors that name the key."""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from polyhead.errors import PolyheadError
from polyhead.recipe import Recipe, nearest
from polyhead.recipes import built_in_names, read_text


def recipe_text(recipe: str | Path) -> str:
    """The YAML text of a built-in recipe, by name, or of a file.

    Raises:
        PolyheadError: there is neither.
    """
    names = built_in_names()
    if str(recipe) in names:
        return read_text(str(recipe))
    path = Path(recipe)
    if path.suffix not in (".yaml", ".yml") and not path.exists():
        raise PolyheadError(
            f"no recipe is called {str(recipe)!r}{nearest(str(recipe), names)}; inside are {', '.join(names)}, "
            "or give the path of a .yaml file"
        )
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolyheadError(
            f"{path}: cannot be read as a recipe: {getattr(error, 'strerror', None) or error}"
        ) from None


def load_recipe(recipe: str | Path, overrides: Iterable[str] = (), **also: Any) -> Recipe:
    """Read and check a recipe.

    Args:
        recipe: the name of a built-in one, or the path of a YAML file.
        overrides: `a.b=value` each, the value in YAML.
        also: values set by dotted path with `__` for the dot, where not None: `data__path="images"`.

    Raises:
        PolyheadError: the first thing that is wrong, in one line that names the key.
    """
    where = str(recipe)
    raw = _read_yaml(recipe_text(recipe), where)
    if not isinstance(raw, dict):
        raise PolyheadError(f"{where}: expected a recipe (keys such as data, tasks, network); got {_short(raw)}")
    override_values(raw, overrides)
    for name, value in also.items():
        if value is not None:
            _set(raw, name.replace("__", "."), value)
    return check_recipe(raw, where)


def override_values(raw: dict[str, Any], overrides: Iterable[str]) -> None:
    """Set values of a recipe that is plain values still: `a.b=value` each, the value in YAML.

    Raises:
        PolyheadError: one of them has another form, or sets what cannot be.
    """
    for override in overrides:
        key, sign, text = override.partition("=")
        if not sign or not key:
            raise PolyheadError(f"--set {override}: expected KEY=VALUE, such as training.epochs=5")
        _set(raw, key.strip(), _read_yaml(text, f"--set {key}"))


def check_recipe(raw: Mapping[str, Any], where: str) -> Recipe:
    """A recipe from plain values; `where` stands before an error."""
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise PolyheadError(f"{where}: {_explain(error, raw)}") from None


def recipe_values(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values, every key with its own: what `check_recipe` reads."""
    learnt = {name: set(task.LEARNT) for name, task in recipe.tasks.items()}
    return recipe.model_dump(mode="json", exclude={"tasks": learnt}, exclude_none=True)


def write_recipe(recipe: Recipe) -> str:
    """The recipe as YAML text, every key with its value."""
    values = recipe_values(recipe)
    stream = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = 110
    yaml.dump(values, stream)
    return stream.getvalue()


def _read_yaml(text: str, where: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(text)  # YAML 1.2: `off` and `no` are words, 1e-3 is a number
    except MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}:" if error.problem_mark else ""
        raise PolyheadError(f"{where}:{line} {' '.join(str(error.problem).split())}") from None
    except YAMLError as error:
        raise PolyheadError(f"{where}: is not YAML: {' '.join(str(error).split())}") from None


def _set(raw: dict[str, Any], key: str, value: Any) -> None:
    place: Any = raw
    *parents, last = key.split(".")
    for parent in parents:
        place = place.setdefault(parent, {}) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        raise PolyheadError(f"{key}: there is no such key to set; {'.'.join(parents)} holds no keys")
    place[last] = value


def _explain(error: ValidationError, raw: Any) -> str:
    """The first mistake as `key: expected ...; got ... (did you mean ...?)`."""
    first = error.errors(include_url=False)[0]
    keys = _keys(first["loc"], raw)
    key = ".".join(keys)
    kind, given, context = first["type"], first["input"], first.get("ctx", {})
    if kind == "value_error":
        message = str(context["error"])
        return f"{key}: {message}" if key else message
    if kind == "extra_forbidden":
        fields = sorted({name for model in _models_at(first["loc"][:-1]) for name in _fields(model)})
        others = [model for model in _models_at(first["loc"][:-2]) if keys[-1] in _fields(model)]
        kinds = ", ".join(str(model.model_fields["kind"].default) for model in others if "kind" in model.model_fields)
        hint = f" here, but in kind: {kinds}" if kinds else nearest(keys[-1], fields)
        return f"{key}: there is no such key{hint}; expected {', '.join(fields)}"
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
    wanted = (
        first["msg"]
        .removeprefix("Input should be ")
        .replace("a valid dictionary", "keys")
        .partition(" or instance of")[0]
    )
    return f"{key}: expected {wanted}; got {_short(given)}"


def _keys(location: tuple[int | str, ...], raw: Any) -> list[str]:
    """The place of a mistake in the user's own keys, without the kinds that pydantic puts between them."""
    keys: list[str] = []
    for item in location:
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
    return [name for name in model.model_fields if name not in getattr(model, "LEARNT", ())]


def _step(parent: type[BaseModel], item: int | str) -> list[type[BaseModel]]:
    if isinstance(item, str) and item in parent.model_fields:
        return _models(parent.model_fields[item].annotation)
    tag = parent.model_fields.get("kind")
    return [parent] if tag and tag.default == item else []


def _models(annotation: Any) -> list[type[BaseModel]]:
    if get_args(annotation):
        return [model for argument in get_args(annotation) for model in _models(argument)]
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
