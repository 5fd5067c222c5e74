"""The table of all labels of a multilabel task: a row for each label, and one for the means."""

from collections.abc import Mapping, Sequence
from typing import Any

from polyhead.evaluation.results import FEW
from polyhead.report.words import NOTHING, show_count, show_percent
from polyhead.tasks import Task
from polyhead.tasks.metrics import Numbers

Context = dict[str, Any]
Column = Sequence[float | None]
SCORES = {"F1": "f1", "AP": "average_precision"}


def list_labels(task: Task, metrics: Numbers) -> Context:
    """What the report shows of every label.

    Args:
        task: as fitted to the training split.
        metrics: of its `measure`, with `per_label`.

    Returns:
        `heads`, the columns' names; `rows`, each a label and its cells; `means`, the cells of the last row. A cell is a
        text and the number to sort by, or None. `published`, the name of that column; `few`, whether there are labels
        of which an interval alone is shown.
    """
    labels: Mapping[str, Numbers] = metrics["per_label"]
    constant = dict(zip(task.names, task.baseline_outputs(), strict=True))
    published = metrics.get("published", {}).get("column", "")
    thresholds = metrics.get("calibration", {}).get("thresholds") or {}
    columns: dict[str, Column] = {
        "rate": _pick(labels, "rate"),
        "accuracy": _pick(labels, "accuracy"),
        "baseline": [_constant_accuracy(row.get("rate"), bool(constant[label])) for label, row in labels.items()],
    }
    if published:
        columns[published] = _pick(labels, "published")
    percentages = len(columns)
    columns |= {"F1": _pick(labels, "f1"), "AP": _pick(labels, "average_precision")}
    if thresholds:
        columns["threshold"] = [thresholds.get(label, 0.5) for label in labels]
    cells = [
        [(show_percent(value) if index < percentages else _show_score(value), value) for value in column]
        for index, column in enumerate(columns.values())
    ]
    for index, name in enumerate(columns):
        if name in SCORES:
            told = zip(cells[index], labels.values(), strict=True)
            cells[index] = [(_show_few(row, SCORES[name]) or text, value) for (text, value), row in told]
    cells.append([(show_count(row["n"]), row["n"]) for row in labels.values()])
    means = [_mean(column) for name, column in columns.items() if name != "threshold"]
    shown = [show_percent(mean) if index < percentages else _show_score(mean) for index, mean in enumerate(means)]
    return {
        "heads": [*columns, "images"],
        "rows": list(zip(labels, zip(*cells, strict=True), strict=True)),
        "means": shown,
        "published": published,
        "thresholds": bool(thresholds),
        "few": any(_show_few(row, score) for row in labels.values() for score in SCORES.values()),
    }


def _show_few(row: Numbers, score: str) -> str:
    """The interval alone, of a label that fewer than 30 images have; blank for others, or where there is none."""
    interval = row.get("intervals", {}).get(score)
    few = row["n"] and row["n"] * row["rate"] < FEW
    return f"{interval[0]:.2f} to {interval[1]:.2f}" if few and interval else ""


def _pick(labels: Mapping[str, Numbers], key: str) -> Column:
    return [row.get(key) for row in labels.values()]


def _constant_accuracy(rate: float | None, answer: bool) -> float | None:
    """How often a constant yes, or no, is right."""
    return rate if rate is None or answer else 1 - rate


def _mean(column: Column) -> float | None:
    known = [value for value in column if value is not None]
    return sum(known) / len(known) if known else None


def _show_score(score: float | None) -> str:
    return NOTHING if score is None else f"{score:.3f}"
