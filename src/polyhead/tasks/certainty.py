"""Tasks whose answers carry a probability: how far it can be trusted is found on the validation split.

The model's outputs are probabilities as training left them. An answer comes about in this order: a temperature, which
changes how sure an answer is and never the answer; then thresholds, where labels are each a yes or a no; and then the
probability below which an answer is unsure.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from polyhead.tasks import calibration
from polyhead.tasks.metrics import Array, Labels, Numbers

Calibration = Annotated[
    Literal["temperature", "none"],
    Field(
        description="`temperature` finds on the validation images how far to trust the probabilities, and brings them "
        "there; no answer changes by it. `none` leaves them as training did."
    ),
]
AnswerAccuracy = Annotated[
    float | None,
    Field(
        gt=0,
        le=1,
        description="The accuracy wanted of what is answered, such as .95: answers below the probability that gives it "
        "on the validation images are marked unsure, and all of them where none gives it. If absent, none is unsure.",
    ),
]
UNCALIBRATED: Mapping[str, Any] = {"calibrated_on": 0, "temperature": 1.0, "unsure_below": 0.0}


class FittedProbabilities(Protocol):
    """What validation found of a task with probabilities."""

    @property
    def calibrated_on(self) -> int: ...
    @property
    def temperature(self) -> float: ...
    @property
    def unsure_below(self) -> float: ...


class ProbabilityTask(Protocol):
    """What a task with probabilities says of itself to be calibrated."""

    UNCALIBRATED: ClassVar[Mapping[str, Any]]  # what validation finds, and its value without one

    @property
    def calibration(self) -> str: ...
    @property
    def answer_accuracy(self) -> float | None: ...
    @property
    def state(self) -> FittedProbabilities: ...
    def refitted(self, **found: Any) -> Self: ...
    def uncalibrated(self) -> Self: ...
    def regroup(self, labels: Labels) -> list[str]: ...
    def decisions(self, labels: Labels, outputs: Array) -> tuple[Array, Array]: ...

    def alternatives(self, labels: Labels, outputs: Array) -> tuple[Array, NDArray[np.integer]]:
        """Between what the model's outputs decide for m known labels: its probabilities (m, k), and which is true (m,).

        A label that training never saw is not among them, and so is left out.
        """
        ...

    def choose_thresholds(self, labels: Labels, outputs: Array) -> Self:
        """A copy with the thresholds that known labels ask for, once the temperature is found."""
        ...


def keys_for_validation(answer_accuracy: float | None, threshold: str = "half") -> tuple[str, ...]:
    """See `Task.needs_validation`."""
    asked = {"answer_accuracy": answer_accuracy is not None, "threshold": threshold != "half"}
    return tuple(key for key, given in asked.items() if given)


AnyProbabilityTask = TypeVar("AnyProbabilityTask", bound=ProbabilityTask)


def calibrate(task: AnyProbabilityTask, labels: Labels, outputs: Array) -> AnyProbabilityTask:
    """See `Task.calibrate`: a temperature, then thresholds, then below what probability an answer is unsure."""
    plain, labels = task.uncalibrated(), task.regroup(labels)
    rows = [row for row, label in enumerate(labels) if label]
    known, seen = [labels[row] for row in rows], outputs[rows]
    probabilities, truth = plain.alternatives(known, seen)
    if not len(truth) or not np.isfinite(seen).all():
        return plain
    found = plain.refitted(calibrated_on=len(rows))
    if task.calibration == "temperature":
        found = found.refitted(temperature=calibration.fit_temperature(probabilities, truth))
    found = found.choose_thresholds(known, seen)
    if task.answer_accuracy is None:
        return found
    images = calibration.known_images(*found.decisions(known, seen))
    return found.refitted(unsure_below=calibration.choose_unsure(*images, wanted=task.answer_accuracy))


def measure_certainty(task: ProbabilityTask, labels: Labels, outputs: Array) -> Numbers:
    """How far the probabilities of known labels can be trusted; empty where nothing was calibrated.

    Returns:
        `calibration`: what validation found, and of the temperature alone, before and after, the expected calibration
        error and the reliability diagram. Where the recipe asks for an accuracy, the fraction `answered` and its
        `answered_accuracy`, None where nothing is answered.
    """
    certainty, hits, known = calibration.known_images(*task.decisions(labels, outputs))
    if not task.state.calibrated_on or not len(known):
        return {}
    found: Numbers = {"answer_accuracy": task.answer_accuracy}
    found |= {key: getattr(task.state, key) for key in task.UNCALIBRATED}
    plain = task.uncalibrated()  # so that nothing but the temperature differs
    tempered = plain.refitted(temperature=task.state.temperature)
    for word, other in (("before", plain), ("after", tempered)):
        pair = calibration.known_labels(*other.decisions(labels, outputs))
        found[f"ece_{word}"] = calibration.expected_calibration_error(*pair)
        found[f"reliability_{word}"] = calibration.measure_reliability(*pair)
    if task.answer_accuracy is None:
        return {"calibration": found}
    sure = certainty >= task.state.unsure_below
    accuracy = float(hits[sure].sum() / known[sure].sum()) if sure.any() else None
    return {"calibration": found, "answered": float(sure.mean()), "answered_accuracy": accuracy}


def size_mistakes(certainty: Array, right: Array) -> Array:
    """How wrong each answer is (n,): 0 right, or the probability of its surest mistake; NaN where nothing is known.

    Args:
        certainty: (n, m) of `Task.decisions`.
        right: (n, m) of `Task.decisions`.
    """
    sizes = np.where(np.isnan(right), -1.0, np.where(right == 1, 0.0, certainty)).max(axis=1)
    return np.where(sizes < 0, np.nan, sizes)
