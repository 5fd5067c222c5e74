"""The answers to a set of images as columns: what a table, a gallery or a group's frequencies are made of."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyhead.tasks import Array, Task


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model answered of n images for one task.

    Attributes:
        labels: those that it can answer; none for a task whose answer is a number.
        several: whether it may answer any number of labels at once.
        said: (n, labels), which labels the answers hold.
        shares: (n, labels), the probability of each.
        numbers: (n,) the answers of a task whose answer is a number.
        unit: of the numbers.
        unsure: (n,) which answers are marked so.
    """

    labels: tuple[str, ...]
    several: bool
    said: NDArray[np.bool_]
    shares: Array
    numbers: Array | None
    unit: str
    unsure: NDArray[np.bool_]


def read_answers(task: Task, outputs: Array) -> Answers:
    """The answers in a model's outputs (n, width), n being 1 or more."""
    decoded = task.decode(outputs)
    labels, unsure = task.names, np.array([answer["unsure"] for answer in decoded])
    if not labels:
        numbers = np.array([answer["answer"] for answer in decoded], float)
        nothing = np.empty((len(outputs), 0))
        return Answers((), False, nothing.astype(bool), nothing, numbers, decoded[0]["unit"], unsure)
    several = isinstance(decoded[0]["answer"], list)
    places = {label: place for place, label in enumerate(labels)}
    said = np.zeros((len(decoded), len(labels)), bool)
    for row, answer in enumerate(decoded):
        for label in answer["answer"] if several else [answer["answer"]]:
            said[row, places[label]] = True
    return Answers(labels, several, said, task.shares(outputs), None, "", unsure)
