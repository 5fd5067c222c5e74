"""Charts of how far probabilities can be trusted, from plain numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from polyhead.report.charts.drawing import CLEAR, Drawing, axis, draw
from polyhead.report.words import show_count, show_percent
from polyhead.tasks import Array
from polyhead.tasks.metrics import Numbers

POINTS = 200  # of a line at most
ENOUGH = 0.05  # the share of the images from which on a line sets the height: the first few jump up and down
LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "bgcolor": CLEAR}
SHARES = {"tickformat": ".0%", "zeroline": False}


def draw_reliability(before: Sequence[Numbers], after: Sequence[Numbers]) -> Drawing:
    """A reliability diagram: how often answers of a probability are right; the more answers, the larger the point.

    Args:
        before: bins as the network's own probabilities fill them, as `calibration.measure_reliability` gives them.
        after: the same bins, calibrated.
    """
    most = max(row["n"] for row in (*before, *after))
    line = {"color": "var(--faint)", "width": 1, "dash": "dot"}
    ends = {"x": [0, 1], "y": [0, 1], "line": line, "hoverinfo": "skip", "showlegend": False}
    traces: list[dict[str, Any]] = [{"type": "scatter", "mode": "lines"} | ends]
    looks = [("calibrated", after, "var(--series-1)", "circle"), ("before", before, "var(--series-2)", "diamond-open")]
    for name, bins, colour, symbol in looks if before != after else [("uncalibrated", *looks[0][1:])]:
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
                "hovertemplate": "%{text} answers<br>probability %{x:.1%}<br>right %{y:.1%}<extra></extra>",
            }
        )
    filled = [row for row in after if row["n"]]
    words = ", ".join(f"of {show_percent(row['probability'])} {show_percent(row['accuracy'])} right" for row in filled)
    layout = {
        "showlegend": True,
        "legend": LEGEND | {"itemsizing": "constant"},
        "xaxis": axis("probability", range=[0, 1.04]) | SHARES,
        "yaxis": axis("right", range=[-0.03, 1.05]) | SHARES,
    }
    return draw(traces, f"answers {words}", 330, **layout)


def draw_coverage(
    shares: Array, accuracies: Array, wanted: float | None, chosen: tuple[float, float] | None
) -> Drawing:
    """How accurate answers are where only the surest share of them is given.

    Args:
        shares: (k,) shares of the images, ascending to 1.
        accuracies: (k,) of each share.
        wanted: the accuracy that was asked for.
        chosen: share and accuracy of what is answered.
    """
    places = np.unique(np.linspace(0, len(shares) - 1, POINTS).astype(int))
    counted = accuracies[shares >= min(ENOUGH, shares[-1])]
    low = min(float(counted.min()), wanted or 1, chosen[1] if chosen else 1)
    edge = max(0.02, 0.15 * (1 - low))
    line = {"type": "scatter", "mode": "lines", "line": {"color": "var(--series-1)", "width": 2, "shape": "linear"}}
    hover = {"hovertemplate": "%{x:.1%} answered<br>%{y:.1%} of it right<extra></extra>"}
    points = {"x": [float(shares[place]) for place in places], "y": [float(accuracies[place]) for place in places]}
    traces: list[dict[str, Any]] = [line | hover | points | {"name": "accuracy"}]
    if wanted is not None:
        look = {"line": {"color": "var(--faint)", "width": 1, "dash": "dash"}, "hoverinfo": "skip"}
        traces.append(line | look | {"x": [0, 1], "y": [wanted, wanted], "name": "asked for"})
    if chosen is not None:
        marker = {
            "color": "var(--series-2)",
            "size": 12,
            "symbol": "diamond",
            "line": {"color": "var(--card)", "width": 2},
        }
        place = {"x": [chosen[0]], "y": [chosen[1]], "name": "what is answered", "mode": "markers", "marker": marker}
        traces.append({"type": "scatter"} | hover | place)
    words = f"all of them: {show_percent(float(accuracies[-1]))} right"
    if chosen:
        words += f"; of the {show_percent(chosen[0])} that are answered {show_percent(chosen[1])}"
    layout = {
        "showlegend": len(traces) > 1,
        "legend": LEGEND,
        "xaxis": axis("share answered", range=[0, 1.04]) | SHARES,
        "yaxis": axis("right", range=[low - edge, 1 + edge / 3])
        | SHARES
        | {"tickformat": ".0%" if low < 0.9 else ".1%"},
    }
    return draw(traces, words, 330, **layout)
