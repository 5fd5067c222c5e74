"""The kinds of task: the half that needs Keras (its twin: `tasks/`).

A head is a dense layer of `units` logits; what they mean, cost and score is the kind's. Losses and scores come as pairs
of tensors of one shape, values and how much each counts: 0 where unknown, else 1. Only the sums sum(values x counts)
and sum(counts) are ever divided: an unknown label adds nothing to a loss and is not in its denominator. Class weights
are factors of the counts, in what is made small and nowhere else: a label of weight 3 is as three labels. So weights do
not change a loss's scale, and a batch costs no more than its worst label however rare that is. (Over the known labels'
number instead, a single rare label may outweigh a batch many times over, and Adam's step with it: tried on garments of
46 colours, it learnt less.) The price: where all known labels of a batch are of one class, their weight has no effect.
"""

from collections.abc import Callable
from typing import Any

from keras import ops

from polyhead.errors import PolyheadError
from polyhead.tasks import Array, Binary, Categorical, MultiLabel, Ordinal, Regression, Task
from polyhead.training.head import Head, as_numbers, find_known
from polyhead.training.losses import (
    TINY,
    Masked,
    Tensor,
    class_loss,
    compare_classes,
    compare_yes_no,
    cosine,
    smooth,
    yes_no_loss,
)
from polyhead.training.number_heads import BinnedHead, RegressionHead
from polyhead.training.own_code import import_part

__all__ = ["HEADS", "BinaryHead", "BinnedHead", "CategoricalHead", "Head", "OrdinalHead", "RegressionHead", "make_head"]


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
        indices, known = find_known(targets)
        truth = ops.one_hot(ops.cast(indices[:, 0], "int32"), self.units)
        if self.task.activation == "softmax":
            return self.values(class_loss, truth, logits), known
        return self.values(yes_no_loss, truth, logits), ops.broadcast_to(known, ops.shape(logits))

    def weights(self, targets: Tensor) -> Tensor:
        return _weights_at(self.task.class_weight, self.task.class_weights(), find_known(targets)[0])

    def scores(self, targets: Tensor, logits: Tensor) -> dict[str, Masked]:
        indices, known = find_known(targets)
        return {"accuracy": (as_numbers(as_numbers(ops.argmax(logits, axis=1))[:, None] == indices), known)}

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
        truth, known = find_known(targets)
        if self.task.loss == "cosine":
            return cosine(smooth(truth, self.task.label_smoothing, 2), logits, known)
        return self.values(yes_no_loss, truth, logits), known

    def weights(self, targets: Tensor) -> Tensor:
        if self.task.class_weight == "none":
            return 1.0
        no, yes = self.task.class_weights().reshape(2, -1).astype("float32")
        return ops.where(find_known(targets)[0] > 0.5, yes, no)

    def scores(self, targets: Tensor, logits: Tensor) -> dict[str, Masked]:
        truth, known = find_known(targets)
        return {"accuracy": (as_numbers((logits >= 0) == (truth > 0.5)), known)}

    def compare(self, outputs: Tensor, logits: Tensor, temperature: float) -> Tensor:
        return compare_yes_no(outputs, logits, temperature)


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
        ranks, known = find_known(targets)
        levels = ops.reshape(ops.arange(self.units, dtype="float32"), (1, -1))
        reached = as_numbers(ranks >= levels) * known  # a level that was never reached teaches nothing of passing it
        return self.values(yes_no_loss, as_numbers(ranks > levels), logits), reached

    def weights(self, targets: Tensor) -> Tensor:
        return _weights_at(self.task.class_weight, self.task.class_weights(), find_known(targets)[0])

    def scores(self, targets: Tensor, logits: Tensor) -> dict[str, Masked]:
        ranks, known = find_known(targets)
        answers = ops.sum(as_numbers(self.passed(logits) > 0.5), axis=1, keepdims=True)
        errors = ops.abs(answers - ranks)
        return {"accuracy": (as_numbers(ops.less(errors, 0.5)), known), "mae": (errors, known)}

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


def _weights_at(way: str, weights: Array, indices: Tensor) -> Tensor:
    """How much rows count in a loss, by the indices (n, 1) of their labels; 1 where the way is `none`."""
    if way == "none":
        return 1.0
    return ops.take(ops.convert_to_tensor(weights, dtype="float32"), ops.cast(indices, "int32"), axis=0)
