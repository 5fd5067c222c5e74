"""Model files of strangers: whatever is wrong in the graph or in what it says of itself is one line, on opening."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from pydantic import TypeAdapter

import polyhead
from conftest import call
from drawn_model import write_model
from kinds import EXAMPLES
from polyhead.errors import PolyheadError
from polyhead.model.file import KEY, check_graph
from polyhead.model.onnx_bytes import InvalidModel, read_graph
from polyhead.tasks import StoredTask
from tiny_model import TASKS, store, write_tiny_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "model.onnx")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.new("RGB", (16, 16), "red").save(tmp_path / "red.png")
    return tmp_path / "red.png"


def refusal(path: Path) -> str:
    with pytest.raises(PolyheadError) as caught:
        polyhead.load_model(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def edit(path: Path, change: Callable[[onnx.ModelProto], object]) -> None:
    proto = onnx.load(str(path))
    change(proto)
    path.write_bytes(proto.SerializeToString())


def say(path: Path, text: bytes) -> None:
    """Put a text, which need not be one, in the card's place."""
    marker = b"~" * len(text)
    edit(path, lambda proto: helper.set_model_props(proto, {KEY: marker.decode()}))
    path.write_bytes(path.read_bytes().replace(marker, text))


def tell(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(onnx.load(str(path)).metadata_props[0].value)
    return found


COLOR, LIGHT = (store(TASKS[name]) for name in ("color", "brightness"))
MARKS = {"kind": "multilabel", "labels": ["a", "b", "c"]}


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (COLOR | {"classes": []}, "tasks.color.classes: expected labels"),
        (
            COLOR | {"classes": ["red", "red", "blue"]},
            "tasks.color.classes: expected labels, none empty, twice or over",
        ),
        (COLOR | {"classes": ["red", "", "blue"]}, "tasks.color.classes: expected labels"),
        (COLOR | {"classes": ["red", "green", "b" * 2**20]}, "tasks.color.classes: expected labels"),
        (COLOR | {"counts": {"red": -1}}, "tasks.color.counts: expected numbers from 0"),
        (COLOR | {"counts": {"red": 10**300}}, "tasks.color.counts: expected numbers from 0"),
        (COLOR | {"temperature": 0}, "tasks.color.temperature: expected a number from 0.025 to 40; got 0"),
        (COLOR | {"temperature": -1}, "tasks.color.temperature: expected a number from 0.025 to 40; got -1"),
        (COLOR | {"unsure_below": 3}, "tasks.color.unsure_below: expected a number from 0 to 2; got 3"),
        (COLOR | {"kind": "binary", "labels": ["a", "b", "c"]}, "tasks.color."),
        ({"kind": "binary", "labels": []}, "tasks.color.labels: expected labels"),
        (
            {"kind": "binary", "labels": ["n", "y"], "thresholds": {"y": 2}},
            "tasks.color.thresholds: expected one from 0 to 1 for a label; got 'y': 2",
        ),
        ({"kind": "ordinal", "levels": ["a"]}, "tasks.color.levels: expected two or more"),
        (MARKS | {"counts": {"d": 1}}, "tasks.color.counts: 'd' is not among the labels"),
        (MARKS | {"known": {"a": "x"}}, "tasks.color.known.a: "),
        (MARKS | {"labels": []}, "tasks.color.labels: expected labels"),
        (LIGHT | {"factor": 0}, "tasks.color.factor: expected another number than 0"),
        (LIGHT | {"edges": [3, 1]}, "tasks.color.edges: expected numbers in ascending order"),
    ],
)
def test_a_task_that_no_training_leaves_is_refused_with_its_key(task: dict[str, Any], words: str, model: Path) -> None:
    write_tiny_model(model, {"tasks": {"color": task}})
    assert f"what it says of itself cannot be used: {words}" in refusal(model)


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=list(EXAMPLES))
def test_what_training_leaves_is_taken(example: Any) -> None:
    stored = store(example.task.fit("it", example.labels))
    loaded = TypeAdapter(StoredTask).validate_json(json.dumps(stored))
    assert store(loaded) == stored
    assert loaded.names == example.task.fit("it", example.labels).names


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda card: b"\xff" + json.dumps(card).encode(), "it is not UTF-8"),
        (lambda card: b"[" * 100_000, "it is nested too deeply"),
        (lambda card: json.dumps(card | {"recipe": json.loads("[" * 500 + "]" * 500)}).encode(), ""),
        (lambda card: json.dumps(card).encode()[:-1] + b', "name": "b"}', "name: is there twice"),
        (lambda card: json.dumps(card | {"figures": {"color": {"n": float("nan")}}}).encode(), "NaN is no number"),
        (lambda card: json.dumps(card | {"figures": {"hue": {"n": 1}}}).encode(), "figures: 'hue' is not among"),
        (lambda card: json.dumps(card | {"note": "\ud800"}).encode(), ""),
        (lambda card: json.dumps(card | {"note": "x" * 2**24}).encode(), "it is over 16 MiB long"),
        (lambda card: json.dumps(card | {"parameters": 10**5000}).encode(), ""),
        (lambda card: json.dumps(card | {"rows": {"train": -1}}).encode(), "rows.train: "),
        (lambda card: json.dumps(card | {"fingerprint": "../x"}).encode(), "fingerprint: "),
        (
            lambda card: json.dumps(card | {"tasks": {"features": COLOR}}).encode(),
            "tasks: 'features' cannot be a task's name",
        ),
        (
            lambda card: json.dumps(card | {"tasks": {"a\x1b[2J": COLOR}}).encode(),
            "tasks: 'a\\x1b[2J' cannot be a task's name",
        ),
        (lambda card: json.dumps(card | {"tasks": {"a" * 2**20: COLOR}}).encode(), "tasks: 'aaa"),
        (lambda card: b"", "Expecting value"),
        (lambda card: b"[]", ""),
    ],
)
def test_a_card_that_is_no_card_is_refused(change: Callable[[Any], bytes], words: str, model: Path) -> None:
    said = tell(model)
    try:
        text = change(said)
    except ValueError:  # this Python writes no such integer
        text = json.dumps(said).replace('"parameters": 0', f'"parameters": 1{"0" * 5000}').encode()
    say(model, text)
    assert f"what it says of itself cannot be used: {words}" in refusal(model)


def add(*nodes: onnx.NodeProto, **constants: Any) -> Callable[[onnx.ModelProto], None]:
    """Nodes behind the others, which may read `features`, and their constants."""

    def change(proto: onnx.ModelProto) -> None:
        proto.graph.node.extend(nodes)
        proto.graph.initializer.extend(numpy_helper.from_array(np.array(v), k) for k, v in constants.items())

    return change


def loop() -> onnx.NodeProto:
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [info("at", TensorProto.INT64, []), info("go", TensorProto.BOOL, [])],
        [info("on", TensorProto.BOOL, [])],
    )
    return helper.make_node("Loop", ["times", ""], [], body=body)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (add(loop(), times=np.int64(2**62)), "node 8, Loop: is no operator that Polyhead writes"),
        (add(helper.make_node("NonZero", ["features"], ["x"])), "node 8, NonZero: is no operator that Polyhead writes"),
        (
            add(helper.make_node("Relu", ["features"], ["x"], domain="evil")),
            "Relu: is no operator that Polyhead writes",
        ),
        (
            add(helper.make_node("Pad", ["features", "pads"], ["x"]), pads=np.array([0, 2**40, 0, 2**40])),
            "node 8, Pad: asks for an array of 32 x 2199023255555",
        ),
        (
            add(helper.make_node("Tile", ["features", "by"], ["x"]), by=np.array([2**31, 1])),
            "Tile: asks for an array of",
        ),
        (add(helper.make_node("ConstantOfShape", ["shape"], ["x"]), shape=np.array([2**40])), "ConstantOfShape: asks"),
        (
            add(*(helper.make_node("Concat", [a, a], [b], axis=1) for a, b in zip("uvwxyz", "vwxyz0", strict=True))),
            "Concat: reads 'u', which nothing makes",
        ),
        (
            add(
                helper.make_node("Identity", ["features"], ["d0"]),
                *(helper.make_node("Concat", [f"d{n}", f"d{n}"], [f"d{n + 1}"], axis=1) for n in range(60)),
            ),
            "Concat: asks for",
        ),
        (
            add(helper.make_node("MaxPool", ["shares"], ["x"], kernel_shape=[10**9, 3], pads=[10**9, 0, 10**9, 0])),
            "MaxPool: asks for",
        ),
        (add(helper.make_node("MaxPool", ["shares"], ["x"], kernel_shape=[1, 1], strides=[0, 1])), "out of range"),
        (add(helper.make_node("Conv", ["shares", "w"], ["x"], group=0), w=np.zeros((1, 1, 1, 1), "f")), "Conv: "),
        (add(helper.make_node("Reshape", ["features", "mean"], ["x"])), "Reshape: what it gives cannot be told"),
        (
            add(*(helper.make_node("MatMul", ["w", "w"], [f"x{n}"]) for n in range(99)), w=np.zeros((1024, 1024), "f")),
            "MatMul: reads the same constants over and over",
        ),
        (
            add(
                helper.make_node("Tile", ["mean", "by"], ["x0"]),
                *(helper.make_node("Erf", [f"x{n}"], [f"x{n + 1}"]) for n in range(5000)),
                by=np.array([1, 2**20]),
            ),
            "Erf: asks for more than an image of 16x16 is worth",
        ),
        (lambda proto: proto.functions.add(), "has functions"),
        (lambda proto: proto.training_info.add(), "has training_info"),
        (lambda proto: proto.graph.sparse_initializer.add(), "has sparse_initializer"),
        (lambda proto: proto.graph.node.extend([helper.make_node("Relu", ["mean"], ["x"])] * 20_000), "20,007 nodes"),
        (lambda proto: proto.graph.initializer[0].dims.extend([2**40]), "another shape than numbers"),
    ],
)
def test_a_graph_that_no_export_writes_is_refused_before_it_runs(
    change: Callable[[onnx.ModelProto], object], words: str, model: Path
) -> None:
    edit(model, change)
    assert words in refusal(model)


def test_the_bytes_are_read_as_onnx_reads_them(model: Path, tmp_path: Path) -> None:
    for path in (model, write_model(tmp_path / "drawn.onnx")):
        proto, graph = onnx.load(str(path)), read_graph(path.read_bytes())
        for ours, node in zip(graph.nodes, proto.graph.node, strict=True):
            assert (ours.operator, list(ours.inputs), list(ours.outputs)) == (
                node.op_type,
                [*node.input],
                [*node.output],
            )
            for attribute in node.attribute:
                value = helper.get_attribute_value(attribute)
                assert ours.settings[attribute.name] == (tuple(value) if isinstance(value, list) else value)
        assert graph.metadata[KEY].decode() == proto.metadata_props[0].value
        for entry in proto.graph.initializer:
            assert graph.constants[entry.name].shape == tuple(entry.dims)
            if entry.data_type == TensorProto.INT64:
                assert graph.constants[entry.name].numbers == tuple(numpy_helper.to_array(entry).flat)
        check_graph(graph, (16, 16))


def compute_lengths(divisor: int) -> onnx.ModelProto:
    """Arrays whose shapes are computed from those of others, as exports of transformers have them."""
    steps = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Pow", ["pixels", "one"], ["powers"]),
        helper.make_node("Split", ["powers"], ["first", "second"], axis=1),
        helper.make_node("Shape", ["first"], ["shape"]),  # n, 8, 16, 3
        *(helper.make_node("Gather", ["shape", f"at {axis}"], [f"length {axis}"]) for axis in range(4)),
        helper.make_node("Div", ["length 2", "divisor"], ["part"]),
        helper.make_node("Mod", ["length 1", "six"], ["rest"]),
        helper.make_node("Max", ["rest", "one length"], ["most"]),
        helper.make_node("Gather", ["shape", "several"], ["lengths"]),
        helper.make_node("ReduceProd", ["lengths"], ["product"], keepdims=1),
        helper.make_node("Add", ["product", "none"], ["sum"]),
        helper.make_node("Concat", ["length 0", "part", "most", "sum"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["second", "wanted"], ["made"]),
    ]
    numbers = {f"at {axis}": [axis] for axis in range(4)} | {"divisor": [divisor], "six": [6], "one length": [1]}
    numbers |= {"several": [1, 3], "none": [0]}
    constants = [numpy_helper.from_array(np.array(values, np.int64), name) for name, values in numbers.items()]
    constants.append(numpy_helper.from_array(np.array(1, np.float32), "one"))
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 16, 16, 3])
    made = helper.make_tensor_value_info("made", TensorProto.FLOAT, None)
    return helper.make_model(
        helper.make_graph(steps, "lengths", [images], [made], constants),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )


def test_lengths_are_computed_as_the_runtime_does() -> None:
    content = compute_lengths(divisor=2).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"images": np.zeros((2, 16, 16, 3), np.uint8)})
    assert found.shape == (2, 16 // 2, 8 % 6, 8 * 3)
    check_graph(read_graph(content), (16, 16))
    for divisor, words in ((3, "gives an array another size"), (0, "divides by zero or less"), (-2, "divides by zero")):
        with pytest.raises(InvalidModel, match=words):
            check_graph(read_graph(compute_lengths(divisor).SerializeToString()), (16, 16))


def test_a_file_that_is_cut_anywhere_is_refused(model: Path) -> None:
    content = model.read_bytes()
    for end in range(0, len(content), 7):
        model.write_bytes(content[:end])
        assert refusal(model)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("my.yaml", b"name: my\ntasks: {}\n", "it is a recipe; give the run folder that was trained by it"),
        ("labels.csv", "image,größe\n".encode() * 999, "it is a text file; give a model.onnx or a run folder"),
        ("model.keras", b"PK\3\4" * 99, "it is a zip archive, as .keras files are"),
        ("x.png", b"\x89PNG\r\n", "it is a PNG image"),
        ("x.h5", b"\x89HDF\r\n", "it is an HDF5 file, as Keras's weights are"),
        ("x.tflite", b"\x1c\0\0\0TFL3", "it is a LiteRT model"),
        ("empty.onnx", b"", "it is empty"),
        ("noise.onnx", b"\x08\x01\x02" * 99, "is not an ONNX model that can be read"),
    ],
)
def test_another_file_is_told_as_what_it_is(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert words in refusal(tmp_path / name)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.onnx")
    assert "is not a regular file" in refusal(tmp_path / "model.onnx")
    assert "is not a regular file" in refusal(Path("/dev/zero"))
    with pytest.raises(PolyheadError, match="cannot be read: File name too long"):
        polyhead.load_model("x" * 300)
    with pytest.raises(PolyheadError, match="fashionnet: is a recipe, not a model; train it"):
        polyhead.load_model("fashionnet")


def spoil_weights(path: Path, value: float) -> None:
    def change(proto: onnx.ModelProto) -> None:
        steep = next(entry for entry in proto.graph.initializer if entry.name == "steep")
        steep.CopyFrom(numpy_helper.from_array(np.array(value, np.float32), "steep"))

    edit(path, change)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_that_are_no_numbers_are_an_error_of_the_image(
    value: float, model: Path, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil_weights(model, value)
    assert call("predict", model, image, "--json") == 1
    line = json.loads(capsys.readouterr().out, parse_constant=lambda word: pytest.fail(word))
    assert (line["error"], line["answers"]) == ("the model gives no number for color", {})
    assert call("predict", model, image, "--csv", tmp_path / "a.csv") == 1
    assert "the model gives no number for color" in (tmp_path / "a.csv").read_text()
    assert "nan" not in (tmp_path / "a.csv").read_text().lower()
    capsys.readouterr()
    assert call("cluster", model, image, "--out", tmp_path / "groups") == 2
    assert "red.png: the model gives no number for color" in capsys.readouterr().err
    with pytest.raises(PolyheadError, match="for some images the model gives no number for color"):
        polyhead.load_model(model).run(np.zeros((1, 16, 16, 3), np.uint8))


def test_outputs_that_are_no_probabilities_are_an_error_of_the_image(model: Path, image: Path) -> None:
    def change(proto: onnx.ModelProto) -> None:
        softmax = next(node for node in proto.graph.node if node.op_type == "Softmax")
        softmax.op_type = "Identity"
        del softmax.attribute[:]

    edit(model, change)
    (record,) = polyhead.load_model(model).predict(image)
    assert record["error"] == "the model gives for color a number that is no probability"


def test_one_image_without_numbers_does_not_spoil_the_others(model: Path) -> None:
    def change(proto: onnx.ModelProto) -> None:  # the square root of what is below a half is no number
        cut = next(node for node in proto.graph.node if node.output[0] == "brightness")
        cut.output[0] = "bright"
        proto.graph.node.extend(
            [helper.make_node("Sub", ["bright", "half"], ["more"]), helper.make_node("Sqrt", ["more"], ["brightness"])]
        )
        proto.graph.initializer.append(numpy_helper.from_array(np.array(50, np.float32), "half"))

    edit(model, change)
    images = [np.full((16, 16, 3), value, np.uint8) for value in (255, 0, 200)]
    errors = [record["error"] for record in polyhead.load_model(model).predict(images)]
    assert errors == [None, "the model gives no number for brightness", None]


def test_a_card_does_not_say_where_images_are_kept_nor_reads_what_is_outside_of_the_data(
    model: Path, tmp_path: Path
) -> None:
    recipe = {"data": {"source": {"kind": "csv", "file": "../secret.csv"}}, "image": {"cache": "/etc"}}
    write_tiny_model(model, {"image": {"size": [16, 16], "cache": "/etc"}, "recipe": recipe})
    card = polyhead.load_model(model).card
    assert card.image.cache == card.recipe["image"]["cache"] == "auto"
    with pytest.raises(PolyheadError, match=r"outside of the data, data\.source\.file: \.\./secret\.csv"):
        polyhead.evaluate(model, data=tmp_path, split="all")


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ([("a", ["a"])], "reads a box that is not before it"),
        ([("a", []), ("a", ["a"])], "is there twice"),
        ([("a", []), ("b", [])], "'b' leads nowhere"),
        ([(f"x{n}", [f"x{k}" for k in range(n)]) for n in range(20)] + [("a", ["x19"])], "too many paths"),
        ([], "at least 1 item"),
    ],
)
def test_a_diagram_that_is_none_is_refused(boxes: list[tuple[str, list[str]]], words: str, model: Path) -> None:
    made = [{"name": n, "lines": [], "shape": [1], "layers": 1, "parameters": 1, "inputs": i} for n, i in boxes]
    write_tiny_model(model, {"diagram": {"boxes": made, "heads": {"color": "a", "brightness": "a"}, "features": []}})
    assert words in refusal(model)
