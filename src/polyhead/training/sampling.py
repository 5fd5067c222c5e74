"""Which rows an epoch shows so that rare labels are seen as often as frequent ones: arrays in, rows out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Strata = NDArray[np.float32]


class BalancedDraw:
    """Draws n of n rows: those of rare strata several times, those of frequent ones sometimes not at all.

    A row's chance is the mean over tasks, and within a task over its columns, of 1 / (strata x rows of its stratum).
    One column shows each of its strata equally often; several make a compromise. Unknown (NaN) is a stratum too.

    Args:
        strata: for each task, (n, ways to part the rows), a stratum a number.
    """

    def __init__(self, strata: Sequence[Strata]) -> None:
        columns = [np.nan_to_num(part, nan=-1) for part in strata]
        self.chances = np.mean([np.mean([_chances(way) for way in part.T], axis=0) for part in columns], axis=0)
        _, self.cells = np.unique(np.concatenate(columns, axis=1), axis=0, return_inverse=True)

    def draw(self, rng: np.random.Generator) -> NDArray[np.intp]:
        """Indices (n,) of rows, shuffled. Each row comes as often as n x its chance says, rounded up or down by lot.

        So do all rows that are alike in every stratum, together: n evenly spaced points are laid over the chances, with
        rows that are alike side by side (systematic sampling).
        """
        count = len(self.chances)
        order = np.lexsort((rng.random(count), self.cells.ravel()))
        ends = np.cumsum(self.chances[order])
        points = (rng.random() + np.arange(count)) / count * ends[-1]
        return rng.permutation(order[np.minimum(np.searchsorted(ends, points, side="right"), count - 1)])


def _chances(column: Strata) -> NDArray[np.float64]:
    _, indices, rows = np.unique(column, return_inverse=True, return_counts=True)
    chances: NDArray[np.float64] = 1 / (len(rows) * rows[indices])
    return chances
