"""How far fractions of rows may be off by chance: 95 % intervals, without draws.

The variance is that over groups of rows. A fraction's interval is Wilson's (1927) for as many cases as it stands for,
and never more than there are; below `EXACT` of these it is the exact one by the mid-P (Lancaster 1961; Berry, Armitage
1995, "Mid-P confidence intervals: a brief review"), which is less wide than Clopper's and Pearson's, and hardly ever
holds the truth less often than it says.
"""

import math

import numpy as np
from numpy.typing import NDArray

from polyhead.errors import require
from polyhead.evaluation.bootstrap import EXACT, HIGH, Draws, Interval
from polyhead.tasks import Array


def find_shares(part: NDArray[np.generic], whole: NDArray[np.generic], draws: Draws) -> list[Interval | None]:
    """The intervals of the sums of `part` (n, k) over those of `whole` (n, k), from 0 to 1; None where that is 0.

    Args:
        part: how many cases of each row count, such as right answers; at most as many as `whole` has.
        whole: of how many cases.
        draws: knows the rows' groups.
    """
    require("intervals", "report")
    parts, wholes = draws.sum_groups(part), draws.sum_groups(whole)
    found: list[Interval | None] = []
    for hits, cases in zip(parts.T, wholes.T, strict=True):
        rows, groups = float(cases.sum()), int((cases > 0).sum())
        found.append(_find_share(hits, cases, rows, groups) if rows else None)
    return found


def _find_share(hits: Array, cases: Array, rows: float, groups: int) -> Interval:
    """Of sums over groups."""
    from scipy.stats import t

    value = float(hits.sum()) / rows
    spread = float(((hits - value * cases) ** 2).sum()) / rows**2
    count = value * (1 - value) / spread if spread > 1e-18 else groups
    if 1 < groups < rows:  # few groups tell their deviation badly (Korn, Graubard 1998)
        count *= float(t.ppf(HIGH, rows - 1) / t.ppf(HIGH, groups - 1)) ** 2
    return bound_fraction(value, max(1.0, min(rows, count)))


def find_difference(first: tuple[float, Interval], second: tuple[float, Interval]) -> Interval:
    """The interval of the first figure less the second, which have no image in common, from the interval of either.

    That is method 10 of Newcombe (1998, "Interval estimation for the difference between independent proportions").
    """
    (value, (low, high)), (other, (other_low, other_high)) = first, second
    below, above = math.hypot(value - low, other_high - other), math.hypot(high - value, other - other_low)
    return [value - other - below, value - other + above]


def bound_fraction(value: float, count: float, level: float = HIGH) -> Interval:
    """The interval of a fraction that was seen in so many independent cases, which need not be a whole number.

    Args:
        level: the probability that the truth is below its upper end; .975 for an interval of 95 %.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    hits = value * count
    if count >= EXACT:
        z = float(norm.ppf(level))
        middle = (hits + z**2 / 2) / (count + z**2)
        reach = z / (count + z**2) * math.sqrt(hits * (1 - value) + z**2 / 4)
        return [max(0.0, middle - reach), min(1.0, middle + reach)]
    low = brentq(_more, 0, 1, args=(hits, count, 1 - level)) if hits > 1e-9 else 0.0
    high = brentq(_more, 0, 1, args=(hits, count, level)) if count - hits > 1e-9 else 1.0
    return [float(low), float(high)]


def _more(fraction: float, hits: float, count: float, level: float) -> float:
    """The probability of more than so many hits, and half that of as many, less `level`."""
    from scipy.special import betainc

    as_many = float(betainc(hits, count - hits + 1, fraction)) if hits > 0 else 1.0
    more = float(betainc(hits + 1, count - hits, fraction)) if hits < count else 0.0
    return (as_many + more) / 2 - level
