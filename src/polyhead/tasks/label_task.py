"""What the kinds have in common whose answers are labels: how they are learnt, and how far to trust an answer.

The model's outputs are probabilities as training left them. An answer comes about in this order: a temperature, which
changes how sure an answer is and never the answer; then thresholds, where labels are each a yes or a no; then the
probability below which an answer is unsure; and the set of labels that it promises. All are found on the validation
split.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from polyhead.tasks import calibration, conformal, metrics
from polyhead.tasks.answers import LabelAnswer, answer_labels
from polyhead.tasks.calibration import log_odds
from polyhead.tasks.conformal import LabelPromise, Promise
from polyhead.tasks.fitted import CalibratedOn, Counts, Fitted, Temperature, UnsureBelow
from polyhead.tasks.label_text import check_label, match_labels, read_cell, values_from_column
from polyhead.tasks.metrics import Array, Labels, Numbers
from polyhead.tasks.rare_labels import EntropyLoss, weigh_labels
from polyhead.tasks.task import Task

USED_WITH = {"focusing": ("loss", "focal"), "beta": ("class_weight", "effective_number")}
UNCALIBRATED = {"calibrated_on": 0, "temperature": 1.0, "unsure_below": 0.0}


class FittedLabels(Fitted):
    """What training (`counts`) and validation (the others) found of such a task."""

    counts: Counts = Field(default={})
    calibrated_on: CalibratedOn = 0
    temperature: Temperature = 1.0
    unsure_below: UnsureBelow = 0.0


class FittedOneLabel(FittedLabels):
    """Of a task whose answer is one label."""

    promise: LabelPromise | None = None


class LabelTask(Task, ABC, frozen=True):
    """A task whose answers are labels, each with its probability."""

    # A key -> the key and the word without which it has no effect.
    USED_WITH: ClassVar[Mapping[str, tuple[str, str]]] = USED_WITH
    # What validation finds, and its value without one.
    UNCALIBRATED: ClassVar[Mapping[str, Any]] = UNCALIBRATED

    calibration: Literal["temperature", "none"] = Field(
        default="temperature",
        description="`temperature` finds on the validation images how far to trust the probabilities, and brings them "
        "there; no answer changes by it. `none` leaves them as training did.",
    )
    answer_accuracy: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="The accuracy wanted of what is answered, such as .95: answers below the probability that gives it "
        "on the validation images are marked unsure, and all of them where none gives it. If absent, none is unsure.",
    )
    coverage: conformal.Coverage = None
    focusing: float = Field(default=2.0, ge=0, description="With `loss: focal`, its gamma; 0 makes it cross-entropy.")
    label_smoothing: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="The share of every target that is spread evenly over the classes (over yes and no, where a "
        "sigmoid learns them), so that the network is never taught to be certain.",
    )
    class_weight: Literal["none", "balanced", "effective_number"] = Field(
        default="none",
        description="How much each label counts in the loss, by its rows n in the training split alone: `balanced`, "
        "1 / n; `effective_number`, (1 - beta) / (1 - beta^n), so that labels of many more than 1 / (1 - beta) rows "
        "count alike (Cui et al. 2019); in a multilabel task the yes and no of each label apart. The loss is the "
        "weighted mean, so its scale stays. What is logged, and what the best epoch is chosen by, is not weighed: a "
        "few rare labels would decide it. `balanced` gets more of the rare labels right at the cost of more false "
        "ones, and asks much of labels of a few rows: see `min_count`.",
    )
    beta: float = Field(
        default=0.999,
        ge=0,
        lt=1,
        description="With `class_weight: effective_number`: the nearer to 1, the nearer to `balanced`; 0 is `none`.",
    )

    @model_validator(mode="after")
    def _every_key_has_an_effect(self) -> Self:
        for key, (owner, word) in self.USED_WITH.items():
            if getattr(self, key) != type(self).model_fields[key].default and getattr(self, owner) != word:
                raise ValueError(f"{key} has an effect with `{owner}: {word}` only; set that too, or remove it")
        if self.label_smoothing and ":" in self.loss:
            raise ValueError("label_smoothing has no effect with a loss of your own; remove it")
        return self

    @property
    @abstractmethod
    def state(self) -> FittedLabels: ...

    @abstractmethod
    def class_weights(self) -> Array:
        """How much each label counts in the loss, in the order of `names`."""

    @abstractmethod
    def alternatives(self, labels: Labels, outputs: Array) -> tuple[Array, NDArray[np.integer]]:
        """Between what the model's outputs decide for m known labels: its probabilities (m, k), and which is true (m,).

        A label that training never saw is not among them, and so is left out.
        """

    @abstractmethod
    def leanings(self, outputs: Array) -> Array:
        """How far the model's outputs lean to each label (n, names), as a logarithm of odds or of a probability.

        Of several labels those from 0 on are answered; else the one with the largest.
        """

    @abstractmethod
    def encode_answers(self, probabilities: Array, answers: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The outputs (n, width) by which it gives these answers, at these probabilities or as near as that allows.

        Args:
            probabilities: (n, names), as `probabilities` gives them.
            answers: (n, names), which labels each answer is to have.
        """

    @property
    @abstractmethod
    def chosen_thresholds(self) -> tuple[str, ...]:
        """The recipe's keys that ask for thresholds which validation chooses."""

    @abstractmethod
    def choose_thresholds(self, labels: Labels, outputs: Array) -> Self:
        """A copy with the thresholds that known labels ask for, once the temperature is found."""

    @abstractmethod
    def find_promise(self, labels: Labels, outputs: Array, coverage: float) -> Promise | None:
        """What answers to known labels show, once all else is found; None where they are too few."""

    @abstractmethod
    def _measure_promise(self, labels: Labels, outputs: Array) -> Numbers:
        """Over known labels, how often sets hold the truth and how large they are; empty where none are promised."""

    @abstractmethod
    def decisions(self, labels: Labels, outputs: Array) -> tuple[Array, Array]: ...

    @property
    def needs_validation(self) -> tuple[str, ...]:
        asked = ("answer_accuracy",) if self.answer_accuracy is not None else ()
        return (*asked, *conformal.needs_validation(self.coverage), *self.chosen_thresholds)

    @property
    def counts(self) -> dict[str, int]:
        return self.state.counts

    def calibrate(self, labels: Labels, outputs: Array) -> Self:
        plain, labels = self.uncalibrated(), self.regroup(labels)
        rows = [row for row, label in enumerate(labels) if label]
        known, seen = [labels[row] for row in rows], outputs[rows]
        probabilities, truth = plain.alternatives(known, seen)
        if not len(truth) or not np.isfinite(seen).all():
            return plain
        found = plain.refitted(calibrated_on=len(rows))
        if self.calibration == "temperature":
            found = found.refitted(temperature=calibration.fit_temperature(probabilities, truth))
        found = found.choose_thresholds(known, seen)
        if self.answer_accuracy is not None:
            images = calibration.known_images(*found.decisions(known, seen))
            found = found.refitted(unsure_below=calibration.choose_unsure(*images, wanted=self.answer_accuracy))
        return (
            found if self.coverage is None else found.refitted(promise=found.find_promise(known, seen, self.coverage))
        )

    def uncalibrated(self) -> Self:
        return self.refitted(**self.UNCALIBRATED, promise=None)

    def mistakes(self, labels: Labels, outputs: Array) -> Array:
        """0 for a right answer, or the probability of its surest mistake."""
        certainty, right = self.decisions(labels, outputs)
        sizes = np.where(np.isnan(right), -1.0, np.where(right == 1, 0.0, certainty)).max(axis=1)
        return np.where(sizes < 0, np.nan, sizes)

    def _measure_certainty(self, labels: Labels, outputs: Array) -> Numbers:
        """How far the probabilities can be trusted; empty where nothing was calibrated.

        Returns:
            `calibration`: what validation found, and of the temperature alone, before and after, the expected
            calibration error and the reliability diagram. Where the recipe asks for an accuracy, the fraction
            `answered` and its `answered_accuracy`, None where nothing is answered. Where sets of labels are promised,
            `promised`, the `coverage` that they have, and `set_size`, how many labels they hold on average.
        """
        certainty, hits, known = calibration.known_images(*self.decisions(labels, outputs))
        if not self.state.calibrated_on or not len(known):
            return {}
        found: Numbers = {"answer_accuracy": self.answer_accuracy}
        found |= {key: getattr(self.state, key) for key in self.UNCALIBRATED}
        plain = self.uncalibrated()  # so that nothing but the temperature differs
        tempered = plain.refitted(temperature=self.state.temperature)
        for word, task in (("before", plain), ("after", tempered)):
            pair = calibration.known_labels(*task.decisions(labels, outputs))
            found[f"ece_{word}"] = calibration.expected_calibration_error(*pair)
            found[f"reliability_{word}"] = calibration.measure_reliability(*pair)
        certain = {"calibration": found} | self._measure_promise(labels, outputs)
        if self.answer_accuracy is None:
            return certain
        sure = certainty >= self.state.unsure_below
        accuracy = float(hits[sure].sum() / known[sure].sum()) if sure.any() else None
        return certain | {"answered": float(sure.mean()), "answered_accuracy": accuracy}


class OneLabel(LabelTask, ABC, frozen=True):
    """A task whose answer is one label of several."""

    loss: EntropyLoss = "cross_entropy"

    @property
    @abstractmethod
    def answer_type(self) -> type[LabelAnswer]: ...

    @property
    @abstractmethod
    def state(self) -> FittedOneLabel: ...

    @abstractmethod
    def choose(self, outputs: Array) -> NDArray[np.intp]:
        """The index among `names` of each answer (n,)."""

    @abstractmethod
    def plausibilities(self, outputs: Array) -> Array:
        """How plausible each label is beside the answer, whose own is 1 (n, names): what a set is made by."""

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
        answers = answer_labels(self.answer_type, self.names, self.probabilities(outputs), chosen, below)
        if self.state.promise is None:
            return answers
        sets = conformal.names_of(self._sets(outputs, self.state.promise), self.names)
        return [replace(answer, possible=labels) for answer, labels in zip(answers, sets, strict=True)]

    def find_promise(self, labels: Labels, outputs: Array, coverage: float) -> LabelPromise | None:
        plausible = conformal.look_up(self.plausibilities(outputs), self.encode(labels)[:, 0])
        least = conformal.find_least(plausible, coverage)
        return None if least is None else LabelPromise(coverage=coverage, calibrated_on=len(labels), at_least=least)

    def _measure_promise(self, labels: Labels, outputs: Array) -> Numbers:
        promise = self.state.promise
        if promise is None:
            return conformal.describe(self.coverage, None)
        covered = conformal.look_up(self.plausibilities(outputs), self.encode(labels)[:, 0]) >= promise.at_least
        size = self._sets(outputs, promise).sum(axis=1).mean()
        return conformal.describe(self.coverage, promise) | {"coverage": float(covered.mean()), "set_size": float(size)}

    def _sets(self, outputs: Array, promise: LabelPromise) -> NDArray[np.bool_]:
        return np.asarray(self.plausibilities(outputs) >= promise.at_least)

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
