"""Less to compute in an exported graph, to the same result: the normalisation that follows a convolution's ReLU."""

from collections import defaultdict

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, numpy_helper


def fold_norms(model: onnx.ModelProto) -> int:
    """Take the scales of normalisations into the convolutions before them, and their shifts behind the pooling.

    A block is exported as Conv, Relu, Mul by a, Add b, MaxPool. Where every a > 0, a relu(x) = relu(a x), and so a goes
    into the convolution's weights and bias; and max(x + b) = max(x) + b, which leaves fewer pixels to add b to. ONNX
    Runtime finds neither, and spends a fifth of `fashionnet`'s time on them. What is not such a block stays as it is.

    Returns:
        How many were folded.
    """
    graph = Graph(model.graph)
    folded = sum(graph.fold(node) for node in list(model.graph.node) if node.op_type == "Mul")
    graph.clear()
    return folded


class Graph:
    """A graph's nodes by what they make and use."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._constants = {entry.name: entry for entry in graph.initializer}
        self._makers = {name: node for node in graph.node for name in node.output}
        self._users: dict[str, list[NodeProto | None]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                self._users[name].append(node)
        for output in graph.output:
            self._users[output.name].append(None)

    def fold(self, scale: NodeProto) -> bool:
        """Fold the normalisation that begins with this Mul, if it is one."""
        relu = self._maker(scale.input[0], "Relu")
        convolution = self._maker(relu.input[0], "Conv") if relu else None
        shift = self._user(scale.output[0], "Add")
        if not relu or not convolution or not shift or shift.input[1] not in self._constants:
            return False
        factors, weights = self._value(scale.input[1]), self._value(convolution.input[1])
        if factors is None or weights is None or factors.shape != (1, len(weights), 1, 1) or not (factors > 0).all():
            return False
        if any(name not in self._constants or len(self._users[name]) > 1 for name in convolution.input[1:]):
            return False
        self._scale(convolution.input[1], factors.reshape(-1, 1, 1, 1))
        for bias in convolution.input[2:]:
            self._scale(bias, factors.reshape(-1))
        shift.input[0] = relu.output[0]
        self._graph.node.remove(scale)
        if pooling := self._user(shift.output[0], "MaxPool"):
            _swap(shift, pooling)
        return True

    def clear(self) -> None:
        """Take out the constants that no node uses any more."""
        used = {name for node in self._graph.node for name in node.input}
        for entry in list(self._graph.initializer):
            if entry.name not in used:
                self._graph.initializer.remove(entry)

    def _maker(self, name: str, kind: str) -> NodeProto | None:
        """The node of this kind that makes the value, for one other node alone."""
        node = self._makers.get(name)
        return node if node and node.op_type == kind and len(self._users[name]) == 1 else None

    def _user(self, name: str, kind: str) -> NodeProto | None:
        """The node of this kind that alone uses the value."""
        (node, *others) = self._users[name] or [None]
        return node if node and node.op_type == kind and not others else None

    def _value(self, name: str) -> NDArray[np.float32] | None:
        return numpy_helper.to_array(self._constants[name]) if name in self._constants else None

    def _scale(self, name: str, factors: NDArray[np.float32]) -> None:
        scaled = numpy_helper.to_array(self._constants[name]) * factors
        self._constants[name].CopyFrom(numpy_helper.from_array(scaled, name))


def _swap(shift: NodeProto, pooling: NodeProto) -> None:
    """Pool before adding; each takes the other's place, since nodes stand in the order of computation."""
    source, constant, result = shift.input[0], shift.input[1], pooling.output[0]
    first = NodeProto()
    first.CopyFrom(pooling)
    pooling.CopyFrom(shift)
    shift.CopyFrom(first)
    shift.input[0], shift.output[0] = source, f"{result}/pooled"
    pooling.input[0], pooling.input[1], pooling.output[0] = f"{result}/pooled", constant, result
