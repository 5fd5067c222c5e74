"""What is known of an exported graph's values, and of what a node reads, before the graph is run."""

from collections.abc import Sequence
from typing import NamedTuple

from polyhead.model.onnx_bytes import InvalidModel, Node

Shape = tuple[int, ...]


class Value(NamedTuple):
    """A shape, and the numbers where they are few integers that are known."""

    shape: Shape
    numbers: tuple[int, ...] | None = None


class NodeInputs(NamedTuple):
    """A node with the values that it reads, None where one is left out."""

    node: Node
    values: Sequence[Value | None]

    def value(self, index: int) -> Value:
        """The input at an index.

        Raises:
            InvalidModel: there is none.
        """
        found = self.values[index] if index < len(self.values) else None
        if found is None:
            raise InvalidModel("an input is missing")
        return found

    def shape(self, index: int = 0) -> Shape:
        """The shape of that input."""
        return self.value(index).shape

    def numbers(self, index: int) -> tuple[int, ...]:
        """The numbers of that input, on which a shape depends."""
        found = self.value(index).numbers
        if found is None:
            raise InvalidModel("what it gives cannot be told")
        return found

    def has(self, index: int) -> bool:
        """Whether there is an input at an index."""
        return index < len(self.values) and self.values[index] is not None

    def integer(self, name: str, absent: int = 0) -> int:
        """A setting that is a number."""
        found = self.node.settings.get(name, absent)
        if not isinstance(found, int):
            raise InvalidModel(f"its {name} is no number")
        return found

    def integers(self, name: str, absent: tuple[int, ...]) -> tuple[int, ...]:
        """A setting that is several numbers, as many as are `absent`."""
        found = self.node.settings.get(name, absent)
        if not isinstance(found, tuple) or len(found) != len(absent):
            raise InvalidModel(f"its {name} are not {len(absent)} numbers")
        return found

    def axes(self, index: int, rank: int) -> tuple[int, ...]:
        """The axes in a setting or in the input at an index, counted from 0; all if there are none."""
        named = self.node.settings.get("axes") or (self.numbers(index) if self.has(index) else tuple(range(rank)))
        return tuple(count_axis(axis, rank) for axis in named)


def count_axis(axis: int, rank: int) -> int:
    """The same axis, counted from 0.

    Raises:
        InvalidModel: there is no such axis.
    """
    if not -rank <= axis < rank:
        raise InvalidModel(f"names axis {axis} of {rank}")
    return axis % rank
