"""What every head is: how one task is learnt, whatever its kind."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from keras import ops

from polyhead.tasks import Task
from polyhead.training.losses import Masked, OwnLoss, Tensor, as_column


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


def find_known(targets: Tensor) -> Masked:
    """Targets with 0 where they are unknown, and how much each counts: 0 there, else 1."""
    # NaN is replaced before anything is computed with it: a NaN times 0 is a NaN, in the gradient too.
    known = ops.logical_not(ops.isnan(targets))
    return ops.where(known, targets, ops.zeros_like(targets)), as_numbers(known)


def as_numbers(condition: Tensor) -> Tensor:
    """1 where a condition holds, else 0."""
    return ops.cast(condition, "float32")
