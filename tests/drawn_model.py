"""A model file whose answers can be told by eye: they follow from the image's mean colour. No training."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from polyhead.model.file import Card, write_card
from polyhead.recipe.schema import ImageRecipe
from polyhead.tasks import (
    Categorical,
    FittedCategorical,
    FittedMultiLabel,
    FittedRegression,
    MultiLabel,
    Regression,
    Task,
)

SIZE = 16
MARKS = ("bright", "dark", *(f"never {number}" for number in range(10)))
COLORS = FittedCategorical(classes=["red", "green", "blue"], counts={"red": 3, "green": 2, "blue": 1}, unsure_below=0.6)
SEEN = FittedMultiLabel(labels=list(MARKS), counts=dict.fromkeys(MARKS, 1), known=dict.fromkeys(MARKS, 6))
TASKS: dict[str, Task] = {
    "color": Categorical(fitted=COLORS),
    "marks": MultiLabel(fitted=SEEN),
    "light": Regression(unit="%", fitted=FittedRegression(median=50, counts={"all": 6})),
}


def write_model(path: Path, tasks: dict[str, Task] = TASKS) -> Path:
    """Write it, with its tasks as they are, or with more found of them.

    Of the mean red, green and blue, each from 0 to 1: `color` is softmax(10 x them), `light` 100 x their mean, `marks`
    bright above a mean of a half, or else dark.
    """
    fixed = {
        "axes": np.array([1, 2]),
        "white": np.array(255, np.float32),
        "ten": np.array(10, np.float32),
        "to_light": np.full((3, 1), 100 / 3, np.float32),
        "to_marks": np.array([[10, -10] + [0] * 10] * 3, np.float32),
        "from_marks": np.array([-15, 15] + [-9] * 10, np.float32),
    }
    steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("Cast", ["images"], "floats", {"to": TensorProto.FLOAT}),
        ("ReduceMean", ["floats", "axes"], "mean", {"keepdims": 0}),
        ("Div", ["mean", "white"], "features", {}),
        ("Mul", ["features", "ten"], "logits", {}),
        ("Softmax", ["logits"], "color", {"axis": 1}),
        ("MatMul", ["features", "to_light"], "light", {}),
        ("Gemm", ["features", "to_marks", "from_marks"], "scores", {}),
        ("Sigmoid", ["scores"], "marks", {}),
    ]
    outputs = {"color": 3, "marks": len(MARKS), "light": 1, "features": 3}
    graph = helper.make_graph(
        [helper.make_node(kind, given, [made], **settings) for kind, given, made, settings in steps],
        "drawn",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", SIZE, SIZE, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width]) for name, width in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in fixed.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), str(path))
    card = Card(
        version="1",
        name="drawn",
        description="Colours and light",
        image=ImageRecipe(size=(SIZE, SIZE)),
        tasks=tasks,
        recipe={},
        rows={"train": 6},
        parameters=0,
        fingerprint="0" * 16,
        figures={"color": {"n": 2, "accuracy": 0.5}, "light": {"n": 2, "mae": 1.5}},
        baseline={"color": {"accuracy": 0.25}, "light": {"mae": 3.0}},
    )
    write_card(path, card)
    return path
