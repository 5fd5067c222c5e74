"""How good a model is for each group of images apart: by a task's label, one of several labels, a column of the source
that is no task, or two of these at once."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from polyhead.data.sources.columns import COLUMN, CROSSED, find_columns, list_kept, split_groups
from polyhead.errors import PolyheadError, list_words, nearest, shorten
from polyhead.evaluation.evaluate import evaluate_split
from polyhead.evaluation.intervals import add_intervals
from polyhead.evaluation.results import FEW, SHOWN
from polyhead.evaluation.shares import find_difference
from polyhead.tasks import Array, Numbers, Task
from polyhead.tasks.metrics import range_names
from polyhead.tasks.regression import Regression

MOST_VALUES = 50  # of a column, each a group of its own; the rarer ones are one together
OTHERS = "(others)"
# What answers promise, and how they keep it.
PROMISED = ("promised", "coverage", "set_size", "not_sure", "interval_width")
FEW_NUMBERS = 10  # different numbers of a column, which are each a group of their own
ERRORS = frozenset({"mae"})  # of which less is better


def check_groups(by: Sequence[str], tasks: Mapping[str, Task], columns: Sequence[str] = ()) -> None:
    """See that images can be grouped so.

    Args:
        by: each a task's name, a label of a task with several, a column of the source, or two of these as
            `gender*race`.
        tasks: by name, as the training split taught them.
        columns: of the source.

    Raises:
        PolyheadError: one is none of them.
    """
    labels = [label for task in tasks.values() if task.several for label in task.names]
    known = [*tasks, *labels, *columns]
    for given in by:
        if given.count(CROSSED) > 1:
            raise PolyheadError(
                f"groups: expected a task, a label or two of them, as `a*b`; got {shorten(given, 60)!r}"
            )
    others = [name for name in columns if name not in tasks]
    for name in split_groups(by):
        if name not in known:
            told = f" nor a column of the data ({list_words(others)})" if others else ""
            raise PolyheadError(
                f"groups: {shorten(name, 60)!r} is neither a task ({list_words(tasks)}) nor a label of one with several"
                f"{told}{nearest(name, known)}"
            )


def name_groups(frame: pd.DataFrame, by: Sequence[str], tasks: Mapping[str, Task]) -> pd.DataFrame:
    """A table whose columns of the source hold groups in place of values, as `measure_groups` takes it.

    Numbers are grouped by ranges, fifths of all rows; but for a few, each of which is a group, as texts are. Of many
    texts, the rarer ones are one group together.

    Args:
        frame: all rows, also those of other splits, so that groups are the same in each; `column.NAME`, blank where
            unknown.
        by: as `check_groups` takes them.

    Raises:
        PolyheadError: a column is blank in every row, or has nearly as many texts as rows.
    """
    names = find_columns(by, tasks, list_kept(frame))
    return frame.assign(**{COLUMN + name: _name_values(name, frame[COLUMN + name].tolist()) for name in names})


def _name_values(name: str, texts: list[str]) -> list[str]:
    counts = Counter(text for text in texts if text)
    if not counts:
        raise PolyheadError(f"groups: the column {shorten(name, 60)} is blank in every row")
    numbers = {text: number for text in counts if (number := _read_number(text)) is not None}
    if len(numbers) == len(counts) > FEW_NUMBERS:
        values = [numbers[text] for text in texts if text]
        whole = all(number.is_integer() for number in values)  # such as a year, whose last digit tells
        fifths = np.quantile(values, (0.2, 0.4, 0.6, 0.8)).tolist()
        edges = sorted({float(round(edge)) if whole else float(f"{edge:.3g}") for edge in fifths})
        ranges = range_names(edges)
        return [ranges[int(np.digitize(numbers[text], edges))] if text else "" for text in texts]
    known = sum(counts.values())
    if len(counts) > max(MOST_VALUES, known // 2):
        several = f"{len(counts):,} values in {known:,} rows"
        raise PolyheadError(f"groups: the column {shorten(name, 60)} has {several}, too many to be groups")
    kept = {text for text, _ in counts.most_common(MOST_VALUES)} if len(counts) > MOST_VALUES + 1 else set(counts)
    return [text if text in kept or not text else OTHERS for text in texts]


def _read_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def measure_groups(
    by: Sequence[str], tasks: Mapping[str, Task], labels: pd.DataFrame, outputs: Mapping[str, Array]
) -> Numbers:
    """The main figures of each group, the worst group first; what is unknown of an image puts it into none.

    Args:
        by: as `check_groups` takes them.
        tasks, labels, outputs: as `evaluate_split` takes them; labels also with what `name_groups` gives.

    Returns:
        By name of `by`, by group: `n`; `tasks`, each with `n`, its main metrics, `ece` and the fraction `unsure` where
        there are such, all with `intervals`, and how far its answers keep what they promise: `promised`, `coverage`,
        `set_size`, `not_sure`, `interval_width`; `joint`; and in each task the `gap` to its best group of 30 images and
        more: `best`, the `metric`, by how much it is `behind` in it, and the `interval` (Newcombe 1998, method 10).
    """
    return {name: _measure(_group_rows(name, tasks, labels), tasks, labels, outputs) for name in by}


def _group_rows(by: str, tasks: Mapping[str, Task], labels: pd.DataFrame) -> list[str]:
    """The group of each of n rows; blank where a label of it is unknown."""
    parts = [_list_values(part.strip(), tasks, labels) for part in by.split(CROSSED)]
    return [", ".join(values) if all(values) else "" for values in zip(*parts, strict=True)]


def _list_values(name: str, tasks: Mapping[str, Task], labels: pd.DataFrame) -> list[str]:
    if find_columns([name], tasks, [name]):
        return [str(text) for text in labels[COLUMN + name]]
    if name not in tasks:
        owner = next(task for task in tasks if tasks[task].several and name in tasks[task].names)
        column = tasks[owner].encode(tasks[owner].regroup(labels[owner].tolist()))[:, tasks[owner].names.index(name)]
        return ["" if math.isnan(value) else name if value else f"not {name}" for value in column]
    task = tasks[name]
    texts = task.regroup(labels[name].tolist())
    if isinstance(task, Regression):
        names = range_names(task.state.edges)
        return [names[int(np.digitize(float(text), task.state.edges))] if text else "" for text in texts]
    return texts


def _measure(
    groups: Sequence[str], tasks: Mapping[str, Task], labels: pd.DataFrame, outputs: Mapping[str, Array]
) -> Numbers:
    found: Numbers = {}
    for group in sorted(set(groups) - {""}):
        rows = np.flatnonzero(np.array(groups, object) == group)
        part, answers = labels.iloc[rows].reset_index(drop=True), {name: outputs[name][rows] for name in tasks}
        figures = evaluate_split(tasks, part, answers)
        add_intervals(figures, tasks, part, answers)
        measured = {name: _shorten(figures["tasks"][name]) for name in tasks}
        found[group] = {"n": len(rows), "tasks": measured, "joint": figures["joint"]}
    for name in tasks:
        _add_gaps({group: figures["tasks"][name] for group, figures in found.items()})
    return dict(sorted(found.items(), key=lambda item: (item[1]["n"] < FEW, -_mean_gap(item[1]["tasks"]))))


def _shorten(figures: Numbers) -> Numbers:
    """The figures that say most of a task."""
    kept = {key: figures[key] for key in ("n", *SHOWN) if figures.get(key) is not None}
    if figures.get("coverage") is not None:
        kept |= {key: figures[key] for key in PROMISED if key in figures}
    kept["intervals"] = {key: value for key, value in figures.get("intervals", {}).items() if key in kept}
    if calibration := figures.get("calibration"):
        kept["ece"] = calibration.get("ece_after")
        if interval := calibration.get("intervals", {}).get("ece_after"):
            kept["intervals"]["ece"] = interval
    if "answered" in figures:
        kept["unsure"] = 1 - figures["answered"]
        if interval := figures.get("intervals", {}).get("answered"):
            kept["intervals"]["unsure"] = [1 - interval[1], 1 - interval[0]]
    return kept


def _add_gaps(by_group: Mapping[str, Numbers]) -> None:
    """Put into each group's figures of a task how far it is behind the best group's."""
    metric = next((key for key in ("accuracy", "mae") if any(key in figures for figures in by_group.values())), "")
    told = {group: figures for group, figures in by_group.items() if metric in figures.get("intervals", {})}
    enough = [group for group in told if told[group]["n"] >= FEW]
    if not enough:
        return
    sign = 1 if metric in ERRORS else -1
    best = min(enough, key=lambda group: float(sign * told[group][metric]))
    for group, figures in told.items():
        if group != best:
            more, less = (figures, told[best]) if metric in ERRORS else (told[best], figures)
            interval = find_difference(*((one[metric], one["intervals"][metric]) for one in (more, less)))
            behind = more[metric] - less[metric]
            figures["gap"] = {"metric": metric, "best": best, "behind": behind, "interval": interval}


def _mean_gap(tasks: Mapping[str, Numbers]) -> float:
    """How far a group is behind, over its tasks: of an error, relative to its own."""
    gaps = [
        figures["gap"] | {"value": figures[figures["gap"]["metric"]]} for figures in tasks.values() if "gap" in figures
    ]
    behind = [gap["behind"] / (gap["value"] if gap["metric"] in ERRORS else 1) for gap in gaps]
    return float(np.mean(behind)) if behind else 0.0
