"""What a group is, in words: how often each answer is given in it, beside how often in the whole set."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyhead.evaluation.answers import Answers
from polyhead.report.words import MINUS, show_number
from polyhead.tasks import Array

NAMED = 3  # answers in a name at most
APART = 0.1  # a share that differs by less sets no group apart
LIKE_ALL = "much like the whole"

Wanted = Mapping[str, Collection[str]]  # the labels of each task that count; all of them, if none


@dataclass(frozen=True)
class Frequency:
    """How an answer stands in a group, and in the whole set.

    Attributes:
        task: its task.
        label: the label; None where the answer is a number.
        inside: the share of the group's images that have it, from 0 to 1; or the group's mean number.
        overall: the same of the whole set.
        apart: how far the two are apart: the difference of the shares; or of the means, over the width that the
            middle nine tenths of the image_set's numbers span.
        words: as a person reads it: `Blond_Hair 94 % (+79)`.
        several: whether the task may answer several labels at once.
    """

    task: str
    label: str | None
    inside: float
    overall: float
    apart: float
    words: str
    several: bool


def count_answers(answers: Mapping[str, Answers], rows: NDArray[np.intp]) -> list[Frequency]:
    """Every answer in the images `rows` of a set of images, and in the whole set; in the order of tasks and labels."""
    found: list[Frequency] = []
    for task, columns in answers.items():
        if columns.numbers is not None:
            found.append(_compare_numbers(task, columns.numbers, rows, columns.unit))
            continue
        pairs = zip(columns.said[rows].mean(axis=0).tolist(), columns.said.mean(axis=0).tolist(), strict=True)
        for label, (inside, overall) in zip(columns.labels, pairs, strict=True):
            name = label if columns.several else f"{task} {label}"
            words = f"{name} {_show_share(inside)} ({_show_points(inside - overall)})"
            found.append(Frequency(task, label, inside, overall, inside - overall, words, columns.several))
    return found


def _compare_numbers(task: str, numbers: Array, rows: NDArray[np.intp], unit: str) -> Frequency:
    inside, overall = float(numbers[rows].mean()), float(numbers.mean())
    low, high = np.quantile(numbers, (0.05, 0.95))
    difference = show_number(abs(inside - overall), unit)
    words = f"{task} {show_number(inside, unit)} ({MINUS if inside < overall else '+'}{difference})"
    return Frequency(task, None, inside, overall, (inside - overall) / (float(high - low) or 1), words, False)


def name_group(frequencies: Collection[Frequency], wanted: Wanted) -> list[str]:
    """The up to three answers that set a group apart most, as words; none where it is much like the whole.

    A label of several is turned round where the group lacks it, `no Male 97 % (+39)`, and counts half. Of labels that
    exclude one another only those count that the group has more of.

    Args:
        frequencies: of the group.
        wanted: the tasks and labels that groups were made by.
    """
    among = [
        frequency
        for frequency in frequencies
        if frequency.task in wanted
        and (not wanted[frequency.task] or frequency.label in wanted[frequency.task])
        and (frequency.apart >= APART or (frequency.apart <= -APART and (frequency.several or frequency.label is None)))
    ]
    # What a group has says more than what it lacks.
    among.sort(key=lambda frequency: min(-frequency.apart, frequency.apart / 2))
    return [_turn(frequency) for frequency in among[:NAMED]]


def _turn(frequency: Frequency) -> str:
    if frequency.apart > 0 or frequency.label is None:
        return frequency.words
    return f"no {frequency.label} {_show_share(1 - frequency.inside)} ({_show_points(-frequency.apart)})"


def _show_share(share: float) -> str:
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"


def _show_points(difference: float) -> str:
    points = round(100 * difference)
    return f"+{points}" if points >= 0 else f"{MINUS}{-points}"
