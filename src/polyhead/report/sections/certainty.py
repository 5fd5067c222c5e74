"""The part of a task's results that shows how far its probabilities can be trusted: what the template fills in."""

from typing import Any

from polyhead.report.charts.certainty import draw_coverage, draw_reliability
from polyhead.report.words import show_count, show_number, show_percent
from polyhead.tasks import Array, Labels, Task
from polyhead.tasks.calibration import known_images, measure_coverage
from polyhead.tasks.metrics import Numbers

Context = dict[str, Any]


def describe_certainty(task: Task, labels: Labels, outputs: Array, metrics: Numbers) -> Context | None:
    """A reliability diagram, and accuracy by coverage; None where nothing was calibrated.

    Args:
        task: as in the model file.
        labels: n.
        outputs: (n, width).
        metrics: of `Task.measure`.
    """
    decisions = task.decisions(labels, outputs)
    if "calibration" not in metrics or decisions is None:
        return None
    found = metrics["calibration"]
    target, threshold = found["answer_accuracy"], found["unsure_below"]
    chosen = None
    if target is not None and metrics["answered_accuracy"] is not None:
        chosen = (metrics["answered"], metrics["answered_accuracy"])
    _, coverages, accuracies = measure_coverage(*known_images(*decisions))
    return {
        "reliability": draw_reliability(found["reliability_before"], found["reliability_after"]),
        "coverage": draw_coverage(coverages, accuracies, target, chosen),
        "several": decisions[1].shape[1] > 1,
        "rows": show_count(found["calibrated_on"]),
        "temperature": show_number(found["temperature"]) if found["temperature"] != 1 else "",
        "errors": [_show_error(found, name) for name in ("ece_before", "ece_after")],
        "target": show_percent(target) if target is not None else "",
        "reached": threshold <= 1,
        "unsure_below": show_percent(threshold) if threshold else "",
        "answered": show_percent(metrics.get("answered")),
        "right": show_percent(metrics.get("answered_accuracy")),
    }


def _show_error(found: Numbers, name: str) -> str:
    """A calibration error with its interval."""
    interval = found.get("intervals", {}).get(name)
    told = f" ({100 * interval[0]:.2f} to {100 * interval[1]:.2f})" if interval else ""
    return f"{100 * found[name]:.2f}\N{NO-BREAK SPACE}%{told}"
