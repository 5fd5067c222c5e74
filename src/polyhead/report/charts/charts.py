"""Charts from plain numbers.

The palette is Okabe and Ito's (https://jfly.uni-koeln.de/color/, 2008), which can be told apart with any kind of colour
vision; lines of one chart differ in more than colour.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyhead.report.charts.drawing import CLEAR, Drawing, axis, axis_of_labels, draw, escape, name_axis
from polyhead.report.words import show_count, show_number, show_percent
from polyhead.tasks import Array
from polyhead.tasks.metrics import Numbers

SLICES = 7  # slices of a donut, each of its own colour
SHADES = 8  # of the colour ramp for ordered labels
DASHES, SYMBOLS = ("solid", "dash", "dot"), ("circle", "diamond", "square", "cross", "x")
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
    trace = {
        "type": "pie",
        "hole": 0.64,
        "sort": False,
        "direction": "clockwise",
        "labels": [str(index) for index in range(len(slices))],  # Plotly would add up slices with the same name
        "values": [part.rows for part in slices],
        "marker": {"colors": [part.colour for part in slices], "line": {"color": "var(--card)", "width": 2}},
        "textinfo": "none",
        "hovertext": [escape(part.label, 60) for part in slices],
        "hovertemplate": "%{hovertext}<br>%{value:,} images, %{percent}<extra></extra>",
    }
    words = ", ".join(f"{part.label} {show_percent(part.fraction)}" for part in slices)
    note = {"text": middle, "showarrow": False, "font": {"size": 15, "color": "var(--ink)"}}
    return draw([trace], words, 210, annotations=[note], margin={"l": 4, "r": 4, "t": 4, "b": 4})


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
    trace = {
        "type": "bar",
        "x": ((starts + ends) / 2).tolist(),
        "y": rows.tolist(),
        "width": (np.diff(edges) * 0.92).tolist(),
        "marker": {"color": "var(--series-1)"},
        "hovertext": [f"{escape(name, 60)}<br>{show_count(n)} images" for name, n in zip(names, rows, strict=True)],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }
    middle = show_number(float(np.median(numbers)), unit)
    words = f"numbers from {show_number(low)} to {show_number(high, unit)}, median {middle}"
    return draw([trace], words, 250, xaxis=axis(unit, showgrid=False), yaxis=axis("images"))


def draw_fractions(fractions: Mapping[str, float]) -> Drawing:
    """A horizontal bar for each label's fraction of the rows, 0 to 1."""
    texts = [show_percent(fraction) for fraction in fractions.values()]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": list(fractions.values()),
        "y": list(range(len(fractions))),
        "width": 0.68,
        "marker": {"color": "var(--series-1)"},
        "text": texts,
        "textposition": "outside",
        "cliponaxis": False,
        "hovertext": [f"{escape(label, 200)}<br>{text}" for label, text in zip(fractions, texts, strict=True)],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }
    words = ", ".join(f"{label} {text}" for label, text in zip(fractions, texts, strict=True))
    across = axis(showticklabels=False, showgrid=False, range=[0, 1.2 * max(fractions.values()) or 1])
    down = axis_of_labels(list(fractions), autorange="reversed")
    return draw([trace], words, 34 + (26 if len(fractions) <= 12 else 20) * len(fractions), xaxis=across, yaxis=down)


@dataclass(frozen=True)
class Curve:
    """A metric by epoch, in training and validation; None where it was not measured."""

    epochs: Sequence[int]
    train: Sequence[float | None]
    valid: Sequence[float | None] | None
    kept_epoch: int | None = None


def draw_curve(curve: Curve) -> Drawing:
    """Training and validation by epoch; a dotted line at the epoch whose weights were kept."""
    lines = [_line("train", curve.epochs, curve.train, ("var(--series-1)", "solid", "circle"))]
    if curve.valid is not None:
        lines.append(_line("valid", curve.epochs, curve.valid, ("var(--series-2)", "dash", "diamond")))
    return _draw_lines(lines, curve.epochs, curve.kept_epoch)


def draw_lines(epochs: Sequence[int], series: Mapping[str, Sequence[float]], kept_epoch: int | None) -> Drawing:
    """Several series by epoch: a line for each."""
    styles = [
        (f"var(--series-{index % SLICES + 1})", DASHES[index // SLICES % len(DASHES)], SYMBOLS[index % len(SYMBOLS)])
        for index in range(len(series))
    ]
    lines = [_line(name, epochs, values, style) for (name, values), style in zip(series.items(), styles, strict=True)]
    return _draw_lines(lines, epochs, kept_epoch)


def _line(
    name: str, epochs: Sequence[int], values: Sequence[float | None], style: tuple[str, str, str]
) -> dict[str, Any]:
    colour, dash, symbol = style
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(epochs) <= 30 else "lines",
        "name": escape(name, 60),
        "x": list(epochs),
        "y": list(values),
        "line": {"color": colour, "width": 2, "dash": dash},
        "marker": {"size": 5, "symbol": symbol},
        "hovertemplate": "%{y:.4g}",
    }


def _draw_lines(lines: Sequence[dict[str, Any]], epochs: Sequence[int], kept_epoch: int | None) -> Drawing:
    ends = [f"{line['name']} {show_number(line['y'][-1])}" for line in lines]
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "bgcolor": CLEAR}
    across = axis("epoch", showgrid=False, tickformat="d", nticks=min(8, len(epochs) + 1))
    layout = {
        "showlegend": len(lines) > 1,
        "legend": legend,
        "hovermode": "x unified",
        "xaxis": across,
        "yaxis": axis(),
    }
    return draw(lines, f"after the last epoch: {', '.join(ends)}", 260, **layout, **_mark_kept(kept_epoch))


def _mark_kept(epoch: int | None) -> dict[str, Any]:
    if epoch is None:
        return {}
    ends = {"x0": epoch, "x1": epoch, "y0": 0, "y1": 1, "yref": "paper"}
    note = {"x": epoch, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False}
    return {
        "shapes": [{"type": "line", **ends, "line": {"color": "var(--faint)", "width": 1, "dash": "dot"}}],
        "annotations": [note | {"text": "kept", "font": {"color": "var(--faint)", "size": 11}}],
    }


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
    fractions = matrix / np.maximum(rows, 1)[:, None]
    trace = {
        "type": "heatmap",
        "z": fractions.tolist(),
        "zmin": 0,
        "zmax": 1,
        "colorscale": [[0, "var(--heat-0)"], [0.5, "var(--heat-1)"], [1, "var(--heat-2)"]],
        "showscale": False,
        "xgap": 2 if roomy else 1,
        "ygap": 2 if roomy else 1,
        "text": [[show_count(n) if n else "" for n in row] for row in matrix],
        "texttemplate": "%{text}" if roomy else "",
        "hovertext": _tell_cells([escape(label, 60) for label in labels], matrix, rows),
        "hovertemplate": "%{hovertext}<extra></extra>",
    }
    across = axis_of_labels(labels, title=name_axis("predicted"))
    down = axis_of_labels(labels, title=name_axis("true"), autorange="reversed")
    words = f"{show_count(np.trace(matrix))} of {show_count(rows.sum())} images lie on the diagonal"
    height = 110 + max(260, size * (46 if size <= 8 else 32 if roomy else 18))
    return draw([trace], words, height, xaxis=across, yaxis=down).at_least(140 + size * (30 if roomy else 14))


def _tell_cells(names: Sequence[str], matrix: NDArray[np.integer], rows: NDArray[np.integer]) -> list[list[str]]:
    return [
        [
            f"true: {true}<br>predicted: {answer}<br>{show_count(n)} of {show_count(row)} images "
            f"({show_percent(n / max(row, 1))})"
            for answer, n in zip(names, cells, strict=True)
        ]
        for true, cells, row in zip(names, matrix, rows, strict=True)
    ]


def draw_scatter(truth: Array, answers: Array, unit: str) -> Drawing:
    """True (n,) against predicted (n,) numbers, and the line where both are equal; at most a sample of 2,000."""
    if len(truth) > POINTS:
        rows = np.random.default_rng(0).choice(len(truth), POINTS, replace=False)
        truth, answers = truth[rows], answers[rows]
    low, high = float(min(truth.min(), answers.min())), float(max(truth.max(), answers.max()))
    edge = 0.03 * (high - low) or 1
    ends = [low - edge, high + edge]
    points = {
        "type": "scatter",
        "mode": "markers",
        "x": [float(f"{value:.5g}") for value in truth],
        "y": [float(f"{value:.5g}") for value in answers],
        "marker": {"color": "var(--series-1)", "size": 5, "opacity": 0.4},
        "hovertemplate": "true %{x}<br>predicted %{y}<extra></extra>",
    }
    line = {"color": "var(--faint)", "width": 1, "dash": "dash"}
    diagonal = {"type": "scatter", "mode": "lines", "x": ends, "y": ends, "line": line, "hoverinfo": "skip"}
    suffix = f" ({unit})" if unit else ""
    words = f"{len(truth)} points; they lie on the dashed line where the prediction is right"
    layout = {"xaxis": axis(f"true{suffix}", range=ends), "yaxis": axis(f"predicted{suffix}", range=ends)}
    return draw([diagonal, points], words, 470, **layout)


def draw_ranges(ranges: Sequence[Numbers], unit: str) -> Drawing:
    """The mean absolute error in each range of the label, from `metrics.measure_ranges`."""
    errors = [row["mae"] for row in ranges]
    texts = [show_number(error) if row["n"] else "" for row, error in zip(ranges, errors, strict=True)]
    bars = {
        "type": "bar",
        "x": list(range(len(ranges))),
        "y": errors,
        "width": 0.68,
        "marker": {"color": "var(--series-1)"},
        "text": texts,
        "textposition": "outside",
        "cliponaxis": False,
        "hovertext": [f"{escape(row['range'])}<br>{show_count(row['n'])} images" for row in ranges],
        "hovertemplate": "%{hovertext}<br>MAE %{y:.3g}<extra></extra>",
    }
    across = axis_of_labels([row["range"] for row in ranges])
    across["ticktext"] = [f"{escape(row['range'])}<br>n {show_count(row['n'])}" for row in ranges]
    words = ", ".join(f"{row['range']} {text or 'no images'}" for row, text in zip(ranges, texts, strict=True))
    return draw([bars], words, 300, xaxis=across, yaxis=axis(f"MAE ({unit})" if unit else "MAE", rangemode="tozero"))
