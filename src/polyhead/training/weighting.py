"""How the tasks' losses are weighted against each other in training: one small class for each way.

All of them keep the recipe's `loss_weight` as a factor, and none of them touches the `loss` and `val_loss` that are
logged, which are always the recipe's weighted sum: what an epoch is chosen by must not shrink because weights do.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from polyhead.training.losses import Tensor

TEMPERATURE = 2.0  # of the dynamic average, as in its paper


class Balance(keras.layers.Layer, ABC):
    """What all ways share. A layer only so that its variables are the model's: trained, saved and restored.

    Args:
        weights: the recipe's `loss_weight` of each task.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__(name="balance")
        self.fixed = dict(weights)
        self.indices = {name: index for index, name in enumerate(weights)}
        self.built = True

    @abstractmethod
    def weigh(self, name: str, loss: Tensor, labelled: Tensor) -> Tensor:
        """What a task adds to the sum that is minimised.

        Args:
            loss: the task's mean over a batch.
            labelled: whether the batch has labels of it.
        """

    def start_epoch(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take note of the history so far, before an epoch or the rest of one."""

    def current(self) -> dict[str, float]:
        """The factor of each task's loss at present; empty where it never changes."""
        return {}


class Fixed(Balance):
    """The recipe's weights."""

    def weigh(self, name: str, loss: Tensor, labelled: Tensor) -> Tensor:
        return self.fixed[name] * loss


class Uncertainty(Balance):
    """A learnt variance for each task: exp(-s) loss + s / 2, where s is its logarithm.

    That is least where exp(-s) = 1 / (2 loss): each task's loss weighs as one over its size. (Kendall et al. halve the
    first term for regressions, which moves s and not the weight that is reached.) In a batch without labels of a task s
    stays as it is. Kendall, Gal, Cipolla: Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and
    Semantics, 2018, arXiv:1705.07115.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__(weights)
        self.log_variances = self.add_weight(shape=(len(weights),), initializer="zeros", name="log_variances")

    def weigh(self, name: str, loss: Tensor, labelled: Tensor) -> Tensor:
        log_variance = self.log_variances[self.indices[name]]
        cost = ops.exp(-log_variance) * loss + log_variance / 2
        return self.fixed[name] * ops.where(labelled, cost, 0.0)

    def current(self) -> dict[str, float]:
        found = ops.convert_to_numpy(ops.exp(-self.log_variances))
        return {name: self.fixed[name] * float(found[index]) for name, index in self.indices.items()}


class DynamicAverage(Balance):
    """Weights that follow how fast each task's training loss fell over the last two epochs: see `average_weights`."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__(weights)
        self.factors = self.add_weight(shape=(len(weights),), initializer="ones", trainable=False, name="factors")

    def weigh(self, name: str, loss: Tensor, labelled: Tensor) -> Tensor:
        return self.fixed[name] * self.factors[self.indices[name]] * loss

    def start_epoch(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.factors.assign(average_weights(rows, list(self.indices)))

    def current(self) -> dict[str, float]:
        found = ops.convert_to_numpy(self.factors)
        return {name: self.fixed[name] * float(found[index]) for name, index in self.indices.items()}


def average_weights(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[float]:
    """The dynamic weight average of k tasks for the epoch after `rows` of history: k exp(r/2) / sum of exp(r/2).

    r is a task's training loss in the last epoch over that in the one before; 1 in the first two epochs, and where one
    of the two is unknown or 0. The weights' mean is 1; a task that falls more slowly than others weighs more. Liu,
    Johns, Davison: End-to-End Multi-Task Learning with Attention, 2019, arXiv:1803.10704.
    """
    rates = [1.0] * len(names)
    if len(rows) > 1:
        pairs = [(rows[-1].get(f"{name}.loss"), rows[-2].get(f"{name}.loss")) for name in names]
        rates = [last / before if last and before else 1.0 for last, before in pairs]
    powers = [math.exp((rate - max(rates)) / TEMPERATURE) for rate in rates]
    return [len(names) * power / sum(powers) for power in powers]


BALANCES: dict[str, type[Balance]] = {
    "fixed": Fixed,
    "uncertainty": Uncertainty,
    "dynamic_average": DynamicAverage,
}
