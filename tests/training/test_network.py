"""What a recipe says of the network is what is built."""

from pathlib import Path

import numpy as np
import pytest
from keras import layers, ops

from networks import TRUNK, build
from polyhead.export.onnx import export_network
from polyhead.recipe.size import list_layers
from polyhead.training.layer_values import run_network
from polyhead.training.network import Network

HEADS = "network.heads={color: {dense: [7, 5], activation: gelu, batch_norm: false}, width: {dropout: 0.5}}"
BACKBONE = "network={backbone: {name: MobileNetV2, width: 0.35, weights: none}}"
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
BRANCH = "network.branches={marks: {blocks: [{filters: 4, pool: 4}], dense: [6]}}"


def own_layers(network: Network, task: str) -> list[layers.Layer]:
    """The layers between the vector that other tasks share and a task's logits, from the logits upwards."""
    found, shared = [], network.core.output["features"]
    tensor = network.core.output[task]
    while tensor is not shared:
        layer = tensor._keras_history.operation
        found.append(layer)
        tensor = layer.input
    return found


@pytest.mark.parametrize("on", [TRUNK, BACKBONE], ids=["trunk", "backbone"])
def test_a_task_has_the_layers_that_its_head_asks_for_and_others_have_none(on: str, tmp_path: Path) -> None:
    *_, network = build(tmp_path, on, HEADS)
    _, *dense = own_layers(network, "color")
    widths = [(layer.units, layer.activation.__name__) for layer in dense if isinstance(layer, layers.Dense)]
    assert widths == [(5, "gelu"), (7, "gelu")]
    assert not any(isinstance(layer, layers.BatchNormalization) for layer in dense)
    _, dropout = own_layers(network, "width")
    assert dropout.rate == 0.5
    assert len(own_layers(network, "shape")) == 1  # its logits


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "elu", "gelu", "silu", "tanh"])
def test_the_file_of_a_network_with_heads_agrees_with_it(activation: str, tmp_path: Path) -> None:
    head = f"{{dense: [7], activation: {activation}, dropout: 0.1}}"
    recipe, tasks, network = build(tmp_path, TRUNK, BRANCH, f"network.heads={{color: {head}, marks: {head}}}")
    network.core.save_weights(tmp_path / "some.weights.h5")
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    _, difference = export_network(recipe, tasks, tmp_path / "some.weights.h5", {"train": 3}, images)
    assert difference < 1e-5


def test_both_poolings_of_a_backbone_stand_side_by_side(tmp_path: Path) -> None:
    recipe, _, network = build(tmp_path, BACKBONE, "network.backbone.pooling=both")
    assert network.trunk is not None
    assert network.backbone is not None
    pixels = IMAGES.astype("float32")
    pooled, seen = (ops.convert_to_numpy(part(pixels)) for part in (network.trunk, network.backbone))
    expected = np.concatenate([seen.mean((1, 2)), seen.max((1, 2))], axis=1)
    np.testing.assert_allclose(pooled, expected, rtol=1e-5, atol=1e-6)
    weights = {part.key: part.weights for part in list_layers(recipe)}
    plain = recipe.model_copy(update={"network": build(tmp_path, BACKBONE)[0].network})
    assert weights["tasks.color"] == 2 * {part.key: part.weights for part in list_layers(plain)}["tasks.color"]


@pytest.mark.parametrize("on", [TRUNK, BACKBONE], ids=["trunk", "backbone"])
def test_answers_of_an_image_and_its_mirror_image_are_averaged(on: str, tmp_path: Path) -> None:
    *_, network = build(tmp_path, on, BRANCH, "network.average_flips=true")
    *_, plain = build(tmp_path, on, BRANCH)
    plain.core.set_weights(network.core.get_weights())
    found = run_network(network, IMAGES)
    views = [run_network(plain, images) for images in (IMAGES, IMAGES[:, :, ::-1])]
    assert set(found) == {"color", "shape", "marks", "width", "size", "features"}
    for name, values in found.items():
        np.testing.assert_allclose(values, (views[0][name] + views[1][name]) / 2, rtol=1e-5, atol=1e-6)
    assert not np.allclose(views[0]["features"], views[1]["features"])
    assert len(network.core(IMAGES.astype("float32"))["color"]) == len(IMAGES)  # which is what training sees


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["network.backbone.pooling=both", "network.average_flips=true"])
def test_the_file_of_a_network_on_a_backbone_agrees_with_it(setting: str, tmp_path: Path) -> None:
    recipe, tasks, network = build(tmp_path, BACKBONE, setting)
    network.core.save_weights(tmp_path / "some.weights.h5")
    _, difference = export_network(recipe, tasks, tmp_path / "some.weights.h5", {"train": 3}, IMAGES)
    assert difference < 1e-5


def test_a_stack_without_dense_layers_drops_behind_its_end(tmp_path: Path) -> None:
    *_, network = build(tmp_path, "network.trunk={blocks: [{filters: 4}], dropout: 0.25}")
    rates = [layer.rate for layer in network.core.layers if isinstance(layer, layers.Dropout)]
    assert rates == [0.25]
