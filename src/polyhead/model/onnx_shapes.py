"""Shape inference for the operators of an exported graph, with the values that other shapes depend on.

Only the operators of Polyhead's exports are here: those of every backbone and of every kind of layer and
task of a recipe, in floats and in whole numbers, and three (Div, Gemm, Identity) that converters write for the same.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from itertools import zip_longest
from math import prod
from typing import Any

from polyhead.model.onnx_bytes import InvalidModel
from polyhead.model.onnx_values import NodeInputs, Shape, Value, count_axis

POOL_STEPS = 8  # what a pooled number costs, compared with a multiplication
INT_RANGES = {6: 2**31, 7: 2**63}  # of ONNX's int32 and int64


def _same(inputs: NodeInputs) -> Value:
    return Value(inputs.shape())


def _pass_on(inputs: NodeInputs) -> Value:
    return inputs.value(0)


def _cast(inputs: NodeInputs) -> Value:
    limit, numbers = INT_RANGES.get(inputs.integer("to")), inputs.value(0).numbers
    stays = limit is not None and numbers is not None and all(-limit <= number < limit for number in numbers)
    return Value(inputs.shape(), numbers if stays else None)


def _broadcast(inputs: NodeInputs) -> Value:
    parts = [inputs.value(index) for index in range(len(inputs.values))]
    shape = _join([part.shape for part in parts])
    compute = ARITHMETIC.get(inputs.node.operator)
    known = [part.numbers for part in parts if part.numbers]
    if compute is None or len(known) != len(parts) or len(shape) > 1:
        return Value(shape)
    rows = zip(*(numbers * (prod(shape) // len(numbers)) for numbers in known), strict=True)
    made = tuple(reduce(compute, row) for row in rows)
    return Value(shape, made if all(abs(number) < INT_RANGES[6] for number in made) else None)


def _quotient(number: int, divisor: int) -> int:
    if number < 0:  # ONNX rounds to zero, Python down
        raise InvalidModel("divides a number below zero")
    return number // divisor if divisor > 0 else _refuse_divisor()


def _remainder(number: int, divisor: int) -> int:
    return number % divisor if divisor > 0 else _refuse_divisor()


def _refuse_divisor() -> int:
    raise InvalidModel("divides by zero or less")


def _join(shapes: Sequence[Shape]) -> Shape:
    joined = []
    for lengths in zip_longest(*(shape[::-1] for shape in shapes), fillvalue=1):
        longer = {length for length in lengths if length != 1} or {1}
        if len(longer) > 1:
            raise InvalidModel("the shapes of its inputs do not go together")
        joined.append(longer.pop())
    return tuple(joined[::-1])


def _transpose(inputs: NodeInputs) -> Value:
    shape = inputs.shape()
    order = inputs.integers("perm", tuple(range(len(shape)))[::-1])
    if sorted(order) != list(range(len(shape))):
        raise InvalidModel("its perm is no order of the axes")
    return Value(tuple(shape[axis] for axis in order))


def _reshape(inputs: NodeInputs) -> Value:
    shape, wanted = inputs.shape(), inputs.numbers(1)
    if not inputs.integer("allowzero"):
        wanted = tuple(shape[at] if number == 0 and at < len(shape) else number for at, number in enumerate(wanted))
    rest = prod(number for number in wanted if number != -1)
    if -1 in wanted and rest > 0:
        wanted = tuple(prod(shape) // rest if number == -1 else number for number in wanted)
    if prod(wanted) != prod(shape) or min(wanted, default=0) < 0:
        raise InvalidModel("gives an array another size")
    return Value(wanted, inputs.value(0).numbers)


def _concat(inputs: NodeInputs) -> Value:
    parts = [inputs.value(index) for index in range(len(inputs.values))]
    first = inputs.shape()
    axis = count_axis(inputs.integer("axis"), len(first))
    if any(len(part.shape) != len(first) for part in parts):
        raise InvalidModel("the shapes of its inputs do not go together")
    total = sum(part.shape[axis] for part in parts)
    known = [part.numbers for part in parts if part.numbers is not None]
    whole = len(first) == 1 and len(known) == len(parts)
    return Value((*first[:axis], total, *first[axis + 1 :]), sum(known, ()) if whole else None)


def _gather(inputs: NodeInputs) -> Value:
    source, indices = inputs.value(0), inputs.value(1)
    axis = count_axis(inputs.integer("axis"), len(source.shape))
    shape = source.shape[:axis] + indices.shape + source.shape[axis + 1 :]
    if source.numbers is None or indices.numbers is None or len(source.shape) != 1:
        return Value(shape)
    chosen = [count_axis(index, len(source.numbers)) for index in indices.numbers]
    return Value(shape, tuple(source.numbers[index] for index in chosen))


def _slice(inputs: NodeInputs) -> Value:
    source, starts, ends = inputs.value(0), inputs.numbers(1), inputs.numbers(2)
    rank = len(source.shape)
    axes = [count_axis(axis, rank) for axis in (inputs.numbers(3) if inputs.has(3) else range(len(starts)))]
    steps = inputs.numbers(4) if inputs.has(4) else (1,) * len(starts)
    if not len(axes) == len(starts) == len(ends) == len(steps) or 0 in steps:
        raise InvalidModel("its starts, ends, axes and steps do not go together")
    cuts = [slice(None)] * rank
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        # From the last on to before the first: where ONNX writes an end below -length, Python wants none.
        cuts[axis] = slice(start, None if step < 0 and end < -source.shape[axis] else end, step)
    lengths = tuple(len(range(*cut.indices(length))) for cut, length in zip(cuts, source.shape, strict=True))
    return Value(lengths, source.numbers[cuts[0]] if source.numbers is not None and rank == 1 else None)


def _shape(inputs: NodeInputs) -> Value:
    shape = inputs.shape()
    cut = shape[inputs.integer("start") : inputs.integer("end", len(shape))]
    return Value((len(cut),), cut)


def _unsqueeze(inputs: NodeInputs) -> Value:
    named = inputs.node.settings.get("axes") or inputs.numbers(1)
    left, rank = list(inputs.shape()), len(inputs.shape()) + len(named)
    for axis in sorted(count_axis(axis, rank) for axis in named):
        left.insert(axis, 1)
    return Value(tuple(left), inputs.value(0).numbers)


def _squeeze(inputs: NodeInputs) -> Value:
    shape = inputs.shape()
    ones = tuple(axis for axis, length in enumerate(shape) if length == 1)
    named = inputs.axes(1, len(shape)) if inputs.node.settings.get("axes") or inputs.has(1) else ones
    if any(shape[axis] != 1 for axis in named):
        raise InvalidModel("takes away an axis that is not of length 1")
    return Value(tuple(length for axis, length in enumerate(shape) if axis not in named), inputs.value(0).numbers)


def _reduce(inputs: NodeInputs) -> Value:
    shape = inputs.shape()
    axes = inputs.axes(1, len(shape))
    left = tuple(length for axis, length in enumerate(shape) if axis not in axes)
    numbers = inputs.value(0).numbers
    whole = inputs.node.operator == "ReduceProd" and numbers is not None and not left
    if inputs.integer("keepdims", 1):
        left = tuple(1 if axis in axes else length for axis, length in enumerate(shape))
    return Value(left, (prod(numbers or ()),) if whole else None)


def _split(inputs: NodeInputs) -> Value:
    shape, parts = inputs.shape(), len(inputs.node.outputs)
    axis = count_axis(inputs.integer("axis"), len(shape))
    length, left = divmod(shape[axis], parts)
    if left or (inputs.has(1) and inputs.numbers(1) != (length,) * parts):
        raise InvalidModel("its parts are not of one length")
    return Value((*shape[:axis], length, *shape[axis + 1 :]))


def _tile(inputs: NodeInputs) -> Value:
    times = inputs.numbers(1)
    if len(times) != len(inputs.shape()) or min(times, default=0) < 0:
        raise InvalidModel("its repeats are not one an axis")
    return Value(tuple(length * time for length, time in zip(inputs.shape(), times, strict=True)))


def _pad(inputs: NodeInputs) -> Value:
    shape = inputs.shape()
    pads = inputs.node.settings.get("pads") or inputs.numbers(1)
    if len(pads) != 2 * len(shape) or min(pads, default=0) < 0 or inputs.has(3):
        raise InvalidModel("its pads are not two an axis")
    return Value(tuple(a + length + b for a, length, b in zip(pads, shape, pads[len(shape) :], strict=False)))


def _fill(inputs: NodeInputs) -> Value:
    return Value(inputs.numbers(0))


def _multiply(inputs: NodeInputs) -> Value:
    first, second = inputs.shape(0), inputs.shape(1)
    if min(len(first), len(second)) < 2 or first[-1] != second[-2]:
        raise InvalidModel("the shapes of its inputs do not go together")
    return Value((*_join([first[:-2], second[:-2]]), first[-2], second[-1]))


def _gemm(inputs: NodeInputs) -> Value:
    first, second = (
        inputs.shape(index)[:: -1 if inputs.integer(name) else 1] for index, name in enumerate(("transA", "transB"))
    )
    if len(first) != 2 or len(second) != 2 or first[1] != second[0]:
        raise InvalidModel("the shapes of its inputs do not go together")
    return Value((first[0], second[1]))


def _convolve(inputs: NodeInputs) -> Value:
    shape, kernel, groups = inputs.shape(0), inputs.shape(1), inputs.integer("group", 1)
    if len(shape) != len(kernel) or len(shape) < 3 or groups < 1 or kernel[0] % groups:
        raise InvalidModel("the shapes of its inputs do not go together")
    if shape[1] != kernel[1] * groups or inputs.integers("kernel_shape", kernel[2:]) != kernel[2:]:
        raise InvalidModel("the shapes of its inputs do not go together")
    return Value((shape[0], kernel[0], *_slide(inputs, shape[2:], kernel[2:])))


def _pool(inputs: NodeInputs) -> Value:
    shape = inputs.shape()
    if len(shape) < 3:
        raise InvalidModel("the shapes of its inputs do not go together")
    kernel = inputs.integers("kernel_shape", (0,) * (len(shape) - 2))
    return Value((*shape[:2], *_slide(inputs, shape[2:], kernel)))


def _slide(inputs: NodeInputs, lengths: Shape, kernel: Shape) -> Shape:
    """How many indices a kernel has along each axis."""
    ones, rank = (1,) * len(lengths), len(lengths)
    strides, dilations = inputs.integers("strides", ones), inputs.integers("dilations", ones)
    pads = inputs.integers("pads", (0,) * (2 * rank))
    if min(*strides, *dilations, *kernel) < 1 or min(pads) < 0:
        raise InvalidModel("its kernel, strides, dilations or pads are out of range")
    if inputs.node.settings.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER"):
        return tuple(-(-length // stride) for length, stride in zip(lengths, strides, strict=True))
    found = []
    for axis, (length, width, stride, dilation) in enumerate(zip(lengths, kernel, strides, dilations, strict=True)):
        room = length + pads[axis] + pads[axis + rank] - dilation * (width - 1) - 1
        if room < 0:
            raise InvalidModel("its kernel is larger than what it slides over")
        found.append((-(-room // stride) if inputs.integer("ceil_mode") else room // stride) + 1)
    return tuple(found)


def _pool_whole(inputs: NodeInputs) -> Value:
    shape = inputs.shape()
    return Value((*shape[:2], *(1 for _ in shape[2:])))


ARITHMETIC: Mapping[str, Callable[[int, int], int]] = {  # on lengths of arrays, which other shapes depend on
    "Add": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "Max": max,
    "Min": min,
    "Div": _quotient,
    "Mod": _remainder,
}
Rule = Callable[[NodeInputs], Value]
OPERATORS: Mapping[str, Rule] = (
    dict.fromkeys(("Relu", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "Softplus", "Softmax", "Erf", "Exp", "Clip"), _same)
    | dict.fromkeys(("Sqrt", "Reciprocal", "Neg", "CumSum", "QuantizeLinear", "DequantizeLinear"), _same)
    | dict.fromkeys(("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Mod"), _broadcast)
    | dict.fromkeys(("ReduceMean", "ReduceProd"), _reduce)
    | dict.fromkeys(("MaxPool", "AveragePool"), _pool)
    | dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _pool_whole)
    | {"Cast": _cast, "Identity": _pass_on, "Transpose": _transpose, "Reshape": _reshape, "Concat": _concat}
    | {
        "Gather": _gather,
        "Slice": _slice,
        "Shape": _shape,
        "Unsqueeze": _unsqueeze,
        "Squeeze": _squeeze,
        "Split": _split,
    }
    | {"Tile": _tile, "Pad": _pad, "ConstantOfShape": _fill, "MatMul": _multiply}
    | {"Gemm": _gemm, "Conv": _convolve}
)
MULTIPLICATIONS: dict[str, Callable[[NodeInputs], Any]] = {  # multiplications for each number that is made
    "Conv": lambda inputs: prod(inputs.shape(1)[1:]),
    "MatMul": lambda inputs: inputs.shape(0)[-1],
    "Gemm": lambda inputs: inputs.shape(0)[0 if inputs.integer("transA") else 1],
    "MaxPool": lambda inputs: POOL_STEPS * prod(inputs.node.settings["kernel_shape"]),
    "AveragePool": lambda inputs: POOL_STEPS * prod(inputs.node.settings["kernel_shape"]),
}
