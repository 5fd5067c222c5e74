"""The chart that compares trials: silhouette or Davies-Bouldin index against the number of groups."""

from polyhead.clustering.choice import Choice, Trial
from polyhead.clustering.methods import METHODS
from polyhead.report.charts.axes import Ticks, limits, number_axis
from polyhead.report.charts.drawing import Drawing, Plot, Style
from polyhead.report.words import show_number

DASHES = ("solid", "dash", "dot", "dashdot", "solid", "solid", "solid")
SYMBOLS = ("circle", "diamond", "square", "triangle", "x", "cross", "star")
RING = Style("var(--ink)", radius=8.5, hollow=True)


def draw_comparison(choice: Choice, metric: str, title: str) -> Drawing:
    """A line for each method that takes a number of groups, a point for each other; a ring around the chosen trial.

    Args:
        choice: of two trials or more.
        metric: `silhouette` or `davies_bouldin`.
        title: the metric's name.
    """
    asked = [found.k for found in choice.tries if found.k is not None]
    known = [found for found in choice.tries if getattr(found, metric) is not None]
    shown = [found for found in known if not asked or found.groups <= max(asked) + 5 or found is choice.best]
    low, high = limits(found.groups for found in [*shown, choice.best])
    across = number_axis(low, high, "groups", ticks=Ticks(10, whole=True))
    numbers = limits(getattr(found, metric) for found in [*shown, choice.best])
    plot, words = Plot(across, number_axis(*numbers, title, grid=True), 250), []
    for index, method in enumerate(METHODS):
        tries = [found for found in shown if found.method == method]
        if tries:
            _draw_tries(plot, tries, metric, index)
            best = (max if metric == "silhouette" else min)(getattr(found, metric) for found in tries)
            words.append(f"{method} {show_number(best)} (best)")
    plot.mark(choice.best.groups, getattr(choice.best, metric), RING)
    plot.explain("chosen", RING, line=False)
    return plot.finish(", ".join(words))


def _draw_tries(plot: Plot, tries: list[Trial], metric: str, index: int) -> None:
    method, in_line = tries[0].method, METHODS[tries[0].method].takes_k
    style = Style(f"var(--series-{index + 1})", DASHES[index], SYMBOLS[index], radius=2.5 if in_line else 5)
    scores = [getattr(found, metric) for found in tries]
    if in_line:
        plot.line([found.groups for found in tries], scores, style)
    for found, score in zip(tries, scores, strict=True):
        noise = f", {100 * found.noise:.0f} % noise" if found.noise else ""
        plot.mark(found.groups, score, style, f"{method}, {found.groups} groups: {score:.3f}{noise}")
    plot.explain(method, style, line=in_line)
