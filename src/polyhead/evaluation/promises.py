"""How often answers hold the truth in what they promise, and how sure that is."""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polyhead.data.splits import find_groups
from polyhead.evaluation.bootstrap import Draws, Interval, find_fraction
from polyhead.evaluation.shares import find_shares
from polyhead.tasks import Array, Numbers, Task
from polyhead.tasks.conformal import Promising

PROMISED = ("promised", "coverage", "set_size", "not_sure", "interval_width")  # the figures of what answers promise


def add_coverage_intervals(
    found: Numbers, tasks: Mapping[str, Task], labels: pd.DataFrame, outputs: Mapping[str, Array]
) -> None:
    """Put beside the `coverage` of each task that promises something its interval, where there is none yet.

    Args:
        found: what `evaluate_split` gave, with `intervals`.
        tasks, labels, outputs: as `evaluate_split` takes them.
    """
    draws = Draws(np.unique(find_groups(labels), return_inverse=True)[1].reshape(-1), seed=0)
    for name, task in tasks.items():
        figures = found["tasks"][name]
        if figures.get("coverage") is not None and "coverage" not in figures["intervals"]:
            interval = _find_interval(task, labels[name].tolist(), outputs[name], draws)
            figures["intervals"] |= {"coverage": interval} if interval else {}


def _find_interval(task: Task, labels: Sequence[str], outputs: Array, draws: Draws) -> Interval | None:
    """The interval of a task's `coverage`; None where nothing is promised, or no label is known."""
    if task.promise is None or not isinstance(task, Promising):
        return None
    covered: NDArray[np.float64] = np.asarray(task.find_covered(labels, outputs), float)
    known = np.isfinite(covered)
    used = np.flatnonzero(known.any(axis=0))
    if not len(used):
        return None
    if covered.shape[1] == 1:
        return find_shares(np.nan_to_num(covered), known, draws)[0]
    drawn = draws.share(np.nan_to_num(covered[:, used]), known[:, used])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a draw may have no row of any
        means = np.nanmean(drawn, axis=1)
    value = float(np.nanmean(covered[:, used], axis=0).mean())
    (any_known,) = draws.cases(np.asarray(known.any(axis=1))[:, np.newaxis])
    return find_fraction(value, means, (float(known.sum()), any_known[1]))


def keep_promised(figures: Numbers) -> Numbers:
    """The figures of a task that tell what its answers promise, and how far they keep it; none where they do not."""
    return {key: figures[key] for key in PROMISED if key in figures} if figures.get("coverage") is not None else {}
