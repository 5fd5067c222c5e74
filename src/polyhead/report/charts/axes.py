"""Axes of charts: from numbers or labels to places between 0 and 1, with ticks at round numbers."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from polyhead.report.words import MINUS


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`, which may be the smaller one; ticks are numbers and what is written at them."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]] = ()
    title: str = ""
    grid: bool = False
    log: bool = False

    def place(self, number: float) -> float:
        """Where a number lies: 0 at the axis's start, 1 at its end."""
        low, high, at = (math.log10(value) if self.log else value for value in (self.low, self.high, number))
        return (at - low) / (high - low)


@dataclass(frozen=True)
class Ticks:
    """How many ticks there should be, about; whether at whole numbers alone; and how they are written."""

    count: int = 5
    whole: bool = False
    show: Callable[[float], str] | None = None


def number_axis(low: float, high: float, title: str = "", *, grid: bool = False, ticks: Ticks | None = None) -> Axis:
    """An axis with ticks at 1, 2 or 5 times a power of ten."""
    ticks = ticks or Ticks()
    if not high > low:
        high = low + 1
    rough = (high - low) / ticks.count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= rough * 0.999)
    if ticks.whole:
        step = max(1.0, step)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    numbers = [index * step for index in range(first, last + 1)]
    show = ticks.show or (lambda number: f"{number:z,.{digits}f}".replace("-", MINUS))
    return Axis(low, high, [(number, show(number)) for number in numbers], title, grid)


def percent_axis(low: float, high: float, title: str, *, grid: bool = False) -> Axis:
    """An axis of fractions, 0 to 1, written as percentages."""
    digits = 0 if high - low > 0.1 else 1
    ticks = Ticks(show=lambda fraction: f"{100 * fraction:z.{digits}f} %")
    found = number_axis(low, high, title, grid=grid, ticks=ticks)
    return Axis(low, found.high, [tick for tick in found.ticks if tick[0] <= 1 + 1e-9], title, grid)


def log_axis(low: float, high: float, title: str) -> Axis:
    """An axis of numbers above 0 by their logarithm, with ticks at powers of ten."""
    powers = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    ticks = [(10.0**power, f"{10.0**power:.0e}".replace("e-0", "e-")) for power in powers]
    return Axis(low / 1.3, high * 1.3, ticks or [(low, f"{low:.1e}"), (high, f"{high:.1e}")], title, log=True)


def label_axis(labels: Sequence[str], title: str = "", *, downwards: bool = False) -> Axis:
    """An axis with a tick for each label, at 0, 1, 2 and so on."""
    ends = (-0.5, len(labels) - 0.5)
    low, high = reversed(ends) if downwards else ends
    return Axis(low, high, [(index, shorten(label)) for index, label in enumerate(labels)], title)


def limits(numbers: Iterable[float | None], room: float = 0.06) -> tuple[float, float]:
    """The least and the largest number, with some room on both sides."""
    known = [number for number in numbers if number is not None and math.isfinite(number)] or [0.0]
    low, high = min(known), max(known)
    edge = room * (high - low) or 0.05 * abs(high) or 0.5
    return low - edge, high + edge


def shorten(text: str, length: int = 22) -> str:
    """A label, cut to `length`."""
    return text if len(text) <= length else text[: length - 1] + "…"
