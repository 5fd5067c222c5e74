"""The keys of a recipe, and how their values are changed before it is validated."""

import os
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel

from polyhead.errors import PolyheadError, shorten
from polyhead.fields import Part
from polyhead.recipe.schema import Recipe
from polyhead.recipe.yaml import DEEPEST, read_yaml
from polyhead.tasks import KINDS, Task, is_learnt

Changes: TypeAlias = Iterable[str | Mapping[str, object]] | Mapping[str, object]  # "a.b=value", or {"a.b": value}


def override_values(raw: dict[str, Any], overrides: Changes) -> None:
    """Set values of a recipe that is not validated yet: `a.b=value` each, the value in YAML; or by dotted key.

    Raises:
        PolyheadError: one of them has another form, or sets a key of something that has no keys.
    """
    for override in [overrides] if isinstance(overrides, str | Mapping) else overrides:
        if isinstance(override, Mapping):
            for key, value in override.items():
                set_value(raw, str(key), copy_plain(value))
            continue
        key, sign, text = override.partition("=")
        if not sign or not key.strip():
            raise PolyheadError(f"`overrides` {shorten(override, 60)}: expected KEY=VALUE, such as training.epochs=5")
        set_value(raw, key.strip(), _read_setting(key.strip(), text))


def _read_setting(key: str, text: str) -> Any:
    """The value of an override: as YAML; or the text itself, if the key takes a text and YAML reads something else."""
    *parents, last = key.split(".")
    last = former_names(tuple(parents)).get(last, last)
    fields = [model.model_fields[last] for model in models_at(tuple(parents)) if last in model.model_fields]
    types = {kind for field in fields for kind in _types(field.annotation)}
    is_text = bool(types) and types <= {str, type(None)}
    try:
        value = read_yaml(text, f"`overrides` {shorten(key, 60)}")
    except PolyheadError as error:
        if is_text:
            return text
        words = "put a text that holds any of : { } [ ] # & * ! | > between quotes"
        raise PolyheadError(f"{error}; {words}") from None
    return text if is_text and not isinstance(value, str | None) else value


def _types(annotation: Any) -> list[Any]:
    """The types that a field's annotation joins."""
    if get_origin(annotation) not in (Annotated, Union, UnionType):
        return [annotation]
    return [kind for argument in get_args(annotation) for kind in _types(argument)]


def set_value(raw: dict[str, Any], key: str, value: object) -> None:
    """Set one value by its dotted key, under the key's name of today.

    Raises:
        PolyheadError: a parent of the key holds a value and no keys.
    """
    *parents, last = key.split(".")
    part: Any = raw
    for parent in parents:
        part = part.setdefault(parent, {}) if isinstance(part, dict) else None
    if not isinstance(part, dict):
        held = shorten(".".join(parents), 100)
        raise PolyheadError(f"{shorten(key, 100)}: there is no such key to set; {held} holds no keys")
    names = former_names(tuple(parents))
    last = names.get(last, last)
    for former, name in names.items():
        if name == last:
            part.pop(former, None)
    part[last] = value


def copy_plain(value: Any, depth: int = 0) -> Any:
    """A copy of a program's values as YAML would give them: paths as text, tuples as lists."""
    if depth > DEEPEST:
        raise PolyheadError(f"recipe: is nested more than {DEEPEST} levels deep, which no recipe is")
    if isinstance(value, Mapping):
        return {key: copy_plain(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [copy_plain(inner, depth + 1) for inner in value]
    return os.fsdecode(value) if isinstance(value, os.PathLike) else value


Location = tuple[int | str, ...]  # keys and indices from the top of a recipe


def models_at(location: Location) -> list[type[BaseModel]]:
    """The models that the part of a recipe at `location` may have."""
    models: list[type[BaseModel]] = [Recipe]
    for item in location:
        models = [model for parent in models for model in _step(parent, item)] or models
    return models


def list_keys(model: type[BaseModel]) -> list[str]:
    """The keys of a part of a recipe."""
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


def former_names(location: Location) -> dict[str, str]:
    """The former names of keys of the part at `location`, with their names of today."""
    parts = [model for model in models_at(location) if issubclass(model, Part)]
    return {former: name for part in parts for former, name in part.FORMER_NAMES.items()}
