"""How answers get better with more training images: linear models on a frozen network's features, on nested shares.

Shares double: an eighth, a quarter, a half, all. Up to four disjoint parts of each size are learnt from, every one of
them within a part of the next size, and each strewn evenly over the labels. What the last doubling gave is compared on
the same validation images, and foretells the next: errors fall as a power of the number of images (Hestness et al.
2017, "Deep Learning Scaling is Predictable, Empirically", arXiv:1712.00409).
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polyhead.data.splits import find_groups
from polyhead.errors import require
from polyhead.evaluation.bootstrap import Draws
from polyhead.evaluation.comparison import Answers, Difference, compare_task
from polyhead.evaluation.cross_validation import answer_linearly, list_targets
from polyhead.evaluation.intervals import add_intervals
from polyhead.evaluation.results import FEW, SHOWN
from polyhead.progress import SILENT, Progress
from polyhead.tasks import Array, Numbers, Task

SHARES = (8, 4, 2, 1)  # of the training images: one in so many
PARTS = 4  # of one size, at most; one of all
FEWEST = 20  # training images of a part, whose label is known
COMPONENTS = 512  # of the features: with fewer, a curve ends flat that would go on
WORK = 1_000_000  # training images times outputs: half a minute's work
MOST = 20_000  # training images
JUDGED = 2000  # validation images
HARDLY = 0.1  # of the mistakes: a doubling that saves no more is not worth it,
POINTS = (0.005, 0.01)  # where that is between half a point and a point of accuracy
OVERLAP = 0.25  # of the variance between parts, in a doubling's gain: the whole and its halves share their images
NORMAL = 1.96
HARDLY_OF_ERROR = 0.05  # the same of a mean error

Verdict = Literal["climbing", "flat", "unclear", "too few"]
Outputs = dict[str, Array]


class Seen(NamedTuple):
    """Images of one split: n rows with a text column a task, and a frozen network's features (n, width)."""

    labels: pd.DataFrame
    features: Array


class TooSlow(Exception):
    """There is no time for a curve of so many training images; for about `fraction` of them there is."""

    def __init__(self, fraction: float) -> None:
        super().__init__()
        self.fraction = fraction


@dataclass(frozen=True)
class _Part:
    """One in `share` training images: those whose place leaves the rest `number`."""

    share: int
    number: int

    def rows(self, places: NDArray[np.intp]) -> NDArray[np.intp]:
        return np.flatnonzero(places % self.share == self.number)


def limit_images(tasks: Mapping[str, Task], train: int, valid: int) -> tuple[int, int]:
    """Of so many training and validation images, how many a curve is measured with: what it costs is bounded."""
    width = sum(1 if task.numeric else task.width for task in tasks.values())
    return min(train, MOST, max(40 * FEWEST, WORK // width)), min(valid, JUDGED)


def measure_learning_curve(
    tasks: Mapping[str, Task],
    train: Seen,
    valid: Seen,
    seed: int,
    seconds: float = float("inf"),
    progress: Progress = SILENT,
) -> Numbers:
    """How good linear models get with a part of the training images and with all, on the validation images.

    Args:
        tasks: by name, as the training split taught them.
        train: their labels and features; rows of equal `content` or `split.group` are in one part.
        valid: the same, to judge by.
        seed: of the parts.
        seconds: that it may take.
        progress: is told how far it is.

    Returns:
        `images` that it was measured with, `valid` that it was judged on, and by task what `_describe` gives, ready for
        JSON. Where there are too few images: `missing`, why, in words.

    Raises:
        TooSlow: it would take longer.
    """
    if len(train.labels) < 2 * FEWEST or len(valid.labels) < 2:
        few = f"{len(train.labels):,} training and {len(valid.labels):,} validation images"
        return {"missing": f"{few} are too few for a learning curve, which takes {2 * FEWEST} and {FEW} at least"}
    shares = [share for share in SHARES if len(train.labels) // share >= FEWEST]
    answered = _answer_all(tasks, (train, valid), shares, _Work(seed, seconds, progress))
    found: dict[int, Numbers] = {}
    for share, outputs in answered.items():
        pooled = _pool(valid.labels, outputs)
        measured = {name: task.measure(pooled[0][name].tolist(), pooled[1][name]) for name, task in tasks.items()}
        found[share] = {"tasks": measured, "joint": {}}
        add_intervals(found[share], tasks, *pooled)
    targets = {name: list_targets(task, train.labels[name].tolist()) for name, task in tasks.items()}
    known = {name: int((~np.isnan(values)).any(axis=1).sum()) for name, values in targets.items()}
    last = _compare_last(tasks, valid.labels, answered)
    told = {}
    for name, task in tasks.items():
        points = [
            _describe_point(found[share]["tasks"][name], known[name] / share, _list_values(task, name, valid, outputs))
            for share, outputs in answered.items()
            if known[name] // share >= FEWEST and found[share]["tasks"][name]["n"]
        ]
        told[name] = _describe(points, last.get(name))
    return {"images": len(train.labels), "valid": len(valid.labels), "tasks": told}


@dataclass(frozen=True)
class _Work:
    """How parts are drawn, and how long that may take."""

    seed: int
    seconds: float
    progress: Progress


def _answer_all(
    tasks: Mapping[str, Task], seen: tuple[Seen, Seen], shares: Sequence[int], work: _Work
) -> dict[int, list[Outputs]]:
    """By share, what each part's models say of the validation images."""
    require("a learning curve", "report")
    from threadpoolctl import threadpool_limits

    train, valid = seen
    places = order_rows(tasks, train.labels, work.seed)
    parts = [_Part(share, number) for share in shares for number in range(min(share, PARTS))]
    targets = {name: list_targets(task, train.labels[name].tolist()) for name, task in tasks.items()}
    answered: dict[int, list[Outputs]] = {share: [] for share in shares}
    begun, advance = time.monotonic(), work.progress.track("learning curve", len(parts))
    with threadpool_limits(1), np.errstate(invalid="ignore"):  # one thread, or sums would differ between machines
        reduced, asked = _reduce(train.features, valid.features)
        for done, part in enumerate(parts):
            rows, started = part.rows(places), time.monotonic()
            answered[part.share].append(
                {name: answer_linearly(task, reduced[rows], targets[name][rows], asked) for name, task in tasks.items()}
            )
            advance(1)
            rest = sum(part.share / later.share for later in parts[done + 1 :])
            needed = started - begun + (time.monotonic() - started) * (1 + rest)
            if done == 0 and needed > work.seconds:
                raise TooSlow(work.seconds / needed)
    return answered


def order_rows(tasks: Mapping[str, Task], labels: pd.DataFrame, seed: int) -> NDArray[np.intp]:
    """A place (n,) for each row, from 0 on: rows that are alike in their labels have neighbouring ones, in an order
    drawn by the seed. So one place in k is a sample of them that is strewn evenly over the labels (systematic
    sampling); rows of one group share their place.
    """
    _, first, groups = np.unique(find_groups(labels), return_index=True, return_inverse=True)
    rng = np.random.default_rng(seed)
    strata = [np.nan_to_num(task.strata(labels[name].tolist()), nan=-1) for name, task in tasks.items()]
    columns = np.concatenate(strata, axis=1)[first]
    order = np.lexsort((rng.random(len(first)), *columns.T[::-1]))  # by the first task, then by the next
    places = np.empty(len(first), np.intp)
    places[order] = np.arange(len(first)) + rng.integers(max(SHARES))
    return places[groups.reshape(-1)]


def _reduce(train: Array, valid: Array) -> tuple[Array, Array]:
    """The features along the principal components of those to learn from, of which the first varies by 1."""
    mean, scale = train.mean(axis=0), np.maximum(train.std(axis=0), 1e-6)
    scaled = (train - mean) / scale
    size = min(COMPONENTS, *scaled.shape)
    values, vectors = np.linalg.eigh((scaled.T @ scaled).astype(float))
    axes = vectors[:, ::-1][:, :size] / max(np.sqrt(max(values[-1], 0) / len(train)), 1e-6)
    axes = axes.astype(scaled.dtype)
    return scaled @ axes, ((valid - mean) / scale) @ axes


def _pool(labels: pd.DataFrame, outputs: Sequence[Outputs]) -> tuple[pd.DataFrame, Outputs]:
    """The same rows once for each part's answers; their groups tell that they are the same images."""
    rows = pd.concat([labels.assign(content=_name_groups(labels))] * len(outputs), ignore_index=True)
    return rows, {name: np.concatenate([part[name] for part in outputs]) for name in outputs[0]}


def _name_groups(labels: pd.DataFrame) -> list[str]:
    return [f"group {number}" for number in find_groups(labels)]


def _compare_last(
    tasks: Mapping[str, Task], labels: pd.DataFrame, answered: Mapping[int, Sequence[Outputs]]
) -> dict[str, Difference]:
    """By how much the models of all images are better than those of the halves, in each task's main metric."""
    rows, halves = _pool(labels, answered[2])
    _, whole = _pool(labels, [*answered[1]] * len(answered[2]))
    draws = Draws(np.unique(find_groups(rows), return_inverse=True)[1].reshape(-1), seed=0)
    answers = Answers({name: (task, task) for name, task in tasks.items()}, rows, (halves, whole), draws)
    compared = {name: compare_task(name, answers) for name in tasks}
    images = len(answered[2])
    return {name: replace(found[0], n=found[0].n // images) for name, found in compared.items() if found}


def _list_values(task: Task, name: str, valid: Seen, outputs: Sequence[Outputs]) -> list[float]:
    """The accuracy or the mean error of each part's models."""
    labels, found = task.regroup(valid.labels[name].tolist()), []
    for part in outputs:
        decisions = task.decisions(labels, part[name])
        found.append(float(np.nanmean(task.mistakes(labels, part[name]) if decisions is None else decisions[1])))
    return found


def _describe_point(found: Numbers, images: float, values: Sequence[float]) -> Numbers:
    """How many training images of the task, its metrics with their intervals, and the main one of each part."""
    shown = [metric for metric in SHOWN if found.get(metric) is not None and np.isfinite(found[metric])]
    intervals = {metric: found["intervals"][metric] for metric in shown if metric in found["intervals"]}
    return {"images": round(images), **{metric: found[metric] for metric in shown}, "intervals": intervals} | {
        "parts": list(values)
    }


def _describe(points: Sequence[Numbers], last: Difference | None) -> dict[str, Any]:
    """Of a task.

    Returns:
        `metric`, the main one; `n` validation images whose label is known; `points`, the smallest share first; `gain`
        of the last doubling and its `interval` (positive where more images are better), what the `next` doubling would
        give, and the `verdict`: `climbing`, `flat`, `unclear`, or `too few`.
    """
    if last is None or last.n < FEW or last.interval is None or len(points) < 2:
        return {"n": last.n if last else 0, "points": list(points), "verdict": "too few"}
    half, whole = (value if last.metric == "mae" else 1 - value for value in last.values)  # errors
    interval = _widen(last.better_by, last.interval, points)
    following = whole * (1 - whole / half) if half > 0 else 0.0
    return {
        "metric": last.metric,
        "n": last.n,
        "points": list(points),
        "gain": last.better_by,
        "interval": interval,
        "next": following,
        "verdict": judge(interval, half, last.metric) if whole > 0 else "flat",  # no mistake is left to see
    }


def _widen(gain: float, interval: Sequence[float], points: Sequence[Numbers]) -> list[float]:
    """The interval of a gain, by the validation images, with what the draw of the training images adds to it.

    That is found from how far the halves differ, and the quarters; how much of it is in the gain, by drawing
    (`benchmarks/learning_curve.py`).
    """
    parts = [point["parts"] for point in points[-3:-1]]
    squares = sum(float(np.var(values)) * len(values) for values in parts)
    freedom = sum(len(values) - 1 for values in parts)
    reach = NORMAL * math.sqrt(OVERLAP * squares / freedom)
    low, high = interval
    return [gain - math.hypot(gain - low, reach), gain + math.hypot(high - gain, reach)]


def judge(interval: Sequence[float], errors: float, metric: str) -> Verdict:
    """Whether more images would help, by what the last doubling gave.

    Args:
        interval: of that gain.
        errors: with half of the images: the fraction of wrong answers, or the mean error.
        metric: `accuracy` or `mae`.

    Returns:
        `flat` where it saved no more than a tenth of the mistakes, and that is a point at most (or where it is half a
        point), or a twentieth of the mean error: to double the images is dear, and the next doubling gives less.
        `climbing` where it clearly saved some; else `unclear`.
    """
    low, high = interval
    hardly = HARDLY_OF_ERROR * errors if metric == "mae" else min(max(HARDLY * errors, POINTS[0]), POINTS[1])
    if high <= hardly:
        return "flat"
    return "climbing" if low > 0 else "unclear"
