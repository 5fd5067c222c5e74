"""What training and validation found of a task: the parts that the kinds' own models are made of.

A model file may be anybody's, so every value is checked as it is read. The messages have no key: pydantic knows it.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from polyhead.errors import shorten
from polyhead.tasks.calibration import HOTTEST, NEVER

LONGEST_LABEL = 10_000  # characters
MOST_ROWS = 2**53  # that are counted exactly


class Fitted(BaseModel):
    """What training and validation found of a task; each kind has its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _within(low: float, high: float) -> AfterValidator:
    def check(value: float) -> float:
        if not low <= value <= high:
            shown = f"{value:g}" if isinstance(value, float) else shorten(str(value), 20)
            raise ValueError(f"expected a number from {low:g} to {high:g}; got {shown}")
        return value

    return AfterValidator(check)


def _check_counts(counts: dict[str, int]) -> dict[str, int]:
    if not all(0 <= count < MOST_ROWS for count in counts.values()):
        raise ValueError("expected numbers from 0 up to 2^53")
    return counts


def _check_labels(labels: list[str]) -> list[str]:
    if not labels or len(set(labels)) < len(labels) or not all(0 < len(label) <= LONGEST_LABEL for label in labels):
        raise ValueError(f"expected labels, none empty, twice or over {LONGEST_LABEL:,} characters")
    return labels


def check_among(found: Iterable[str], labels: Iterable[str]) -> None:
    """Refuse a label that is none of the task's.

    Raises:
        ValueError: with the first of them.
    """
    if others := sorted(set(found) - set(labels)):
        raise ValueError(f"{others[0]!r} is not among the labels")


def check_thresholds(thresholds: Mapping[str, float], labels: Iterable[str]) -> None:
    """Refuse thresholds that are no probabilities, or of a label that is none of the task's.

    Raises:
        ValueError: with the first of them.
    """
    for label, threshold in thresholds.items():
        if label not in labels or not 0 <= threshold <= 1:
            raise ValueError(f"expected one from 0 to 1 for a label; got {label!r}: {threshold:g}")


@contextmanager
def located(key: str) -> Iterator[None]:
    """Say of what is refused within that it is wrong at a key."""
    try:
        yield
    except ValueError as error:
        custom = PydanticCustomError("value_error", "{reason}", {"reason": str(error)})
        raise ValidationError.from_exception_data(key, [{"type": custom, "loc": (key,), "input": None}]) from None


LabelList = Annotated[list[str], AfterValidator(_check_labels)]
Counts = Annotated[dict[str, int], AfterValidator(_check_counts)]  # rows of each label
CalibratedOn = Annotated[int, _within(0, MOST_ROWS)]  # labelled validation images; 0 where nothing was calibrated
Temperature = Annotated[float, _within(0.5 / HOTTEST, 2 * HOTTEST)]  # what `calibration.temper` takes
UnsureBelow = Annotated[float, _within(0, NEVER)]  # answers of a lower probability are unsure; above 1, all of them
