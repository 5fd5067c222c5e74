"""The table of all labels of a multilabel task: a row a label, and one of their means."""

from collections.abc import Mapping, Sequence
from typing import Any

from polyhead.report.words import NOTHING, show_count, show_percent
from polyhead.tasks import Task
from polyhead.tasks.metrics import Numbers

Context = dict[str, Any]
Column = Sequence[float | None]


def list_labels(task: Task, figures: Numbers) -> Context:
    """What the report shows of every label.

    Args:
        task: as the training split taught it.
        figures: what its `measure` gave, with `per_label`.

    Returns:
        `heads`, the columns' names; `rows`, each a label and its cells; `means`, the cells of the row below. A cell is
        a text and the number that it is sorted by, None where there is none. `published`, the name of that column.
    """
    labels: Mapping[str, Numbers] = figures["per_label"]
    said = dict(zip(task.names, task.baseline_outputs(), strict=True))
    published = figures.get("published", {}).get("column", "")
    thresholds = figures.get("calibration", {}).get("thresholds") or {}
    columns: dict[str, Column] = {
        "rate": _pick(labels, "rate"),
        "accuracy": _pick(labels, "accuracy"),
        "baseline": [_share(row.get("rate"), bool(said[label])) for label, row in labels.items()],
    }
    if published:
        columns[published] = _pick(labels, "published")
    shares = len(columns)
    columns |= {"F1": _pick(labels, "f1"), "AP": _pick(labels, "average_precision")}
    if thresholds:
        columns["yes at"] = [thresholds.get(label, 0.5) for label in labels]
    cells = [
        [(show_percent(value) if place < shares else _show_score(value), value) for value in column]
        for place, column in enumerate(columns.values())
    ]
    cells.append([(show_count(row["n"]), row["n"]) for row in labels.values()])
    means = [_mean(column) for name, column in columns.items() if name != "yes at"]
    shown = [show_percent(mean) if place < shares else _show_score(mean) for place, mean in enumerate(means)]
    return {
        "heads": [*columns, "images"],
        "rows": list(zip(labels, zip(*cells, strict=True), strict=True)),
        "means": shown,
        "published": published,
        "thresholds": bool(thresholds),
    }


def _pick(labels: Mapping[str, Numbers], key: str) -> Column:
    return [row.get(key) for row in labels.values()]


def _share(rate: float | None, said: bool) -> float | None:
    """How often a constant yes, or no, is right."""
    return rate if rate is None or said else 1 - rate


def _mean(column: Column) -> float | None:
    known = [value for value in column if value is not None]
    return sum(known) / len(known) if known else None


def _show_score(score: float | None) -> str:
    return NOTHING if score is None else f"{score:.3f}"
