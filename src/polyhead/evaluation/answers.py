"""The answers to a set of images as columns: what a table, a gallery or a group's frequencies are made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyhead.tasks import Array, Task


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model answered of n images for one task.

    Attributes:
        labels: those that it can answer; none for a task whose answer is a number.
        several: whether it may answer any number of labels at once.
        predicted: (n, labels), which labels the answers have.
        probabilities: (n, labels), 0 to 1, of each label.
        numbers: (n,) the answers of a task whose answer is a number.
        unit: of the numbers.
        unsure: (n,) which answers are marked so.
        promised: what each answer is narrowed down to, as text, blank where that is the answer alone; empty for a task
            that promises nothing.
    """

    labels: tuple[str, ...]
    several: bool
    predicted: NDArray[np.bool_]
    probabilities: Array
    numbers: Array | None
    unit: str
    unsure: NDArray[np.bool_]
    promised: list[str]


def read_answers(task: Task, outputs: Array) -> Answers:
    """The answers in a model's outputs (n, width)."""
    answers, labels = task.decode(outputs), task.names
    indices = {label: index for index, label in enumerate(labels)}
    predicted = np.zeros((len(answers), len(labels)), bool)
    for row, answer in enumerate(answers):
        for label in answer.labels:
            predicted[row, indices[label]] = True
    return Answers(
        labels=labels,
        several=task.several,
        predicted=predicted,
        probabilities=task.probabilities(outputs),
        numbers=outputs[:, 0].astype(float) if task.numeric else None,
        unit=task.error_unit if task.numeric else "",
        unsure=np.array([answer.unsure for answer in answers], bool),
        promised=[] if task.promise is None else [_describe_promise(answer.to_dict()) for answer in answers],
    )


def _describe_promise(values: Mapping[str, Any]) -> str:
    """An answer's interval, the labels of which it is not sure, or its set of labels."""
    if "interval" in values:
        low, high = values["interval"]
        return f"{low:.4g} to {high:.4g} {values['unit']}".strip()
    if "not_sure" in values:
        return f"not sure of {', '.join(values['not_sure'])}" if values["not_sure"] else ""
    return f"one of {', '.join(values['set'])}" if len(values.get("set", ())) > 1 else ""
