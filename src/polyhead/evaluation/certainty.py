"""The 95 % intervals of how far answers can be trusted: of their calibration error, of what they promise and answer."""

import math
from collections.abc import Sequence

import numpy as np

from polyhead.evaluation.bootstrap import HIGH, Draws, Interval, find_error, find_fraction
from polyhead.evaluation.shares import find_shares
from polyhead.tasks import Array, Numbers, Task
from polyhead.tasks.calibration import BINS

Found = dict[str, Interval | None]


def find_certainty(figures: Numbers, task: Task, texts: Sequence[str], outputs: Array, draws: Draws) -> Found:
    """The intervals of `coverage`, `set_size`, `interval_width`, `answered` and others, as far as it has them.

    Args:
        figures: what `Task.measure` gave of it; `calibration` in it gets `intervals`, too.
        texts: n, blank where unknown, as `Task.regroup` gives them.
        outputs: (n, width).
    """
    found: Found = {}
    decisions = task.decisions(texts, outputs)
    if decisions is not None and "calibration" in figures:
        plain = task.uncalibrated()
        tempered = plain.refitted(temperature=figures["calibration"]["temperature"])
        both = {"ece_before": plain.decisions(texts, outputs), "ece_after": tempered.decisions(texts, outputs)}
        errors = {name: find_calibration_error(*pair, draws) for name, pair in both.items() if pair}
        figures["calibration"]["intervals"] = {name: interval for name, interval in errors.items() if interval}
    if decisions is not None and "answered" in figures:
        found |= _find_answered(figures, task, outputs, decisions[1], draws)
    if "coverage" in figures or "interval_coverage" in figures:
        found |= (_cover_labels if task.several else _cover)(figures, task, texts, outputs, draws)
    return {name: interval for name, interval in found.items() if figures.get(name) is not None}


def find_calibration_error(certainty: Array, right: Array, draws: Draws) -> Interval | None:
    """The interval of the expected calibration error of answers, (n, m) both; None where none is known.

    The error of few answers is above 0 by chance alone. So its interval begins at 0 unless the error is above that of
    97.5 % of draws in which each group's answers are as far off, but to either side at random (a wild bootstrap, as
    Bröcker, Smith 2007, "Increasing the reliability of reliability diagrams", draw answers); and it reaches farther
    down by as much as the error grows in draws of the groups.
    """
    known = ~np.isnan(right)
    if not known.any():
        return None
    bins = np.clip(np.ceil(certainty.astype(float) * BINS).astype(int) - 1, 0, BINS - 1)  # (low, high]
    off = np.zeros((len(right), BINS))
    rows = np.broadcast_to(np.arange(len(right))[:, np.newaxis], right.shape)
    np.add.at(off, (rows[known], bins[known]), (right - certainty)[known])
    count = known.sum(axis=1, keepdims=True)
    value = float(np.abs(off.sum(axis=0)).sum() / count.sum())
    sums = draws.sum(np.column_stack([off, count]))
    drawn = np.abs(sums[:, :-1]).sum(axis=1) / np.maximum(sums[:, -1], 1)
    spread, bias = float(drawn.std()), max(0.0, float(drawn.mean()) - value)
    by_chance = np.abs(draws.flip(off)).sum(axis=1) / count.sum()
    low = value - bias - 1.96 * math.hypot(spread, bias) if value > np.quantile(by_chance, HIGH) else 0.0
    return [max(0.0, low), min(1.0, value + 1.96 * spread)]


def _find_answered(figures: Numbers, task: Task, outputs: Array, right: Array, draws: Draws) -> Found:
    """Of the fraction that is answered, and how much of that is right."""
    sure = np.array([[not answer.unsure] for answer in task.decode(outputs)], bool)
    known = ~np.isnan(right)
    images = np.atleast_2d(known.any(axis=1)).T
    labels = known.sum(axis=1, keepdims=True) * sure
    hits = np.nan_to_num(right).sum(axis=1, keepdims=True) * sure
    (answered,), (accuracy,) = find_shares(sure & images, images, draws), find_shares(hits, labels, draws)
    return {"answered": answered, "answered_accuracy": accuracy}


def _cover(figures: Numbers, task: Task, texts: Sequence[str], outputs: Array, draws: Draws) -> Found:
    """Of sets of labels, or of intervals, each of which holds the truth or does not."""
    known = np.array([[text != ""] for text in texts], bool)
    held, sizes = np.zeros(known.shape, bool), np.zeros(known.shape)
    truth = task.encode(texts)[:, 0].astype(float) if task.numeric else np.zeros(len(texts))
    for row, answer in enumerate(task.decode(outputs)):
        told = answer.to_dict()
        if task.numeric:
            low, high = told["interval"]
            held[row], sizes[row] = low <= truth[row] <= high, high - low
        else:
            held[row], sizes[row] = texts[row] in told["set"], len(told["set"])
    (coverage,) = find_shares(held & known, known, draws)
    found: Found = {"coverage": coverage, "interval_coverage": coverage}
    for name in ("set_size", "interval_width"):
        groups = len(np.unique(draws.groups[known[:, 0]]))
        found[name] = find_error(figures.get(name), draws.share(sizes * known, known)[:, 0], groups)
    return found


def _cover_labels(figures: Numbers, task: Task, texts: Sequence[str], outputs: Array, draws: Draws) -> Found:
    """Of several labels, each said to be yes, no or not sure: means over those of which something is promised."""
    truth, index = task.encode(texts), {name: i for i, name in enumerate(task.names)}
    said, unsure = np.zeros(truth.shape, bool), np.zeros(truth.shape, bool)
    for row, answer in enumerate(task.decode(outputs)):
        said[row, [index[label] for label in answer.labels]] = True
        unsure[row, [index[label] for label in answer.to_dict()["not_sure"]]] = True
    promised = [index[name] for name in figures["promised_labels"]]
    known = ~np.isnan(truth[:, promised])
    held = (unsure | ((truth == 1) == said))[:, promised]
    [(_, groups)] = draws.cases(np.atleast_2d(known.any(axis=1)).T)
    found: Found = {}
    for name, part in (("coverage", held), ("not_sure", unsure[:, promised])):
        drawn = np.nanmean(draws.share(part & known, known), axis=1)
        found[name] = find_fraction(figures[name], drawn, (float(known.sum()), groups))
    return found
