"""Losses and metrics for any Keras model whose labels are partly unknown: a NaN among the targets is no label.

An unknown label adds nothing, and is not in the denominator: each is sum(values x weights) / sum(weights) over the
known labels alone. Keras's own would divide by all rows, and a `sample_weight` cannot say that one of a row's several
labels is unknown. Where a batch knows no label, its loss is 0.
"""

from typing import Any, Literal

import keras
from keras import ops

from polyhead.training.losses import Masked, Tensor, focal, focal_classes, smooth

PACKAGE = "polyhead"


class MaskedLoss(keras.losses.Loss):
    """What the losses share: the mean over known labels, weighted by `sample_weight` (n,) or (n, 1) where it is given.

    Keras logs an epoch's loss as the mean of its batches; where these know different numbers of labels, take a metric
    of this module for the exact figure.
    """

    def measure(self, targets: Tensor, outputs: Tensor) -> Masked:
        """The loss of each value, and 1 where its label is known, else 0."""
        raise NotImplementedError

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        values, counts = _weigh(self.measure(*_convert(y_true, y_pred)), sample_weight)
        number = ops.sum(counts)
        return ops.sum(values * counts) / ops.where(number > 0, number, ops.ones_like(number))


@keras.saving.register_keras_serializable(PACKAGE)
class MaskedCategoricalCrossentropy(MaskedLoss):
    """Cross-entropy of one class of k. Targets (n,) or (n, 1): the class's index, NaN where unknown; outputs (n, k).

    Args:
        from_logits: whether outputs are logits; if not, they are probabilities.
        label_smoothing: from 0 to below 1, how much of a target is spread over all classes.
        focusing: above 0, focal loss with this exponent (Lin et al. 2017, arXiv:1708.02002); for logits alone.
    """

    def __init__(
        self,
        from_logits: bool = True,
        label_smoothing: float = 0.0,
        focusing: float = 0.0,
        name: str = "masked_categorical_crossentropy",
    ) -> None:
        super().__init__(name=name)
        self.from_logits, self.label_smoothing, self.focusing = from_logits, label_smoothing, focusing
        _check_focusing(from_logits, focusing)

    def measure(self, targets: Tensor, outputs: Tensor) -> Masked:
        indices, known = _find_known(targets, 1)
        truth = ops.one_hot(ops.cast(indices[:, 0], "int32"), outputs.shape[-1])
        truth = smooth(truth, self.label_smoothing, outputs.shape[-1])
        if self.focusing:
            return focal_classes(truth, outputs, self.focusing), known
        return ops.categorical_crossentropy(truth, outputs, from_logits=self.from_logits)[:, None], known

    def get_config(self) -> dict[str, Any]:
        return _config(self, "from_logits", "label_smoothing", "focusing")


@keras.saving.register_keras_serializable(PACKAGE)
class MaskedBinaryCrossentropy(MaskedLoss):
    """Cross-entropy of k independent labels. Targets (n, k): 1 yes, 0 no, NaN unknown; outputs (n, k).

    Args:
        from_logits: whether outputs are logits; if not, they are probabilities.
        label_smoothing: from 0 to below 1, how much of a target is spread over yes and no.
        focusing: above 0, focal loss with this exponent (Lin et al. 2017, arXiv:1708.02002); for logits alone.
    """

    def __init__(
        self,
        from_logits: bool = True,
        label_smoothing: float = 0.0,
        focusing: float = 0.0,
        name: str = "masked_binary_crossentropy",
    ) -> None:
        super().__init__(name=name)
        self.from_logits, self.label_smoothing, self.focusing = from_logits, label_smoothing, focusing
        _check_focusing(from_logits, focusing)

    def measure(self, targets: Tensor, outputs: Tensor) -> Masked:
        truth, known = _find_known(targets, outputs.shape[-1])
        truth = smooth(truth, self.label_smoothing, 2)
        if self.focusing:
            return focal(truth, outputs, self.focusing), known
        return ops.binary_crossentropy(truth, outputs, from_logits=self.from_logits), known

    def get_config(self) -> dict[str, Any]:
        return _config(self, "from_logits", "label_smoothing", "focusing")


@keras.saving.register_keras_serializable(PACKAGE)
class MaskedRegressionLoss(MaskedLoss):
    """Errors of numbers. Targets and outputs (n, k), or (n,): in any unit; NaN where unknown.

    Args:
        error: `squared`, `absolute`, or `huber`: half the square up to 1, beyond it the size less a half.
    """

    def __init__(
        self, error: Literal["squared", "absolute", "huber"] = "squared", name: str = "masked_regression_loss"
    ) -> None:
        super().__init__(name=name)
        if error not in ("squared", "absolute", "huber"):
            raise ValueError(f"error: expected squared, absolute or huber; got {error!r}")
        self.error = error

    def measure(self, targets: Tensor, outputs: Tensor) -> Masked:
        numbers, known = _find_known(targets, outputs.shape[-1])
        sizes = ops.abs(outputs - numbers)
        if self.error == "absolute":
            return sizes, known
        squares = ops.square(sizes)
        return squares if self.error == "squared" else ops.where(sizes <= 1, squares / 2, sizes - 0.5), known

    def get_config(self) -> dict[str, Any]:
        return _config(self, "error")


class MaskedMetric(keras.metrics.Mean):
    """What the metrics share: the mean over all known labels of an epoch, whatever batches they came in.

    0 where no label was known, as in Keras; `sample_weight` is (n,) or (n, 1).
    """

    def measure(self, targets: Tensor, outputs: Tensor) -> Masked:
        """The score of each value, and 1 where its label is known, else 0."""
        raise NotImplementedError

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> None:
        values, counts = _weigh(self.measure(*_convert(y_true, y_pred)), sample_weight)
        super().update_state(values, sample_weight=counts)


@keras.saving.register_keras_serializable(PACKAGE)
class MaskedCategoricalAccuracy(MaskedMetric):
    """How many classes are right, from 0 to 1. Targets (n,) or (n, 1): the index, NaN unknown; outputs (n, k)."""

    def __init__(self, name: str = "accuracy") -> None:
        super().__init__(name=name)

    def measure(self, targets: Tensor, outputs: Tensor) -> Masked:
        indices, known = _find_known(targets, 1)
        return ops.cast(ops.cast(ops.argmax(outputs, axis=-1), "float32")[:, None] == indices, "float32"), known

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


@keras.saving.register_keras_serializable(PACKAGE)
class MaskedBinaryAccuracy(MaskedMetric):
    """How many yes and no are right, from 0 to 1. Targets (n, k): 1 yes, 0 no, NaN unknown; outputs (n, k).

    Args:
        threshold: from which output on the answer is yes: 0 suits logits, 0.5 probabilities.
    """

    def __init__(self, threshold: float = 0.0, name: str = "accuracy") -> None:
        super().__init__(name=name)
        self.threshold = threshold

    def measure(self, targets: Tensor, outputs: Tensor) -> Masked:
        truth, known = _find_known(targets, outputs.shape[-1])
        return ops.cast((outputs >= self.threshold) == (truth > 0.5), "float32"), known

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "threshold": self.threshold}


@keras.saving.register_keras_serializable(PACKAGE)
class MaskedMeanAbsoluteError(MaskedMetric):
    """How far numbers are off on average, in their own unit. Targets and outputs (n, k), or (n,); NaN where unknown."""

    def __init__(self, name: str = "mae") -> None:
        super().__init__(name=name)

    def measure(self, targets: Tensor, outputs: Tensor) -> Masked:
        numbers, known = _find_known(targets, outputs.shape[-1])
        return ops.abs(outputs - numbers), known

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


def _convert(targets: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
    targets = ops.cast(ops.convert_to_tensor(targets), "float32")
    outputs = ops.cast(ops.convert_to_tensor(outputs), "float32")
    return targets, outputs if len(outputs.shape) > 1 else outputs[:, None]


def _find_known(targets: Tensor, width: int) -> Masked:
    """Targets (n, width) with 0 for what is unknown, and where they are known.

    NaN is replaced before anything is computed with it: a NaN times 0 is a NaN, in the gradient too.
    """
    targets = ops.reshape(targets, (-1, width))
    known = ops.logical_not(ops.isnan(targets))
    return ops.where(known, targets, ops.zeros_like(targets)), ops.cast(known, "float32")


def _weigh(masked: Masked, weights: Tensor | None) -> Masked:
    """The same, where each row counts as much as its weight says."""
    values, known = masked
    return values, known if weights is None else known * ops.reshape(ops.cast(weights, "float32"), (-1, 1))


def _check_focusing(from_logits: bool, focusing: float) -> None:
    if focusing and not from_logits:
        raise ValueError("focusing: focal loss is computed from logits; take from_logits=False out")


def _config(loss: keras.losses.Loss, *names: str) -> dict[str, Any]:
    """What Keras keeps of a loss in a file."""
    return {"name": loss.name} | {name: getattr(loss, name) for name in names}
