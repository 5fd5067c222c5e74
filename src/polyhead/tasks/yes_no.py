"""Labels that are each a yes or a no: the model's outputs are probabilities of yes, of the targets' shape."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from polyhead.tasks import calibration
from polyhead.tasks.metrics import Array

Threshold = Annotated[
    Literal["half", "best_f1"],
    Field(
        description="From which probability on a label is a yes: `half`, or the one that gives the label the best F1 "
        "on the validation images (`best_f1`)."
    ),
]


def temper_yes(outputs: Array, temperature: float) -> Array:
    """Probabilities of yes at another temperature: float64, 0 to 1, of the outputs' shape."""
    if temperature == 1:
        return outputs.astype(float)
    return np.asarray(calibration.temper(calibration.alternatives(outputs), temperature)[..., 1])


def list_thresholds(names: Sequence[str], thresholds: Mapping[str, float]) -> Array:
    """From which probability on each of the k labels is a yes, (k,); one half where nothing is said of it."""
    return np.array([thresholds.get(name, 0.5) for name in names])


def say(yes: Array, thresholds: Array) -> tuple[NDArray[np.bool_], Array]:
    """To which of k labels the probabilities of yes (n, k) say yes, and the probability of what is said; (n, k) both.

    Args:
        thresholds: (k,) from which probability on each is a yes.
    """
    said = yes >= thresholds
    return said, np.where(said, yes, 1 - yes)


def lean(yes: Array, thresholds: Array) -> Array:
    """The log-odds of k labels (n, k), less those of their thresholds (k,): from 0 on where yes is said, else below."""
    found = calibration.log_odds(yes, 1 - yes) - calibration.log_odds(thresholds, 1 - thresholds)
    return np.where(yes >= thresholds, np.maximum(found, 0), np.minimum(found, -calibration.SMALLEST))


def move_across(yes: Array, thresholds: Array, answers: NDArray[np.bool_]) -> Array:
    """Probabilities of yes (n, k) brought as far as needed for yes to be said where `answers` has it, and no else."""
    margin = calibration.MARGIN * np.minimum(thresholds, 1 - thresholds)
    return np.where(answers, np.maximum(yes, thresholds + margin), np.minimum(yes, thresholds - margin))


def choose_thresholds(names: Sequence[str], targets: Array, yes: Array) -> dict[str, float]:
    """For each of k labels the threshold of the best F1, where a row of it is known.

    Args:
        names: the labels.
        targets: (n, k), 1 yes, 0 no, NaN unknown.
        yes: (n, k) calibrated probabilities of yes.
    """
    thresholds = {}
    for name, truth, scores in zip(names, targets.T, yes.T, strict=True):
        known = ~np.isnan(truth)
        if known.any():
            thresholds[name] = calibration.choose_threshold(truth[known] == 1, scores[known])
    return thresholds


def known_alternatives(targets: Array, outputs: Array) -> tuple[Array, NDArray[np.integer]]:
    """See `ProbabilityTask.alternatives`: no and yes (m, 2) of each known target, and which is true (m,)."""
    known = ~np.isnan(targets)
    return calibration.alternatives(outputs[known]), targets[known].astype(int)


def yes_log_odds(yes: Array, outcome: bool) -> Array:
    """The log-odds (n,) of yes, or of no, from the probabilities of yes (n,)."""
    pair = calibration.alternatives(yes)
    return calibration.log_odds(pair[:, int(outcome)], pair[:, int(not outcome)])
