"""How far figures may be off by chance: 95 % intervals, by the bootstrap over groups of images.

The rows of a group (an image's repeats, the images of one person) are drawn together (Field, Welsh 2007, "Bootstrapping
clustered data"). What the draws give is a figure's standard deviation. A fraction's interval is Wilson's (1927) for as
many cases as that deviation stands for, and never more than there are: so it stays within 0 and 1, and does not shrink
to nothing where all of a few are right. Where these are fewer than `EXACT`, it is Clopper's and Pearson's (1934). An
error's interval is even on a logarithmic scale.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyhead.errors import require
from polyhead.tasks import Array

DRAWS = 500
BLOCK = 2**23  # weights at a time: draws times rows
EXACT = 30  # cases
LOW, HIGH = 0.025, 0.975
Interval = list[float]  # from, to
Cases = tuple[float, float]  # over how many rows something is, and in how many groups these are


class Draws:
    """Groups drawn with replacement, `DRAWS` times as many as there are; the same ones each time that it is asked."""

    def __init__(self, groups: NDArray[np.intp], seed: int) -> None:
        """Take the group of each of n rows, numbered from 0 on."""
        rng, count = np.random.default_rng(seed), int(groups.max(initial=-1)) + 1
        self.groups = groups
        self._order = np.argsort(groups, kind="stable")
        self._starts = np.searchsorted(groups[self._order], np.arange(count))
        self._times = np.empty((DRAWS, count), np.uint16)  # that a group is in a draw
        for draw in self._times:
            draw[:] = np.bincount(rng.integers(0, count, count), minlength=count)

    def sum_groups(self, columns: NDArray[Any]) -> Array:
        """The sums of columns (n, k) over the rows of each group: (groups, k)."""
        return np.asarray(np.add.reduceat(columns[self._order].astype(float), self._starts))

    def sum(self, columns: NDArray[Any]) -> Array:
        """The sums of columns (n, k) over the rows of each draw: (DRAWS, k)."""
        by_group = self.sum_groups(columns).astype(np.float32)
        step = max(1, BLOCK // max(1, len(by_group)))
        blocks = [self._times[i : i + step].astype(np.float32) @ by_group for i in range(0, DRAWS, step)]
        return np.concatenate(blocks).astype(float)

    def flip(self, columns: NDArray[Any]) -> Array:
        """The sums of columns (n, k) over all rows where the sign of each group is drawn: (DRAWS, k)."""
        by_group, rng = self.sum_groups(columns).astype(np.float32), np.random.default_rng(0)
        step = max(1, BLOCK // max(1, len(by_group)))
        sizes = [min(step, DRAWS - begin) for begin in range(0, DRAWS, step)]
        signs = (rng.integers(0, 2, (size, len(by_group)), np.int8).astype(np.float32) * 2 - 1 for size in sizes)
        return np.concatenate([some @ by_group for some in signs]).astype(float)

    def cases(self, rows: NDArray[np.bool_]) -> list[Cases]:
        """How many of the n rows are meant, in how many groups: of each of the columns (n, k)."""
        in_group = np.logical_or.reduceat(rows[self._order], self._starts)
        return list(zip(rows.sum(axis=0).tolist(), in_group.sum(axis=0).tolist(), strict=True))

    def share(self, part: NDArray[Any], whole: NDArray[Any]) -> Array:
        """The sums of `part` (n, k) over those of `whole` (n, k): (DRAWS, k), NaN where that is 0."""
        sums = self.sum(np.column_stack([part, whole]))
        count = sums.shape[1] // 2
        return divide(sums[:, :count], sums[:, count:], none=np.nan)


def find_fraction(value: float | None, drawn: Array, cases: Cases) -> Interval | None:
    """The interval of a fraction, None where there is none.

    Args:
        value: from 0 to 1.
        drawn: the same in each draw, NaN where a draw has none.
        cases: over which it is.
    """
    rows, groups = cases
    if value is None or not math.isfinite(value) or rows < 1:
        return None
    require("intervals", "report")
    from scipy.stats import beta, norm, t

    spread = _deviation(drawn)
    count = value * (1 - value) / spread**2 if spread > 1e-9 else min(groups, rows)
    if 1 < groups < rows:  # few groups tell their deviation badly (Korn, Graubard 1998)
        count *= float(t.ppf(HIGH, rows - 1) / t.ppf(HIGH, groups - 1)) ** 2
    count = max(1.0, min(rows, count))
    hits = value * count
    if count < EXACT:
        low = float(beta.ppf(LOW, hits, count - hits + 1)) if hits > 0 else 0.0
        high = float(beta.ppf(HIGH, hits + 1, count - hits)) if hits < count else 1.0
        return [low, high]
    z = float(norm.ppf(HIGH))
    middle = (hits + z**2 / 2) / (count + z**2)
    reach = z / (count + z**2) * math.sqrt(hits * (1 - value) + z**2 / 4)
    return [max(0.0, middle - reach), min(1.0, middle + reach)]


def find_error(value: float | None, drawn: Array, groups: int) -> Interval | None:
    """The interval of an error, 0 or more; None where it is 0 or does not vary.

    Args:
        value: the error.
        drawn: the same in each draw.
        groups: it is over as many.
    """
    if value is None or not math.isfinite(value) or value <= 0 or groups < 2:
        return None
    require("intervals", "report")
    from scipy.stats import t

    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(drawn)
    spread = _deviation(np.where(np.isfinite(logs), logs, np.nan))
    reach = float(t.ppf(HIGH, groups - 1)) * spread
    return [value * math.exp(-reach), value * math.exp(min(reach, 50))] if spread > 1e-9 else None


def _deviation(drawn: Array) -> float:
    return float(np.nanstd(drawn)) if np.isfinite(drawn).any() else 0.0


def divide(part: Any, whole: Any, none: float = 0.0) -> Array:
    """The quotient, with `none` where `whole` is 0."""
    out = np.full(np.broadcast(part, whole).shape, none)
    np.divide(part, whole, out=out, where=np.asarray(whole) != 0)
    return out
