"""An exported graph is held against its network: rounding is told, anything else names the output and the layer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from networks import build
from polyhead import __version__
from polyhead.errors import PolyheadError
from polyhead.export import agreement
from polyhead.export.agreement import check_agreement, compare
from polyhead.export.onnx import call_child, write_onnx
from polyhead.model.card import Card
from polyhead.model.file import write_card
from polyhead.tasks import Task
from polyhead.training.network import Network, build_exact

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
TRUNK = "network={trunk: {blocks: [{filters: 4, pool: 4}, {filters: 6, pool: 4}], end: average, dense: [5]}}"
Exported = tuple[Network, Path, Callable[[], Network]]


@pytest.fixture(scope="module", params=["false", "true"], ids=["one view", "flips averaged"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A network, its model file, and how to make it in double precision."""
    folder = tmp_path_factory.mktemp("agreement")
    recipe, tasks, network = build(folder, TRUNK, f"network.average_flips={request.param}")
    network.core.save_weights(folder / "some.weights.h5")
    model = network.answering()
    model(IMAGES, training=False)
    write_onnx(model, folder / "model.onnx")
    said: dict[str, Any] = {"version": __version__, "name": "tiny", "image": recipe.image, "tasks": tasks}
    said |= {"recipe": {}, "rows": {"train": 3}, "parameters": 0, "fingerprint": "0" * 16}
    write_card(folder / "model.onnx", Card(**said))
    weights: dict[str, Task] = tasks
    return network, folder / "model.onnx", lambda: build_exact(recipe, weights, folder / "some.weights.h5")


def change(path: Path, target: Path, kind: str, place: int, factor: float) -> Path:
    """A copy of a model file, one of whose layers has other weights."""
    proto = onnx.load(str(path))
    node = [node for node in proto.graph.node if node.op_type == kind][place]
    entry = next(entry for entry in proto.graph.initializer if entry.name == node.input[1])
    entry.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(entry) * np.float32(factor), entry.name))
    onnx.save(proto, str(target))
    return target


def test_a_graph_that_computes_the_same_agrees(exported: Exported) -> None:
    network, path, _ = exported
    assert check_agreement(network, path, IMAGES, lambda: pytest.fail("is not needed")) < 1e-5


@pytest.mark.parametrize(("kind", "place", "layer"), [("Conv", 0, "conv2d"), ("Conv", 1, "conv2d_1")])
def test_a_graph_that_computes_otherwise_is_told_with_its_output_and_layer(
    kind: str, place: int, layer: str, exported: Exported, tmp_path: Path
) -> None:
    network, path, exact = exported
    doctored = change(path, tmp_path / "model.onnx", kind, place, 1.5)
    with pytest.raises(PolyheadError) as caught:
        check_agreement(network, doctored, IMAGES, exact)
    assert "more than rounding explains" in str(caught.value)
    assert f"it begins at the layer {layer}. The weights are kept: " in str(caught.value)
    assert str(caught.value).split(":")[0] in ("color", "shape", "marks", "width", "size", "features")


def test_what_rounding_explains_is_no_mistake(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, path, exact = exported
    monkeypatch.setattr(agreement, "TOLERANCE", 1e-12)
    difference = check_agreement(network, path, IMAGES, exact)
    assert 1e-12 < difference < 1e-5
    assert keras.config.dtype_policy().name == "float32"
    doctored = change(path, tmp_path / "model.onnx", "Conv", 0, 1.0001)
    with pytest.raises(PolyheadError, match="more than rounding explains"):
        check_agreement(network, doctored, IMAGES, exact)


def test_an_output_is_compared_on_its_own_scale() -> None:
    pooled = np.array([[6.0, 0.01], [0.5, 3.0]])
    assert compare({"features": pooled}, {"features": pooled + 0.00012})["features"] == pytest.approx(0.00002)
    assert compare({"color": pooled / 60}, {"color": pooled / 60 + 0.01})["color"] == pytest.approx(0.01)
    assert compare({"color": pooled}, {"color": pooled * np.nan})["color"] == np.inf


def test_a_network_that_has_diverged_is_told_as_that(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    network, path, exact = exported
    monkeypatch.setattr(agreement, "run_network", lambda *_: {"color": np.array([[np.nan]])})
    with pytest.raises(PolyheadError, match="the trained network gives no number for color: training has diverged"):
        check_agreement(network, path, IMAGES, exact)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise ValueError('tf2onnx knows no Foo')", "exporting failed: ValueError: tf2onnx knows no Foo"),
        (
            "import os; os.kill(os.getpid(), 9)",
            "exporting failed: its process was killed: most likely the memory is full",
        ),
        ("import sys; sys.exit(3)", "exporting failed: it does not say why"),
        ("import sys; sys.stderr.buffer.write(b'\\xff'); sys.exit(1)", "exporting failed: \ufffd"),
    ],
)
def test_a_child_that_fails_is_one_line(code: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failing_child.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(PolyheadError) as caught:
        call_child("failing_child")
    assert str(caught.value).startswith(words)
