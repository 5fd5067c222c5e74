"""A backbone's depth: its parts in order, the rate of each, and how many of them a stage trains."""

from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import TINY_RECIPE
from polyhead.errors import PolyheadError
from polyhead.recipe.loading import load_recipe
from polyhead.recipe.network import Backbone
from polyhead.recipe.schema import Recipe
from polyhead.tasks import Task
from polyhead.training import WEIGHTS
from polyhead.training.backbones import build_backbone
from polyhead.training.batches import TrainingData
from polyhead.training.checkpoint_callback import RunContext
from polyhead.training.depth import part_by_depth
from polyhead.training.fit import train_network
from polyhead.training.network import Network, build_network

IMAGES = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
LABELS = ["red", "blue", "green", ""] * 2
NETWORK = "network={backbone: {name: MobileNetV2, width: 0.35, weights: none}}"
STEP = "training={epochs: 1, batch_size: 8, optimizer: sgd, learning_rate: 0.5, augment: {}}"


def make(folder: Path, *settings: str) -> tuple[Recipe, dict[str, Task]]:
    folder.mkdir(exist_ok=True)
    (folder / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    plain = ["tasks={color: {kind: categorical}}", "image.size=[32, 32]", NETWORK, STEP]
    recipe = load_recipe(folder / "tiny.yaml", [*plain, *settings])
    return recipe, {"color": recipe.tasks["color"].fit("color", LABELS)}


def train(folder: Path, *settings: str) -> Network:
    """The network after training on eight images, in one step an epoch."""
    recipe, tasks = make(folder, *settings)
    rows = np.arange(8)
    data = TrainingData(lambda wanted: IMAGES[wanted], {"color": tasks["color"].encode(LABELS)}, rows, rows[:0])
    train_network(recipe, tasks, data, RunContext(folder))
    network = build_network(recipe, tasks)
    network.core.load_weights(folder / WEIGHTS)
    return network


def changes(before: Network, after: Network) -> tuple[list[list[NDArray[np.float32]]], list[NDArray[np.float32]]]:
    """How much each trained weight of the backbone has changed, part by part; and those of the head."""

    def values(variables: list[keras.Variable]) -> list[NDArray[np.float32]]:
        return [keras.ops.convert_to_numpy(variable) for variable in variables if variable.trainable]

    def subtract(one: list[keras.Variable], other: list[keras.Variable]) -> list[NDArray[np.float32]]:
        return [new - old for new, old in zip(values(one), values(other), strict=True)]

    assert before.backbone is not None
    assert after.backbone is not None
    pairs = zip(part_by_depth(after.backbone), part_by_depth(before.backbone), strict=True)
    heads = subtract(after.core.layers[-1].weights, before.core.layers[-1].weights)
    return [subtract(*pair) for pair in pairs], heads


def test_parts_are_in_order_and_of_about_as_many_layers() -> None:
    model = build_backbone(Backbone(name="MobileNetV2", width=0.35, weights="none"), (32, 32), pretrained=False)
    parts = part_by_depth(model)
    counts = [sum(len(weight.shape) > 1 for weight in part) for part in parts]
    assert len(counts) == 12
    assert max(counts) - min(counts) <= 1
    assert [weight.path for part in parts for weight in part] == [weight.path for weight in model.weights]
    blocks = [[weight.path.split("/")[0] for weight in part] for part in parts]
    assert blocks[0][0] == "Conv1"
    assert blocks[-1][-1] == "Conv_1_bn"
    numbers = [int(name.split("_")[1]) for part in blocks for name in part if name.startswith("block_")]
    assert numbers == sorted(numbers)


def test_a_small_network_of_ones_own_has_as_many_parts_as_kernels() -> None:
    layers = [keras.Input((8, 8, 3)), *(keras.layers.Conv2D(2, 1) for _ in range(3)), keras.layers.Flatten()]
    parts = part_by_depth(keras.Sequential(layers))
    assert [[len(weight.shape) for weight in part] for part in parts] == [[4, 1]] * 3
    assert part_by_depth(keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])) == [[]]


@pytest.mark.parametrize(("optimizer", "more"), [("sgd", ""), ("adamw", ", weight_decay: 0.1")])
def test_earlier_layers_have_lower_rates(optimizer: str, more: str, tmp_path: Path) -> None:
    step = f"training={{epochs: 1, batch_size: 8, optimizer: {optimizer}, learning_rate: 0.01{more}, augment: {{}}}}"
    first = train(tmp_path / "first", STEP, "training.learning_rate=1e-30")
    plain, decayed = train(tmp_path / "plain", step), train(tmp_path / "decayed", step, "training.layer_decay=0.5")
    before, heads = changes(first, plain)
    after, same_heads = changes(first, decayed)
    for index, (whole, part) in enumerate(zip(before, after, strict=True)):
        for one, other in zip(whole, part, strict=True):
            np.testing.assert_allclose(other, 0.5 ** (12 - index) * one, rtol=1e-2, atol=1e-6)
    for one, other in zip(heads, same_heads, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5)
    assert all(any(np.abs(change).max() > 1e-4 for change in part) for part in before)


def test_a_stage_trains_the_last_parts_alone(tmp_path: Path) -> None:
    def stages(*trains: str) -> str:
        listed = ", ".join(f"{{train: {train}, epochs: 1, learning_rate: 0.5}}" for train in trains)
        return f"training={{batch_size: 8, optimizer: sgd, stages: [{listed}]}}"

    def list_changed(before: Network, after: Network) -> list[bool]:
        """Whether something has changed in each part, the averages of batch normalisation among them."""
        assert before.backbone is not None
        assert after.backbone is not None
        pairs = zip(before.backbone.weights, after.backbone.weights, strict=True)
        same = [np.array_equal(*map(keras.ops.convert_to_numpy, pair)) for pair in pairs]
        ends = np.cumsum([len(part) for part in part_by_depth(before.backbone)])
        return [not all(part) for part in np.split(same, ends[:-1])]

    first = train(tmp_path / "first", stages("heads"))
    last = train(tmp_path / "last", stages("heads", "{last: 4}"))
    whole = train(tmp_path / "whole", stages("heads", "{last: 4}", "all"))
    assert list_changed(first, last) == [False] * 8 + [True] * 4
    assert list_changed(last, whole) == [True] * 12
    assert all(np.abs(change).max() > 0 for change in changes(first, last)[1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["training.layer_decay=0"], "training.layer_decay: expected greater than 0; got 0"),
        (["training.layer_decay=1.5"], "training.layer_decay: expected less than or equal to 1; got 1.5"),
        (
            ["training.layer_decay=0.8", "network={trunk: {blocks: [{filters: 4}]}}"],
            "training.layer_decay: is for a network with a backbone, and there is none",
        ),
        (["training.stages=[{train: {last: 0}, epochs: 1}]"], "training.stages.0.train.last: expected greater than or"),
        (["training.stages=[{train: {last: 13}, epochs: 1}]"], "training.stages.0.train.last: expected less than or"),
        (["training.stages=[{train: {first: 1}, epochs: 1}]"], "training.stages.0.train.last: is missing"),
        (["training.stages=[{train: 4, epochs: 1}]"], "training.stages.0.train: expected heads, all"),
        (
            ["training.stages=[{train: {last: 1}, epochs: 1}]", "network={trunk: {blocks: [{filters: 4}]}}"],
            "training.stages: `train: {last: ...}` is for a network with a backbone, and there is none",
        ),
        (
            ["training={layer_decay: 0.8, stages: [{train: heads, epochs: 1}]}"],
            "layer_decay: is for stages that train the backbone, and there is none",
        ),
    ],
)
def test_what_has_no_depth_is_refused(settings: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(PolyheadError) as error:
        make(tmp_path, *settings)
    assert message in str(error.value)
