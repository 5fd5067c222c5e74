"""What an answer promises: a set of labels, or an interval, that holds the truth as often as the recipe asks.

Split conformal prediction (Vovk, Gammerman, Shafer 2005; Angelopoulos, Bates: A Gentle Introduction to Conformal
Prediction, 2021, arXiv:2107.07511). Every validation image says how far a set has to reach to hold its truth; the set
of a new image reaches as far as the share `coverage` of them asks, counted so that one image more is allowed for. This
holds for any network, however wrong its probabilities, as long as new images are like those of validation.

Labels: the answer, and every label that is likely enough. That is LAC (Sadinle, Lei, Wasserman 2019), whose sets are
the smallest on average, with one change: the answer itself always belongs to its set. (APS, Romano, Sesia, Candès 2020,
gives larger sets, unless it draws lots for each answer; RAPS, Angelopoulos et al. 2021, has two settings to choose by
images that the promise needs itself.) So no set is empty, and where answers are right more often than was asked, the
set is the answer alone, and holds the truth as often as that is right. Levels: the same, with the levels in between.
Several labels: each is a question of its own, whose answer is yes, no, or not sure.

Numbers: the answer, plus and minus a scale times one factor. The scale is the answer's own distribution where the task
has bins; else the usual error of answers of that size, found on half of the validation images; else it is 1.
"""

import math
from itertools import pairwise
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from polyhead.tasks.metrics import Array, Labels

FEWEST = 30  # labelled validation images, below which nothing is promised
ENOUGH_FOR_SCALES = 300  # labelled validation images, of which half find the scale and half the factor
KNOTS = 5  # of a scale: each the usual error of a fifth of the answers
LEAST_SCALE = 0.1  # of the mean error
LARGEST = float(np.finfo(np.float32).max)
TINY = 1e-9

Coverage = Annotated[
    Annotated[float, Field(gt=0, lt=1)] | None,
    Field(
        description="How often the truth is to lie in what an answer promises, such as .9: the answer gets a `set` of "
        "labels (of several labels, which of them are `not_sure`), or for a number an `interval`, which hold the truth "
        "at least as often among images like those of validation (conformal prediction: Vovk, Gammerman, Shafer 2005; "
        "Sadinle, Lei, Wasserman 2019). Found on the validation images, of which it takes 30, more the nearer "
        "to 1; with fewer nothing is promised, and evaluation.json says `promised: null`. If absent, nothing is."
    ),
]


class Promise(BaseModel):
    """What validation found.

    Attributes:
        coverage: how often the truth lies in what is promised, at least.
        calibrated_on: the labelled validation images that show it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    coverage: Annotated[float, Field(gt=0, lt=1)]
    calibrated_on: Annotated[int, Field(ge=1, lt=2**53)]


class LabelPromise(Promise):
    """Of one label of several: the labels besides the answer that its set holds are at least as plausible as this."""

    at_least: Annotated[float, Field(ge=0, le=1)]


class LabelsPromise(Promise):
    """Of several labels: the same of each label's other answer, yes or no; nothing of labels that are not named."""

    at_least: dict[str, Annotated[float, Field(ge=0, le=1)]]


class NumberPromise(Promise):
    """Of a number: an interval reaches `factor` times its scale to either side.

    Attributes:
        scales: answers, ascending, each with the scale there; between them it is interpolated. Empty: it is 1.
    """

    factor: Annotated[float, Field(ge=0, le=LARGEST)]
    scales: Annotated[list[tuple[float, Annotated[float, Field(gt=0)]]], Field(max_length=KNOTS)] = []

    @model_validator(mode="after")
    def _ascends(self) -> Self:
        if any(low[0] >= high[0] for low, high in pairwise(self.scales)):
            raise ValueError("scales: expected answers that ascend")
        return self

    def scale(self, answers: NDArray[np.float64]) -> NDArray[np.float64]:
        """The scale of answers (n,), of the same shape."""
        if not self.scales:
            return np.ones_like(answers)
        places, sizes = zip(*self.scales, strict=True)
        return np.asarray(np.interp(answers, places, sizes))

    @classmethod
    def find(cls, answers: NDArray[np.float64], truth: NDArray[np.float64], coverage: float) -> Self | None:
        """What the answers to validation images (n,) and their labels (n,) show; None where they are too few."""
        errors = np.abs(truth - answers)
        plain = cls(coverage=coverage, calibrated_on=max(len(errors), 1), factor=0)
        if len(errors) >= ENOUGH_FOR_SCALES:
            scales = _find_scales(answers[::2], errors[::2])
            plain = plain.model_copy(update={"scales": scales, "calibrated_on": len(errors[1::2])})
            answers, errors = answers[1::2], errors[1::2]
        factor = find_quantile(errors / plain.scale(answers), coverage)
        return None if factor is None else plain.model_copy(update={"factor": min(factor, LARGEST)})


def _find_scales(answers: NDArray[np.float64], errors: NDArray[np.float64]) -> list[tuple[float, float]]:
    """The usual error around KNOTS answers; none where all errors are 0."""
    mean = float(errors.mean())
    if mean <= TINY:
        return []
    parts = np.array_split(np.argsort(answers, kind="stable"), KNOTS)
    found = {float(np.median(answers[part])): max(float(errors[part].mean()), LEAST_SCALE * mean) for part in parts}
    return sorted(found.items())


def find_quantile(scores: NDArray[np.float64], coverage: float) -> float | None:
    """The score that one more like these (n,) does not exceed with probability `coverage`, or with a higher one.

    That is the k-th smallest, k = ceil((n + 1) x coverage); None where n is below k, or below FEWEST.
    """
    rank = math.ceil((len(scores) + 1) * coverage - TINY)
    if len(scores) < max(rank, FEWEST):
        return None
    return float(np.partition(scores.astype(float), rank - 1)[rank - 1])


def find_least(plausible: Array, coverage: float) -> float | None:
    """From which plausibility on labels belong to a set, by the plausibility of n images' true labels (n,), 0 to 1.

    None where images are too few, or more of them than the promise allows have a label of which the model knows
    nothing (its plausibility is below 0).
    """
    found = find_quantile(-plausible.astype(float), coverage)
    return None if found is None or found > 0 else min(-found, 1.0)


def place_answers_first(probabilities: Array, chosen: NDArray[np.intp]) -> Array:
    """How plausible each label is (n, labels): 1 for the answer (n,), its probability for any other."""
    plausible = probabilities.astype(float)
    np.put_along_axis(plausible, chosen[:, np.newaxis], 1.0, axis=1)
    return plausible


def fill_between(plausible: Array, chosen: NDArray[np.intp]) -> Array:
    """The same of levels: none less plausible than one that lies beyond it, seen from the answer. So sets are whole."""
    above = np.maximum.accumulate(plausible[:, ::-1], axis=1)[:, ::-1]
    below = np.maximum.accumulate(plausible, axis=1)
    levels = np.arange(plausible.shape[1])
    return np.where(levels < chosen[:, np.newaxis], below, above)


def look_up(plausible: Array, truth: Array) -> Array:
    """The plausibility of the true labels (n,) by their index; -1 where that is NaN: the model does not know them."""
    known = ~np.isnan(truth)
    found = np.full(len(truth), -1.0)
    found[known] = plausible[known, truth[known].astype(int)]
    return found


def names_of(rows: NDArray[np.bool_], names: Labels) -> list[tuple[str, ...]]:
    """The labels that are marked in each row (n, labels)."""
    return [tuple(name for name, inside in zip(names, row, strict=True) if inside) for row in rows.tolist()]


def needs_validation(coverage: float | None) -> tuple[str, ...]:
    """The recipe's key, where it asks for a promise."""
    return () if coverage is None else ("coverage",)


def describe(asked: float | None, promise: Promise | None) -> dict[str, Any]:
    """`promised`: the coverage; None where it was asked for and images were too few; empty where it was not asked."""
    return {} if asked is None else {"promised": None if promise is None else promise.coverage}
