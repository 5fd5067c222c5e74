"""What kind of answer a column of text seems to hold, and what speaks for it. Guesses, for a person to correct."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from polyhead.tasks.multilabel import NO
from polyhead.tasks.task import natural_key

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
FEW = 20  # so many different whole numbers are classes, more are a quantity
RARE = 10  # a class of fewer images is named as rare
MANY = 1000  # more different texts are no classes

Settings = dict[str, Any]
Verdict = tuple[str, str, Settings]  # kind, words, settings


@dataclass(frozen=True)
class Finding:
    """What a column seems to be.

    Attributes:
        column: its name in the source.
        kind: a task's kind; `split` where it says the split; blank for no task.
        words: the evidence, or why it is no task.
        settings: further keys of the task; for a split, what the column's words mean.
    """

    column: str
    kind: str
    words: str
    settings: Settings

    @property
    def is_flag(self) -> bool:
        """Whether it is a yes or no, as one column of many labels is."""
        return {label.lower() for label in self.settings.get("labels", ())} in FLAGS


def judge_column(column: str, texts: Sequence[str]) -> Finding:
    """Say what the texts of a column, one for each of n images, seem to be."""
    cells = [text.strip() for text in texts]
    blank = [word for word in BLANKS if word in cells]
    counts = Counter(cell for cell in cells if cell and cell not in BLANKS)
    kind, words, settings = _judge(column, counts, len(cells))
    missing = len(cells) - counts.total()
    if kind == "split" and missing:
        return Finding(column, "", f"says the split, but not of {missing:,} images", {})
    if kind and blank:
        settings = settings | {"blank": blank}
    return Finding(column, kind, words + (f"; {missing:,} blank" if missing and kind else ""), settings)


def _judge(column: str, counts: Counter[str], rows: int) -> Verdict:
    known = counts.total()
    if known < RARE and 2 * known < rows:
        return "", "blank, or nearly so", {}
    if len(counts) == 1:
        return "", f"one single value, {show(next(iter(counts)))}", {}
    splits = {word: SPLIT_WORDS.get(word.lower(), "") for word in counts}
    if all(splits.values()) and "train" in splits.values():
        return "split", tell_counts(counts), splits
    if re.fullmatch(r"(?i:(.*[_ -])?(id|uuid|index|unnamed: 0))|.*[a-z]I[dD]|", column):
        return "", "an id, by its name; if one person or thing has several images, name it in data.split.group", {}
    if all(NUMBER.fullmatch(text) for text in counts):
        return _judge_numbers(counts)
    return _judge_words(counts)


def _judge_numbers(counts: Counter[str]) -> Verdict:
    numbers, rows = sorted(float(text) for text in counts), counts.total()
    whole = all(number.is_integer() for number in numbers)
    if whole and len({len(text) for text in counts}) == 1 and len(next(iter(counts))) >= 6:
        return "", "numbers that look like dates or serial numbers", {}
    serial = numbers[-1] - numbers[0] == len(numbers) - 1
    if whole and len(counts) >= max(3, 0.9 * rows) and (serial or rows >= 100):
        return "", "nearly every image has a whole number of its own, like an id", {}
    if len(counts) > (FEW if whole else FEW // 2) or len(counts) > max(2, rows / 2):
        return "regression", f"numbers from {numbers[0]:g} to {numbers[-1]:g}, {len(counts):,} different", {}
    return _judge_classes(counts)


def _judge_words(counts: Counter[str]) -> Verdict:
    for levels in LEVELS:
        order = [text for level in levels for text in counts if text.lower() == level]
        if len(order) == len(counts) == len(set(map(str.lower, counts))) > 2:
            return "ordinal", tell_counts(counts), {"levels": order}
    for separator in "|;,":
        words = _split_cells(counts, separator)
        if words:
            settings: Settings = {} if separator == "|" else {"separator": separator}
            return "multilabel", f"lists of labels with {separator} between; {tell_counts(words)}", settings
    return _judge_classes(counts)


def _judge_classes(counts: Counter[str]) -> Verdict:
    if len(counts) == 2:
        labels = sorted(counts, key=lambda text: (text.lower() not in NO, text))  # the negative one first
        return "binary", tell_counts(counts), {"labels": labels}
    if len(counts) > counts.total() / 2:
        return "", "nearly every image has a text of its own", {}
    if len(counts) > MANY:
        return "", f"{len(counts):,} different texts, too many for classes", {}
    return "categorical", tell_counts(counts), {}


def _split_cells(counts: Counter[str], separator: str) -> Counter[str]:
    """How often each label occurs, if the cells look like lists of labels; else none."""
    words: Counter[str] = Counter()
    lists = 0
    for cell, count in counts.items():
        labels = [word.strip().removeprefix("?") for word in cell.split(separator) if word.strip()]
        lists += count * (len(labels) > 1)
        words.update(dict.fromkeys(labels, count) if cell != "none" else {})
    rare = len(words) > words.total() / 4 or len(words) > MANY
    broken = any(not word or "|" in word or word == "none" or NUMBER.fullmatch(word) for word in words)
    return Counter() if lists < max(2, counts.total() / 20) or rare or broken else words


def tell_counts(counts: Counter[str]) -> str:
    """The values and how often they occur: the most frequent, and which are rare."""
    order = counts.most_common() if len(counts) > 12 else sorted(counts.items(), key=lambda item: natural_key(item[0]))
    words = f"{len(counts):,} values: " + _join(f"{show(text)} {count:,}" for text, count in order)
    rare = [show(text) for text, count in counts.items() if count < RARE]
    return words + (f"; rare (fewer than {RARE} images): {_join(rare)}" if rare else "")


def _join(words: Iterable[str]) -> str:
    words = list(words)
    return ", ".join(words[:12]) + (f" and {len(words) - 12:,} more" if len(words) > 12 else "")


def show(text: str) -> str:
    """A text, cut where it is long."""
    return text if len(text) <= 40 else f"{text[:37]}..."
