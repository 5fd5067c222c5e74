"""Two files of one model beside each other: how far their outputs and answers differ, and what that does to figures."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from polyhead.evaluation.evaluate import evaluate_split
from polyhead.tasks import Array, Task
from polyhead.tasks.metrics import Numbers

SHOWN = ("accuracy", "macro_f1", "mae", "r2")


def compare_outputs(
    tasks: Mapping[str, Task], before: Mapping[str, Array], after: Mapping[str, Array], labels: pd.DataFrame | None
) -> Numbers:
    """How much of a model another file of it has kept.

    Args:
        tasks: by name.
        before: the outputs of the one, (n, width) for each task and for `features`.
        after: of the other, for the same images.
        labels: n rows, a text column a task, blank where unknown; None where there are none.

    Returns:
        `difference`: the largest between any two outputs, relative to the largest value of the output, or to 1.
        `tasks`: by name, `difference`, the largest between two outputs of the task; `same`, the share of images with
        the same answer, None for numbers; and of its figures, where there are labels, SHOWN as pairs: before, after.
    """
    figures = [evaluate_split(tasks, labels, side)["tasks"] if labels is not None else {} for side in (before, after)]
    compared = {}
    for name, task in tasks.items():
        pairs = zip(task.decode(before[name]), task.decode(after[name]), strict=True)
        same = [] if task.numeric else [one.labels == other.labels for one, other in pairs]
        compared[name] = {
            "difference": _largest(before[name] - after[name]),
            "same": float(np.mean(same)) if same else None,
            "figures": _pair(figures[0].get(name, {}), figures[1].get(name, {})),
        }
    relative = [_largest(before[key] - after[key]) / max(1, _largest(before[key])) for key in before]
    return {"difference": max(relative), "tasks": compared}


def _largest(values: Array) -> float:
    return float(np.abs(values).max(initial=0))


def _pair(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[float]]:
    return {name: [before[name], after[name]] for name in SHOWN if before.get(name) is not None}
