"""How far two tasks are tied in the data: where one nearly tells the other, a network may learn the pair as one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from polyhead.tasks import Labels, Task

TIED = 0.3  # from where on it is said: a medium effect by Cohen's convention for two classes
EXPECTED = 5  # images of a combination, were the tasks independent, from which on none of them is no accident
MOST_TASKS = 30
MOST_CELLS = 1_000_000
NAMED = 3  # empty combinations in a sentence
PART, WHOLE = 0.95, 0.9  # where that much of one task follows from the other, and less than that the other way round
COLOR_NAME = re.compile(r"colou?r|(^|[^a-z])hue", re.IGNORECASE)
COLOR_WORD = re.compile(
    r"\b(beige|black|blue|bronze|brown|burgundy|charcoal|copper|coral|cream|cyan|gold|gray|green|grey|indigo|ivory|khaki|"
    r"lavender|lime|magenta|maroon|mauve|mustard|navy|olive|orange|peach|pink|purple|red|rose|rust|silver|tan|taupe|teal|"
    r"turquoise|violet|white|yellow)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Tie:
    """Two tasks, and how much one says of the other.

    Attributes:
        measure: Cramér's V of two tasks of labels, the correlation ratio of labels and a number, the correlation
            coefficient's size of two numbers; the first two without their bias in small samples.
        strength: that, 0 (nothing) to 1 (all).
        images: those of which both labels are known.
        empty: combinations of two labels that no image has though several would be expected, likeliest first.
        color: the one that asks for a colour, where one alone does.
        finer: the one whose every label goes with one label of the other, as a shirt's with clothes; blank where
            neither's do, and where both do.
    """

    first: str
    second: str
    measure: str
    strength: float
    images: int
    empty: Sequence[tuple[str, str]] = ()
    color: str = ""
    finer: str = ""

    @property
    def is_strong(self) -> bool:
        """Whether a reader should know of it."""
        return self.strength >= TIED or bool(self.empty)


def find_ties(tasks: Mapping[str, Task], labels: Mapping[str, Labels]) -> list[Tie]:
    """The ties between each two tasks with one label or number an image, strongest first.

    Tasks with several labels an image are left out, and those behind the thirtieth.

    Args:
        labels: a label an image for each task, blank where unknown; all (n,).
    """
    names = [name for name, task in tasks.items() if not task.several][:MOST_TASKS]
    columns = {name: _read_column(tasks[name], labels[name]) for name in names}
    ties = [_measure(pair, tasks, columns) for pair in combinations(names, 2)]
    return sorted((tie for tie in ties if tie), key=lambda tie: -tie.strength)


def is_color(name: str, labels: Sequence[str]) -> bool:
    """Whether a task asks for a colour: by its name, or because most of its labels are colour words."""
    return bool(COLOR_NAME.search(name)) or 2 * sum(map(bool, map(COLOR_WORD.search, labels))) > len(labels) > 1


def describe_tie(tie: Tie, tasks: Mapping[str, Task]) -> str:
    """A tie in a sentence for whoever reads the data's page."""
    strength = f"{tie.first} and {tie.second} are tied: {tie.measure} is {tie.strength:.2f} (0 none, 1 full)"
    if tie.finer:
        other = tie.second if tie.finer == tie.first else tie.first
        return f"{strength}: each {tie.finer} goes with one {other}, over {tie.images:,} images."
    if not tie.empty:
        return f"{strength}, over {tie.images:,} images."
    named = ", ".join(_name(tie, pair, tasks) for pair in tie.empty[:NAMED])
    more = f" and {len(tie.empty) - NAMED:,} more such combinations" if len(tie.empty) > NAMED else ""
    return f"{strength}; {named}{more} among {tie.images:,} images."


def _name(tie: Tie, pair: tuple[str, str], tasks: Mapping[str, Task]) -> str:
    first, second = (tasks[name].show_label(label) for name, label in zip((tie.first, tie.second), pair, strict=True))
    if tie.color:
        return f"no {first} {second}" if tie.color == tie.first else f"no {second} {first}"
    return f"no {tie.first} {first} with {tie.second} {second}"


def _read_column(task: Task, labels: Labels) -> tuple[list[str], NDArray[np.float64]]:
    """A task's labels, and each row's number or the index of its label (n,); NaN where unknown."""
    labels = task.regroup(labels)
    if task.numeric:
        return [], np.array([float(label) if label else np.nan for label in labels])
    names = sorted({label for label in labels if label})
    index = {label: float(at) for at, label in enumerate(names)}
    return names, np.array([index.get(label, np.nan) for label in labels])


def _measure(
    pair: tuple[str, str], tasks: Mapping[str, Task], columns: Mapping[str, tuple[list[str], NDArray[np.float64]]]
) -> Tie | None:
    """None where too few images have both labels, or one label alone is known."""
    pair = pair if not tasks[pair[0]].numeric else (pair[1], pair[0])  # labels before numbers
    (names, first), (others, second) = (columns[name] for name in pair)
    known = ~np.isnan(first) & ~np.isnan(second)
    first, second, n = first[known], second[known], int(known.sum())
    if n < 3 or np.ptp(first) == 0 or np.ptp(second) == 0 or len(names) * len(others) > MOST_CELLS:
        return None
    if not names:
        return Tie(*pair, "the correlation", abs(float(np.corrcoef(first, second)[0, 1])), n)
    if not others:
        return Tie(*pair, "the correlation ratio", _correlation_ratio(first.astype(int), second), n)
    shape = (len(names), len(others))
    table = np.bincount((first * shape[1] + second).astype(int), minlength=shape[0] * shape[1]).reshape(shape)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    empty = np.argwhere((table == 0) & (expected >= EXPECTED))
    order = np.argsort([-expected[at, to] for at, to in empty], kind="stable")
    colors = [name for name in pair if is_color(name, columns[name][0])]
    color = colors[0] if len(colors) == 1 else ""
    named = [(names[at], others[to]) for at, to in empty[order]]
    return Tie(*pair, "Cramér's V", cramers_v(table), n, named, color, _find_finer(pair, table))


def _find_finer(pair: tuple[str, str], table: NDArray[np.integer]) -> str:
    """The task of a pair whose labels are parts of the other's, if there is one."""
    told = [table.max(axis=axis).sum() / table.sum() for axis in (1, 0)]  # of the second by the first, and back
    often = [table.sum(axis=axis).max() / table.sum() for axis in (0, 1)]  # by its most frequent label alone
    for at, name in enumerate(pair):
        if told[at] >= PART + (1 - PART) * often[at] and told[1 - at] < WHOLE:
            return name
    return ""


def cramers_v(table: NDArray[np.integer]) -> float:
    """Cramér's V of a table of counts (rows, columns), 0 to 1, without its bias.

    Bergsma: A bias-correction for Cramér's V and Tschuprow's T, Journal of the Korean Statistical Society 42, 2013.
    """
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    n = int(table.sum())
    if n < 3 or min(table.shape) < 2:
        return 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    rows, columns = table.shape
    square = ((table - expected) ** 2 / expected).sum() / n
    square = max(0.0, square - (rows - 1) * (columns - 1) / (n - 1))
    fewest = min(size - (size - 1) ** 2 / (n - 1) for size in table.shape)
    return float(min(1.0, np.sqrt(square / (fewest - 1)))) if fewest > 1 else 0.0


def _correlation_ratio(labels: NDArray[np.integer], numbers: NDArray[np.float64]) -> float:
    """The part of a number's spread that labels explain, as its root, 0 to 1; without its bias (Kelley 1935)."""
    counts = np.bincount(labels)
    n, kinds = len(labels), int((counts > 0).sum())
    if n <= kinds:
        return 0.0
    means = np.bincount(labels, numbers) / np.maximum(counts, 1)
    within = ((numbers - means[labels]) ** 2).sum() / ((numbers - numbers.mean()) ** 2).sum()
    return float(np.sqrt(max(0.0, 1 - within * (n - 1) / (n - kinds))))
