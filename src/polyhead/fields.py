"""What all parts of a recipe have in common, and the types of their values."""

import os
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)

from polyhead.errors import UNSHOWN, shorten
from polyhead.files import find_path_fault

LONGEST_NAME = 200  # characters of the name of a task, a label, a recipe

# A value such as YAML and JSON hold.
Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Part(BaseModel):
    """A part of a recipe: unknown keys are errors, numbers are finite, and it never changes after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    FORMER_NAMES: ClassVar[Mapping[str, str]] = {}  # of keys, with their names of today

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, given: Any) -> Any:
        """Accept the former names of keys, so that old recipes remain valid."""
        if not isinstance(given, dict) or cls.FORMER_NAMES.keys().isdisjoint(given):
            return given
        for former, name in cls.FORMER_NAMES.items():
            if former in given and name in given:
                raise ValueError(f"`{former}` is the former name of `{name}`; give only the latter")
        return {cls.FORMER_NAMES.get(key, key): value for key, value in given.items()}


def check_name(name: str) -> str:
    """A name that people read: of a task, a label, a recipe.

    Raises:
        ValueError: it is empty, too long for a line, or contains control characters.
    """
    if not name.strip():
        raise ValueError("a name may not be empty")
    if len(name) > LONGEST_NAME:
        raise ValueError(f"a name has {LONGEST_NAME} characters at most; {shorten(name, 40)!r} has {len(name):,}")
    if UNSHOWN.search(name):
        raise ValueError(f"a name may not hold a control character; got {shorten(name, 60)!r}")
    return name


def check_different(values: list[str]) -> list[str]:
    """A list without duplicates.

    Raises:
        ValueError: with the duplicate.
    """
    (value, count), *_ = Counter(values).most_common(1) or [("", 0)]
    if count > 1:
        raise ValueError(f"{shorten(value, 60)!r} is there {count} times; once is enough")
    return values


def check_path(path: str) -> str:
    """A valid path of a file; `~` is the user's home.

    Raises:
        ValueError: no file can have this path.
    """
    if fault := find_path_fault(path):
        raise ValueError(f"the path {fault}")
    if path.startswith("~") and os.path.expanduser(path) == path:
        raise ValueError(f"there is no user {shorten(path.partition('/')[0], 40)}; a file called so is ./~...")
    return path


def check_dotted_path(path: str) -> str:
    """Where to import a user's own function or class from: `package.module:function`.

    Raises:
        ValueError: it has another form, or names a module of Python itself, which a recipe must not reach.
    """
    module, colon, inner = path.partition(":")
    words = [*module.split("."), *inner.split(".")]
    if len(path) > LONGEST_NAME or not colon or not all(word.isidentifier() for word in words):
        raise ValueError(f"expected package.module:function; got {shorten(path, 60)!r}")
    if words[0] in sys.stdlib_module_names or words[0] == "__main__":
        raise ValueError(f"expected a function in a module of your own; {shorten(words[0], 60)} is Python's")
    return path


def _as_square(given: Any) -> Any:
    """Let one number stand for height and width."""
    if isinstance(given, int) and not isinstance(given, bool):
        return [given, given]
    if not isinstance(given, list | tuple) or len(given) > 2:
        raise ValueError(f"expected [height, width], or one number for a square; got {shorten(repr(given), 60)}")
    return given


def with_plugins(models: Mapping[str, type[BaseModel]]) -> WrapValidator:
    """Beside a union of models that are told apart by `kind`: those that installed packages have brought by then."""

    def choose(given: Any, check: Any) -> Any:
        kind = given.get("kind") if isinstance(given, dict) else getattr(given, "kind", None)
        model = models.get(kind) if isinstance(kind, str) else None
        return model.model_validate(given) if model else check(given)

    return WrapValidator(choose)


Side = Annotated[int, Field(ge=8, le=4096)]
ImageSize = Annotated[tuple[Side, Side], BeforeValidator(_as_square)]
Name = Annotated[str, AfterValidator(check_name)]
Different = Annotated[list[str], AfterValidator(check_different)]
PathText = Annotated[str, AfterValidator(check_path)]
DottedPath = Annotated[
    str,
    AfterValidator(check_dotted_path),
    WithJsonSchema({"type": "string", "pattern": r"^\w+(\.\w+)*:\w+(\.\w+)*$"}),
]
# Of a function that a dotted path names.
Arguments = Annotated[dict[str, JsonValue], WithJsonSchema({"type": "object"})]
