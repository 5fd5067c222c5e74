"""What all charts have in common: from traces to data that a page can draw in light, dark and print.

Colours are names of the page's CSS properties, such as `var(--ink)`; `templates/script.js` puts the colours in.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

CLEAR = "rgba(0,0,0,0)"


@dataclass(frozen=True)
class Drawing:
    """A figure as JSON-ready data, `words` that describe it for those who cannot see it, and its size in pixels."""

    figure: dict[str, Any]
    words: str
    height: int
    min_width: int = 0

    def at_least(self, width: int) -> Self:
        """The same, in a box that scrolls if the page is narrower than `width` pixels."""
        return replace(self, min_width=width)


def draw(traces: Iterable[dict[str, Any]], words: str, height: int, **layout: Any) -> Drawing:
    """The figure of `traces`, checked by Plotly, on a transparent background, without zooming and dragging."""
    import plotly.graph_objects as go

    base = {
        "template": "none",
        "height": height,
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "font": {"color": "var(--soft)", "size": 12},
        "margin": {"l": 8, "r": 8, "t": 18, "b": 8},
        "showlegend": False,
        "dragmode": False,
        "barcornerradius": 3,
        "hoverlabel": {
            "bgcolor": "var(--card)",
            "bordercolor": "var(--line)",
            "font": {"color": "var(--ink)"},
            "align": "left",
        },
    }
    figure = json.loads(go.Figure(list(traces), base | layout).to_json())
    del figure["layout"]["template"]
    return Drawing(figure, words, height)


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """An axis with a light grid and room for its tick labels."""
    lines = {
        "gridcolor": "var(--line)",
        "linecolor": "var(--line)",
        "zeroline": False,
        "ticks": "",
        "exponentformat": "none",
    }
    return lines | {"title": name_axis(title), "fixedrange": True, "automargin": True} | more


def name_axis(title: str) -> dict[str, Any]:
    """An axis's title."""
    return {"text": escape(title), "font": {"color": "var(--faint)", "size": 12}, "standoff": 10}


def axis_of_labels(labels: Sequence[str], **more: Any) -> dict[str, Any]:
    """An axis with a tick for each label, at 0, 1, 2 and so on."""
    font = {"size": 12 if len(labels) <= 24 else 10}
    ticks: dict[str, Any] = {
        "tickmode": "array",
        "tickvals": list(range(len(labels))),
        "ticktext": [escape(name) for name in labels],
    }
    return axis(showgrid=False, tickfont=font, **ticks) | more


def escape(text: str, length: int = 22) -> str:
    """A label as text: cut to `length`, and escaped, since Plotly reads HTML tags and entities."""
    short = text if len(text) <= length else text[: length - 1] + "…"
    return short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
