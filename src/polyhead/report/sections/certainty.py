"""The part of a task's results that shows how far its probabilities can be trusted: what the template fills in."""

from typing import Any

from polyhead.report.charts.certainty import draw_coverage, draw_reliability
from polyhead.report.words import show_count, show_number, show_percent
from polyhead.tasks import Array, Labels, Task
from polyhead.tasks.calibration import known_images, measure_coverage
from polyhead.tasks.metrics import Numbers

Context = dict[str, Any]


def describe_certainty(task: Task, labels: Labels, outputs: Array, figures: Numbers) -> Context | None:
    """A reliability diagram and accuracy against share answered; None where nothing was calibrated.

    Args:
        task: as the model file has it.
        labels: n of them.
        outputs: (n, width).
        figures: what `Task.measure` says of them.
    """
    decisions = task.decisions(labels, outputs)
    if "calibration" not in figures or decisions is None:
        return None
    found = figures["calibration"]
    wanted, below = found["answer_accuracy"], found["unsure_below"]
    chosen = None
    if wanted is not None and figures["answered_accuracy"] is not None:
        chosen = (figures["answered"], figures["answered_accuracy"])
    _, shares, accuracies = measure_coverage(*known_images(*decisions))
    return {
        "reliability": draw_reliability(found["reliability_before"], found["reliability_after"]),
        "coverage": draw_coverage(shares, accuracies, wanted, chosen),
        "several": decisions[1].shape[1] > 1,
        "rows": show_count(found["calibrated_on"]),
        "temperature": show_number(found["temperature"]) if found["temperature"] != 1 else "",
        "errors": [f"{100 * found[name]:.2f}\N{NO-BREAK SPACE}%" for name in ("ece_before", "ece_after")],
        "wanted": show_percent(wanted) if wanted is not None else "",
        "reached": below <= 1,
        "unsure_below": show_percent(below) if below else "",
        "answered": show_percent(figures.get("answered")),
        "right": show_percent(figures.get("answered_accuracy")),
    }
