"""The part of a report that shows how good the networks of a run's folds are, and how far they differ."""

from collections.abc import Mapping
from typing import Any

from polyhead.report.words import ERRORS, METRICS, MINUS, NOTHING, PERCENTAGES, show_count, show_number, split_name
from polyhead.tasks import Task
from polyhead.tasks.metrics import Numbers

Context = dict[str, Any]
SPLITS = {"valid": "Own fold", "test": split_name("test"), "unseen": split_name("unseen")}


def describe_folds(folds: Numbers | None, tasks: Mapping[str, Task]) -> Context | None:
    """What `templates/overview.html` fills in; None of a run without folds.

    Args:
        folds: see `summarize_folds`.
    """
    if not folds:
        return None
    splits = [split for split in SPLITS if split in folds]
    rows = []
    for name, task in tasks.items():
        found = [folds[split]["tasks"][name] for split in splits]
        for index, key in enumerate(key for key in METRICS if any(key in metrics for metrics in found)):
            values = [_show(key, metrics.get(key), task.error_unit) for metrics in found]
            rows.append(("" if index else name, METRICS[key], *values))
    heads = ["task", "metric", *(SPLITS[split] for split in splits)]
    return {"count": show_count(folds["count"]), "heads": heads, "rows": rows}


def _show(key: str, found: Numbers | None, unit: str) -> str:
    """A mean, and the deviation where there is one."""
    if not found:
        return NOTHING
    mean, deviation = found["mean"], found["deviation"] or 0.0
    if key in PERCENTAGES:
        return f"{100 * mean:.1f} ± {100 * deviation:.1f}\u00a0%"
    if key in ERRORS:
        return f"{show_number(mean)} ± {show_number(deviation, unit)}"
    return f"{mean:z.3f} ± {deviation:.3f}".replace("-", MINUS)
