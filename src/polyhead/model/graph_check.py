"""Check a model file's graph before it is run: its operators, its memory and its computation.

The shapes of all values are inferred for a full batch. A shape that cannot be inferred is refused, and so is an
operator that no file of ours has. So nothing runs forever, and no small file asks for terabytes.
"""

from collections import Counter
from collections.abc import Mapping
from math import prod

from polyhead.model.onnx_bytes import MOST_NUMBERS, SUBGRAPH, Graph, InvalidModel, Node
from polyhead.model.onnx_shapes import MULTIPLICATIONS, OPERATORS, NodeInputs, Value

IMAGES = 32  # the most of a call
MOST_AXES = 8
# For an image of p pixels. The heaviest backbones hold 100 numbers a pixel at a time, and multiply a million.
HELD = (2048, 2**22)  # numbers that are in memory at a time: 2048 p + 4 million
MOVE_STEPS = 16  # what it costs to read or write a number, compared with a multiplication
PACKED = 4  # how often constants are read, on average: ONNX Runtime makes a copy that is fit for each node
STEPS = (10**8, 10**9)  # multiplications: 100 million p + a billion


def check_graph(graph: Graph, size: tuple[int, int]) -> None:
    """Refuse a graph that no file of ours has, or that asks for too much.

    Args:
        size: height and width of its `images`.

    Raises:
        InvalidModel: with the first node that is refused.
    """
    pixels = size[0] * size[1]
    held_most, steps_most = (IMAGES * (each * pixels + more) for each, more in (HELD, STEPS))
    values = {name: Value(tensor.shape, tensor.numbers) for name, tensor in graph.constants.items()}
    values["images"] = Value((IMAGES, *size, 3))
    uses = Counter(name for node in graph.nodes for name in node.inputs)
    held, steps = prod(values["images"].shape), 0
    sizes = {name: prod(tensor.shape) for name, tensor in graph.constants.items()}
    packed, packed_most = 0, PACKED * sum(sizes.values()) + 2**24
    for index, node in enumerate(graph.nodes):
        where = f"node {index + 1}, {node.operator[:40]}"
        if node.operator not in OPERATORS or node.domain not in ("", "ai.onnx") or SUBGRAPH in node.settings.values():
            raise InvalidModel(f"{where}: is no operator that Polyhead writes")
        try:
            made, cost = _work_out(node, values, held_most)
        except InvalidModel as error:
            raise InvalidModel(f"{where}: {error}") from None
        values |= made
        steps += cost
        held += sum(prod(value.shape) for value in made.values())
        packed += sum(sizes.get(name, 0) for name in node.inputs)
        if packed > packed_most:
            raise InvalidModel(f"{where}: reads the same constants over and over")
        if held > held_most or steps > steps_most:
            raise InvalidModel(
                f"{where}: asks for more than an image of {size[0]}x{size[1]} is worth, {_tell(held, steps)}"
            )
        for name in (*node.inputs, *made):
            uses[name] -= name in node.inputs
            if not uses[name] and name in values and name not in graph.constants:
                held -= prod(values.pop(name).shape)


def _work_out(node: Node, values: Mapping[str, Value], most: int) -> tuple[dict[str, Value], int]:
    """The values that a node makes, and how many multiplications that takes, at most."""
    if missing := [name for name in node.inputs if name and name not in values]:
        raise InvalidModel(f"reads {missing[0][:80]!r}, which nothing makes")
    inputs = NodeInputs(node, [values.get(name) for name in node.inputs])
    made = OPERATORS[node.operator](inputs)
    if len(made.shape) > MOST_AXES or min(made.shape, default=0) < 0 or prod(made.shape) > most:
        raise InvalidModel(f"asks for an array of {' x '.join(map(str, made.shape[:MOST_AXES]))}"[:200])
    if made.numbers is not None and (len(made.numbers) > MOST_NUMBERS or len(made.numbers) != prod(made.shape)):
        made = Value(made.shape)
    largest = max([prod(made.shape), *(prod(value.shape) for value in inputs.values if value)])
    cost = MOVE_STEPS * largest + (
        prod(made.shape) * MULTIPLICATIONS[node.operator](inputs) if node.operator in MULTIPLICATIONS else 0
    )
    return {name: made if index == 0 else Value(made.shape) for index, name in enumerate(node.outputs) if name}, cost


def _tell(held: int, steps: int) -> str:
    return f"{held / IMAGES:.2g} numbers in memory and {steps / IMAGES:.2g} multiplications"
