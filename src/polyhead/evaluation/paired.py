"""How far the difference of two models' figures on the same images may be off by chance: 95 % intervals.

The images of one group (an image's repeats, and what `data.split.group` holds together) count together.
"""

import math

import numpy as np
from numpy.typing import NDArray

from polyhead.errors import require
from polyhead.evaluation.bootstrap import HIGH
from polyhead.tasks import Array

Pair = tuple[float, float]
Groups = NDArray[np.intp]


def find_paired(gains: Array, groups: Groups) -> Pair | None:
    """The interval of the mean gain of right and wrong answers, from -1 to 1.

    Tango 1998, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design", of as many pairs as the variance over groups stands for.

    Args:
        gains: (n, m), of m answers to n images: 1 where only the second model is right, -1 where only the first is, 0
            where both are alike, NaN where it is unknown.
        groups: (n,), the number of each image's group.

    Returns:
        None for fewer than two groups.
    """
    known = np.isfinite(gains)
    gain, count = _sum_groups(np.nan_to_num(gains).sum(axis=1), known.sum(axis=1), groups)
    if len(gain) < 2:
        return None
    require("intervals", "report")
    from scipy.stats import t

    wins, losses, pairs = float((gains == 1).sum()), float((gains == -1).sum()), float(known.sum())
    middle = (wins - losses) / pairs
    spread, alone = float(((gain - middle * count) ** 2).sum()), wins + losses - pairs * middle**2
    part = min(1.0, alone / spread) if alone > 1e-9 and spread > 1e-9 else len(gain) / pairs
    if len(gain) < pairs:  # few groups tell their deviation badly (Korn, Graubard 1998)
        part *= float(t.ppf(HIGH, pairs - 1) / t.ppf(HIGH, len(gain) - 1)) ** 2
    return _find_score_interval(wins * part, losses * part, pairs * part)


def _find_score_interval(wins: float, losses: float, pairs: float) -> Pair:
    """Tango's: the differences from which the observed one is no more than 1.96 standard errors away."""
    from scipy.optimize import brentq
    from scipy.stats import norm

    z, middle = float(norm.ppf(HIGH)), (wins - losses) / pairs

    def distance(difference: float, sign: int) -> float:
        slope = (2 * pairs - wins + losses) * difference - wins - losses
        root = math.sqrt(max(0.0, slope**2 + 8 * pairs * losses * difference * (1 - difference)))
        lost = (root - slope) / (4 * pairs)  # the likeliest fraction of losses, were that the true difference
        variance = pairs * (2 * lost + difference * (1 - difference))
        return wins - losses - pairs * difference + sign * z * math.sqrt(max(0.0, variance))

    tiny = 1e-9  # at the middle itself both distances are 0 where no pair differs
    low = brentq(distance, -1, middle - tiny, args=(-1,)) if middle > tiny - 1 else -1.0
    high = brentq(distance, middle + tiny, 1, args=(1,)) if middle < 1 - tiny else 1.0
    return float(low), float(high)


def find_mean_gain(gains: Array, groups: Groups) -> Pair | None:
    """The interval of the mean of gains (n,), NaN where there is none: Student's; None for fewer than two groups."""
    known = np.isfinite(gains)
    gain, count = _sum_groups(np.nan_to_num(gains), known, groups)
    if len(gain) < 2:
        return None
    require("intervals", "report")
    from scipy.stats import t

    middle, total = float(gain.sum() / count.sum()), len(gain)
    error = math.sqrt(float(((gain - middle * count) ** 2).sum()) * total / (total - 1)) / float(count.sum())
    reach = float(t.ppf(HIGH, total - 1)) * error
    return middle - reach, middle + reach


def find_drawn_gain(gain: float, drawn: Array, groups: int, score: bool) -> Pair | None:
    """The interval of a gain in a figure that is no mean of images, by the deviation of the same in draws of groups.

    Args:
        gain: the second model's figure less the first's.
        drawn: the same in each draw, NaN where a draw has none.
        groups: that are drawn.
        score: whether the figure is from 0 to 1. Such a gain is first drawn to zero by half a pair in each cell of the
            table of right and wrong, as Agresti and Min do (2005, "Simple improved confidence intervals for comparing
            matched proportions"), so that its interval has a width where few pairs differ.
    """
    if groups < 2 or not np.isfinite(drawn).any():
        return None
    require("intervals", "report")
    from scipy.stats import t

    middle, spread = gain, float(np.nanstd(drawn))
    if score:
        middle, spread = gain * groups / (groups + 2), math.hypot(spread, 1 / (groups + 2))
    reach = float(t.ppf(HIGH, groups - 1)) * spread
    low, high = min(gain, middle - reach), max(gain, middle + reach)
    return (max(-1.0, low), min(1.0, high)) if score else (low, high)


def _sum_groups(gains: Array, counts: Array, groups: Groups) -> tuple[Array, Array]:
    """The sums of gains (n,) and counts (n,) over each group that has any count."""
    gain, count = np.bincount(groups, gains).astype(float), np.bincount(groups, counts).astype(float)
    return gain[count > 0], count[count > 0]
