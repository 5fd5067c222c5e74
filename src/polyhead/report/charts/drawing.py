"""What all charts have in common: lines, marks, bars and cells between two axes, as SVG within HTML.

Across, places are percentages, so that a chart is as wide as its card while its text keeps its size: without a script,
on any screen and on paper. Colours are the page's CSS properties, such as `var(--ink)`, for light, dark and print.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from polyhead.report.charts.axes import Axis

LETTER = 6.6  # pixels, about, of a letter of a tick
CHUNK = 50  # dots in one path: a path does not darken where it crosses itself
DASHES = {"solid": "", "dash": "6 4", "dot": "2 3", "dashdot": "7 3 2 3"}
SHAPES = {
    "diamond": "M0-1.3L1.3 0L0 1.3L-1.3 0Z",
    "square": "M-.9-.9H.9V.9H-.9Z",
    "cross": "M-.4-1.2H.4V-.4H1.2V.4H.4V1.2H-.4V.4H-1.2V-.4H-.4Z",
    "x": "M-1-.6L-.6-1L0-.4L.6-1L1-.6L.4 0L1 .6L.6 1L0 .4L-.6 1L-1 .6L-.4 0Z",
    "triangle": "M0-1.2L1.1 .8H-1.1Z",
    "star": "M0-1.3L.35-.4L1.3-.4L.55 .2L.85 1.1L0 .55L-.85 1.1L-.55 .2L-1.3-.4L-.35-.4Z",
}


@dataclass(frozen=True)
class Drawing:
    """A chart as HTML, in which all texts are escaped, and `words` that describe it for those who cannot see it."""

    html: str
    words: str
    min_width: int = 0

    def at_least(self, width: int) -> Self:
        """The same, in a box that scrolls if the page is narrower than `width` pixels."""
        return replace(self, min_width=width)


@dataclass(frozen=True)
class Style:
    """How a line and its marks look; `radius` is that of a mark, in pixels; 0: none."""

    colour: str
    dash: str = "solid"
    symbol: str = "circle"
    width: float = 2
    radius: float = 2.5
    hollow: bool = False


def tag(name: str, *inside: str, **attributes: str | float) -> str:
    """An element; `inside` is HTML, and values of attributes, whose `_` stands for `-`, are escaped."""
    pairs = "".join(f' {key.strip("_").replace("_", "-")}="{_show(value)}"' for key, value in attributes.items())
    return f"<{name}{pairs}>{''.join(inside)}</{name}>"


def title(text: str) -> str:
    """What is told when the pointer rests on an element."""
    return tag("title", html.escape(text)) if text else ""


def _show(value: str | float) -> str:
    return html.escape(value) if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def draw_mark(style: Style, radius: float) -> str:
    """A mark around (0, 0)."""
    looks: dict[str, str | float] = {"fill": "none" if style.hollow else style.colour}
    if style.hollow:
        looks |= {"stroke": style.colour, "stroke_width": 2}
    if style.symbol == "circle":
        return tag("circle", r=radius, **looks)
    looks |= {"vector_effect": "non-scaling-stroke"} if style.hollow else {}
    return tag("path", d=SHAPES[style.symbol], transform=f"scale({radius:.2f})", **looks)


class Plot:
    """A chart of two axes, to which lines, marks, bars and texts are added; `finish` makes it a drawing."""

    def __init__(self, across: Axis, upwards: Axis, height: int, *, slanted: bool = False) -> None:
        """`height` is that of the area between the axes, in pixels; `slanted`: the texts of the ticks below."""
        self._across, self._upwards, self._height, self._slanted = across, upwards, height, slanted
        self._parts: list[str] = []
        self._key: list[str] = []

    def line(self, xs: Sequence[float], ys: Sequence[float | None], style: Style) -> None:
        """A line from point to point, which is broken where a number is missing."""
        path, drawing = [], False
        for x, y in zip(xs, ys, strict=True):
            known = y is not None and math.isfinite(y)
            if y is not None and known:
                path.append(f"{'L' if drawing else 'M'}{1000 * self._across.place(x):.1f} {self._y(y):.1f}")
            drawing = known
        looks: dict[str, str | float] = {"stroke": style.colour, "stroke_width": style.width, "fill": "none"}
        if DASHES[style.dash]:
            looks["stroke_dasharray"] = DASHES[style.dash]
        self._stretch(tag("path", d="".join(path), vector_effect="non-scaling-stroke", **looks))

    def dots(self, xs: Sequence[float], ys: Sequence[float], colour: str) -> None:
        """Many small dots, the darker the more there are in a place."""
        steps = [f"M{1000 * self._across.place(x):.0f} {self._y(y):.0f}h0" for x, y in zip(xs, ys, strict=True)]
        looks: dict[str, str | float] = {"stroke": colour, "stroke_width": 5, "stroke_linecap": "round", "opacity": 0.4}
        for start in range(0, len(steps), CHUNK):
            path = "".join(steps[start : start + CHUNK])
            self._stretch(tag("path", d=path, vector_effect="non-scaling-stroke", **looks))

    def mark(self, x: float, y: float, style: Style, told: str = "") -> None:
        """A mark, with what is told of it."""
        place: dict[str, str | float] = {"x": self._x(x), "y": self._y(y)}
        self._parts.append(tag("svg", draw_mark(style, style.radius), title(told), **place))

    def box(
        self,
        across: tuple[float, float],
        upwards: tuple[float, float],
        told: str = "",
        **looks: str | float,
    ) -> None:
        """A bar or a cell between two numbers of each axis; `looks` are attributes of SVG, such as `fill`."""
        (left, right), (high, low) = sorted(map(self._across.place, across)), sorted(map(self._y, upwards))
        size: dict[str, str | float] = {"width": f"{100 * (right - left):.2f}%", "height": max(low - high, 0)}
        self._parts.append(tag("rect", title(told), x=f"{100 * left:.2f}%", y=high, **size, **looks))

    def text(self, x: float, y: float, words: str, **looks: str | float) -> None:
        """A text at a place, in the middle of it unless `looks`, attributes of SVG, say otherwise."""
        place: dict[str, str | float] = {"x": self._x(x), "y": self._y(y), "text_anchor": "middle"}
        self._parts.append(tag("text", html.escape(words), **(place | looks)))

    def explain(self, name: str, style: Style, *, line: bool) -> None:
        """Add a name to the key above the chart."""
        looks: dict[str, str | float] = {"stroke": style.colour, "stroke_width": style.width}
        if DASHES[style.dash]:
            looks["stroke_dasharray"] = DASHES[style.dash]
        stroke = tag("line", x1=0, x2=26, y1=6, y2=6, **looks) if line else ""
        mark = tag("svg", draw_mark(style, max(style.radius, 3.5)), x=13, y=6) if style.radius else ""
        sample = tag("svg", stroke, mark, width=26, height=12)
        self._key.append(tag("span", sample, html.escape(name)))

    def finish(self, words: str) -> Drawing:
        """The drawing; `words` describe it."""
        ticks = [text for _, text in self._upwards.ticks]
        left = 12 + LETTER * max(map(len, ticks), default=0) + (20 if self._upwards.title else 0)
        longest = max((len(text) for _, text in self._across.ticks), default=0)
        tall = (16 + 0.72 * LETTER * longest if self._slanted else 22) if longest else 6
        below = tall + (20 if self._across.title else 0)
        parts = [*self._draw_grid(), *self._parts, *self._draw_titles(left, tall)]
        area = tag("svg", *parts, width="100%", height=self._height)
        key = tag("div", *self._key, class_="key") if self._key else ""
        box = tag("div", area, class_="plot", style=f"padding: 18px 12px {below:.0f}px {left:.0f}px")
        return Drawing(key + box, words)

    def _draw_grid(self) -> list[str]:
        small: dict[str, str | float] = {"font_size": 10} if len(self._upwards.ticks) > 24 else {}
        parts = []
        for number, text in self._upwards.ticks:
            y = self._y(number)
            if self._upwards.grid:
                parts.append(tag("line", x1="0", x2="100%", y1=y, y2=y, class_="grid"))
            parts.append(tag("text", html.escape(text), x=-8, y=y, dy="0.34em", text_anchor="end", **small))
        small = {"font_size": 10} if len(self._across.ticks) > 24 else {}
        for number, text in self._across.ticks:
            if self._across.grid:
                x = self._x(number)
                parts.append(tag("line", x1=x, x2=x, y1=0, y2=self._height, class_="grid"))
            turned: dict[str, str | float] = {"text_anchor": "middle", "y": 17}
            if self._slanted:
                turned = {"text_anchor": "end", "transform": "translate(4 12) rotate(-45)"}
            inside = tag("text", html.escape(text), **turned, **small)
            parts.append(tag("svg", inside, x=self._x(number), y=self._height))
        return parts

    def _draw_titles(self, left: float, tall: float) -> list[str]:
        parts = []
        if self._across.title:
            place: dict[str, str | float] = {"x": "50%", "y": self._height + tall + 13, "text_anchor": "middle"}
            parts.append(tag("text", html.escape(self._across.title), class_="axis", **place))
        if self._upwards.title:
            turn = f"translate({12 - left:.0f} {self._height / 2:.0f}) rotate(-90)"
            words = html.escape(self._upwards.title)
            parts.append(tag("text", words, class_="axis", transform=turn, text_anchor="middle"))
        return parts

    def _stretch(self, inside: str) -> None:
        """Add what is drawn between 0 and 1000 across, as far as the chart is wide."""
        view = f"0 0 1000 {self._height}"
        size: dict[str, str | float] = {"width": "100%", "height": self._height}
        self._parts.append(tag("svg", inside, viewBox=view, preserveAspectRatio="none", **size))

    def _x(self, number: float) -> str:
        return f"{100 * self._across.place(number):.2f}%"

    def _y(self, number: float) -> float:
        return self._height * (1 - self._upwards.place(number))
