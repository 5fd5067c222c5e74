"""The curve of a metric as images get worse."""

from collections.abc import Mapping, Sequence

from polyhead.report.charts.axes import Ticks, limits, number_axis
from polyhead.report.charts.charts import DASHES, SYMBOLS
from polyhead.report.charts.drawing import Drawing, Plot, Style
from polyhead.report.words import show_number

HEIGHT = 210


def draw_worse(
    kinds: Mapping[str, Sequence[float | None]], intervals: Mapping[str, Sequence[Sequence[float] | None]]
) -> Drawing:
    """A line for each way to worsen images, over strength: 0 is the images as they are.

    Args:
        kinds: by name, the metric at strengths 0, 1, 2, ...
        intervals: of these, by the same names; of an older evaluation, none. They are told beside the numbers.
    """
    most = max(map(len, kinds.values())) - 1
    low, high = limits(value for values in kinds.values() for value in values)
    across = number_axis(-0.2, most + 0.2, "strength (0: as they are)", ticks=Ticks(most + 1, whole=True))
    plot = Plot(across, number_axis(low, high, grid=True), HEIGHT)
    for index, (kind, values) in enumerate(kinds.items()):
        style = Style(f"var(--series-{index + 1})", DASHES[index % len(DASHES)], SYMBOLS[index % len(SYMBOLS)])
        plot.line(list(range(len(values))), list(values), style)
        for strength, value in enumerate(values):
            if value is not None:
                plot.mark(strength, value, style)
        plot.explain(kind, style, line=True)
    for strength in range(most + 1):
        numbers = [
            f"{kind} {show_number(values[strength])}{_bracket(intervals.get(kind, ()), strength)}"
            for kind, values in kinds.items()
        ]
        told = f"strength {strength}: {', '.join(numbers)}"
        plot.box((strength - 0.45, strength + 0.45), (low, high), told, class_="band")
    ends = [f"{kind} {show_number(values[-1])}" for kind, values in kinds.items()]
    return plot.finish(f"at the greatest strength: {', '.join(ends)}")


def _bracket(intervals: Sequence[Sequence[float] | None], strength: int) -> str:
    interval = intervals[strength] if strength < len(intervals) else None
    return f" ({show_number(interval[0])} to {show_number(interval[1])})" if interval else ""
