"""What the kinds have in common whose answer is one label of several."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyhead.tasks import metrics
from polyhead.tasks.answers import LabelAnswer, answer_labels
from polyhead.tasks.calibration import log_odds
from polyhead.tasks.label_loss import EntropyLoss, weigh_labels
from polyhead.tasks.label_task import LabelTask
from polyhead.tasks.label_text import check_label, match_labels, read_cell, values_from_column
from polyhead.tasks.metrics import Array, Labels, Numbers


class OneLabel(LabelTask, ABC, frozen=True):
    """A task whose answer is one label of several."""

    loss: EntropyLoss = "cross_entropy"

    @property
    @abstractmethod
    def answer_type(self) -> type[LabelAnswer]: ...

    @abstractmethod
    def choose(self, outputs: Array) -> NDArray[np.intp]:
        """The index among `names` of each answer (n,)."""

    @property
    def published_labels(self) -> tuple[str, ...]:
        return ()

    def columns(self, name: str) -> list[str]:
        return [self.column or name]

    @property
    def cell_separator(self) -> str:
        return "|"

    def complete_from_source(self, name: str, texts: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """What the texts of its column mean, where the recipe does not say."""
        (column,) = self.columns(name)
        found = texts.get(column, ())
        return {} if self.values or not found else {"values": values_from_column(column, found, self.names)}

    def recognize(self, texts: Mapping[str, int]) -> tuple[float, dict[str, Any]]:
        fraction, values = match_labels(texts, self.names, self.values)
        return fraction, {"values": values}

    def read(self, *cells: str) -> str:
        text = read_cell(cells[0], self.blank, self.values)
        return check_label(text, self.names) if text else ""

    def class_weights(self) -> Array:
        """How much each label counts in the loss (labels,), in the order of `names`."""
        return weigh_labels([self.counts.get(name, 0) for name in self.names], self.class_weight, self.beta)

    def encode(self, labels: Labels) -> NDArray[np.float32]:
        """Targets (n, 1): the label's index among `names`; NaN where unknown or never seen in training."""
        indices = {label: index for index, label in enumerate(self.names)}
        return np.array([[indices.get(label, np.nan)] for label in self.regroup(labels)], np.float32).reshape(-1, 1)

    def strata(self, labels: Labels) -> NDArray[np.float32]:
        return self.encode(labels)

    def decode(self, outputs: Array) -> list[LabelAnswer]:
        chosen, below = self.choose(outputs), self.state.unsure_below
        return answer_labels(self.answer_type, self.names, self.probabilities(outputs), chosen, below)

    def decisions(self, labels: Labels, outputs: Array) -> tuple[Array, Array]:
        """One for each image: its answer."""
        chosen = self.choose(outputs)
        truth = np.array(self.regroup(labels), object)
        right = np.where(truth == "", np.nan, (truth == self._labels_at(chosen)).astype(float))
        sure = np.take_along_axis(self.probabilities(outputs), chosen[:, np.newaxis], axis=1).astype(float)
        return sure, right[:, np.newaxis]

    def show_label(self, label: str) -> str:
        return label

    def distribution(self, labels: Labels) -> dict[str, int]:
        found = Counter(label for label in self.regroup(labels) if label)
        return {name: found[name] for name in (*self.names, *sorted(set(found) - set(self.names))) if found[name]}

    def _measure_classes(self, labels: Labels, outputs: Array) -> Numbers:
        """See `metrics.measure_classes`."""
        return metrics.measure_classes(labels, self._labels_at(self.choose(outputs)).tolist(), self.names)

    def _note_unlearnt(self, labels: Labels) -> Numbers:
        """`not_in_training`: known labels that training never saw; empty where there are none."""
        unlearnt = sorted(set(labels) - set(self.counts))
        return {"not_in_training": unlearnt} if unlearnt else {}

    def _labels_at(self, chosen: NDArray[np.intp]) -> NDArray[np.object_]:
        return np.array(self.names, object)[chosen]

    def _known_rows(self, labels: Labels, probabilities: Array) -> tuple[Array, NDArray[np.integer]]:
        """The rows of probabilities (n, names) whose label is one of `names`, and its index there."""
        indices = self.encode(labels)[:, 0]
        known = ~np.isnan(indices)
        return probabilities[known], indices[known].astype(int)

    def _most_frequent(self) -> Array:
        """1 for the most frequent label of the training split, 0 for the others (names,)."""
        frequent = max(self.names, key=lambda name: self.counts.get(name, 0))
        return np.array([float(name == frequent) for name in self.names])

    def _log_odds(self, outputs: Array, label: str | None) -> Array:
        """The log-odds (n,) of a label whose probability is one of several."""
        probabilities, index = self.probabilities(outputs), self.names.index(label or "")
        rest = np.delete(probabilities, index, axis=1).sum(axis=1)
        return log_odds(probabilities[:, index], rest)
