"""The curve of a metric over the number of training images."""

from collections.abc import Mapping, Sequence
from typing import Any

from polyhead.report.charts.axes import Axis, limits, number_axis, percent_axis
from polyhead.report.charts.drawing import Drawing, Plot, Style
from polyhead.report.words import METRICS, PERCENTAGES, show_count, show_metric

HEIGHT = 190


def draw_learning(points: Sequence[Mapping[str, Any]], metric: str, unit: str) -> Drawing:
    """A line over shares of the training images, each twice the one before; bars are 95 % intervals, rings its parts.

    Args:
        points: as `evaluation.learning_curve` gives them.
        metric: to show, `accuracy` or `mae`.
        unit: of an error.
    """
    values = [point[metric] for point in points]
    intervals = [point["intervals"].get(metric) or [value, value] for point, value in zip(points, values, strict=True)]
    parts = [part for point in points for part in point["parts"]]
    low, high = limits([*values, *parts, *(end for interval in intervals for end in interval)])
    ticks = [(float(index), show_count(point["images"])) for index, point in enumerate(points)]
    across = Axis(-0.4, len(points) - 0.6, ticks, "training images, each time twice as many")
    upwards = percent_axis if metric in PERCENTAGES else number_axis
    plot = Plot(across, upwards(low, high, "", grid=True), HEIGHT)
    style, ring = Style("var(--series-1)", radius=3.5), Style("var(--ink)", radius=2.5, hollow=True)
    for index, (low_end, high_end) in enumerate(intervals):
        sides = (index - 0.07, index + 0.07)
        plot.box(sides, (low_end, high_end), fill="var(--series-1)", fill_opacity=0.25, rx=2)
    plot.line(list(range(len(points))), values, style)
    told = []
    for index, point in enumerate(points):
        for part in point["parts"] if len(point["parts"]) > 1 else ():
            plot.mark(index, part, ring)
        plot.mark(index, values[index], style)
        ends = " to ".join(show_metric(metric, {metric: end}, unit) for end in intervals[index])
        told.append(f"{show_count(point['images'])} images: {show_metric(metric, point, unit)} ({ends})")
        plot.box((index - 0.45, index + 0.45), (low, high), told[-1], class_="band")
    plot.explain(f"{METRICS[metric]}, with its 95 % interval", style, line=True)
    plot.explain("each part of the images", ring, line=False)
    return plot.finish("; ".join(told))
