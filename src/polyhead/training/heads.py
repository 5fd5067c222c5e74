"""The kinds of task: the half that needs Keras (its twin: `tasks/`).

A head is a dense layer of `units` logits; what they mean, cost and score is the kind's. Losses and scores come as pairs
of tensors of one shape, values and how much each counts: 0 where unknown, else 1. Only the sums sum(values x counts)
and sum(counts) are ever divided: an unknown label adds nothing to a loss and is not in its denominator. Class weights
are factors of the counts, in what is made small and nowhere else: a label of weight 3 is as three labels. So weights do
not change a loss's scale, and a batch costs no more than its worst label however rare that is. (Over the known labels'
number instead, a single rare label may outweigh a batch many times over, and Adam's step with it: tried on garments of
46 colours, it learnt less.) The price: where all known labels of a batch are of one class, their weight has no effect.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from polyhead.errors import PolyheadError
from polyhead.tasks import Array, Binary, Categorical, MultiLabel, Ordinal, Regression, Task
from polyhead.tasks.intervals import QUANTILES
from polyhead.training.losses import (
    TINY,
    Masked,
    OwnLoss,
    Tensor,
    as_column,
    class_loss,
    compare_classes,
    compare_yes_no,
    cosine,
    number_loss,
    smooth,
    yes_no_loss,
)
from polyhead.training.own_code import import_part


class Head(ABC):
    """How one task is learnt. Targets are those of `Task.encode`: float32, NaN where unknown.

    Attributes:
        own_loss: the function that the task's `loss` names where it is the user's own, once training has imported it.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.own_loss: OwnLoss | None = None

    @property
    @abstractmethod
    def units(self) -> int:
        """How many logits it takes."""

    @property
    @abstractmethod
    def output(self) -> str:
        """What `activate` does, in a word."""

    @abstractmethod
    def activate(self, logits: Tensor) -> Tensor:
        """Outputs (n, task.width), as `Task.decode` reads them, of logits (n, units)."""

    @abstractmethod
    def loss(self, targets: Tensor, logits: Tensor) -> Masked:
        """The loss of every value that the head is to learn, and how much each counts."""

    def values(self, usual: Callable[[Any, Tensor, Tensor], Tensor], truth: Tensor, logits: Tensor) -> Tensor:
        """The loss of each value, by the user's own function, or by the `usual` one."""
        return usual(self.task, truth, logits) if self.own_loss is None else as_column(self.own_loss(truth, logits))

    def compare(self, outputs: Tensor, logits: Tensor, temperature: float) -> Tensor:
        """How far answers are from a teacher's, (n, columns), for it to be made small; the squared error, if not told.

        Where it is a cross-entropy it is times the temperature's square, so that its gradient keeps its size (Hinton,
        Vinyals, Dean: Distilling the Knowledge in a Neural Network, 2015, arXiv:1503.02531).

        Args:
            outputs: what a teacher of the same kind and labels answers (n, task.width).
        """
        return ops.square(self.activate(logits) - outputs)

    @abstractmethod
    def weights(self, targets: Tensor) -> Tensor:
        """What the counts of the loss are multiplied by while it is made small: the classes' weights, or 1."""

    @abstractmethod
    def scores(self, targets: Tensor, logits: Tensor) -> dict[str, Masked]:
        """The metrics to show while it learns, by their usual names."""


class CategoricalHead(Head):
    """Softmax and a loss of classes; or a sigmoid a class and a loss of yes and no over them."""

    task: Categorical

    @property
    def units(self) -> int:
        return self.task.width

    @property
    def output(self) -> str:
        return self.task.activation

    def activate(self, logits: Tensor) -> Tensor:
        return ops.softmax(logits) if self.task.activation == "softmax" else ops.sigmoid(logits)

    def loss(self, targets: Tensor, logits: Tensor) -> Masked:
        indices, known = _known(targets)
        truth = ops.one_hot(ops.cast(indices[:, 0], "int32"), self.units)
        if self.task.activation == "softmax":
            return self.values(class_loss, truth, logits), known
        return self.values(yes_no_loss, truth, logits), ops.broadcast_to(known, ops.shape(logits))

    def weights(self, targets: Tensor) -> Tensor:
        return _weights_at(self.task.class_weight, self.task.class_weights(), _known(targets)[0])

    def scores(self, targets: Tensor, logits: Tensor) -> dict[str, Masked]:
        indices, known = _known(targets)
        return {"accuracy": (_as_numbers(_as_numbers(ops.argmax(logits, axis=1))[:, None] == indices), known)}

    def compare(self, outputs: Tensor, logits: Tensor, temperature: float) -> Tensor:
        if self.task.activation == "softmax":
            return compare_classes(outputs, ops.log_softmax(logits), temperature)
        return compare_yes_no(outputs, logits, temperature)


class BinaryHead(Head):
    """One sigmoid, or several that are independent, and a loss of yes and no."""

    task: Binary | MultiLabel

    @property
    def output(self) -> str:
        return "sigmoid"

    @property
    def units(self) -> int:
        return self.task.width

    def activate(self, logits: Tensor) -> Tensor:
        return ops.sigmoid(logits)

    def loss(self, targets: Tensor, logits: Tensor) -> Masked:
        truth, known = _known(targets)
        if self.task.loss == "cosine":
            return cosine(smooth(truth, self.task.label_smoothing, 2), logits, known)
        return self.values(yes_no_loss, truth, logits), known

    def weights(self, targets: Tensor) -> Tensor:
        if self.task.class_weight == "none":
            return 1.0
        no, yes = self.task.class_weights().reshape(2, -1).astype("float32")
        return ops.where(_known(targets)[0] > 0.5, yes, no)

    def scores(self, targets: Tensor, logits: Tensor) -> dict[str, Masked]:
        truth, known = _known(targets)
        return {"accuracy": (_as_numbers((logits >= 0) == (truth > 0.5)), known)}

    def compare(self, outputs: Tensor, logits: Tensor, temperature: float) -> Tensor:
        return compare_yes_no(outputs, logits, temperature)


class RegressionHead(Head):
    """A number; the network learns it scaled, outputs and errors are in the label's unit."""

    task: Regression

    @property
    def output(self) -> str:
        return "linear"

    @property
    def units(self) -> int:
        return 1

    def activate(self, logits: Tensor) -> Tensor:
        return limit(self.task, logits * self.task.state.factor + self.task.state.offset)

    def loss(self, targets: Tensor, logits: Tensor) -> Masked:
        numbers, known = _known(targets)
        scaled = (numbers - self.task.state.offset) / self.task.state.factor
        return self.values(number_loss, scaled, logits), known

    def weights(self, targets: Tensor) -> Tensor:
        return 1.0

    def scores(self, targets: Tensor, logits: Tensor) -> dict[str, Masked]:
        numbers, known = _known(targets)
        return {"mae": (ops.abs(self.activate(logits) - numbers), known)}

    def compare(self, outputs: Tensor, logits: Tensor, temperature: float) -> Tensor:
        return ops.square(logits - (outputs[:, :1] - self.task.state.offset) / self.task.state.factor)


class BinnedHead(Head):
    """A number as the expectation over learnt bins, and the quantiles of their probabilities as its interval.

    Rothe, Timofte, Van Gool: DEX: Deep EXpectation of Apparent Age from a Single Image, 2015. Gao, Xing, Xie, Wu, Geng:
    Deep Label Distribution Learning with Label Ambiguity, 2017, arXiv:1611.01731. Gao, Zhou, Wu, Geng: Age Estimation
    Using Expectation of Label Distribution Learning, 2018, arXiv:1807.00430: a loss of the distribution, and one of the
    expectation.
    """

    task: Regression

    @property
    def output(self) -> str:
        return "expectation"

    @property
    def units(self) -> int:
        return self.task.bins or 0

    @property
    def _span(self) -> tuple[float, float]:
        """The first bin's middle, and how far one bin's middle is from the next."""
        bins = self.task.state.learnt_bins
        low, high = (bins.low, bins.high) if bins else (0.0, 1.0)
        return low, (high - low) / (self.units - 1)

    def _expect(self, logits: Tensor) -> Tensor:
        """The expectations (n, 1), in the label's unit."""
        low, width = self._span
        return low + width * _add_up(ops.softmax(logits), np.arange(self.units, dtype="float32"))

    def activate(self, logits: Tensor) -> Tensor:
        low, width = self._span
        shares = ops.softmax(logits)
        before = ops.cumsum(shares, axis=1) - shares
        outputs = [self._expect(logits)]
        for quantile in QUANTILES:
            # A bin's probability is spread evenly over its width: below the quantile is this part of each bin.
            parts = ops.clip((quantile - before) / ops.maximum(shares, TINY), 0.0, 1.0)
            outputs.append(low - width / 2 + width * _add_up(parts, np.ones(self.units, "float32")))
        return limit(self.task, ops.concatenate(outputs, axis=1))

    def loss(self, targets: Tensor, logits: Tensor) -> Masked:
        numbers, known = _known(targets)
        low, width = self._span
        away = (numbers - low) / width - ops.arange(self.units, dtype="float32")
        spread = ops.softmax(-0.5 * ops.square(away))  # a Gaussian's, and the nearest bin's where all are far
        surprise = -ops.sum(spread * ops.log_softmax(logits), axis=1, keepdims=True)
        truth, answers = (self._scale(values) for values in (numbers, self._expect(logits)))
        return surprise + self.values(number_loss, truth, answers), known

    def _scale(self, numbers: Tensor) -> Tensor:
        return (numbers - self.task.state.offset) / self.task.state.factor

    def weights(self, targets: Tensor) -> Tensor:
        return 1.0

    def scores(self, targets: Tensor, logits: Tensor) -> dict[str, Masked]:
        numbers, known = _known(targets)
        return {"mae": (ops.abs(limit(self.task, self._expect(logits)) - numbers), known)}

    def compare(self, outputs: Tensor, logits: Tensor, temperature: float) -> Tensor:
        return ops.square(self._scale(self._expect(logits)) - self._scale(outputs[:, :1]))


def _add_up(values: Tensor, factors: Array) -> Tensor:
    """The sum (n, 1) of values (n, k) times factors (k,), by what a model file may hold."""
    return ops.matmul(values, factors[:, None])


def limit(task: Regression, numbers: Tensor) -> Tensor:
    """The numbers within the task's minimum and maximum."""
    if task.minimum is not None:
        numbers = ops.maximum(numbers, task.minimum)
    if task.maximum is not None:
        numbers = ops.minimum(numbers, task.maximum)
    return numbers


class OrdinalHead(Head):
    """CORN: each logit says whether a level is passed, given that it is reached.

    Shi, Cao, Raschka: Deep Neural Networks for Rank-Consistent Ordinal Regression Based On Conditional Probabilities,
    2021, arXiv:2111.08851.
    """

    task: Ordinal

    @property
    def output(self) -> str:
        return "CORN"

    @property
    def units(self) -> int:
        return self.task.width - 1

    def passed(self, logits: Tensor) -> Tensor:
        """The probability of each level but the highest to be passed (n, units)."""
        # It is the product of the conditional probabilities up to the level; as a sum of logarithms it stays exact.
        return ops.exp(ops.cumsum(ops.log_sigmoid(logits), axis=1))

    def activate(self, logits: Tensor) -> Tensor:
        above = self.passed(logits)
        one = ops.ones_like(above[:, :1])
        return ops.concatenate([one, above], axis=1) - ops.concatenate([above, ops.zeros_like(one)], axis=1)

    def loss(self, targets: Tensor, logits: Tensor) -> Masked:
        ranks, known = _known(targets)
        levels = ops.reshape(ops.arange(self.units, dtype="float32"), (1, -1))
        reached = _as_numbers(ranks >= levels) * known  # a level that was never reached teaches nothing of passing it
        return self.values(yes_no_loss, _as_numbers(ranks > levels), logits), reached

    def weights(self, targets: Tensor) -> Tensor:
        return _weights_at(self.task.class_weight, self.task.class_weights(), _known(targets)[0])

    def scores(self, targets: Tensor, logits: Tensor) -> dict[str, Masked]:
        ranks, known = _known(targets)
        answers = ops.sum(_as_numbers(self.passed(logits) > 0.5), axis=1, keepdims=True)
        errors = ops.abs(answers - ranks)
        return {"accuracy": (_as_numbers(ops.less(errors, 0.5)), known), "mae": (errors, known)}

    def compare(self, outputs: Tensor, logits: Tensor, temperature: float) -> Tensor:
        return compare_classes(outputs, ops.log(ops.maximum(self.activate(logits), TINY)), temperature)


def _make_regression_head(task: Regression) -> Head:
    return BinnedHead(task) if task.bins else RegressionHead(task)


HEADS: dict[str, Callable[[Any], Head]] = {
    "categorical": CategoricalHead,
    "multilabel": BinaryHead,
    "binary": BinaryHead,
    "regression": _make_regression_head,
    "ordinal": OrdinalHead,
}


def make_head(name: str, task: Task) -> Head:
    """The head of a task called `name`; that of a kind of another package is what the kind's `HEAD` names.

    Raises:
        PolyheadError: that cannot be imported, or is no head.
    """
    if task.kind in HEADS:
        return HEADS[task.kind](task)
    path, key = task.HEAD, f"tasks.{name}.kind"
    head = import_part(path, key)(task)
    if not isinstance(head, Head):
        raise PolyheadError(f"{key}: expected a polyhead.training.heads.Head; {path} gives {type(head).__name__}")
    return head


def _known(targets: Tensor) -> Masked:
    # NaN is replaced before anything is computed with it: a NaN times 0 is a NaN, in the gradient too.
    known = ops.logical_not(ops.isnan(targets))
    return ops.where(known, targets, ops.zeros_like(targets)), _as_numbers(known)


def _weights_at(way: str, weights: Array, indices: Tensor) -> Tensor:
    """How much rows count in a loss, by the indices (n, 1) of their labels; 1 where the way is `none`."""
    if way == "none":
        return 1.0
    return ops.take(ops.convert_to_tensor(weights, dtype="float32"), ops.cast(indices, "int32"), axis=0)


def _as_numbers(condition: Tensor) -> Tensor:
    return ops.cast(condition, "float32")
