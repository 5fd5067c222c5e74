"""Tasks whose answers carry a probability: how far to trust it is found on the validation split."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from polyhead.tasks import calibration
from polyhead.tasks.metrics import Numbers
from polyhead.tasks.task import MOST_ROWS, Answer, Array, Labels, Task

RUNNERS_UP = 5  # how many labels an answer's `top` holds at most
CALIBRATED = ("calibrated_on", "temperature", "unsure_below")


class Calibrated(Task, ABC):
    """A task whose answers carry a probability.

    The model's outputs are probabilities as training left them. `decode` brings them to the learnt temperature, which
    changes how sure an answer is and never the answer; then come the thresholds, and then what is unsure.
    """

    LEARNT: ClassVar[tuple[str, ...]] = ("counts", *CALIBRATED)
    FOUND: ClassVar[tuple[str, ...]] = CALIBRATED
    PROBABILITIES: ClassVar[bool] = True

    calibration: Literal["temperature", "none"] = Field(
        "temperature",
        description="`temperature` finds on the validation images how far to trust the probabilities, and brings them "
        "there; no answer changes by it. `none` leaves them as training did.",
    )
    answer_accuracy: float | None = Field(
        None,
        gt=0,
        le=1,
        description="The accuracy wanted of what is answered, such as .95: answers below the probability that gives it "
        "on the validation images are marked unsure, and all of them where none gives it. If absent, none is unsure.",
    )
    calibrated_on: SkipJsonSchema[int] = Field(
        0, description="Learnt: labelled validation images that the fields below were found on; 0 if they were not."
    )
    temperature: SkipJsonSchema[float] = Field(1.0, description="Learnt: what `calibration.temper` takes.")
    unsure_below: SkipJsonSchema[float] = Field(
        0.0, description="Learnt: an answer of a lower probability is unsure; above 1, every answer is."
    )

    @property
    def chosen(self) -> tuple[str, ...]:
        return ("answer_accuracy",) if self.answer_accuracy is not None else ()

    def check_learnt(self) -> None:
        super().check_learnt()
        limits = {
            "calibrated_on": (0, MOST_ROWS),
            "temperature": (0.5 / calibration.HOTTEST, 2 * calibration.HOTTEST),
            "unsure_below": (0, calibration.NEVER),
        }
        for key, (low, high) in limits.items():
            if not low <= getattr(self, key) <= high:
                raise ValueError(f"{key}: expected a number from {low:g} to {high:g}; got {getattr(self, key):g}")

    def calibrate(self, labels: Labels, outputs: Array) -> Self:
        """See `Task.calibrate`: a temperature, then thresholds, then below what probability an answer is unsure."""
        plain, labels = self.uncalibrated(), self.regroup(labels)
        rows = [row for row, label in enumerate(labels) if label]
        known, seen = [labels[row] for row in rows], outputs[rows]
        probabilities, truth = plain._alternatives(known, seen)
        if not len(truth) or not np.isfinite(seen).all():
            return plain
        found = plain.model_copy(update={"calibrated_on": len(rows)})
        if self.calibration == "temperature":
            temperature = calibration.fit_temperature(probabilities, truth)
            found = found.model_copy(update={"temperature": temperature})
        found = found.model_copy(update=found._choose(known, seen))
        if self.answer_accuracy is None:
            return found
        images = calibration.known_images(*found.decisions(known, seen))
        below = calibration.choose_unsure(*images, wanted=self.answer_accuracy)
        return found.model_copy(update={"unsure_below": below})

    def uncalibrated(self) -> Self:
        fields = type(self).model_fields
        return self.model_copy(update={name: fields[name].get_default() for name in self.FOUND})

    @abstractmethod
    def _alternatives(self, labels: Labels, outputs: Array) -> tuple[Array, NDArray[np.integer]]:
        """Between what the model's outputs decide for m known labels, its probabilities (m, k), and which it is (m,).

        A label that training never saw is not among them, and so is left out.
        """

    def _choose(self, labels: Labels, outputs: Array) -> dict[str, Any]:
        """The kind's own fields that known labels of the validation split teach, once the temperature is found."""
        return {}

    def decisions(self, labels: Labels, outputs: Array) -> tuple[Array, Array]:
        answers, labels = self.decode(outputs), self.regroup(labels)
        certainty = np.array([answer["probability"] for answer in answers], float)
        right = [
            float(answer["answer"] == label) if label else np.nan for label, answer in zip(labels, answers, strict=True)
        ]
        return certainty.reshape(-1, 1), np.array(right, float).reshape(-1, 1)

    def mistakes(self, labels: Labels, outputs: Array) -> Array:
        certainty, right = self.decisions(labels, outputs)
        sizes = np.where(np.isnan(right), -1.0, np.where(right == 1, 0.0, certainty)).max(axis=1)
        return np.where(sizes < 0, np.nan, sizes)

    def _measure_certainty(self, labels: Labels, outputs: Array) -> Numbers:
        certainty, hits, known = calibration.known_images(*self.decisions(labels, outputs))
        if not self.calibrated_on or not len(known):
            return {}
        found = {name: getattr(self, name) for name in ("answer_accuracy", *self.FOUND)}
        plain = self.uncalibrated()  # so that nothing but the temperature differs
        tempered = plain.model_copy(update={"temperature": self.temperature})
        for word, task in (("before", plain), ("after", tempered)):
            pair = calibration.known_labels(*task.decisions(labels, outputs))
            found[f"ece_{word}"] = calibration.expected_calibration_error(*pair)
            found[f"reliability_{word}"] = calibration.measure_reliability(*pair)
        if self.answer_accuracy is None:
            return {"calibration": found}
        sure = certainty >= self.unsure_below
        accuracy = float(hits[sure].sum() / known[sure].sum()) if sure.any() else None
        return {"calibration": found, "answered": float(sure.mean()), "answered_accuracy": accuracy}

    def _rank(self, probabilities: Array, place: int) -> Answer:
        """The answer `names[place]` of probabilities (names,), beside the likeliest of all."""
        best = np.argsort(-probabilities, kind="stable")[:RUNNERS_UP]
        probability = float(probabilities[place])
        return {
            "answer": self.names[place],
            "probability": probability,
            "unsure": probability < self.unsure_below,
            "top": [[self.names[i], float(probabilities[i])] for i in best],
        }


class YesNo(Calibrated, ABC):
    """Labels that are each a yes or a no; the model's outputs are probabilities of yes, of the targets' shape."""

    LEARNT: ClassVar[tuple[str, ...]] = (*Calibrated.LEARNT, "thresholds")
    FOUND: ClassVar[tuple[str, ...]] = (*CALIBRATED, "thresholds")

    threshold: Literal["half", "best_f1"] = Field(
        "half",
        description="From which probability on a label is a yes: `half`, or the one that gives the label the best F1 "
        "on the validation images (`best_f1`).",
    )
    thresholds: SkipJsonSchema[dict[str, float]] = Field(
        {}, description="Learnt: from which calibrated probability on each label is a yes; one half if absent."
    )

    @property
    def chosen(self) -> tuple[str, ...]:
        return (*super().chosen, *(("threshold",) if self.threshold != "half" else ()))

    @property
    def asked(self) -> tuple[str, ...]:
        """The labels that the outputs say yes or no to."""
        return self.names

    def support(self, outputs: Array, label: str | None) -> Array:
        yes = label in self.asked  # or else the one that all others are measured against
        pair = calibration.alternatives(self._temper(outputs)[:, self.asked.index(label) if label and yes else 0])
        return calibration.log_odds(pair[:, int(yes)], pair[:, int(not yes)])

    def check_learnt(self) -> None:
        super().check_learnt()
        for label, cut in self.thresholds.items():
            if label not in self.asked or not 0 <= cut <= 1:
                raise ValueError(f"thresholds: expected one from 0 to 1 for a label; got {label!r}: {cut:g}")

    def _cuts(self) -> Array:
        """From which probability on each label is a yes, (asked,)."""
        return np.array([self.thresholds.get(name, 0.5) for name in self.asked])

    def _temper(self, outputs: Array) -> Array:
        """Calibrated probabilities of yes, float64, of the outputs' shape."""
        if self.temperature == 1:
            return outputs.astype(float)
        return np.asarray(calibration.temper(calibration.alternatives(outputs), self.temperature)[..., 1])

    def _alternatives(self, labels: Labels, outputs: Array) -> tuple[Array, NDArray[np.integer]]:
        truth = self.encode(labels)
        known = ~np.isnan(truth)
        return calibration.alternatives(outputs[known]), truth[known].astype(int)

    def _choose(self, labels: Labels, outputs: Array) -> dict[str, Any]:
        if self.threshold == "half":
            return {}
        thresholds = {}
        for name, truth, scores in zip(self.asked, self.encode(labels).T, self._temper(outputs).T, strict=True):
            known = ~np.isnan(truth)
            if known.any():
                thresholds[name] = calibration.choose_threshold(truth[known] == 1, scores[known])
        return {"thresholds": thresholds}
