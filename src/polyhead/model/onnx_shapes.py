"""What an operator of an exported graph makes of what it reads: shapes, and the numbers that other shapes hang on.

Only operators that Polyhead's exports are made of stand here: those of every backbone and of every kind of layer and
task of a recipe, in floats and in whole numbers, and three (Div, Gemm, Identity) that converters write for the same.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from math import prod
from typing import Any, NamedTuple

from polyhead.model.onnx_bytes import Node, NoModel

POOL_STEPS = 8  # what a pooled number costs, compared with a multiplication
Shape = tuple[int, ...]
INT_RANGES = {6: 2**31, 7: 2**63}  # of ONNX's int32 and int64


class Value(NamedTuple):
    """A shape, and the numbers where they are few integers that are known."""

    shape: Shape
    numbers: tuple[int, ...] | None = None


class Given(NamedTuple):
    """A node with the values that it reads, None where one is left out."""

    node: Node
    values: Sequence[Value | None]

    def value(self, place: int) -> Value:
        """The value read at a place.

        Raises:
            NoModel: there is none.
        """
        found = self.values[place] if place < len(self.values) else None
        if found is None:
            raise NoModel("an input is missing")
        return found

    def shape(self, place: int = 0) -> Shape:
        """The shape of that value."""
        return self.value(place).shape

    def numbers(self, place: int) -> tuple[int, ...]:
        """The numbers of that value; they are what a shape hangs on."""
        found = self.value(place).numbers
        if found is None:
            raise NoModel("what it gives cannot be told")
        return found

    def has(self, place: int) -> bool:
        """Whether something is read at a place."""
        return place < len(self.values) and self.values[place] is not None

    def integer(self, name: str, absent: int = 0) -> int:
        """A setting that is a number."""
        found = self.node.settings.get(name, absent)
        if not isinstance(found, int):
            raise NoModel(f"its {name} is no number")
        return found

    def integers(self, name: str, absent: tuple[int, ...]) -> tuple[int, ...]:
        """A setting that is several numbers, as many as are `absent`."""
        found = self.node.settings.get(name, absent)
        if not isinstance(found, tuple) or len(found) != len(absent):
            raise NoModel(f"its {name} are not {len(absent)} numbers")
        return found

    def axes(self, place: int, rank: int) -> tuple[int, ...]:
        """The axes that stand in a setting or are read at a place, from 0 up; all, if there are none."""
        named = self.node.settings.get("axes") or (self.numbers(place) if self.has(place) else tuple(range(rank)))
        return tuple(_axis(axis, rank) for axis in named)


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise NoModel(f"names axis {axis} of {rank}")
    return axis % rank


def _same(given: Given) -> Value:
    return Value(given.shape())


def _pass_on(given: Given) -> Value:
    return given.value(0)


def _cast(given: Given) -> Value:
    limit, numbers = INT_RANGES.get(given.integer("to")), given.value(0).numbers
    stays = limit is not None and numbers is not None and all(-limit <= number < limit for number in numbers)
    return Value(given.shape(), numbers if stays else None)


def _broadcast(given: Given) -> Value:
    return Value(_join([given.shape(place) for place in range(len(given.values))]))


def _join(shapes: Sequence[Shape]) -> Shape:
    joined = []
    for lengths in zip_longest(*(shape[::-1] for shape in shapes), fillvalue=1):
        longer = {length for length in lengths if length != 1} or {1}
        if len(longer) > 1:
            raise NoModel("the shapes of its inputs do not go together")
        joined.append(longer.pop())
    return tuple(joined[::-1])


def _transpose(given: Given) -> Value:
    shape = given.shape()
    order = given.integers("perm", tuple(range(len(shape)))[::-1])
    if sorted(order) != list(range(len(shape))):
        raise NoModel("its perm is no order of the axes")
    return Value(tuple(shape[axis] for axis in order))


def _reshape(given: Given) -> Value:
    shape, wanted = given.shape(), given.numbers(1)
    if not given.integer("allowzero"):
        wanted = tuple(shape[at] if number == 0 and at < len(shape) else number for at, number in enumerate(wanted))
    rest = prod(number for number in wanted if number != -1)
    if -1 in wanted and rest > 0:
        wanted = tuple(prod(shape) // rest if number == -1 else number for number in wanted)
    if prod(wanted) != prod(shape) or min(wanted, default=0) < 0:
        raise NoModel("gives an array another size")
    return Value(wanted, given.value(0).numbers)


def _concat(given: Given) -> Value:
    parts = [given.value(place) for place in range(len(given.values))]
    first = given.shape()
    axis = _axis(given.integer("axis"), len(first))
    if any(len(part.shape) != len(first) for part in parts):
        raise NoModel("the shapes of its inputs do not go together")
    total = sum(part.shape[axis] for part in parts)
    known = [part.numbers for part in parts if part.numbers is not None]
    whole = len(first) == 1 and len(known) == len(parts)
    return Value((*first[:axis], total, *first[axis + 1 :]), sum(known, ()) if whole else None)


def _gather(given: Given) -> Value:
    source, places = given.value(0), given.value(1)
    axis = _axis(given.integer("axis"), len(source.shape))
    shape = source.shape[:axis] + places.shape + source.shape[axis + 1 :]
    if source.numbers is None or places.numbers is None or len(source.shape) != 1:
        return Value(shape)
    chosen = [_axis(place, len(source.numbers)) for place in places.numbers]
    return Value(shape, tuple(source.numbers[place] for place in chosen))


def _slice(given: Given) -> Value:
    source, starts, ends = given.value(0), given.numbers(1), given.numbers(2)
    rank = len(source.shape)
    axes = [_axis(axis, rank) for axis in (given.numbers(3) if given.has(3) else range(len(starts)))]
    steps = given.numbers(4) if given.has(4) else (1,) * len(starts)
    if not len(axes) == len(starts) == len(ends) == len(steps) or 0 in steps:
        raise NoModel("its starts, ends, axes and steps do not go together")
    cuts = [slice(None)] * rank
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        # From the last on to before the first: where ONNX writes an end below -length, Python wants none.
        cuts[axis] = slice(start, None if step < 0 and end < -source.shape[axis] else end, step)
    lengths = tuple(len(range(*cut.indices(length))) for cut, length in zip(cuts, source.shape, strict=True))
    return Value(lengths, source.numbers[cuts[0]] if source.numbers is not None and rank == 1 else None)


def _shape(given: Given) -> Value:
    shape = given.shape()
    cut = shape[given.integer("start") : given.integer("end", len(shape))]
    return Value((len(cut),), cut)


def _unsqueeze(given: Given) -> Value:
    named = given.node.settings.get("axes") or given.numbers(1)
    left, rank = list(given.shape()), len(given.shape()) + len(named)
    for axis in sorted(_axis(axis, rank) for axis in named):
        left.insert(axis, 1)
    return Value(tuple(left), given.value(0).numbers)


def _squeeze(given: Given) -> Value:
    shape = given.shape()
    ones = tuple(axis for axis, length in enumerate(shape) if length == 1)
    named = given.axes(1, len(shape)) if given.node.settings.get("axes") or given.has(1) else ones
    if any(shape[axis] != 1 for axis in named):
        raise NoModel("takes away an axis that is not of length 1")
    return Value(tuple(length for axis, length in enumerate(shape) if axis not in named), given.value(0).numbers)


def _reduce(given: Given) -> Value:
    shape = given.shape()
    axes = given.axes(1, len(shape))
    if given.integer("keepdims", 1):
        return Value(tuple(1 if axis in axes else length for axis, length in enumerate(shape)))
    left = tuple(length for axis, length in enumerate(shape) if axis not in axes)
    numbers = given.value(0).numbers
    whole = given.node.operator == "ReduceProd" and numbers is not None and not left
    return Value(left, (prod(numbers or ()),) if whole else None)


def _tile(given: Given) -> Value:
    times = given.numbers(1)
    if len(times) != len(given.shape()) or min(times, default=0) < 0:
        raise NoModel("its repeats are not one an axis")
    return Value(tuple(length * time for length, time in zip(given.shape(), times, strict=True)))


def _pad(given: Given) -> Value:
    shape = given.shape()
    pads = given.node.settings.get("pads") or given.numbers(1)
    if len(pads) != 2 * len(shape) or min(pads, default=0) < 0 or given.has(3):
        raise NoModel("its pads are not two an axis")
    return Value(tuple(a + length + b for a, length, b in zip(pads, shape, pads[len(shape) :], strict=False)))


def _fill(given: Given) -> Value:
    return Value(given.numbers(0))


def _multiply(given: Given) -> Value:
    first, second = given.shape(0), given.shape(1)
    if min(len(first), len(second)) < 2 or first[-1] != second[-2]:
        raise NoModel("the shapes of its inputs do not go together")
    return Value((*_join([first[:-2], second[:-2]]), first[-2], second[-1]))


def _gemm(given: Given) -> Value:
    first, second = (
        given.shape(place)[:: -1 if given.integer(name) else 1] for place, name in enumerate(("transA", "transB"))
    )
    if len(first) != 2 or len(second) != 2 or first[1] != second[0]:
        raise NoModel("the shapes of its inputs do not go together")
    return Value((first[0], second[1]))


def _convolve(given: Given) -> Value:
    shape, kernel, groups = given.shape(0), given.shape(1), given.integer("group", 1)
    if len(shape) != len(kernel) or len(shape) < 3 or groups < 1 or kernel[0] % groups:
        raise NoModel("the shapes of its inputs do not go together")
    if shape[1] != kernel[1] * groups or given.integers("kernel_shape", kernel[2:]) != kernel[2:]:
        raise NoModel("the shapes of its inputs do not go together")
    return Value((shape[0], kernel[0], *_slide(given, shape[2:], kernel[2:])))


def _pool(given: Given) -> Value:
    shape = given.shape()
    if len(shape) < 3:
        raise NoModel("the shapes of its inputs do not go together")
    kernel = given.integers("kernel_shape", (0,) * (len(shape) - 2))
    return Value((*shape[:2], *_slide(given, shape[2:], kernel)))


def _slide(given: Given, lengths: Shape, kernel: Shape) -> Shape:
    """How many places a kernel has along each axis."""
    ones, rank = (1,) * len(lengths), len(lengths)
    strides, dilations = given.integers("strides", ones), given.integers("dilations", ones)
    pads = given.integers("pads", (0,) * (2 * rank))
    if min(*strides, *dilations, *kernel) < 1 or min(pads) < 0:
        raise NoModel("its kernel, strides, dilations or pads are out of range")
    if given.node.settings.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER"):
        return tuple(-(-length // stride) for length, stride in zip(lengths, strides, strict=True))
    found = []
    for axis, (length, width, stride, dilation) in enumerate(zip(lengths, kernel, strides, dilations, strict=True)):
        room = length + pads[axis] + pads[axis + rank] - dilation * (width - 1) - 1
        if room < 0:
            raise NoModel("its kernel is larger than what it slides over")
        found.append((-(-room // stride) if given.integer("ceil_mode") else room // stride) + 1)
    return tuple(found)


def _pool_whole(given: Given) -> Value:
    shape = given.shape()
    return Value((*shape[:2], *(1 for _ in shape[2:])))


Rule = Callable[[Given], Value]
OPERATORS: Mapping[str, Rule] = (
    dict.fromkeys(("Relu", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "Softplus", "Softmax", "Erf", "Exp", "Clip"), _same)
    | dict.fromkeys(("Sqrt", "Reciprocal", "Neg", "CumSum", "QuantizeLinear", "DequantizeLinear"), _same)
    | dict.fromkeys(("Add", "Sub", "Mul", "Div", "Max", "Min"), _broadcast)
    | dict.fromkeys(("ReduceMean", "ReduceProd"), _reduce)
    | dict.fromkeys(("MaxPool", "AveragePool"), _pool)
    | dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _pool_whole)
    | {"Cast": _cast, "Identity": _pass_on, "Transpose": _transpose, "Reshape": _reshape, "Concat": _concat}
    | {"Gather": _gather, "Slice": _slice, "Shape": _shape, "Unsqueeze": _unsqueeze, "Squeeze": _squeeze}
    | {"Tile": _tile, "Pad": _pad, "ConstantOfShape": _fill, "MatMul": _multiply, "Gemm": _gemm, "Conv": _convolve}
)
STEPS_OF: dict[str, Callable[[Given], Any]] = {  # multiplications for each number that is made
    "Conv": lambda given: prod(given.shape(1)[1:]),
    "MatMul": lambda given: given.shape(0)[-1],
    "Gemm": lambda given: given.shape(0)[0 if given.integer("transA") else 1],
    "MaxPool": lambda given: POOL_STEPS * prod(given.node.settings["kernel_shape"]),
    "AveragePool": lambda given: POOL_STEPS * prod(given.node.settings["kernel_shape"]),
}
