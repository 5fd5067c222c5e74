"""Answers of several tasks as points on one scale: completely different answers are 1 apart, times their weight."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from polyhead.clustering.grouping import check_weight
from polyhead.errors import PolyheadError, nearest
from polyhead.evaluation.answers import Answers
from polyhead.tasks import Array, Task

RULES = ("rare", "common")


class Column(NamedTuple):
    """What a column of points stands for: a label of a task, or (None) the position of its answer on a scale."""

    task: str
    label: str | None

    @property
    def words(self) -> str:
        """As users name it."""
        return self.task if self.label is None else f"{self.task}={self.label}"


class Scale(NamedTuple):
    """Points (n, columns), weighted, the meaning of each column, and its weight."""

    points: Array
    columns: Sequence[Column]
    weights: Sequence[float]


def choose_tasks(tasks: Mapping[str, Task], wanted: Sequence[str]) -> dict[str, list[str]]:
    """The labels to group by for each task chosen; none for a task of which all are used.

    Args:
        tasks: of the model, by name.
        wanted: `TASK` or `TASK=LABEL,LABEL`; if empty, all tasks.

    Raises:
        PolyheadError: the model has no such task, or the task no such label.
    """
    chosen: dict[str, list[str]] = {}
    for text in wanted or tasks:
        name, _, labels = (text, "", "") if text in tasks else text.partition("=")
        if name not in tasks:
            raise PolyheadError(
                f"`tasks`: the model has no task {name!r}; it has {', '.join(tasks)}{nearest(name, tasks)}"
            )
        names = [label.strip() for label in labels.split(",") if label.strip()]
        for label in names:
            if label not in tasks[name].names:
                known = tasks[name].names
                hint = (
                    f"its labels are {', '.join(known)}{nearest(label, known)}" if known else "its answer is a number"
                )
                raise PolyheadError(f"`tasks`: {name} has no label {label!r}; {hint}")
        chosen.setdefault(name, []).extend(names)
    return chosen


def make_points(
    tasks: Mapping[str, Task], answers: Mapping[str, Answers], chosen: Mapping[str, Sequence[str]], hard: bool
) -> Scale:
    """Points from answers.

    Args:
        tasks: by name.
        answers: of n images, by task.
        chosen: the labels to use of each task; if none, all.
        hard: whether to use the answers (0 or 1) instead of probabilities.
    """
    points, columns = [], []
    for name, labels in chosen.items():
        task, found = tasks[name], answers[name]
        values = (
            found.numbers[:, None] if found.numbers is not None else found.predicted if hard else found.probabilities
        )
        positions = task.positions(values.astype(float))
        if positions.shape[1] != len(task.names):
            if labels:
                raise PolyheadError(
                    f"`tasks` {name}={','.join(labels)}: {name} is a scale; its labels cannot be chosen"
                )
            columns.append(Column(name, None))
        else:
            kept = [index for index, label in enumerate(task.names) if not labels or label in labels]
            positions = positions[:, kept]
            columns += [Column(name, task.names[index]) for index in kept]
        points.append(positions)
    return Scale(np.concatenate(points, axis=1), columns, [1.0] * len(columns))


def apply_weights(scale: Scale, answers: Mapping[str, Answers], weights: Iterable[str]) -> Scale:
    """The same points, weighted.

    With `rare`, a label's weight is the information of a yes, -log2 of its frequency (Spärck Jones 1972); with
    `common`, that of a no; both are over their mean. A position on a scale has weight 1. `NAME=NUMBER` multiplies.

    Args:
        scale: unweighted points.
        answers: of the same images, by task.
        weights: `rare`, `common`, and `NAME=NUMBER` for a task or a label.

    Raises:
        PolyheadError: a weight is invalid, or for a name that is not grouped by.
    """
    factors = np.ones(len(scale.columns))
    for text in weights:
        name, sign, number = text.rpartition("=")
        if text in RULES:
            factors *= _weigh_by_rule(scale.columns, answers, rare=text == "rare")
            continue
        if not sign:
            raise PolyheadError(f"`weights`: expected {', '.join(RULES)} or NAME=NUMBER; got {text!r}")
        matches = np.array([name in (*column, column.words) for column in scale.columns])
        if not matches.any():
            known = dict.fromkeys(part for column in scale.columns for part in column if part)
            raise PolyheadError(
                f"`weights` {text}: {name!r} is not grouped by; expected {', '.join(known)}{nearest(name, known)}"
            )
        check_weight(text)
        factors[matches] *= float(number)
    return Scale(scale.points * factors, scale.columns, factors.tolist())


def _weigh_by_rule(columns: Sequence[Column], answers: Mapping[str, Answers], rare: bool) -> Array:
    information = np.full(len(columns), np.nan)
    for index, (task, label) in enumerate(columns):
        if label is not None:
            predicted = answers[task].predicted[:, answers[task].labels.index(label)]
            frequency = (predicted.sum() + 1) / (len(predicted) + 2)  # never 0 or 1
            information[index] = -math.log2(frequency if rare else 1 - frequency)
    known = ~np.isnan(information)
    return np.where(known, information / (information[known].mean() if known.any() else 1), 1.0)
