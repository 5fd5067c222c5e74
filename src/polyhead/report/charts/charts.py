"""Charts from plain numbers.

The palette is Okabe and Ito's (https://jfly.uni-koeln.de/color/, 2008), which can be told apart with any kind of colour
vision; lines of one chart differ in more than colour.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyhead.report.charts.axes import Axis, Ticks, label_axis, limits, number_axis, shorten
from polyhead.report.charts.drawing import Drawing, Plot, Style, tag, title
from polyhead.report.words import show_count, show_number, show_percent
from polyhead.tasks import Array
from polyhead.tasks.metrics import Numbers

SLICES = 7  # slices of a donut, each of its own colour
SHADES = 8  # of the colour ramp for ordered labels
DASHES, SYMBOLS = ("solid", "dash", "dot"), ("circle", "diamond", "square", "cross", "x")
MARKED = 30  # epochs of a line with a mark at each, at most
BANDS = 60  # places of a line that tell their numbers, at most
BINS = 20
CLASSES = 50  # of a confusion matrix, at most
POINTS = 2000  # of a scatter plot, at most
# Labels that are names of colours are drawn in them: a green slice called red would be misread.
NAMED_COLOURS = {
    **{"black": "#33373d", "white": "#e9ebee", "gray": "#8f969e", "grey": "#8f969e", "silver": "#b9c0c7"},
    **{"red": "#c8372d", "orange": "#e8822e", "yellow": "#ecc93c", "green": "#3c9a52", "blue": "#2f6fbd"},
    **{"purple": "#7f4fa8", "violet": "#7f4fa8", "pink": "#e58fb4", "brown": "#83573a", "beige": "#d9c7a5"},
}


@dataclass(frozen=True)
class Slice:
    """A slice of a donut: label, number of rows, fraction of all rows, and CSS colour, as in the legend."""

    label: str
    rows: int
    fraction: float
    colour: str


def cut_slices(counts: Mapping[str, int], in_order: bool) -> list[Slice]:
    """The slices of a donut; in shades of one colour if the labels are ordered.

    Args:
        counts: rows of each label, in the order to show them; at most SLICES labels, unless they are ordered.
        in_order: whether the labels are ordered.
    """
    labels, total = list(counts), sum(counts.values())
    if in_order:
        colours = [f"var(--shade-{index * SHADES // len(labels) + 1})" for index in range(len(labels))]
    else:
        colours = [f"var(--series-{index + 1})" for index in range(len(labels))]
        if all(label.lower() in NAMED_COLOURS for label in labels):
            colours = [NAMED_COLOURS[label.lower()] for label in labels]
    return [Slice(label, counts[label], counts[label] / total, c) for label, c in zip(labels, colours, strict=True)]


def draw_donut(slices: Sequence[Slice], middle: str) -> Drawing:
    """A donut with a text in the middle; the page shows the legend beside it."""
    parts, start = [], 0.0
    for part in slices:
        told = title(f"{part.label}: {show_count(part.rows)} images, {show_percent(part.fraction)}")
        looks: dict[str, str | float] = {"stroke": part.colour, "stroke_width": 34, "fill": "none"}
        if part.fraction > 0.999:  # an arc from a point to itself would not be seen
            parts.append(tag("circle", told, cx=100, cy=100, r=80, **looks))
        elif part.rows:
            gap = min(0.003, part.fraction / 6)
            parts.append(tag("path", told, d=_draw_arc(start + gap, start + part.fraction - gap), **looks))
        start += part.fraction
    text = tag("text", middle, x=100, y=100, dy="0.34em", text_anchor="middle", class_="middle")
    words = ", ".join(f"{part.label} {show_percent(part.fraction)}" for part in slices)
    return Drawing(tag("svg", *parts, text, viewBox="0 0 200 200", class_="donut"), words)


def _draw_arc(start: float, end: float) -> str:
    """An arc of a circle around (100, 100), from and to fractions of it, clockwise from its top."""
    ends = [(100 + 80 * math.sin(math.tau * at), 100 - 80 * math.cos(math.tau * at)) for at in (start, end)]
    (x, y), (to_x, to_y) = ends
    return f"M{x:.2f} {y:.2f}A80 80 0 {int(end - start > 0.5)} 1 {to_x:.2f} {to_y:.2f}"


def draw_histogram(numbers: Array, unit: str) -> Drawing:
    """A histogram of numbers in 20 bins of equal width, or fewer for few different whole numbers."""
    low, high = float(numbers.min()), float(numbers.max())
    whole = bool(np.all(numbers == np.round(numbers)))
    if whole:
        # Every bin holds equally many whole numbers, or the bars would jump up and down.
        width = int((high - low) // BINS) + 1
        edges = np.arange(low - 0.5, high + 0.5 + width, width)
    else:
        edges = np.linspace(low, high, BINS + 1)
    rows, edges = np.histogram(numbers, edges)
    starts, ends = edges[:-1] + 0.5 * whole, edges[1:] - 0.5 * whole
    names = [
        show_number(start, unit) if start == end else f"{show_number(start)} to {show_number(end, unit)}"
        for start, end in zip(starts, ends, strict=True)
    ]
    across = number_axis(float(edges[0]), float(edges[-1]), unit, ticks=Ticks(whole=whole))
    plot = Plot(across, number_axis(0, 1.05 * float(rows.max()), "images", grid=True, ticks=Ticks(whole=True)), 180)
    for left, right, count, name in zip(edges, edges[1:], rows, names, strict=False):
        room = 0.04 * float(right - left)
        sides = (float(left) + room, float(right) - room)
        plot.box(sides, (0, float(count)), f"{name}: {show_count(count)} images", fill="var(--series-1)", rx=2)
    middle = show_number(float(np.median(numbers)), unit)
    return plot.finish(f"numbers from {show_number(low)} to {show_number(high, unit)}, median {middle}")


def draw_fractions(fractions: Mapping[str, float]) -> Drawing:
    """A horizontal bar for each label's fraction of the rows, 0 to 1."""
    across = Axis(0, 1.2 * max(fractions.values()) or 1)
    step = 26 if len(fractions) <= 12 else 20
    plot = Plot(across, label_axis(list(fractions), downwards=True), step * len(fractions))
    texts = [show_percent(fraction) for fraction in fractions.values()]
    for index, (label, text) in enumerate(zip(fractions, texts, strict=True)):
        place = (index - 0.34, index + 0.34)
        plot.box((0, fractions[label]), place, f"{label}: {text}", fill="var(--series-1)", rx=2)
        plot.text(fractions[label], index, text, text_anchor="start", dx=6, dy="0.34em")
    return plot.finish(", ".join(f"{label} {text}" for label, text in zip(fractions, texts, strict=True)))


@dataclass(frozen=True)
class Curve:
    """A metric by epoch, in training and validation; None where it was not measured."""

    epochs: Sequence[int]
    train: Sequence[float | None]
    valid: Sequence[float | None] | None
    kept_epoch: int | None = None


def draw_curve(curve: Curve) -> Drawing:
    """Training and validation by epoch; a dotted line at the epoch whose weights were kept."""
    lines = {"train": (curve.train, Style("var(--series-1)"))}
    if curve.valid is not None:
        lines["valid"] = (curve.valid, Style("var(--series-2)", "dash", "diamond"))
    return _draw_lines(lines, curve.epochs, curve.kept_epoch)


def draw_lines(epochs: Sequence[int], series: Mapping[str, Sequence[float]], kept_epoch: int | None) -> Drawing:
    """Several series by epoch: a line for each."""
    styles = [
        Style(f"var(--series-{index % SLICES + 1})", DASHES[index // SLICES % len(DASHES)], SYMBOLS[index % 5])
        for index in range(len(series))
    ]
    lines = {name: (values, style) for (name, values), style in zip(series.items(), styles, strict=True)}
    return _draw_lines(lines, epochs, kept_epoch)


Lines = Mapping[str, tuple[Sequence[float | None], Style]]


def _draw_lines(lines: Lines, epochs: Sequence[int], kept_epoch: int | None) -> Drawing:
    low, high = limits(value for values, _ in lines.values() for value in values)
    edge = 0.03 * (max(epochs) - min(epochs)) or 0.5
    whole = Ticks(min(8, len(epochs)), whole=True)
    across = number_axis(min(epochs) - edge, max(epochs) + edge, "epoch", ticks=whole)
    plot = Plot(across, number_axis(low, high, grid=True), 190)
    if kept_epoch is not None:
        plot.line([kept_epoch, kept_epoch], [low, high], Style("var(--faint)", "dot", width=1))
        plot.text(kept_epoch, high, "kept", dy=-5, class_="axis")
    for name, (values, style) in lines.items():
        plot.line(epochs, values, style)
        for epoch, value in zip(epochs, values, strict=True):
            if value is not None and len(epochs) <= MARKED:
                plot.mark(epoch, value, style)
        if len(lines) > 1:
            plot.explain(shorten(name, 60), style, line=True)
    _tell_epochs(plot, lines, epochs, (low, high))
    ends = [f"{name} {show_number(values[-1])}" for name, (values, _) in lines.items()]
    return plot.finish(f"after the last epoch: {', '.join(ends)}")


def _tell_epochs(plot: Plot, lines: Lines, epochs: Sequence[int], ends: tuple[float, float]) -> None:
    """Over each epoch, or each few, a band that tells the numbers of all lines."""
    step = -(-len(epochs) // BANDS)
    for index in range(0, len(epochs), step):
        numbers = [f"{name} {show_number(values[index])}" for name, (values, _) in lines.items()]
        sides = (epochs[index] - 0.45 * step, epochs[index] + 0.45 * step)
        plot.box(sides, ends, f"epoch {epochs[index]}: {', '.join(numbers)}", class_="band")


def draw_confusion(labels: Sequence[str], matrix: NDArray[np.integer]) -> Drawing:
    """A confusion matrix. Rows: true labels; columns: answers; colour: the fraction of the row.

    Args:
        labels: k classes; of more than 50, those with the most images are shown.
        matrix: (k, k) counts of images.
    """
    rows = matrix.sum(axis=1)
    shown = np.sort(np.argsort(-rows, kind="stable")[:CLASSES])
    labels = [labels[int(index)] for index in shown]
    matrix, rows = matrix[np.ix_(shown, shown)], rows[shown]
    size, roomy = len(labels), len(labels) <= 16
    longest = max(map(len, map(shorten, labels)))
    height = max(220, size * (46 if size <= 8 else 32 if roomy else 18))
    slanted = 7 * longest > 300 / size
    plot = Plot(label_axis(labels, "predicted"), label_axis(labels, "true", downwards=True), height, slanted=slanted)
    plot.box((-0.5, size - 0.5), (-0.5, size - 0.5), fill="var(--heat-0)")
    for true, answer in np.argwhere(matrix).tolist():
        # Steps of a tenth, none of them so near the middle that neither light nor dark digits could be read on it.
        fraction = matrix[true, answer] / rows[true]
        depth = {6: 0.6, 7: 0.62}.get(round(10 * fraction), round(10 * fraction) / 10) or 0.04
        told = f"true: {labels[true]}, predicted: {labels[answer]}; {show_count(matrix[true, answer])} of "
        told += f"{show_count(rows[true])} images ({show_percent(fraction)})"
        plot.box((answer - 0.5, answer + 0.5), (true - 0.5, true + 0.5), told, fill="var(--heat-2)", fill_opacity=depth)
        if roomy:
            look = "deep" if depth > 0.7 else "cell"
            plot.text(answer, true, show_count(matrix[true, answer]), dy="0.34em", class_=look)
    words = f"{show_count(np.trace(matrix))} of {show_count(rows.sum())} images lie on the diagonal"
    return plot.finish(words).at_least(140 + size * (30 if roomy else 14))


def draw_scatter(truth: Array, answers: Array, unit: str) -> Drawing:
    """True (n,) against predicted (n,) numbers, and the line where both are equal; at most a sample of 2,000."""
    if len(truth) > POINTS:
        rows = np.random.default_rng(0).choice(len(truth), POINTS, replace=False)
        truth, answers = truth[rows], answers[rows]
    ends = limits([float(min(truth.min(), answers.min())), float(max(truth.max(), answers.max()))], 0.03)
    suffix = f" ({unit})" if unit else ""
    plot = Plot(number_axis(*ends, f"true{suffix}"), number_axis(*ends, f"predicted{suffix}", grid=True), 400)
    plot.line(ends, ends, Style("var(--faint)", "dash", width=1))
    plot.dots(truth.tolist(), answers.tolist(), "var(--series-1)")
    return plot.finish(f"{len(truth)} points; they lie on the dashed line where the prediction is right")


def draw_ranges(ranges: Sequence[Numbers], unit: str) -> Drawing:
    """The mean absolute error in each range of the label, from `metrics.measure_ranges`."""
    errors = [row["mae"] for row in ranges]
    texts = [show_number(error) if row["n"] else "" for row, error in zip(ranges, errors, strict=True)]
    names = [f"{row['range']} ({show_count(row['n'])})" for row in ranges]
    high = 1.15 * max((error for error in errors if error is not None), default=0) or 1.0
    upwards = number_axis(0, high, f"MAE ({unit})" if unit else "MAE", grid=True)
    plot = Plot(label_axis(names), upwards, 210, slanted=7 * max(map(len, names)) > 420 / len(names))
    for index, (error, text, name) in enumerate(zip(errors, texts, names, strict=True)):
        if error is not None and text:
            plot.box((index - 0.34, index + 0.34), (0, error), f"{name}: MAE {text}", fill="var(--series-1)", rx=2)
            plot.text(index, error, text, dy=-5)
    words = ", ".join(f"{row['range']} {text or 'no images'}" for row, text in zip(ranges, texts, strict=True))
    return plot.finish(words)
