"""A model that needs no training: which of red, green and blue an image has most of, and how bright it is."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from pydantic import TypeAdapter

from polyhead.model.file import KEY
from polyhead.tasks import Categorical, FittedCategorical, FittedRegression, Regression, StoredTask, Task

SIZE = 16
COLORS = FittedCategorical(classes=["red", "green", "blue"], counts={"red": 1}, unsure_below=0.5)
TASKS: dict[str, Task] = {
    "color": Categorical(fitted=COLORS),
    "brightness": Regression(unit="%", fitted=FittedRegression(median=50.0)),
}


def store(task: Task) -> dict[str, Any]:
    """What a model file says of a task."""
    found: dict[str, Any] = TypeAdapter(StoredTask).dump_python(task)
    return found


def write_tiny_model(path: Path, card: dict[str, Any] | None = None, size: int = SIZE) -> Path:
    """color: the softmax of 20 x the means of the channels (0-1); brightness: 100 x the mean of all.

    Args:
        card: what the card says instead.
        size: of the graph's input, in pixels.
    """
    constants = {"white": np.float32(255), "steep": np.float32(20), "percent": np.float32(100)}
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["pixels", "white"], ["shares"]),
        helper.make_node("ReduceMean", ["shares"], ["features"], axes=[1, 2], keepdims=0),
        helper.make_node("Mul", ["features", "steep"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["color"], axis=1),
        helper.make_node("ReduceMean", ["features"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["mean", "percent"], ["brightness"]),
    ]
    outputs = {"color": 3, "brightness": 1, "features": 3}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", size, size, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width]) for name, width in outputs.items()],
        [numpy_helper.from_array(np.array(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    words: dict[str, Any] = {
        "name": "tiny",
        "version": "0",
        "image": {"size": [SIZE, SIZE]},
        "recipe": {},
        "rows": {"train": 1},
    }
    words |= {"tasks": TASKS, "parameters": 0, "fingerprint": "0" * 16} | (card or {})
    helper.set_model_props(model, {KEY: json.dumps(words, default=store)})
    onnx.save(model, str(path))
    return path
