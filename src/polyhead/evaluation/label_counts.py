"""How often each label is the truth, was answered, and was answered rightly; and F1 and others, which follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyhead.evaluation.bootstrap import Draws, divide
from polyhead.tasks import Array, Task

Marks = NDArray[np.bool_]


class Marked(NamedTuple):
    """Of n rows and k labels, (n, k) each: what is the truth, what was answered, and of what the truth is known."""

    truth: Marks
    given: Marks
    known: Marks


@dataclass(frozen=True)
class Counts:
    """How often each of k labels was answered rightly, is the truth, and was answered: (..., k)."""

    right: Array
    truth: Array
    given: Array

    def scores(self) -> dict[str, Array]:
        """Precision, recall and F1 of each label; 0 without a case."""
        found = {"precision": (self.right, self.given), "recall": (self.right, self.truth)}
        found["f1"] = (2 * self.right, self.truth + self.given)
        return {name: divide(*parts) for name, parts in found.items()}

    def present(self) -> NDArray[np.bool_]:
        """Which labels are the truth or an answer at all."""
        return np.asarray(self.truth + self.given > 0)

    def macro(self, score: str) -> Array:
        """The mean of a score over the labels that are present, (...); NaN where none is."""
        present = self.present()
        return divide((self.scores()[score] * present).sum(axis=-1), present.sum(axis=-1), none=np.nan)


def mark_classes(texts: Sequence[str], answers: Sequence[str], labels: Sequence[str]) -> Marked:
    """Of a task with one label an image: n texts, blank where unknown, and n answers."""
    truth, said = np.array(texts, object), np.array(answers, object)
    known = np.asarray(truth != "")
    is_true = np.stack([truth == label for label in labels], axis=1)
    is_given = np.stack([(said == label) & known for label in labels], axis=1)
    return Marked(is_true, is_given, np.repeat(known[:, np.newaxis], len(labels), axis=1))


def mark_several(task: Task, texts: Sequence[str], outputs: Array) -> Marked:
    """Of a task with several labels an image, each a yes or a no: n texts and the outputs (n, width)."""
    truth, index = task.encode(texts), {name: i for i, name in enumerate(task.names)}
    known = ~np.isnan(truth)
    said = np.zeros(known.shape, bool)
    for row, answer in enumerate(task.decode(outputs)):
        said[row, [index[label] for label in answer.labels]] = True
    return Marked(truth == 1, said & known, known)


def count_in_draws(marked: Marked, draws: Draws) -> Counts:
    """The counts of each draw, (draws, k)."""
    columns = np.column_stack([marked.truth & marked.given, marked.truth, marked.given])
    return Counts(*np.split(draws.sum(columns), 3, axis=1))


def find_macro_f1(task: Task, texts: Sequence[str], outputs: Array, draws: Draws) -> tuple[float, Array]:
    """Macro F1, as `Task.measure` has it, and the same in each draw.

    Args:
        task: with labels.
        texts: n, blank where unknown, as `Task.regroup` gives them; one or more are known.
        outputs: (n, width).
    """
    if task.several:
        marked = mark_several(task, texts, outputs)
        used = marked.known.any(axis=0)
        drawn = count_in_draws(marked, draws).scores()["f1"][:, used].mean(axis=1)
        return float(_count(marked).scores()["f1"][used].mean()), drawn
    answers = [answer.label for answer in task.decode(outputs)]
    marked = mark_classes(texts, answers, sorted({*texts, *answers} - {""}))
    return float(_count(marked).macro("f1")), count_in_draws(marked, draws).macro("f1")


def _count(marked: Marked) -> Counts:
    right, truth, given = (
        part.sum(axis=0).astype(float) for part in (marked.truth & marked.given, marked.truth, marked.given)
    )
    return Counts(right, truth, given)
