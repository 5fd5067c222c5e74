"""Models as one: outputs are the means, and what is equal in them is there once."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from polyhead.errors import PolyheadError
from polyhead.export import averaging
from polyhead.export.averaging import average_models
from polyhead.model.card import Card
from polyhead.model.file import read_model_card
from polyhead.model.predictor import Predictor
from tiny_model import SIZE, write_tiny_model

PIXELS = np.random.default_rng(0).integers(0, 256, (9, SIZE, SIZE, 3), dtype=np.uint8)


def write_models(folder: Path, steep: float = 20) -> tuple[list[Path], Card]:
    """Two models, the second of which multiplies by another number behind the features."""
    models = [write_tiny_model(folder / f"{number}.onnx") for number in (1, 2)]
    changed = onnx.load(str(models[1]))
    for constant in changed.graph.initializer:
        if constant.name == "steep":
            constant.CopyFrom(numpy_helper.from_array(np.array(np.float32(steep)), "steep"))
    onnx.save(changed, str(models[1]))
    return models, read_model_card(models[0])


def test_outputs_are_means_and_what_is_equal_is_computed_once(tmp_path: Path) -> None:
    models, card = write_models(tmp_path, steep=3)
    average_models(models, tmp_path / "model.onnx", card, PIXELS)
    found, (first, second) = Predictor(tmp_path / "model.onnx").run(PIXELS), [Predictor(m).run(PIXELS) for m in models]
    np.testing.assert_allclose(found["color"], (first["color"] + second["color"]) / 2, atol=1e-6)
    np.testing.assert_allclose(found["brightness"], first["brightness"], atol=1e-4)
    np.testing.assert_array_equal(found["features"], first["features"])  # which both networks share
    graph = onnx.load(str(tmp_path / "model.onnx")).graph
    # Seven of the first, Mul and Softmax of the second; an Add and a Mul for each of two outputs, the features' Concat.
    assert len(graph.node) == 7 + 2 + 4 + 1
    assert len(graph.initializer) == 3 + 1 + 1
    made = read_model_card(tmp_path / "model.onnx")
    assert made.averages == 2
    assert made.fingerprint not in (card.fingerprint, "0" * 16)
    assert made.tasks == card.tasks


def test_features_of_different_networks_stand_side_by_side(tmp_path: Path) -> None:
    models, card = write_models(tmp_path)
    changed = onnx.load(str(models[1]))
    changed.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array(np.float32(510)), "white"))
    onnx.save(changed, str(models[1]))
    average_models(models, tmp_path / "model.onnx", card, PIXELS)
    found, first = (Predictor(path).run(PIXELS)["features"] for path in (tmp_path / "model.onnx", models[0]))
    np.testing.assert_allclose(found, np.concatenate([first, first / 2], axis=1))


def test_a_file_that_gives_something_else_than_the_means_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models, card = write_models(tmp_path, steep=3)
    monkeypatch.setattr(averaging, "_average", lambda name, parts, share: _first(name, parts))
    with pytest.raises(PolyheadError, match=r"color: is .* off the mean of the 2 networks' answers"):
        average_models(models, tmp_path / "model.onnx", card, PIXELS)


def _first(name: str, parts: list[str]) -> list[onnx.NodeProto]:
    return [onnx.helper.make_node("Identity", parts[:1], [name], name)]


def test_a_card_of_one_network_says_nothing_of_averages(tmp_path: Path) -> None:
    card = read_model_card(write_tiny_model(tmp_path / "one.onnx"))
    assert card.averages is None
    assert json.loads(card.model_dump_json())["averages"] is None
