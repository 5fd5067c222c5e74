"""Guess which kind of task a column of text is for, and say why; for a person to check and correct."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from polyhead.tasks.label_sets import NO
from polyhead.tasks.label_text import natural_key

BLANKS = ("NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "?")
FLAGS = ({"0", "1"}, {"-1", "1"}, {"true", "false"})
LEVELS = (
    ("xxs", "xs", "s", "m", "l", "xl", "xxl", "xxxl"),
    ("very low", "low", "medium", "high", "very high"),
    ("tiny", "small", "medium", "large", "huge"),
    ("short", "medium", "long"),
    ("none", "mild", "moderate", "severe"),
    ("bad", "poor", "fair", "good", "very good", "excellent"),
    ("never", "rarely", "sometimes", "often", "always"),
    ("beginner", "intermediate", "advanced", "expert"),
)
SPLIT_WORDS = {"train": "train", "training": "train", "valid": "valid", "val": "valid", "validation": "valid"}
SPLIT_WORDS |= {"dev": "valid", "test": "test", "testing": "test"}
NUMBER = re.compile(r"[-+]?(0|[1-9]\d*)?(\.\d+)?(?<=\d)([eE][-+]?\d+)?")
MAX_NUMBER_CLASSES = 20  # up to so many different whole numbers are classes, more are a quantity
RARE_BELOW = 10  # images: a class of fewer is called rare
MAX_CLASSES = 1000  # more different texts are not classes

Settings = dict[str, Any]
Guess = tuple[str, str, Settings]  # kind, reason, settings: see `ColumnGuess`


@dataclass(frozen=True)
class ColumnGuess:
    """What a column seems to hold.

    Attributes:
        column: its name in the source.
        kind: a task's kind; `split` if it gives the split of each image; blank if it is not a task.
        reason: the evidence for the kind, or why it is not a task.
        settings: further keys of the task; for a split, what the column's words mean.
    """

    column: str
    kind: str
    reason: str
    settings: Settings

    @property
    def is_flag(self) -> bool:
        """Whether it is a yes or no, like each column of a multilabel task."""
        return {label.lower() for label in self.settings.get("labels", ())} in FLAGS


def guess_column(column: str, texts: Sequence[str]) -> ColumnGuess:
    """Guess what the texts of a column, one for each of n images, hold."""
    cells = [text.strip() for text in texts]
    blank = [word for word in BLANKS if word in cells]
    counts = Counter(cell for cell in cells if cell and cell not in BLANKS)
    kind, reason, settings = _guess_kind(column, counts, len(cells))
    missing = len(cells) - counts.total()
    if kind == "split" and missing:
        return ColumnGuess(column, "", f"gives the split, but not of {missing:,} images", {})
    if kind and blank:
        settings = settings | {"blank": blank}
    return ColumnGuess(column, kind, reason + (f"; {missing:,} blank" if missing and kind else ""), settings)


def _guess_kind(column: str, counts: Counter[str], rows: int) -> Guess:
    known = counts.total()
    if not known or (known < RARE_BELOW and 2 * known < rows):
        return "", "blank, or nearly blank", {}
    if len(counts) == 1:
        return "", f"a single value, {shorten_text(next(iter(counts)))}", {}
    splits = {word: SPLIT_WORDS.get(word.lower(), "") for word in counts}
    if all(splits.values()) and "train" in splits.values():
        return "split", describe_counts(counts), splits
    if re.fullmatch(r"(?i:(.*[_ -])?(id|uuid|index|unnamed: 0))|.*[a-z]I[dD]|", column):
        return "", "an id, by its name; if it says which person or thing an image shows, set data.split.group to it", {}
    if all(NUMBER.fullmatch(text) for text in counts):
        return _guess_numbers(counts)
    return _guess_texts(counts)


def _guess_numbers(counts: Counter[str]) -> Guess:
    numbers, rows = sorted(float(text) for text in counts), counts.total()
    whole = all(number.is_integer() for number in numbers)
    if whole and len({len(text) for text in counts}) == 1 and len(next(iter(counts))) >= 6:
        return "", "numbers that look like dates or serial numbers", {}
    serial = numbers[-1] - numbers[0] == len(numbers) - 1
    if whole and len(counts) >= max(3, 0.9 * rows) and (serial or rows >= 100):
        return "", "nearly every image has its own whole number, like an id", {}
    if len(counts) > (MAX_NUMBER_CLASSES if whole else MAX_NUMBER_CLASSES // 2) or len(counts) > max(2, rows / 2):
        return "regression", f"numbers from {numbers[0]:g} to {numbers[-1]:g}, {len(counts):,} different", {}
    return _guess_classes(counts)


def _guess_texts(counts: Counter[str]) -> Guess:
    for levels in LEVELS:
        order = [text for level in levels for text in counts if text.lower() == level]
        if len(order) == len(counts) == len(set(map(str.lower, counts))) > 2:
            return "ordinal", describe_counts(counts), {"levels": order}
    for separator in "|;,":
        words = _split_cells(counts, separator)
        if words:
            settings: Settings = {} if separator == "|" else {"separator": separator}
            return "multilabel", f"lists of labels, separated by {separator}; {describe_counts(words)}", settings
    return _guess_classes(counts)


def _guess_classes(counts: Counter[str]) -> Guess:
    if len(counts) == 2:
        labels = sorted(counts, key=lambda text: (text.lower() not in NO, text))  # the negative one first
        return "binary", describe_counts(counts), {"labels": labels}
    if len(counts) > counts.total() / 2:
        return "", "nearly every image has its own text", {}
    if len(counts) > MAX_CLASSES:
        return "", f"{len(counts):,} different texts, too many for classes", {}
    return "categorical", describe_counts(counts), {}


def _split_cells(counts: Counter[str], separator: str) -> Counter[str]:
    """How often each label occurs, if the cells look like lists of labels; otherwise empty."""
    words: Counter[str] = Counter()
    lists = 0
    for cell, count in counts.items():
        labels = [word.strip().removeprefix("?") for word in cell.split(separator) if word.strip()]
        lists += count * (len(labels) > 1)
        words.update(dict.fromkeys(labels, count) if cell != "none" else {})
    rare = len(words) > words.total() / 4 or len(words) > MAX_CLASSES
    broken = any(not word or "|" in word or word == "none" or NUMBER.fullmatch(word) for word in words)
    return Counter() if lists < max(2, counts.total() / 20) or rare or broken else words


def describe_counts(counts: Counter[str]) -> str:
    """The most frequent values and their counts, and which are rare."""
    order = counts.most_common() if len(counts) > 12 else sorted(counts.items(), key=lambda item: natural_key(item[0]))
    words = f"{len(counts):,} values: " + _join(f"{shorten_text(text)} {count:,}" for text, count in order)
    rare = [shorten_text(text) for text, count in counts.items() if count < RARE_BELOW]
    return words + (f"; rare (fewer than {RARE_BELOW} images): {_join(rare)}" if rare else "")


def _join(words: Iterable[str]) -> str:
    words = list(words)
    return ", ".join(words[:12]) + (f" and {len(words) - 12:,} more" if len(words) > 12 else "")


def shorten_text(text: str) -> str:
    """A text, cut if it is long."""
    return text if len(text) <= 40 else f"{text[:37]}..."
