"""A graph with its normalisations folded gives what it gave."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from polyhead.export.folding import fold_norms

CHANNELS = 4


def build(scales: list[float], pool: bool, bias: bool = True, shared: bool = False) -> onnx.ModelProto:
    """Conv, Relu, Mul, Add, and MaxPool where asked for, on images (n, 3, 8, 8).

    Args:
        shared: whether something else reads what the ReLU makes.
    """
    rng = np.random.default_rng(0)
    constants = {
        "weights": rng.normal(size=(CHANNELS, 3, 3, 3)),
        "bias": rng.normal(size=CHANNELS),
        "scales": np.reshape(scales, (1, CHANNELS, 1, 1)),
        "shifts": rng.normal(size=(1, CHANNELS, 1, 1)),
    }
    nodes = [
        helper.make_node("Conv", ["x", "weights", *(["bias"] if bias else [])], ["convolved"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["convolved"], ["relu"]),
        helper.make_node("Mul", ["relu", "scales"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shifts"], ["shifted" if pool else "y"]),
        *([helper.make_node("MaxPool", ["shifted"], ["y"], kernel_shape=[2, 2], strides=[2, 2])] if pool else []),
    ]
    outputs = ["y", "relu"] if shared else ["y"]
    graph = helper.make_graph(
        nodes,
        "block",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", CHANNELS, "h", "w"]) for name in outputs],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model: onnx.ModelProto) -> list[np.ndarray]:
    onnx.checker.check_model(model)
    images = np.random.default_rng(1).normal(size=(2, 3, 8, 8)).astype(np.float32)
    outputs: list[np.ndarray] = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": images})
    return outputs


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("pool", [True, False])
def test_a_folded_graph_computes_less_and_gives_the_same(pool: bool, bias: bool) -> None:
    model = build([0.5, 2.0, 1.0, 0.1], pool, bias)
    before = run(model)
    assert fold_norms(model) == 1
    assert [node.op_type for node in model.graph.node] == ["Conv", "Relu", *(["MaxPool"] if pool else []), "Add"]
    np.testing.assert_allclose(run(model)[0], before[0], atol=1e-6)


@pytest.mark.parametrize(
    ("scales", "shared"), [([0.5, -2.0, 1.0, 0.1], False), ([0.5, 0.0, 1.0, 0.1], False), ([1.0] * 4, True)]
)
def test_what_cannot_be_folded_stays_as_it_is(scales: list[float], shared: bool) -> None:
    model = build(scales, pool=True, shared=shared)
    before = model.SerializeToString()
    assert fold_norms(model) == 0
    assert model.SerializeToString() == before
