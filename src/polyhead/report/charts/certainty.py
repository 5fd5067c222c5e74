"""Charts of how far probabilities can be trusted."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from polyhead.report.charts.axes import percent_axis
from polyhead.report.charts.drawing import Drawing, Plot, Style
from polyhead.report.words import show_count, show_percent
from polyhead.tasks import Array
from polyhead.tasks.metrics import Numbers

POINTS = 200  # of a line at most
ENOUGH = 0.05  # coverage: below it accuracy jumps up and down, and does not set the range of the axis
DOTTED, DASHED = Style("var(--faint)", "dot", width=1), Style("var(--faint)", "dash", width=1)


def draw_reliability(before: Sequence[Numbers], after: Sequence[Numbers]) -> Drawing:
    """A reliability diagram: accuracy by probability; the more answers, the larger the point.

    Args:
        before: the bins of `calibration.measure_reliability`, uncalibrated.
        after: the same, calibrated.
    """
    most = max(row["n"] for row in (*before, *after))
    plot = Plot(percent_axis(0, 1.04, "probability"), percent_axis(-0.03, 1.05, "accuracy", grid=True), 240)
    plot.line([0, 1], [0, 1], DOTTED)
    sets = [("calibrated", after, Style("var(--series-1)", radius=4))]
    sets += [("before", before, Style("var(--series-2)", symbol="diamond", radius=4, hollow=True))]
    for name, bins, style in sets if before != after else [("uncalibrated", *sets[0][1:])]:
        plot.explain(name, style, line=False)
        for row in bins:
            if row["n"]:
                told = f"{show_count(row['n'])} answers ({name}): probability {show_percent(row['probability'])}, "
                told += f"accuracy {show_percent(row['accuracy'])}"
                size = replace(style, radius=3 + 5.5 * (row["n"] / most) ** 0.5)
                plot.mark(row["probability"], row["accuracy"], size, told)
    filled = [row for row in after if row["n"]]
    words = ", ".join(f"{show_percent(row['accuracy'])} at {show_percent(row['probability'])}" for row in filled)
    return plot.finish(f"accuracy by probability: {words}")


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
    upwards = percent_axis(low - edge, 1 + edge / 3, "accuracy", grid=True)
    plot, line = Plot(percent_axis(0, 1.04, "coverage"), upwards, 240), Style("var(--series-1)")
    bottom = upwards.low
    points = [(float(coverages[index]), max(float(accuracies[index]), bottom)) for index in indices]
    plot.line([x for x, _ in points], [y for _, y in points], line)
    if target is not None or chosen is not None:
        plot.explain("accuracy", replace(line, radius=0), line=True)
    if target is not None:
        plot.line([0, 1], [target, target], DASHED)
        plot.explain("target", replace(DASHED, radius=0), line=True)
    words = f"all answers: accuracy {show_percent(float(accuracies[-1]))}"
    if chosen is not None:
        answered = f"{show_percent(chosen[0])} answered: accuracy {show_percent(chosen[1])}"
        style = Style("var(--series-2)", symbol="diamond", radius=6)
        plot.mark(*chosen, style, answered)
        plot.explain("answers given", style, line=False)
        words += f"; {answered}"
    return plot.finish(words)
