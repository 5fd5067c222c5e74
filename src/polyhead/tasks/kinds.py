"""The kinds of task by name, and how a task is told from what a recipe or a model file says of it."""

from collections.abc import Mapping
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    TypeAdapter,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from polyhead.tasks.binary import Binary
from polyhead.tasks.categorical import Categorical
from polyhead.tasks.fitted import Fitted
from polyhead.tasks.multilabel import MultiLabel
from polyhead.tasks.ordinal import Ordinal
from polyhead.tasks.regression import Regression
from polyhead.tasks.task import Task

KINDS: dict[str, type[Task]] = {  # another package may add to it; what is checked afterwards knows of them
    "categorical": Categorical,
    "multilabel": MultiLabel,
    "binary": Binary,
    "regression": Regression,
    "ordinal": Ordinal,
}


@cache
def _adapter(kinds: tuple[type[Task], ...]) -> TypeAdapter[Task]:
    annotated: Any = Annotated
    return TypeAdapter(annotated[reduce(or_, kinds), Field(discriminator="kind")])


class _ByKind:
    """Checks a task by the model that its `kind` names."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda given: _adapter(tuple(KINDS.values())).validate_python(given)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(_adapter(tuple(KINDS.values())).core_schema)


def _split(stored: Any) -> Any:
    """What a model file says of a task, as its recipe and what training found."""
    model = KINDS.get(str(stored.get("kind"))) if isinstance(stored, dict) else None
    if model is None:
        return stored
    found = _fitted_fields(model)
    recipe = {key: value for key, value in stored.items() if key in model.model_fields or key not in found}
    return recipe | {"fitted": {key: value for key, value in stored.items() if key in found}}


def _merge(task: Task) -> dict[str, Any]:
    """What a model file says of a task: its recipe, completed by what training found, in one object."""
    stored = task.model_dump(mode="json", exclude={"fitted"})
    return stored | task.state.model_dump(mode="json")


def _fitted_fields(kind: type[Task]) -> Mapping[str, FieldInfo]:
    """The fields of what training and validation find of a kind of task."""
    models = get_args(kind.model_fields["fitted"].annotation)
    return next(model.model_fields for model in models if issubclass(model, Fitted))


def is_learnt(kind: type[BaseModel], key: str) -> bool:
    """Whether a key of a kind is no key of its recipe, but what training or validation finds."""
    if not issubclass(kind, Task):
        return False
    return key == "fitted" or (key in _fitted_fields(kind) and key not in kind.model_fields)


AnyTask = Annotated[Task, _ByKind]
# In a model file both stand side by side, as they always have, so that others who read one need not change.
StoredTask = Annotated[AnyTask, BeforeValidator(_split), PlainSerializer(_merge)]
