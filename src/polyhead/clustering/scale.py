"""Answers of several tasks as points on one scale: what differs wholly is 1 apart, times its weight."""

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
    """What a column of points stands for: a label of a task, or (None) the place of its answer on its scale."""

    task: str
    label: str | None

    @property
    def words(self) -> str:
        """As a user names it."""
        return self.task if self.label is None else f"{self.task}={self.label}"


class Scale(NamedTuple):
    """Points (n, columns), what the columns stand for, and the weight of each, which the points have in them."""

    points: Array
    columns: Sequence[Column]
    weights: Sequence[float]


def choose_tasks(tasks: Mapping[str, Task], wanted: Sequence[str]) -> dict[str, list[str]]:
    """The labels to group by of each task that is wanted, none for a task that is taken whole.

    Args:
        tasks: all that the model answers.
        wanted: `TASK` or `TASK=LABEL,LABEL`; all tasks, if there is none.

    Raises:
        PolyheadError: the model has no such task, the task no such label.
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
                there = (
                    f"its labels are {', '.join(known)}{nearest(label, known)}" if known else "its answer is a number"
                )
                raise PolyheadError(f"`tasks`: {name} has no label {label!r}; {there}")
        chosen.setdefault(name, []).extend(names)
    return chosen


def make_points(
    tasks: Mapping[str, Task], answers: Mapping[str, Answers], chosen: Mapping[str, Sequence[str]], hard: bool
) -> Scale:
    """Points from answers.

    Args:
        tasks: by name.
        answers: of n images, by task.
        chosen: the labels of each task to take, all if none.
        hard: whether to take what is said (yes or no) for its probability.
    """
    points, columns = [], []
    for name, labels in chosen.items():
        task, found = tasks[name], answers[name]
        values = found.numbers[:, None] if found.numbers is not None else found.said if hard else found.probabilities
        places = task.positions(values.astype(float))
        if places.shape[1] != len(task.names):
            if labels:
                raise PolyheadError(f"`tasks` {name}={','.join(labels)}: {name} is a scale, and is taken whole")
            columns.append(Column(name, None))
        else:
            kept = [place for place, label in enumerate(task.names) if not labels or label in labels]
            places = places[:, kept]
            columns += [Column(name, task.names[place]) for place in kept]
        points.append(places)
    return Scale(np.concatenate(points, axis=1), columns, [1.0] * len(columns))


def apply_weights(scale: Scale, answers: Mapping[str, Answers], weights: Iterable[str]) -> Scale:
    """The same points with weights in them.

    Under `rare` a label counts by the information of a yes, -log2 of how often it is said (Spärck Jones 1972), under
    `common` by that of a no; both over their mean. A place on a scale counts 1. `NAME=NUMBER` multiplies.

    Args:
        scale: points without weights.
        answers: of the same images, by task.
        weights: `rare`, `common`, and `NAME=NUMBER` for a task or a label.

    Raises:
        PolyheadError: a weight is none, or of nothing that is grouped by.
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
                f"`weights` {text}: nothing is grouped by {name!r}; there is {', '.join(known)}{nearest(name, known)}"
            )
        check_weight(text)
        factors[matches] *= float(number)
    return Scale(scale.points * factors, scale.columns, factors.tolist())


def _weigh_by_rule(columns: Sequence[Column], answers: Mapping[str, Answers], rare: bool) -> Array:
    information = np.full(len(columns), np.nan)
    for place, (task, label) in enumerate(columns):
        if label is not None:
            said = answers[task].said[:, answers[task].labels.index(label)]
            share = (said.sum() + 1) / (len(said) + 2)  # never 0 and never 1
            information[place] = -math.log2(share if rare else 1 - share)
    known = ~np.isnan(information)
    return np.where(known, information / (information[known].mean() if known.any() else 1), 1.0)
