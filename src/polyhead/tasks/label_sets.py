"""The text of any number of labels: `a|b` (yes to both, no to the others), `none`; `a|?c` leaves c alone unknown."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from polyhead.errors import shorten
from polyhead.tasks import label_text
from polyhead.tasks.metrics import Array, Labels
from polyhead.tasks.rare_labels import OTHER

YES = frozenset({"1", "1.0", "yes", "true", "y", "t"})
NO = frozenset({"0", "0.0", "-1", "no", "false", "n", "f"})
NONE = "none"


def check_label(label: str) -> None:
    """Refuse a label that the text of several could not hold.

    Raises:
        ValueError: with the label.
    """
    if not label or "|" in label or label.startswith("?") or label == NONE:
        raise ValueError(f"a label may not be empty or `none`, hold `|` or begin with `?`; got {shorten(label, 60)!r}")


def split(text: str, separator: str) -> list[str]:
    """The words of a text: labels, those that are unknown behind a `?`."""
    return [] if text == NONE else [word.strip() for word in text.split(separator) if word.strip()]


def write(states: Mapping[str, bool], names: Sequence[str]) -> str:
    """The text of labels of which some are yes (True) and some unknown (False); the others are no.

    Args:
        states: by label.
        names: all labels in order; they are sorted where there are none as yet.
    """
    order = [label for label in names if label in states] or sorted(states)
    return "|".join(label if states[label] else f"?{label}" for label in order) or NONE


def read(text: str, separator: str, values: Mapping[str, str], names: Sequence[str]) -> dict[str, bool]:
    """The state of each label that is not no, as `write` takes them, by a source's text.

    Args:
        separator: what stands between its words.
        values: what a word means, where that is not itself.
        names: the labels; any where there are none as yet.

    Raises:
        ValueError: a word is no label.
    """
    states = {}
    for word in split(text, separator):
        name = word.lstrip("?")
        label = label_text.check_label(values.get(name, name), names)
        if "|" in label or label == NONE:
            raise ValueError(f"a label may not hold `|` or be `none`; got {shorten(label, 60)!r}")
        states[label] = not word.startswith("?")
    return states


def read_flags(cells: Labels, columns: Sequence[str], blank: Collection[str]) -> dict[str, bool]:
    """The state of each label that is not no, as `write` takes them, by a cell a label.

    Args:
        cells: 1/0, 1/-1 or yes/no.
        columns: the labels, one a cell.
        blank: texts that mean unknown, besides an empty one.

    Raises:
        ValueError: a cell says neither yes nor no.
    """
    states: dict[str, bool] = {}
    for label, cell in zip(columns, cells, strict=True):
        word = cell.strip().lower()
        if word in YES or cell.strip() in ("", *blank):
            states[label] = word in YES
        elif word not in NO:
            raise ValueError(f"expected 1, 0, yes or no in column {label}; got {shorten(cell, 60)!r}")
    return states


def rename(text: str, kept: Collection[str], merges: bool) -> str:
    """The text with labels that are not kept counted as `other`, or left out.

    `other` is yes where one of them is, and unknown where that cannot be told.
    """
    words = text.split("|")
    left = [word for word in words if word.lstrip("?") in kept and not (merges and word.lstrip("?") == OTHER)]
    others = set(words) - {*left, NONE}
    if merges and others:
        left.append(OTHER if any(not word.startswith("?") for word in others) else f"?{OTHER}")
    return "|".join(left) or NONE


def differences(text: str, answered: Collection[str], names: Iterable[str]) -> list[str]:
    """The names of labels that are answered and by the text are no, or the other way round."""
    words = text.split("|")
    return [name for name in names if f"?{name}" not in words and (name in answered) != (name in words)]


def encode(texts: Labels, names: Sequence[str]) -> NDArray[np.float32]:
    """Targets (n, labels) of n texts, blank where unknown: 1 yes, 0 no, NaN unknown."""
    targets = np.zeros((len(texts), len(names)), np.float32)
    indices = {label: index for index, label in enumerate(names)}
    for row, text in enumerate(texts):
        if not text:
            targets[row] = np.nan
        for word in text.split("|") if text else ():
            if word.lstrip("?") in indices:
                targets[row, indices[word.lstrip("?")]] = np.nan if word.startswith("?") else 1
    return targets


def count(names: Sequence[str], targets: Array) -> tuple[dict[str, int], dict[str, int]]:
    """In how many rows each label is yes, and in how many it is known; targets (n, labels)."""
    yes, known = np.nansum(targets, axis=0), (~np.isnan(targets)).sum(axis=0)
    return (
        dict(zip(names, yes.astype(int).tolist(), strict=True)),
        dict(zip(names, known.tolist(), strict=True)),
    )
