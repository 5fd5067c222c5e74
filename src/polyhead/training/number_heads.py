"""The heads of tasks whose answer is a number: one logit, or the expectation over learnt bins."""

import numpy as np
from keras import ops

from polyhead.tasks import Array, Regression
from polyhead.tasks.intervals import QUANTILES
from polyhead.training.head import Head, find_known
from polyhead.training.losses import TINY, Masked, Tensor, number_loss


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
        numbers, known = find_known(targets)
        scaled = (numbers - self.task.state.offset) / self.task.state.factor
        return self.values(number_loss, scaled, logits), known

    def weights(self, targets: Tensor) -> Tensor:
        return 1.0

    def scores(self, targets: Tensor, logits: Tensor) -> dict[str, Masked]:
        numbers, known = find_known(targets)
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
        numbers, known = find_known(targets)
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
        numbers, known = find_known(targets)
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
