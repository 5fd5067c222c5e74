"""Yes or no, or any two labels."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from polyhead.errors import PolyheadError, list_words
from polyhead.tasks import calibration, conformal, yes_no
from polyhead.tasks.answers import LabelAnswer
from polyhead.tasks.fitted import LabelList, check_thresholds, located
from polyhead.tasks.label_task import UNCALIBRATED, FittedOneLabel, OneLabel
from polyhead.tasks.label_text import TextList
from polyhead.tasks.metrics import Array, Labels, Numbers, measure_ranking


class BinaryAnswer(LabelAnswer):
    """One of two labels."""

    __slots__ = ()


class FittedBinary(FittedOneLabel):
    """What training found: the labels, negative first; and validation, from which probability the second is said."""

    labels: LabelList
    thresholds: dict[str, float] = Field(default={})

    @model_validator(mode="after")
    def _of_the_second_label(self) -> Self:
        with located("thresholds"):
            check_thresholds(self.thresholds, self.labels[1:])
        return self


class Binary(OneLabel, frozen=True):
    """Yes or no, or any two labels; the model gives the probability of the second."""

    UNCALIBRATED: ClassVar[Mapping[str, Any]] = {**UNCALIBRATED, "thresholds": {}}

    kind: Literal["binary"] = "binary"
    threshold: yes_no.Threshold = "half"
    labels: TextList = Field(default=[], description="The two labels, negative first; those found, sorted, if absent.")
    fitted: SkipJsonSchema[FittedBinary | None] = None

    @model_validator(mode="after")
    def _two_labels(self) -> Self:
        if self.names and len(set(self.names)) != 2:
            raise ValueError(f"expected two labels; got {list_words(self.names)}")
        return self

    @property
    def state(self) -> FittedBinary:
        return self.fitted or FittedBinary.model_construct(labels=list(self.names))

    @property
    def answer_type(self) -> type[BinaryAnswer]:
        return BinaryAnswer

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.fitted.labels if self.fitted else self.labels or dict.fromkeys(self.values.values()))

    @property
    def declared_labels(self) -> dict[str, list[str]]:
        return {"labels": self.labels}

    @property
    def width(self) -> int:
        return 1

    @property
    def error_unit(self) -> str:
        return ""

    def _fit(self, name: str, known: Labels) -> FittedBinary:
        counts = self.distribution(known)
        labels = list(self.names) or sorted(counts)
        if len(labels) != 2:
            raise PolyheadError(
                f"tasks.{name}: binary needs two labels; the training split has {list_words(labels)}: "
                f"{'declare both in `labels`' if len(labels) < 2 else 'use kind categorical'}"
            )
        return FittedBinary(labels=labels, counts=counts)

    def regroup(self, labels: Labels) -> list[str]:
        return list(labels)

    def probabilities(self, outputs: Array) -> Array:
        """The second label's probability behind that of the first (n, 2)."""
        yes = self._yes(outputs)
        return np.column_stack([1 - yes, yes])

    def choose(self, outputs: Array) -> NDArray[np.intp]:
        """The second label from its threshold on."""
        return np.asarray(self._yes(outputs)[:, 0] >= self._thresholds[0], np.intp)

    def plausibilities(self, outputs: Array) -> Array:
        return conformal.place_answers_first(self.probabilities(outputs), self.choose(outputs))

    def leanings(self, outputs: Array) -> Array:
        """Of the second label the log-odds, less those of its threshold; 0 of the first."""
        second = yes_no.lean(self._yes(outputs), self._thresholds)
        return np.column_stack(
            [np.zeros(len(second)), np.where(second < 0, second, np.maximum(second, calibration.SMALLEST))]
        )

    def encode_answers(self, probabilities: Array, answers: NDArray[np.bool_]) -> NDArray[np.float32]:
        yes = yes_no.move_across(probabilities[:, 1:], self._thresholds, answers[:, 1:])
        return yes_no.temper_yes(yes, 1 / self.state.temperature).astype(np.float32)

    @property
    def _thresholds(self) -> Array:
        return yes_no.list_thresholds(self.names[1:], self.state.thresholds)

    def alternatives(self, labels: Labels, outputs: Array) -> tuple[Array, NDArray[np.integer]]:
        return yes_no.known_alternatives(self.encode(labels), outputs)

    @property
    def chosen_thresholds(self) -> tuple[str, ...]:
        return () if self.threshold == "half" else ("threshold",)

    def choose_thresholds(self, labels: Labels, outputs: Array) -> Self:
        if self.threshold == "half":
            return self
        thresholds = yes_no.choose_thresholds(self.names[1:], self.encode(labels), self._yes(outputs))
        return self.refitted(thresholds=thresholds)

    def positions(self, values: Array) -> Array:
        return np.asarray(values / np.sqrt(2))  # a column each: they would be sqrt(2) apart

    def evidence(self, outputs: Array, label: str | None) -> Array:
        return yes_no.yes_log_odds(self._yes(outputs)[:, 0], label == self.names[1])

    def baseline_outputs(self) -> Array:
        return self._most_frequent()[1:]

    def _measure(self, labels: Labels, outputs: Array) -> Numbers:
        """As `metrics.measure_classes` and `metrics.measure_ranking`."""
        positive = np.asarray(labels, object) == self.names[1]
        return self._measure_classes(labels, outputs) | measure_ranking(positive, outputs[:, 0])

    def _yes(self, outputs: Array) -> Array:
        """The calibrated probability of the second label (n, 1)."""
        return yes_no.temper_yes(outputs, self.state.temperature)
