"""Tasks whose answer is one of several labels."""

from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from polyhead.errors import PolyheadError
from polyhead.tasks import metrics
from polyhead.tasks.calibrated import Calibrated, YesNo
from polyhead.tasks.calibration import temper
from polyhead.tasks.labelled import EntropyLoss, Labelled, RareLabels
from polyhead.tasks.metrics import Numbers
from polyhead.tasks.task import Answer, Array, Labels, natural_key, one_of


class Categorical(RareLabels, Calibrated):
    """One class of several."""

    LEARNT: ClassVar[tuple[str, ...]] = (*Calibrated.LEARNT, "rare_counts")
    LABELS: ClassVar[str] = "classes"

    kind: Literal["categorical"] = "categorical"
    loss: EntropyLoss = "cross_entropy"
    classes: list[str] = Field([], description="The classes, in order; those of the training split, sorted, if absent.")
    activation: Literal["softmax", "sigmoid"] = Field(
        "softmax",
        description="`softmax` with cross-entropy, or one `sigmoid` a class with binary cross-entropy over them.",
    )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.classes or dict.fromkeys(self.values.values()))

    def _learn(self, name: str, known: Labels) -> dict[str, Any]:
        counts = self.distribution(known)
        classes = list(self.names) or sorted(counts, key=natural_key)
        kept, rare = self._set_aside(name, {label: counts.get(label, 0) for label in classes})
        learnt = self.model_copy(update={"classes": kept, "counts": counts, "rare_counts": rare})
        return {"classes": kept, "counts": learnt.distribution(known), "rare_counts": rare}

    def shares(self, outputs: Array) -> Array:
        """The outputs (n, classes), which for sigmoids are brought to a sum of 1 first, at the learnt temperature."""
        return temper(_shares(outputs), self.temperature)

    def decode(self, outputs: Array) -> list[Answer]:
        """The likeliest class."""
        return [self._rank(row, int(row.argmax())) for row in self.shares(outputs)]

    def _alternatives(self, labels: Labels, outputs: Array) -> tuple[Array, NDArray[np.integer]]:
        return _among_names(self, labels, _shares(outputs))

    def _measure(self, labels: Labels, outputs: Array) -> Numbers:
        answers = [answer["answer"] for answer in self.decode(outputs)]
        unlearnt = sorted(set(labels) - set(self.counts))
        found = metrics.measure_classes(labels, answers, self.names) | self._note_rare()
        return found | ({"not_in_training": unlearnt} if unlearnt else {})


class Binary(Labelled, YesNo):
    """Yes or no, or any two labels; the model gives the probability of the second."""

    LABELS: ClassVar[str] = "labels"

    kind: Literal["binary"] = "binary"
    loss: EntropyLoss = "cross_entropy"
    labels: list[str] = Field([], description="The two labels, negative first; those found, sorted, if absent.")

    @model_validator(mode="after")
    def _two_labels(self) -> Self:
        if self.names and len(set(self.names)) != 2:
            raise ValueError(f"expected two labels; got {one_of(self.names)}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.labels or dict.fromkeys(self.values.values()))

    @property
    def asked(self) -> tuple[str, ...]:
        return self.names[1:]

    @property
    def width(self) -> int:
        return 1

    def _learn(self, name: str, known: Labels) -> dict[str, Any]:
        counts = self.distribution(known)
        labels = list(self.names) or sorted(counts)
        if len(labels) != 2:
            raise PolyheadError(
                f"tasks.{name}: binary needs two labels; the training split has {one_of(labels)}: "
                f"{'declare both in `labels`' if len(labels) < 2 else 'use kind categorical'}"
            )
        return {"labels": labels, "counts": counts}

    def shares(self, outputs: Array) -> Array:
        """The second label's probability behind that of the first (n, 2)."""
        yes = self._temper(outputs)
        return np.column_stack([1 - yes, yes])

    def decode(self, outputs: Array) -> list[Answer]:
        """The second label from its threshold on."""
        (cut,) = self._cuts()
        return [self._rank(row, int(row[1] >= cut)) for row in self.shares(outputs)]

    def constant(self) -> Array:
        return super().constant()[1:]

    def _measure(self, labels: Labels, outputs: Array) -> Numbers:
        answers = [answer["answer"] for answer in self.decode(outputs)]
        found = metrics.measure_classes(labels, answers, self.names)
        return found | metrics.measure_ranking(np.asarray(labels, object) == self.names[1], outputs[:, 0])


class Ordinal(Labelled, Calibrated):
    """One level of several that stand in an order."""

    LABELS: ClassVar[str] = "levels"

    kind: Literal["ordinal"] = "ordinal"
    loss: EntropyLoss = "cross_entropy"
    levels: list[str] = Field([], description="The levels, lowest first; those found, ascending, if they are numbers.")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.levels or dict.fromkeys(self.values.values()))

    def _learn(self, name: str, known: Labels) -> dict[str, Any]:
        found = sorted(set(known), key=natural_key)
        if not self.names and any(natural_key(level)[0] for level in found):
            raise PolyheadError(f"tasks.{name}.levels: give the levels, lowest first; found {one_of(found)}")
        if len(self.names or found) < 2:
            raise PolyheadError(f"tasks.{name}.levels: two levels or more are needed; found {one_of(found)}")
        return {"levels": list(self.names) or found, "counts": self.distribution(known)}

    def check_learnt(self) -> None:
        super().check_learnt()
        if len(self.levels) < 2:
            raise ValueError("levels: expected two or more")

    def _ranks(self, outputs: Array) -> list[int]:
        # The median level: as many steps up as have a probability above one half of being passed (CORN's rule).
        passed = 1 - np.cumsum(outputs.astype(float), axis=1)[:, :-1]
        return [int(rank) for rank in np.sum(passed > 0.5, axis=1)]

    def shares(self, outputs: Array) -> Array:
        """The levels' probabilities, at the learnt temperature."""
        return temper(outputs, self.temperature)

    def positions(self, shares: Array) -> Array:
        """The expected level, from 0 at the lowest to 1 at the highest (n, 1)."""
        return shares @ np.linspace(0, 1, len(self.names))[:, None]

    def decode(self, outputs: Array) -> list[Answer]:
        """The median of the levels' probabilities (n, levels): of the model's own, or a temperature could move it."""
        rows = self.shares(outputs)
        return [self._rank(row, rank) for row, rank in zip(rows, self._ranks(outputs), strict=True)]

    def _alternatives(self, labels: Labels, outputs: Array) -> tuple[Array, NDArray[np.integer]]:
        return _among_names(self, labels, outputs)

    def _measure(self, labels: Labels, outputs: Array) -> Numbers:
        ranks = self._ranks(outputs)
        found = metrics.measure_classes(labels, [self.names[rank] for rank in ranks], self.names)
        truth = self.encode(labels)[:, 0]
        unlearnt = sorted(set(labels) - set(self.counts))
        errors = np.abs(np.array(ranks) - truth)[~np.isnan(truth)]
        found["mae"] = float(errors.mean()) if len(errors) else None
        return found | ({"not_in_training": unlearnt} if unlearnt else {})


def _shares(outputs: Array) -> Array:
    """Outputs (n, classes) brought to a sum of 1."""
    return np.asarray(outputs / np.maximum(outputs.sum(axis=1, keepdims=True), 1e-12))


def _among_names(task: Calibrated, labels: Labels, shares: Array) -> tuple[Array, NDArray[np.integer]]:
    """The rows of `shares` (n, names) whose label is among the task's, and its place there."""
    places = task.encode(labels)[:, 0]
    known = ~np.isnan(places)
    return shares[known], places[known].astype(int)
