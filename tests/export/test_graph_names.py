"""Equal weights make equal model files, whatever the names that a converter has counted."""

from collections.abc import Iterable

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from polyhead.export.graph_names import name_by_order


def write(counts: Iterable[int], kept: str) -> onnx.ModelProto:
    """relu(x - half) + half, with the names that tf2onnx might have given."""
    first, second, batch = counts
    nodes = [
        helper.make_node("Sub", ["images", kept], [f"a/Sub__{first}:0"], name=f"a/Sub__{first}"),
        helper.make_node("Relu", [f"a/Sub__{first}:0"], [f"a/Relu__{second}:0"], name=f"a/Relu__{second}"),
        helper.make_node("Add", [f"a/Relu__{second}:0", kept], ["color"], name=f"a/Add__{second}"),
    ]
    constants = [
        numpy_helper.from_array(np.array(0.5, np.float32), kept),
        numpy_helper.from_array(np.array(9, np.float32), f"idle__{first}"),
    ]
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [f"unk__{batch}", 2]) for name in ("images", "color")
    ]
    graph = helper.make_graph(nodes, "graph", values[:1], values[1:], constants[:: 1 if first < second else -1])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_names_follow_from_the_graph_alone() -> None:
    one, another = write((3, 4, 5), "const_axes__7"), write((12, 9, 1), "const_starts__2")
    for model in (one, another):
        name_by_order(model.graph)
        onnx.checker.check_model(model)
    assert one.SerializeToString() == another.SerializeToString()
    assert [value.name for value in (*one.graph.input, *one.graph.output)] == ["images", "color"]
    session = onnxruntime.InferenceSession(one.SerializeToString())
    (found,) = session.run(None, {"images": np.array([[0, 2]], np.float32)})
    assert found.tolist() == [[0.5, 2]]


def test_names_that_become_equal_stay_apart() -> None:
    model = write((3, 4, 5), "half")
    model.graph.node[1].name, model.graph.node[1].output[0] = "a/Sub__9", "a/Sub__9:0"
    model.graph.node[2].input[0] = "a/Sub__9:0"
    name_by_order(model.graph)
    onnx.checker.check_model(model)
    assert len({name for node in model.graph.node for name in node.output}) == 3
