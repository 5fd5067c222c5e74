"""How far probabilities can be trusted, and what follows from it: plain arrays in, numbers out.

Every function expects at least one row, over labels that are known. What is found here is found on the validation
split; the test split then says what it is worth.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyhead.errors import require
from polyhead.tasks.metrics import Array

BINS = 15  # of Guo et al.
HOTTEST = 20.0  # a temperature is sought between 1/20 and 20
PRIOR = 0.5  # standard deviation of a temperature's logarithm, before anything is seen
NEVER = 2.0  # no probability reaches it
SMALLEST = float(np.finfo(np.float32).tiny)  # a probability of 0 is one that float32 could not hold
MARGIN = 1e-4  # by which an answer that is asked for is the likelier one: float32 must keep it
UNSEEN = 2.0**-25  # 1 - p of a p that float32 rounded to 1


def alternatives(yes: Array) -> Array:
    """Probabilities of no and yes (..., 2) from those of yes (...), some of which float32 may have rounded to 1."""
    yes = yes.astype(float)
    return np.stack([np.maximum(1 - yes, UNSEEN), yes], axis=-1)


def temper(probabilities: Array, temperature: float) -> Array:
    """Probabilities (..., k) of alternatives at another temperature: softmax(log p / temperature).

    Of a softmax's outputs that is the softmax of its logits over the temperature, and so it is of a sigmoid's, as
    `alternatives` gives them. Above 1 all become less sure, below 1 surer; their order stays. At 1 nothing changes.
    """
    if temperature == 1:
        return probabilities
    logs = np.log(np.maximum(probabilities.astype(float), SMALLEST)) / temperature
    powers = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def log_odds(yes: Array, no: Array) -> Array:
    """ln(yes / no), from the probabilities of both: each may be tinier than 1 less the other could tell."""
    return np.asarray(np.log(np.maximum(yes.astype(float), SMALLEST) / np.maximum(no.astype(float), SMALLEST)))


def log_probabilities(probabilities: Array) -> Array:
    """The logarithms of probabilities, those of 0 finite, float64 of the same shape."""
    return np.asarray(np.log(np.maximum(probabilities.astype(float), SMALLEST)))


def lean_toward(probabilities: Array, answers: NDArray[np.bool_], shares: Array) -> Array:
    """Probabilities (n, k) with a share (n,) of all given to the one that is marked; a share below 0 is none."""
    share = np.clip(shares, 0, 1)[:, np.newaxis]
    return np.asarray((1 - share) * probabilities.astype(float) + share * answers)


def fit_temperature(probabilities: Array, truth: NDArray[np.integer]) -> float:
    """The temperature at which the truth is least surprising (smallest negative log-likelihood).

    Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, 2017, arXiv:1706.04599. Added is a prior by
    which its logarithm is normal around 0, worth little once rows are many: rows that are few, or hold no mistake,
    would ask for extremes.

    Args:
        probabilities: (n, k) of the alternatives.
        truth: (n,) the index of the true one.
    """
    require("calibration", "report")
    from scipy.optimize import minimize_scalar

    logs = np.log(np.maximum(probabilities.astype(float), SMALLEST))
    rows = np.arange(len(logs))

    def surprise(log_temperature: float) -> float:
        scaled = logs * math.exp(-log_temperature)
        top = scaled.max(axis=1)
        totals = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
        return float((totals - scaled[rows, truth]).sum() + (log_temperature / PRIOR) ** 2 / 2)

    limit = math.log(HOTTEST)
    found = minimize_scalar(surprise, bounds=(-limit, limit), method="bounded", options={"xatol": 1e-5})
    return math.exp(float(found.x))


def choose_threshold(truth: NDArray[np.bool_], scores: Array) -> float:
    """The probability from which a yes gives the best F1; of several, the nearest to .5, and .5 where no row is a yes.

    Args:
        truth: (n,) whether yes is right.
        scores: (n,) probabilities of yes.
    """
    values = np.unique(scores.astype(float))
    between = (values[1:] + values[:-1]) / 2
    cuts = np.array([max(values[0] / 2, SMALLEST), *between, 0.5])
    said = len(scores) - np.searchsorted(np.sort(scores), cuts)
    hits = truth.sum() - np.searchsorted(np.sort(scores[truth]), cuts)
    f1 = 2 * hits / np.maximum(said + truth.sum(), 1)
    best = cuts[f1 >= f1.max() - 1e-12]
    return float(best[np.abs(best - 0.5).argmin()])


def known_labels(certainty: Array, right: Array) -> tuple[Array, Array]:
    """Every decision whose truth is known, (k,) both, of `Task.decisions`, (n, m) both."""
    known = ~np.isnan(right)
    return certainty[known], right[known]


def known_images(certainty: Array, right: Array) -> tuple[Array, Array, Array]:
    """The k images of n of which a label is known, from `Task.decisions`, (n, m) both.

    Returns:
        How sure each answer is as a whole, how many of its labels are right, and of how many that are known; (k,) each.
    """
    known = (~np.isnan(right)).sum(axis=1)
    rows = known > 0
    return certainty[rows].min(axis=1), np.nansum(right[rows], axis=1), known[rows]


def measure_reliability(certainty: Array, right: Array) -> list[dict[str, Any]]:
    """Answers in 15 bins of equal width by how sure they are, as a reliability diagram shows them.

    Args:
        certainty: (n,) the probability of what was answered.
        right: (n,) 1 where that is right, 0 where not.

    Returns:
        A dict a bin, from 0 to 1: `n` answers, their mean `probability` and `accuracy`, None without any.
    """
    bins = np.clip(np.ceil(certainty.astype(float) * BINS).astype(int) - 1, 0, BINS - 1)  # (low, high]
    rows = []
    for number in range(BINS):
        inside = bins == number
        count = int(inside.sum())
        means = [float(values[inside].mean()) if count else None for values in (certainty, right)]
        rows.append({"n": count, "probability": means[0], "accuracy": means[1]})
    return rows


def expected_calibration_error(certainty: Array, right: Array) -> float:
    """How far probability and accuracy lie apart, 0 to 1: the mean over the bins, weighted by their answers.

    Naeini, Cooper, Hauskrecht: Obtaining Well Calibrated Probabilities Using Bayesian Binning, 2015; arguments are
    those of `measure_reliability`.
    """
    bins = [row for row in measure_reliability(certainty, right) if row["n"]]
    return float(sum(row["n"] * abs(row["accuracy"] - row["probability"]) for row in bins) / len(certainty))


def measure_coverage(certainty: Array, right: Array, known: Array) -> tuple[Array, Array, Array]:
    """How accurate answers are where only the surest are given: the risk-coverage curve of selective classification.

    El-Yaniv, Wiener: On the Foundations of Noise-free Selective Classification, 2010.

    Args:
        certainty: (n,) how sure each image's answer is.
        right: (n,) how many of its labels are right,
        known: (n,) of so many that are known, 1 or more.

    Returns:
        A point for every certainty that occurs, the highest first: that certainty, the fraction of the images whose
        answer is as sure or surer, and the fraction of their known labels that is right. (k,) each.
    """
    order = np.argsort(-certainty, kind="stable")
    last = np.flatnonzero(np.diff(certainty[order], append=-1.0))  # of those that are equally sure
    answered = (last + 1) / len(order)
    accuracies = np.cumsum(right[order])[last] / np.cumsum(known[order])[last]
    return certainty[order][last].astype(float), answered, accuracies


def choose_unsure(certainty: Array, right: Array, known: Array, wanted: float) -> float:
    """Below which probability an answer is unsure, so that the others are as accurate as `wanted`, 0 to 1.

    The smallest that does it: as much as possible is answered. It lies halfway to the next answer that is left out; 0
    where all can be answered, NEVER where no such probability does it. Arguments are those of `measure_coverage`.
    """
    levels, _, accuracies = measure_coverage(certainty, right, known)
    enough = np.flatnonzero(accuracies >= wanted)
    if not len(enough):
        return NEVER
    last = enough[-1]
    return float((levels[last] + levels[last + 1]) / 2) if last + 1 < len(levels) else 0.0
