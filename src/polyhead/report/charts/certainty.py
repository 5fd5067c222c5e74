"""Charts of how far probabilities can be trusted."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from polyhead.report.charts.drawing import CLEAR, Drawing, axis, draw
from polyhead.report.words import show_count, show_percent
from polyhead.tasks import Array
from polyhead.tasks.metrics import Numbers

POINTS = 200  # of a line at most
ENOUGH = 0.05  # coverage: below it accuracy jumps up and down, and does not set the range of the axis
LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "bgcolor": CLEAR}
PERCENT_AXIS = {"tickformat": ".0%", "zeroline": False}


def draw_reliability(before: Sequence[Numbers], after: Sequence[Numbers]) -> Drawing:
    """A reliability diagram: accuracy by probability; the more answers, the larger the point.

    Args:
        before: the bins of `calibration.measure_reliability`, uncalibrated.
        after: the same, calibrated.
    """
    most = max(row["n"] for row in (*before, *after))
    line = {"color": "var(--faint)", "width": 1, "dash": "dot"}
    ends = {"x": [0, 1], "y": [0, 1], "line": line, "hoverinfo": "skip", "showlegend": False}
    traces: list[dict[str, Any]] = [{"type": "scatter", "mode": "lines"} | ends]
    styles = [("calibrated", after, "var(--series-1)", "circle"), ("before", before, "var(--series-2)", "diamond-open")]
    for name, bins, colour, symbol in styles if before != after else [("uncalibrated", *styles[0][1:])]:
        rows = [row for row in bins if row["n"]]
        sizes = [5 + 11 * (row["n"] / most) ** 0.5 for row in rows]
        marker = {"symbol": symbol, "size": sizes, "color": colour, "line": {"color": colour, "width": 2}, "opacity": 1}
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [row["probability"] for row in rows],
                "y": [row["accuracy"] for row in rows],
                "marker": marker,
                "text": [show_count(row["n"]) for row in rows],
                "hovertemplate": "%{text} answers<br>probability %{x:.1%}<br>accuracy %{y:.1%}<extra></extra>",
            }
        )
    filled = [row for row in after if row["n"]]
    words = ", ".join(f"{show_percent(row['accuracy'])} at {show_percent(row['probability'])}" for row in filled)
    layout = {
        "showlegend": True,
        "legend": LEGEND | {"itemsizing": "constant"},
        "xaxis": axis("probability", range=[0, 1.04]) | PERCENT_AXIS,
        "yaxis": axis("accuracy", range=[-0.03, 1.05]) | PERCENT_AXIS,
    }
    return draw(traces, f"accuracy by probability: {words}", 330, **layout)


def draw_coverage(
    coverages: Array, accuracies: Array, target: float | None, chosen: tuple[float, float] | None
) -> Drawing:
    """Accuracy by coverage: how accurate the answers are if only the surest are given.

    Args:
        coverages: (k,) fractions of the images that are answered, ascending to 1.
        accuracies: (k,) at each coverage.
        target: the accuracy that the recipe asks for.
        chosen: the coverage and accuracy of the answers given.
    """
    indices = np.unique(np.linspace(0, len(coverages) - 1, POINTS).astype(int))
    counted = accuracies[coverages >= min(ENOUGH, coverages[-1])]
    low = min(float(counted.min()), target or 1, chosen[1] if chosen else 1)
    edge = max(0.02, 0.15 * (1 - low))
    line = {"type": "scatter", "mode": "lines", "line": {"color": "var(--series-1)", "width": 2, "shape": "linear"}}
    hover = {"hovertemplate": "%{x:.1%} answered<br>accuracy %{y:.1%}<extra></extra>"}
    points = {"x": [float(coverages[index]) for index in indices], "y": [float(accuracies[index]) for index in indices]}
    traces: list[dict[str, Any]] = [line | hover | points | {"name": "accuracy"}]
    if target is not None:
        style = {"line": {"color": "var(--faint)", "width": 1, "dash": "dash"}, "hoverinfo": "skip"}
        traces.append(line | style | {"x": [0, 1], "y": [target, target], "name": "target"})
    if chosen is not None:
        marker = {
            "color": "var(--series-2)",
            "size": 12,
            "symbol": "diamond",
            "line": {"color": "var(--card)", "width": 2},
        }
        point = {"x": [chosen[0]], "y": [chosen[1]], "name": "answers given", "mode": "markers", "marker": marker}
        traces.append({"type": "scatter"} | hover | point)
    words = f"all answers: accuracy {show_percent(float(accuracies[-1]))}"
    if chosen:
        words += f"; {show_percent(chosen[0])} answered: accuracy {show_percent(chosen[1])}"
    layout = {
        "showlegend": len(traces) > 1,
        "legend": LEGEND,
        "xaxis": axis("coverage", range=[0, 1.04]) | PERCENT_AXIS,
        "yaxis": axis("accuracy", range=[low - edge, 1 + edge / 3])
        | PERCENT_AXIS
        | {"tickformat": ".0%" if low < 0.9 else ".1%"},
    }
    return draw(traces, words, 330, **layout)
