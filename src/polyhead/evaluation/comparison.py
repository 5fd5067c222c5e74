"""Whether one model is better than another, on the same images: the difference of each figure, with its interval."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from polyhead.evaluation.bootstrap import Draws, divide
from polyhead.evaluation.label_counts import find_macro_f1
from polyhead.evaluation.paired import Pair, find_drawn_gain, find_mean_gain, find_paired
from polyhead.evaluation.results import FEW
from polyhead.tasks import Array, Task


@dataclass(frozen=True)
class Difference:
    """By how much the second of two models is better in one figure, on the images whose label is known.

    Attributes:
        task: its name; empty for a figure of all tasks together.
        metric: `accuracy` (of a multilabel task over its labels), `macro_f1`, `mae` or `r2`; of all tasks together
            `all_correct` or `mean_accuracy`.
        values: the metric of the first model and of the second.
        better_by: by how much the second is better, negative where it is worse: a fraction, or in the task's unit.
        interval: of `better_by`, with 95 % confidence; None for fewer than two groups of images.
        n: how many images.
        unit: of an error, such as `years`; empty where there is none.
    """

    task: str
    metric: str
    values: Pair
    better_by: float
    interval: Pair | None
    n: int
    unit: str = ""

    @property
    def verdict(self) -> str:
        """`better` or `worse`, of the second; `no clear difference`; or `too few`, of fewer than 30 images."""
        if self.interval is None or self.n < FEW:
            return "too few"
        low, high = self.interval
        return "better" if low > 0 else "worse" if high < 0 else "no clear difference"


@dataclass(frozen=True)
class Answers:
    """What two models answered about the same n images.

    Attributes:
        tasks: by name, as the first and as the second model learnt them.
        labels: a text column a task, blank where unknown.
        outputs: of the first model and of the second, by task (n, width).
        draws: of the images' groups.
    """

    tasks: Mapping[str, tuple[Task, Task]]
    labels: pd.DataFrame
    outputs: tuple[Mapping[str, Array], Mapping[str, Array]]
    draws: Draws

    def scores(self, name: str) -> Array:
        """Of each model, 1 for a right answer to one of m labels of n images and 0 for a wrong one; of a number, the
        error: (2, n, m), NaN where the label is unknown to either."""
        found = []
        for task, labels, outputs in self.of(name):
            decisions = task.decisions(labels, outputs)
            found.append(task.mistakes(labels, outputs)[:, np.newaxis] if decisions is None else decisions[1])
        return _both_known(np.stack(found).astype(float))

    def level_errors(self, name: str) -> Array:
        """Of each model, by how many levels its answers to n images are off: (2, n), NaN where one is unknown."""
        found = []
        for task, labels, outputs in self.of(name):
            at = {level: float(index) for index, level in enumerate(task.names)}
            said = [at[answer.label] for answer in task.decode(outputs)]
            found.append([abs(at.get(label, np.nan) - level) for label, level in zip(labels, said, strict=True)])
        return _both_known(np.array(found))

    def of(self, name: str) -> list[tuple[Task, list[str], Array]]:
        """Of each model the task as it learnt it, the labels as that knows them, and the outputs."""
        labels = self.labels[name].tolist()
        both = zip(self.tasks[name], self.outputs, strict=True)
        return [(task, task.regroup(labels), outputs[name]) for task, outputs in both]


def _both_known(values: Array) -> Array:
    """Of two models (2, ...): unknown of both what is unknown of one."""
    return np.where(np.isfinite(values).all(axis=0), values, np.nan)


def compare_task(name: str, answers: Answers) -> list[Difference]:
    """How much better the second model is at a task, in each figure that says most, the main one first.

    With labels these are accuracy and macro F1, with levels their mean error, too; of a number the mean error and R2.
    Empty where no label is known.
    """
    scores, first = answers.scores(name), answers.tasks[name][0]
    if not np.isfinite(scores).any():
        return []
    if not first.has_probabilities:
        errors = scores[..., 0]
        return [*_compare_errors(name, errors, answers, first.error_unit), *_compare_r2(name, errors, answers)]
    found = [_compare_right(name, "accuracy", scores, answers), _compare_macro_f1(name, answers)]
    if first.error_unit:
        found.extend(_compare_errors(name, answers.level_errors(name), answers, first.error_unit))
    return found


def compare_joint(answers: Answers) -> list[Difference]:
    """The same of all tasks with one right label together: on how many images all are right, and the mean accuracy.

    Empty for fewer than two such tasks.
    """
    names = [name for name, (task, _) in answers.tasks.items() if task.has_one_label]
    if len(names) < 2:
        return []
    scores = np.concatenate([answers.scores(name) for name in names], axis=2)
    known = np.isfinite(scores)
    if not known.any():
        return []
    whole = np.where(known, scores, 1).min(axis=2, keepdims=True)
    whole[~known.any(axis=2)] = np.nan
    return [_compare_right("", "all_correct", whole, answers), _compare_right("", "mean_accuracy", scores, answers)]


def _compare_right(task: str, metric: str, scores: Array, answers: Answers) -> Difference:
    """Of right answers (2, n, m)."""
    values, gains = np.nanmean(scores, axis=(1, 2)).tolist(), scores[1] - scores[0]
    count = int(np.isfinite(gains).any(axis=1).sum())
    interval = find_paired(gains, answers.draws.groups)
    return Difference(task, metric, (values[0], values[1]), values[1] - values[0], interval, count)


def _compare_macro_f1(name: str, answers: Answers) -> Difference:
    (first, drawn), (second, others) = (find_macro_f1(*of, answers.draws) for of in answers.of(name))
    known = np.array([bool(label) for label in answers.of(name)[0][1]])
    [(count, groups)] = answers.draws.cases(known[:, np.newaxis])
    interval = find_drawn_gain(second - first, others - drawn, int(groups), score=True)
    return Difference(name, "macro_f1", (first, second), second - first, interval, int(count))


def _compare_errors(name: str, errors: Array, answers: Answers, unit: str) -> list[Difference]:
    """Of absolute errors (2, n); none where all are unknown."""
    known = np.isfinite(errors[0])
    if not known.any():
        return []
    first, second = np.nanmean(errors, axis=1).tolist()
    interval = find_mean_gain(errors[0] - errors[1], answers.draws.groups)
    return [Difference(name, "mae", (first, second), first - second, interval, int(known.sum()), unit)]


def _compare_r2(name: str, errors: Array, answers: Answers) -> list[Difference]:
    """Of absolute errors (2, n); none where all labels are equal."""
    task, labels, _ = answers.of(name)[0]
    known = np.isfinite(errors[0])
    truth = task.encode(labels)[:, 0].astype(float)
    truth = np.where(known, truth - truth[known].mean(), 0)
    squares = np.nan_to_num(errors**2) * known
    if not truth.any():
        return []
    first, second = (1 - missed.sum() / (truth**2).sum() for missed in squares)
    count, sums, total, *missed = answers.draws.sum(np.column_stack([known, truth, truth**2, *squares])).T
    drawn = divide(missed[0] - missed[1], total - divide(sums**2, count), none=np.nan)
    [(n, groups)] = answers.draws.cases(known[:, np.newaxis])
    interval = find_drawn_gain(second - first, drawn, int(groups), score=False)
    return [Difference(name, "r2", (float(first), float(second)), float(second - first), interval, int(n))]
