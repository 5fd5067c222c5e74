"""One class of several."""

from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from polyhead.tasks import conformal
from polyhead.tasks.answers import LabelAnswer
from polyhead.tasks.calibration import MARGIN, lean_toward, log_probabilities, temper
from polyhead.tasks.fitted import Counts, LabelList
from polyhead.tasks.label_task import FittedOneLabel, OneLabel
from polyhead.tasks.label_text import TextList, natural_key
from polyhead.tasks.metrics import Array, Labels, Numbers
from polyhead.tasks.rare_labels import OTHER, MinCount, Rare, RareLabels

FEWEST = 2  # classes that must be left without the rare ones


class CategoricalAnswer(LabelAnswer):
    """One class."""

    __slots__ = ()


class FittedCategorical(FittedOneLabel):
    """What training found: the classes that the outputs stand for, in order, and the training rows of rare ones."""

    classes: LabelList
    rare_counts: Counts = Field(default={})


class Categorical(OneLabel, frozen=True):
    """One class of several."""

    kind: Literal["categorical"] = "categorical"
    min_count: MinCount = 0
    rare: Rare = "other"
    classes: TextList = Field(
        default=[], description="The classes, in order; those of the training split, sorted, if absent."
    )
    activation: Literal["softmax", "sigmoid"] = Field(
        default="softmax",
        description="`softmax` with cross-entropy, or one `sigmoid` a class with binary cross-entropy over them.",
    )
    fitted: SkipJsonSchema[FittedCategorical | None] = None

    @model_validator(mode="after")
    def _rare_has_an_effect(self) -> Self:
        self._rare_labels.check()
        return self

    @property
    def state(self) -> FittedCategorical:
        return self.fitted or FittedCategorical.model_construct(classes=list(self.names))

    @property
    def answer_type(self) -> type[CategoricalAnswer]:
        return CategoricalAnswer

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.fitted.classes if self.fitted else self.classes or dict.fromkeys(self.values.values()))

    @property
    def declared_labels(self) -> dict[str, list[str]]:
        return {"classes": self.classes}

    @property
    def width(self) -> int:
        return max(len(self.names), 1)

    @property
    def error_unit(self) -> str:
        return ""

    @property
    def _rare_labels(self) -> RareLabels:
        return RareLabels(self.min_count, self.rare)

    def _fit(self, name: str, known: Labels) -> FittedCategorical:
        counts = self.distribution(known)
        classes = list(self.names) or sorted(counts, key=natural_key)
        kept, rare = self._rare_labels.set_aside(name, {label: counts.get(label, 0) for label in classes}, FEWEST)
        fitted = FittedCategorical(classes=kept, rare_counts=rare)
        return fitted.model_copy(update={"counts": self.model_copy(update={"fitted": fitted}).distribution(known)})

    def regroup(self, labels: Labels) -> list[str]:
        kept = set(self.fitted.classes) if self.fitted else set()
        missing = OTHER if self._rare_labels.merges else ""
        return self._rare_labels.rename(labels, kept, lambda label: label if label in kept else missing)

    def probabilities(self, outputs: Array) -> Array:
        """The outputs (n, classes), which for sigmoids are brought to a sum of 1 first, at the learnt temperature."""
        return temper(_normalize(outputs), self.state.temperature)

    def choose(self, outputs: Array) -> NDArray[np.intp]:
        """The likeliest class."""
        return np.asarray(self.probabilities(outputs).argmax(axis=1))

    def plausibilities(self, outputs: Array) -> Array:
        return conformal.place_answers_first(self.probabilities(outputs), self.choose(outputs))

    def leanings(self, outputs: Array) -> Array:
        """The logarithm of each class's probability."""
        return log_probabilities(self.probabilities(outputs))

    def encode_answers(self, probabilities: Array, answers: NDArray[np.bool_]) -> NDArray[np.float32]:
        rest = np.where(answers, 0, probabilities).max(axis=1)
        behind = rest - np.where(answers, probabilities, 0).max(axis=1) + MARGIN
        moved = lean_toward(probabilities, answers, behind / (1 + behind))
        return np.asarray(temper(moved, 1 / self.state.temperature), np.float32)

    def alternatives(self, labels: Labels, outputs: Array) -> tuple[Array, NDArray[np.integer]]:
        return self._known_rows(labels, _normalize(outputs))

    @property
    def chosen_thresholds(self) -> tuple[str, ...]:
        return ()

    def choose_thresholds(self, labels: Labels, outputs: Array) -> Self:
        return self

    def positions(self, values: Array) -> Array:
        return np.asarray(values / np.sqrt(2))  # a column each: they would be sqrt(2) apart

    def evidence(self, outputs: Array, label: str | None) -> Array:
        return self._log_odds(outputs, label)

    def baseline_outputs(self) -> Array:
        return self._most_frequent()

    def _measure(self, labels: Labels, outputs: Array) -> Numbers:
        """As `metrics.measure_classes`; which labels are rare, and which training never saw."""
        found = self._measure_classes(labels, outputs) | self._rare_labels.describe(self.state.rare_counts)
        return found | self._note_unlearnt(labels)


def _normalize(outputs: Array) -> Array:
    """Outputs (n, classes) brought to a sum of 1."""
    return np.asarray(outputs / np.maximum(outputs.sum(axis=1, keepdims=True), 1e-12))
