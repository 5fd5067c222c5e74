"""The chart that compares trials: silhouette or Davies-Bouldin index against the number of groups."""

from collections.abc import Sequence
from typing import Any

from polyhead.clustering.choice import Choice, Trial
from polyhead.clustering.methods import METHODS
from polyhead.report.charts.drawing import CLEAR, Drawing, axis, draw
from polyhead.report.words import show_number

STYLES = list(zip(METHODS, ("solid", "dash", "dot", "dashdot", "solid", "solid", "solid"), strict=True))
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "x", "cross", "star")


def draw_comparison(choice: Choice, metric: str, title: str) -> Drawing:
    """A line for each method that takes a number of groups, a point for each other; a ring around the chosen trial.

    Args:
        choice: of two trials or more.
        metric: `silhouette` or `davies_bouldin`.
        title: the metric's name.
    """
    traces, words = [], []
    asked = [found.k for found in choice.tries if found.k is not None]
    for index, (method, dash) in enumerate(STYLES):
        tries = [found for found in choice.tries if found.method == method and getattr(found, metric) is not None]
        shown = [found for found in tries if not asked or found.groups <= max(asked) + 5]
        if shown:
            style = (f"var(--series-{index + 1})", dash, SYMBOLS[index])
            traces.append(_draw_tries(method, shown, metric, style))
            best = (max if metric == "silhouette" else min)(getattr(found, metric) for found in shown)
            words.append(f"{method} {show_number(best)} (best)")
    ring = {"color": CLEAR, "size": 17, "line": {"color": "var(--ink)", "width": 2}}
    chosen = {"x": [choice.best.groups], "y": [getattr(choice.best, metric)], "hoverinfo": "skip", "name": "chosen"}
    traces.append({"type": "scatter", "mode": "markers", "marker": ring} | chosen)
    layout = {
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "bgcolor": CLEAR},
        "xaxis": axis("groups", showgrid=False, tickformat="d", nticks=12),
        "yaxis": axis(title),
    }
    return draw(traces, ", ".join(words), 340, **layout)


def _draw_tries(method: str, tries: Sequence[Trial], metric: str, style: tuple[str, str, str]) -> dict[str, Any]:
    colour, dash, symbol = style
    return {
        "type": "scatter",
        "mode": "lines+markers" if METHODS[method].takes_k else "markers",
        "name": method,
        "x": [found.groups for found in tries],
        "y": [getattr(found, metric) for found in tries],
        "line": {"color": colour, "width": 2, "dash": dash},
        "marker": {"color": colour, "size": 5 if METHODS[method].takes_k else 10, "symbol": symbol},
        "text": [f"{100 * found.noise:.0f} % noise" if found.noise else "" for found in tries],
        "hovertemplate": f"{method}, %{{x}} groups<br>%{{y:.3f}}<br>%{{text}}<extra></extra>",
    }
