"""What a group is, in words: how often each answer occurs in it, compared with all images."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyhead.evaluation.answers import Answers
from polyhead.report.words import MINUS, show_number
from polyhead.tasks import Array

MAX_IN_NAME = 3  # answers
MIN_DIFFERENCE = 0.1  # a smaller difference does not characterize a group
TYPICAL_NAME = "much like all images"

ChosenLabels = Mapping[str, Collection[str]]  # of each task; all its labels, if none


@dataclass(frozen=True)
class Frequency:
    """How often an answer occurs in a group and in all images.

    Attributes:
        task: the task's name.
        label: None where the answer is a number.
        inside: the fraction of the group's images with it, from 0 to 1; or the group's mean number.
        overall: the same of all images.
        apart: the difference of the two fractions; or of the two means, over the range of the middle 90 % of numbers.
        words: for a reader: `Blond_Hair 94 % (+79)`.
        several: whether the task can have several labels at once.
    """

    task: str
    label: str | None
    inside: float
    overall: float
    apart: float
    words: str
    several: bool


def count_answers(answers: Mapping[str, Answers], rows: NDArray[np.intp]) -> list[Frequency]:
    """Every answer, in the images `rows` and in all; in the order of tasks and labels."""
    found: list[Frequency] = []
    for task, columns in answers.items():
        if columns.numbers is not None:
            found.append(_compare_numbers(task, columns.numbers, rows, columns.unit))
            continue
        pairs = zip(columns.predicted[rows].mean(axis=0).tolist(), columns.predicted.mean(axis=0).tolist(), strict=True)
        for label, (inside, overall) in zip(columns.labels, pairs, strict=True):
            name = label if columns.several else f"{task} {label}"
            words = f"{name} {_show_percent(inside)} ({_show_points(inside - overall)})"
            found.append(Frequency(task, label, inside, overall, inside - overall, words, columns.several))
    return found


def _compare_numbers(task: str, numbers: Array, rows: NDArray[np.intp], unit: str) -> Frequency:
    inside, overall = float(numbers[rows].mean()), float(numbers.mean())
    low, high = np.quantile(numbers, (0.05, 0.95))
    difference = show_number(abs(inside - overall), unit)
    words = f"{task} {show_number(inside, unit)} ({MINUS if inside < overall else '+'}{difference})"
    return Frequency(task, None, inside, overall, (inside - overall) / (float(high - low) or 1), words, False)


def name_group(frequencies: Collection[Frequency], chosen: ChosenLabels) -> list[str]:
    """Up to three answers that characterize a group best, in words; none where it is much like all images.

    Where the group lacks a label of a multilabel task, it is negated, `no Male 97 % (+39)`, and counts half. Of labels
    that exclude one another, only those count that are more frequent in the group.

    Args:
        frequencies: of the group.
        chosen: the tasks and labels that the groups were made by.
    """
    candidates = [
        frequency
        for frequency in frequencies
        if frequency.task in chosen
        and (not chosen[frequency.task] or frequency.label in chosen[frequency.task])
        and (
            frequency.apart >= MIN_DIFFERENCE
            or (frequency.apart <= -MIN_DIFFERENCE and (frequency.several or frequency.label is None))
        )
    ]
    # What a group has says more than what it lacks.
    candidates.sort(key=lambda frequency: min(-frequency.apart, frequency.apart / 2))
    return [_phrase(frequency) for frequency in candidates[:MAX_IN_NAME]]


def _phrase(frequency: Frequency) -> str:
    if frequency.apart > 0 or frequency.label is None:
        return frequency.words
    return f"no {frequency.label} {_show_percent(1 - frequency.inside)} ({_show_points(-frequency.apart)})"


def _show_percent(fraction: float) -> str:
    return f"{100 * fraction:.0f}\N{NO-BREAK SPACE}%"


def _show_points(difference: float) -> str:
    points = round(100 * difference)
    return f"+{points}" if points >= 0 else f"{MINUS}{-points}"
