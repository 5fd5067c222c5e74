"""The graph of a network that is built: its operations in order, and which reads which."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import keras

from polyhead.training.losses import Tensor


@dataclass(frozen=True)
class Step:
    """One operation.

    Attributes:
        operation: a layer, or an operation of `keras.ops`.
        shape: of its output, without the batch.
        inputs: the places of the steps that it reads.
        model: the model that was called in the network and that it stands in; None for the network itself.
    """

    operation: keras.Operation
    shape: tuple[int, ...]
    inputs: list[int]
    model: keras.Model | None = None

    @property
    def parameters(self) -> int:
        """Its weights, trained or not."""
        return int(self.operation.count_params()) if isinstance(self.operation, keras.Layer) else 0

    @property
    def height(self) -> int:
        """Of the map that it makes; 0 where it makes a vector."""
        return self.shape[0] if len(self.shape) == 3 else 0


class Graph:
    """The steps of a functional model and of the models called in it, each behind those that it reads.

    Every layer is called once.

    Args:
        whole: a model called in it that is one step: nothing is known of what is inside.
    """

    def __init__(self, model: keras.Model, whole: keras.Model | None = None) -> None:
        self.steps: list[Step] = []
        self._whole = whole
        self._places: dict[int, int] = {}  # by the id of the tensor that a step makes
        self._add(model, None)

    def place(self, tensor: Tensor) -> int:
        """The place of the step that makes a symbolic tensor."""
        return self._places[id(tensor)]

    def _add(self, model: keras.Model, outer: keras.Model | None) -> None:
        for operation in model.operations:
            node = operation._inbound_nodes[0]  # as in Keras's own `plot_model`: nothing public says who reads whom
            if isinstance(operation, keras.Model) and not self._is_one_step(operation):
                self._name_alike(operation.inputs, node.input_tensors)
                self._add(operation, outer or operation)
                self._name_alike(node.output_tensors, operation.outputs)
            elif id(node.output_tensors[0]) not in self._places:  # the input of an inner model is there already
                (made,) = node.output_tensors
                self._places[id(made)] = len(self.steps)
                inputs = sorted({self.place(tensor) for tensor in node.input_tensors})
                self.steps.append(Step(operation, tuple(made.shape[1:]), inputs, outer))

    def _is_one_step(self, model: keras.Model) -> bool:
        return model is self._whole or isinstance(model, keras.Sequential)

    def _name_alike(self, tensors: list[Tensor], same: list[Tensor]) -> None:
        self._places |= {id(tensor): self.place(as_this) for tensor, as_this in zip(tensors, same, strict=True)}

    def at(self, places: Sequence[int]) -> list[Step]:
        """The steps at some places."""
        return [self.steps[place] for place in places]

    def within(self, places: Sequence[int]) -> list[Step]:
        """The same by themselves: inputs are places among them, and those from outside are left out."""
        new = {old: place for place, old in enumerate(places)}
        return [replace(step, inputs=[new[old] for old in step.inputs if old in new]) for step in self.at(places)]

    def readers(self, left_out: Collection[int]) -> list[int]:
        """How many steps read each step; those left out do not count."""
        numbers = [0] * len(self.steps)
        for place, step in enumerate(self.steps):
            for before in () if place in left_out else step.inputs:
                numbers[before] += 1
        return numbers
