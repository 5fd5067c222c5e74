"""Losses of labels, a value for each element that is learnt; the heads choose among them by the task's fields.

Truths are float32 of the logits' shape, 1 for yes and 0 for no (unknown ones hold any number: whoever sums leaves them
out). Factors like (1 - p)^gamma are written as exp(gamma log(1 - p)) where they can be, and kept away from the power
of 0 where they cannot: its gradient is not a number.
"""

from collections.abc import Callable
from typing import Any

from keras import ops

Tensor = Any
Masked = tuple[Tensor, Tensor]  # values, and how much each counts: 0 where unknown
OwnLoss = Callable[[Tensor, Tensor], Tensor]  # of truths and logits: a value for each element that is learnt
TINY = 1e-7


def class_loss(task: Any, truth: Tensor, logits: Tensor) -> Tensor:
    """The loss (n, 1) of a softmax over logits (n, classes), as the task's fields say; truths are one-hot."""
    truth = smooth(truth, task.label_smoothing, logits.shape[-1])
    if task.loss == "focal":
        return focal_classes(truth, logits, task.focusing)
    return ops.categorical_crossentropy(truth, logits, from_logits=True)[:, None]


def yes_no_loss(task: Any, truth: Tensor, logits: Tensor) -> Tensor:
    """The loss (n, k) of a sigmoid for each of k logits, as the task's fields say."""
    truth = smooth(truth, task.label_smoothing, 2)
    if task.loss == "focal":
        return focal(truth, logits, task.focusing)
    if task.loss == "asymmetric":
        return asymmetric(truth, logits, (task.focusing_yes, task.focusing_no), task.margin)
    return ops.binary_crossentropy(truth, logits, from_logits=True)


def number_loss(task: Any, truth: Tensor, logits: Tensor) -> Tensor:
    """The loss (n, 1) of numbers that are scaled already, as the task's field `loss` says."""
    errors = logits - truth
    sizes = ops.abs(errors)
    losses = {
        "mse": ops.square(errors),
        "mae": sizes,
        "huber": ops.where(sizes <= 1, 0.5 * ops.square(errors), sizes - 0.5),
    }
    return losses[task.loss]


def as_column(values: Tensor) -> Tensor:
    """Values (n,) as (n, 1); others as they are."""
    return values[:, None] if len(values.shape) == 1 else values


def smooth(truth: Tensor, share: float, ways: int) -> Tensor:
    """Truths of which `share` is spread evenly over all `ways` that an answer can go.

    Szegedy, Vanhoucke, Ioffe, Shlens, Wojna: Rethinking the Inception Architecture for Computer Vision, 2016.
    """
    return truth * (1 - share) + share / ways if share else truth


def focal_classes(truth: Tensor, logits: Tensor, focusing: float) -> Tensor:
    """Focal loss (n, 1) of a softmax: the sum over classes of -truth (1 - p)^focusing log p. See `focal`."""
    logs = ops.log_softmax(logits)
    doubts = ops.power(ops.maximum(1 - ops.exp(logs), TINY), focusing)
    return -ops.sum(truth * doubts * logs, axis=1, keepdims=True)


def focal(truth: Tensor, logits: Tensor, focusing: float) -> Tensor:
    """Focal loss of sigmoids: cross-entropy times the power `focusing` of the probability of the wrong answer.

    Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, 2017, arXiv:1708.02002.
    """
    yes, no = ops.log_sigmoid(logits), ops.log_sigmoid(-logits)
    return -truth * ops.exp(focusing * no) * yes - (1 - truth) * ops.exp(focusing * yes) * no


def asymmetric(truth: Tensor, logits: Tensor, focusing: tuple[float, float], margin: float) -> Tensor:
    """Asymmetric loss of sigmoids: -(1 - p)^f log p where yes, -q^g log(1 - q) where no, q = max(p - margin, 0).

    Ridnik, Ben-Baruch, Zamir, Noy, Friedman, Protter, Zelnik-Manor: Asymmetric Loss For Multi-Label Classification,
    2021, arXiv:2009.14119.

    Args:
        focusing: the exponents f and g.
        margin: 0 to below 1; 0 shifts nothing.
    """
    yes, no = ops.log_sigmoid(logits), ops.log_sigmoid(-logits)
    log_shifted, log_rest = yes, no
    if margin:
        shifted = ops.maximum(ops.sigmoid(logits) - margin, TINY)
        log_shifted, log_rest = ops.log(shifted), ops.log(ops.maximum(1 - shifted, TINY))
    return -truth * ops.exp(focusing[0] * no) * yes - (1 - truth) * ops.exp(focusing[1] * log_shifted) * log_rest


def cosine(truth: Tensor, logits: Tensor, known: Tensor) -> Masked:
    """1 less the cosine similarity between each row's truths and its sigmoids, over its known labels: (n, 1).

    The published `cosine_proximity` is the negative similarity: less by 1, with the same gradient; a loss below 0 could
    not be weighed against others by its size. A row without a yes has no direction: its loss is 1 whatever the answer.

    Args:
        known: (n, k), 1 where known; a row counts where one label is.
    """
    truth, answers = truth * known, ops.sigmoid(logits) * known
    squares = ops.sum(ops.square(truth), axis=1, keepdims=True) * ops.sum(ops.square(answers), axis=1, keepdims=True)
    similarity = ops.sum(truth * answers, axis=1, keepdims=True) * ops.rsqrt(ops.maximum(squares, TINY**2))
    return 1 - similarity, ops.max(known, axis=1, keepdims=True)


def compare_classes(outputs: Tensor, logs: Tensor, temperature: float) -> Tensor:
    """Cross-entropy (n, 1) of probabilities (n, k) and the logarithms of others at a temperature, times its square."""
    truth = ops.softmax(ops.log(ops.maximum(outputs, TINY)) / temperature)
    return -(temperature**2) * ops.sum(truth * ops.log_softmax(logs / temperature), axis=1, keepdims=True)


def compare_yes_no(outputs: Tensor, logits: Tensor, temperature: float) -> Tensor:
    """The same (n, k) of k independent probabilities (n, k) and sigmoids."""
    certain = ops.clip(outputs, TINY, 1 - TINY)
    truth = ops.sigmoid((ops.log(certain) - ops.log(1 - certain)) / temperature)
    return temperature**2 * ops.binary_crossentropy(truth, logits / temperature, from_logits=True)
