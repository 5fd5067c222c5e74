"""Whether one model is better than another, on the same images: the difference of a figure, with its interval.

The pairs of one group (an image's repeats, and what `data.split.group` holds together) count together. The interval is
the mean difference and its standard error over groups, by Student's t; a difference of fractions is first drawn to zero
by half a pair in each cell of the table of right and wrong (Agresti, Min 2005, "Simple improved confidence intervals
for comparing matched proportions"), so that it has a width where few pairs differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyhead.errors import require
from polyhead.tasks import Array, Task

FEW = 30  # images: fewer tell nothing
CONFIDENCE = 0.975  # of each end


@dataclass(frozen=True)
class Difference:
    """How much better the second of two models is at a task, on the images whose label is known.

    Attributes:
        metric: `accuracy`, of answers or of a multilabel task's labels; or `mae`, of a number.
        values: the metric of the first model and of the second.
        better_by: by how much the second is better, negative where it is worse: a fraction, or in the task's unit.
        interval: of `better_by`, with 95 % confidence; None for fewer than two groups of images.
        n: how many images.
        unit: of a number, such as `years`; empty where there is none.
    """

    task: str
    metric: str
    values: tuple[float, float]
    better_by: float
    interval: tuple[float, float] | None
    n: int
    unit: str = ""

    @property
    def verdict(self) -> str:
        """`better` or `worse`, of the second; `no clear difference`; or `too few`, of fewer than 30 images."""
        if self.interval is None or self.n < FEW:
            return "too few"
        low, high = self.interval
        return "better" if low > 0 else "worse" if high < 0 else "no clear difference"


def compare_answers(
    name: str, tasks: tuple[Task, Task], labels: Sequence[str], outputs: tuple[Array, Array], groups: NDArray[np.intp]
) -> Difference | None:
    """How much better the second outputs of a task are than the first; None where no label is known.

    Args:
        name: the task's.
        tasks: as the first and as the second model learnt it.
        labels: n texts, blank where unknown.
        outputs: of the first and of the second model, (n, width) both, of the same images.
        groups: (n,), the number of each image's group.
    """
    fraction = tasks[0].has_probabilities
    scores = [_score(task, labels, given) for task, given in zip(tasks, outputs, strict=True)]
    known = np.isfinite(scores[0]) & np.isfinite(scores[1])
    rows = known.any(axis=1)
    if not rows.any():
        return None
    values = [float(score[known].mean()) for score in scores]
    gain = np.where(known, scores[1] - scores[0] if fraction else scores[0] - scores[1], 0).sum(axis=1)
    return Difference(
        task=name,
        metric="accuracy" if fraction else "mae",
        values=(values[0], values[1]),
        better_by=float(gain.sum() / known.sum()),
        interval=find_interval(gain[rows], known[rows].sum(axis=1), groups[rows], fraction),
        n=int(rows.sum()),
        unit="" if fraction else tasks[0].error_unit,
    )


def _score(task: Task, labels: Sequence[str], outputs: Array) -> Array:
    """Of each of n images' m labels, 1 for a right answer and 0 for a wrong one; of a number, the error (n, 1)."""
    decisions = task.decisions(labels, outputs)
    return np.asarray(task.mistakes(labels, outputs)[:, None] if decisions is None else decisions[1], float)


def find_interval(gains: Array, counts: Array, groups: NDArray[np.intp], fraction: bool) -> tuple[float, float] | None:
    """The 95 % interval of `gains.sum() / counts.sum()`; None for fewer than two groups.

    Args:
        gains: (n,), of each image.
        counts: (n,), how many labels of each image are known.
        groups: (n,), the number of each image's group; images of a group are drawn together.
        fraction: whether the gain of a label is -1, 0 or 1.
    """
    numbers = np.unique(groups, return_inverse=True)[1]
    total = int(numbers.max(initial=-1)) + 1
    if total < 2:
        return None
    require("compare", "report")
    from scipy.stats import t

    gain, count = np.bincount(numbers, gains, total), np.bincount(numbers, counts, total)
    if fraction:  # half a pair in each of four cells: one pair that is even, half a gain and half a loss
        extra = 2 * count.mean()
        middle = gain.sum() / (count.sum() + extra)
        squares = ((gain - middle * count) ** 2).sum() + (1 + middle**2 * 2) * count.mean() ** 2
        error = np.sqrt(squares) / (count.sum() + extra)
    else:
        middle = gain.sum() / count.sum()
        error = np.sqrt(((gain - middle * count) ** 2).sum() * total / (total - 1)) / count.sum()
    reach = float(t.ppf(CONFIDENCE, total - 1)) * error
    low, high = float(middle - reach), float(middle + reach)
    return (max(-1.0, low), min(1.0, high)) if fraction else (low, high)
