"""The keys of a recipe: which models stand at a place in it, and what keys they have."""

from typing import Any, get_args

from pydantic import BaseModel

from polyhead.fields import Part
from polyhead.recipe.schema import Recipe
from polyhead.tasks import KINDS, Task, is_learnt

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
