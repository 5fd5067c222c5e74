"""Names in an exported graph that follow from the graph alone, so that equal weights make equal files.

tf2onnx counts its names up across sets whose order changes from process to process, and of constants that are equal it
keeps any one.
"""

import re

import onnx

COUNTED = re.compile(r"__\d+")


def name_by_order(graph: onnx.GraphProto) -> None:
    """Number anew what tf2onnx has counted, in the order of the nodes; call constants by the node that uses them first.

    Names of inputs and outputs stay; their open dimension, which is the number of images, is called n. Constants are
    sorted by their first use.
    """
    for value in (*graph.input, *graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param:
                dimension.dim_param = "n"
    constants = {entry.name: entry for entry in graph.initializer}
    names = {value.name: value.name for value in (*graph.input, *graph.output)}
    taken = set(names)
    nodes_taken: set[str] = set()
    for node in graph.node:
        node.name = _take(COUNTED.sub("", node.name), nodes_taken)
        for place, name in enumerate((*node.input, *node.output)):
            if name and name not in names:
                base = f"{node.name}/constant_{place}" if name in constants else COUNTED.sub("", name)
                names[name] = _take(base, taken)
        node.input[:] = [names.get(name, "") for name in node.input]
        node.output[:] = [names.get(name, "") for name in node.output]
    used = [onnx.TensorProto.FromString(constants[name].SerializeToString()) for name in names if name in constants]
    for entry in used:
        entry.name = names[entry.name]
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(used)


def _take(name: str, taken: set[str]) -> str:
    """The name, or the first that is free of those that follow it."""
    free, number = name, 1
    while free in taken:
        free, number = f"{name}__{number}", number + 1
    taken.add(free)
    return free
