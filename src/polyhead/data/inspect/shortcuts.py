"""Attributes of the files that tell a label better than chance: what a network may learn instead of the picture."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyhead.data.images.decode import ImageError, read_header
from polyhead.data.inspect.ties import is_color
from polyhead.errors import require
from polyhead.tasks import Labels, Task

FOLDER, BRIGHTNESS = "folder", "brightness"
FOLDS = 5
LEAVES, IN_LEAF = 8, 10  # of a tree: few, so that it finds a rule and not the images
LEAST = 0.1  # of the mistakes of the most frequent label, which an attribute must avoid to be told of
FEWEST = 50  # images of which both are known
BLOCK = 64  # images decoded at a time
SURE = 0.95  # of all intervals together

Values = NDArray[Any]  # (n,) numbers, NaN where unknown; or texts, "" where unknown


@dataclass(frozen=True)
class Shortcut:
    """An attribute that tells a task.

    Attributes:
        label: which of a task's several labels; blank for a task with one label or number an image.
        found: what the attribute alone reaches: the share of images told rightly; of numbers, 0.
        baseline: the same of the most frequent label; of numbers, 0.
        low, high: the interval of the gain. Of numbers, the part of their spread that the attribute explains.
        images: how many were looked at.
    """

    task: str
    label: str
    attribute: str
    found: float
    baseline: float
    low: float
    high: float
    images: int
    numeric: bool

    @property
    def strength(self) -> float:
        """The part of the mistakes, or of the spread, that it takes away, 0 to 1."""
        return (self.found - self.baseline) / max(1 - self.baseline, 1e-9)


@dataclass(frozen=True)
class _Question:
    task: str
    label: str
    targets: NDArray[np.float64]
    texts: Sequence[str]
    numeric: bool


def read_attributes(
    root: Path, paths: Sequence[str], pixels: Callable[[NDArray[np.intp]], NDArray[np.uint8]]
) -> dict[str, Values]:
    """What is known of image files besides their pictures; and their brightness.

    Args:
        root: the folder that paths start from.
        paths: n.
        pixels: their decoded images (k, height, width, 3), by k indices of paths.
    """
    headers = [_read_header(root / path) for path in paths]
    sizes = np.array([header[:3] for header in headers], float).reshape(-1, 3)
    rows = np.arange(len(paths), dtype=np.intp)
    bright = [pixels(rows[at : at + BLOCK]).mean(axis=(1, 2, 3), dtype=float) for at in range(0, len(rows), BLOCK)]
    with np.errstate(invalid="ignore"):
        aspect = sizes[:, 0] / sizes[:, 1]
    return {
        "image width": sizes[:, 0],
        "image height": sizes[:, 1],
        "aspect ratio": aspect,
        "file size": sizes[:, 2],
        "file format": np.array([header[3] for header in headers], object),
        FOLDER: np.array([PurePosixPath(path).parent.as_posix() for path in paths], object),
        BRIGHTNESS: np.concatenate(bright) if bright else np.zeros(0),
    }


def _read_header(path: Path) -> tuple[float, float, float, str]:
    """Width and height of the upright picture, bytes, format; unknown where it cannot be read any more."""
    try:
        height, width, name = read_header(path)
        return float(width), float(height), float(path.stat().st_size), name
    except (ImageError, OSError):
        return np.nan, np.nan, np.nan, ""


def find_shortcuts(
    tasks: Mapping[str, Task], labels: Mapping[str, Labels], attributes: Mapping[str, Values], seed: int = 0
) -> list[Shortcut]:
    """The attributes that tell a label better than chance, the strongest first.

    Each attribute by itself is given to a tree of 8 leaves at most (texts: to the most frequent label of each), which
    is fitted to four fifths of the images and asked about the last fifth. It counts where the gain over the most
    frequent label is above zero in an interval that holds for all pairs together (Bonferroni), and is a tenth of what
    could be gained. A folder that has a task's label in its name says nothing of that task here, as it may be where
    the label was taken from; nor does brightness of a task that asks for a colour.

    Args:
        tasks: by name; those without labels, as far as training has not found them, are left out.
        labels: n texts a task, blank where unknown. No two rows should be of the same image.
        attributes: by name, each (n,).
    """
    require("finding shortcuts", "report")
    questions = [question for name, task in tasks.items() for question in _ask(name, task, labels[name])]
    pairs = [
        (question, name, values)
        for question in questions
        for name, values in attributes.items()
        if not _expects(question, name, values)
    ]
    folds = np.random.default_rng(seed).permutation(len(next(iter(attributes.values()), ()))) % FOLDS
    sure = NormalDist().inv_cdf(1 - (1 - SURE) / 2 / max(len(pairs), 1))
    found = [_judge(question, name, values, folds, sure) for question, name, values in pairs]
    told = [one for one in found if one and one.low > 0 and one.strength >= LEAST]
    return sorted(told, key=lambda one: -one.strength)


def describe_shortcut(found: Shortcut) -> str:
    """A shortcut in a sentence."""
    what = f"{found.task} {found.label}".strip()
    if found.numeric:
        return (
            f"{found.attribute} alone explains {100 * found.found:.0f} % of the spread of {what} "
            f"({100 * found.low:.0f} to {100 * found.high:.0f} %), over {found.images:,} images"
        )
    return (
        f"{found.attribute} alone tells {what} of {100 * found.found:.1f} % of {found.images:,} images, the most "
        f"frequent label of {100 * found.baseline:.1f} % ({100 * found.low:.1f} to {100 * found.high:.1f} points more)"
    )


def _ask(name: str, task: Task, labels: Labels) -> list[_Question]:
    if task.several:
        if not task.names:
            return []
        targets = task.encode(labels)
        columns = zip(task.names, targets.T.astype(float), strict=True)
        return [
            _Question(name, label, column, [label if yes == 1 else "" for yes in column], False)
            for label, column in columns
        ]
    labels = task.regroup(labels)
    if task.numeric:
        return [_Question(name, "", np.array([float(label) if label else np.nan for label in labels]), labels, True)]
    number = {label: float(at) for at, label in enumerate(sorted({label for label in labels if label}))}
    return [_Question(name, "", np.array([number.get(label, np.nan) for label in labels]), labels, False)]


def _expects(question: _Question, attribute: str, values: Values) -> bool:
    """Whether an attribute may say what a task asks for, and nothing is wrong with it."""
    if attribute == BRIGHTNESS:
        return not question.numeric and is_color(question.task, sorted({text for text in question.texts if text}))
    if attribute != FOLDER:
        return False
    named = [_words(text) <= _words(folder) for text, folder in zip(question.texts, values, strict=True) if text]
    return 2 * sum(named) > len(named)


def _words(text: str) -> set[str]:
    return set(re.split(r"[\W_]+", text.casefold())) - {""}


def _judge(
    question: _Question, attribute: str, values: Values, folds: NDArray[np.integer], sure: float
) -> Shortcut | None:
    """None where there is nothing to learn from, or nothing to learn."""
    texts = values.dtype == object
    known = ~np.isnan(question.targets) & ((values != "") if texts else ~np.isnan(values))
    targets, given, folds = question.targets[known], values[known], folds[known]
    if len(targets) < FEWEST or len(np.unique(targets)) < 2 or len(set(given.tolist())) < 2:
        return None
    # Of all images: cross-validated, the most frequent label of two even ones would be wrong more often than right.
    constant = _usual(targets, question.numeric)
    told = np.empty(len(targets))
    for fold in range(FOLDS):
        inside = folds == fold
        if inside.all() or not inside.any():
            return None
        fit = _tell_by_text if texts else _tell_by_tree
        told[inside] = fit(given[~inside], targets[~inside], given[inside], question.numeric)
    if question.numeric:
        spread = float(((targets - constant) ** 2).mean())
        losses = [((answers - targets) ** 2) / spread for answers in (constant, told)]
    else:
        losses = [np.asarray(answers != targets, float) for answers in (constant, told)]
    gains = losses[0] - losses[1]
    gain, margin = float(gains.mean()), sure * float(gains.std()) / len(gains) ** 0.5
    baseline = 0.0 if question.numeric else 1 - float(losses[0].mean())
    ends = (gain - margin, min(gain + margin, 1 - baseline))
    return Shortcut(
        question.task, question.label, attribute, baseline + gain, baseline, *ends, len(gains), question.numeric
    )


def _usual(targets: NDArray[np.float64], numeric: bool) -> float:
    if numeric:
        return float(targets.mean())
    classes, counts = np.unique(targets, return_counts=True)
    return float(classes[counts.argmax()])


def _tell_by_text(seen: Values, targets: NDArray[np.float64], asked: Values, numeric: bool) -> NDArray[np.float64]:
    rows: dict[str, list[int]] = {}
    for row, text in enumerate(seen):
        rows.setdefault(text, []).append(row)
    usual = {text: _usual(targets[found], numeric) for text, found in rows.items() if len(found) >= IN_LEAF}
    other = _usual(targets, numeric)
    return np.array([usual.get(text, other) for text in asked])


def _tell_by_tree(seen: Values, targets: NDArray[np.float64], asked: Values, numeric: bool) -> NDArray[np.float64]:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    kind = DecisionTreeRegressor if numeric else DecisionTreeClassifier
    tree = kind(max_leaf_nodes=LEAVES, min_samples_leaf=IN_LEAF, random_state=0)
    return np.asarray(tree.fit(seen[:, np.newaxis], targets).predict(asked[:, np.newaxis]), float)
