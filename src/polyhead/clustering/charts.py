"""The chart that compares groupings: silhouette and Davies-Bouldin index against the number of groups."""

from collections.abc import Sequence
from typing import Any

from polyhead.clustering.choice import Choice, Try
from polyhead.clustering.methods import METHODS
from polyhead.report.charts.drawing import CLEAR, Drawing, axis, draw
from polyhead.report.words import show_number

LOOKS = list(zip(METHODS, ("solid", "dash", "dot", "dashdot", "solid", "solid", "solid"), strict=True))
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "x", "cross", "star")


def draw_comparison(choice: Choice, figure: str, title: str) -> Drawing:
    """A line a method that takes a number of groups, a point a method that finds its own; a ring about the chosen one.

    Args:
        choice: two tries or more.
        figure: `silhouette` or `davies_bouldin`.
        title: the figure's name.
    """
    traces, words = [], []
    asked = [found.k for found in choice.tries if found.k is not None]
    for place, (method, dash) in enumerate(LOOKS):
        tries = [found for found in choice.tries if found.method == method and getattr(found, figure) is not None]
        shown = [found for found in tries if not asked or found.groups <= max(asked) + 5]
        if shown:
            look = (f"var(--series-{place + 1})", dash, SYMBOLS[place])
            traces.append(_draw_tries(method, shown, figure, look))
            best = (max if figure == "silhouette" else min)(getattr(found, figure) for found in shown)
            words.append(f"{method} {show_number(best)} at best")
    ring = {"color": CLEAR, "size": 17, "line": {"color": "var(--ink)", "width": 2}}
    chosen = {"x": [choice.best.groups], "y": [getattr(choice.best, figure)], "hoverinfo": "skip", "name": "chosen"}
    traces.append({"type": "scatter", "mode": "markers", "marker": ring} | chosen)
    layout = {
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "bgcolor": CLEAR},
        "xaxis": axis("groups", showgrid=False, tickformat="d", nticks=12),
        "yaxis": axis(title),
    }
    return draw(traces, ", ".join(words), 340, **layout)


def _draw_tries(method: str, tries: Sequence[Try], figure: str, look: tuple[str, str, str]) -> dict[str, Any]:
    colour, dash, symbol = look
    return {
        "type": "scatter",
        "mode": "lines+markers" if METHODS[method].counts else "markers",
        "name": method,
        "x": [found.groups for found in tries],
        "y": [getattr(found, figure) for found in tries],
        "line": {"color": colour, "width": 2, "dash": dash},
        "marker": {"color": colour, "size": 5 if METHODS[method].counts else 10, "symbol": symbol},
        "text": [f"{100 * found.noise:.0f} % noise" if found.noise else "" for found in tries],
        "hovertemplate": f"{method}, %{{x}} groups<br>%{{y:.3f}}<br>%{{text}}<extra></extra>",
    }
