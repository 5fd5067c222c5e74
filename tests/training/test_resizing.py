"""Stages that train at a smaller size: the same weights, the same answers as a network built for it."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from conftest import TINY_RECIPE
from networks import build
from polyhead.errors import PolyheadError
from polyhead.progress import SILENT, Progress, Silent
from polyhead.recipe.loading import load_recipe
from polyhead.training.batches import TrainingData
from polyhead.training.checkpoint_callback import STATE, RunContext
from polyhead.training.fit import train_network
from polyhead.training.multi_task import MultiTaskModel
from polyhead.training.network import build_network
from polyhead.training.resizing import build_smaller

AVERAGE = "network={trunk: {blocks: [{filters: 4, dropout: 0.1}, {filters: 4}], end: average, dense: [8]}}"
BRANCH = "branches: {color: {color_mode: grayscale, blocks: [{filters: 4}], end: average}}"
BACKBONES = ["MobileNetV2, width: 0.35", "MobileNetV3Small", "ConvNeXtTiny", "EfficientNetV2B0", "InceptionResNetV2"]
NETWORKS = [AVERAGE, f"network={{trunk: {{blocks: [{{filters: 4}}], end: average}}, {BRANCH}}}"]
LABELS = {
    "color": ["red", "", "blue", "red"] * 3,
    "shape": ["disc", "square", "", ""] * 3,
    "marks": ["dot", "", "bar|dot", "none"] * 3,
    "width": ["3", "5", "", "7"] * 3,
    "size": ["S", "", "M", "L"] * 3,
}
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), np.uint8)


def name_backbone(name: str) -> str:
    return f"network={{backbone: {{name: {name}, weights: none, dropout: 0.1}}, {BRANCH}}}"


@pytest.mark.parametrize(
    "network",
    [
        *NETWORKS,
        name_backbone(BACKBONES[0]),
        *(pytest.param(name_backbone(name), marks=pytest.mark.slow) for name in BACKBONES[1:]),
    ],
)
def test_a_network_at_a_smaller_size_is_one_built_for_it_with_the_same_weights(network: str, tmp_path: Path) -> None:
    stages = "training.stages=[{size: [75, 81], epochs: 1}, {epochs: 2}]"  # odd: padding is another there
    recipe, tasks, whole = build(tmp_path, network, stages, "image.size=[96, 96]")
    (small,) = build_smaller(whole, recipe, tasks, tmp_path).values()
    ours = {id(variable) for variable in whole.core.variables}
    assert all(id(variable) in ours for variable in small.variables)
    assert len(small.weights) == len(whole.core.weights)
    *_, alone = build(tmp_path, network, "image.size=[75, 81]")
    alone.core.set_weights(whole.core.get_weights())
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 75, 81, 3)).astype("float32")
    for name, expected in alone.core(pixels, training=False).items():
        found = small(pixels, training=False)[name]
        expected, found = (keras.ops.convert_to_numpy(values) for values in (expected, found))
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_training_sees_smaller_images_and_evaluation_whole_ones(tmp_path: Path) -> None:
    recipe, tasks, network = build(tmp_path, NETWORKS[1], "training={stages: [{size: 16, epochs: 1}], epochs: 1}")
    model = MultiTaskModel(network, recipe)
    variables = len(model.variables)
    (small,) = build_smaller(network, recipe, tasks, tmp_path).values()
    model.train_through(small)
    network.core.trainable = False  # batch normalisation then does the same in training
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    pixels = images.astype("float32")
    shrunk = keras.ops.image.resize(pixels, (16, 16), antialias=True)
    for training, expected in ((False, network.core(pixels)), (True, small(shrunk))):
        for name, found in model(images, training=training).items():
            wanted, given = (keras.ops.convert_to_numpy(values) for values in (expected[name], found))
            np.testing.assert_allclose(given, wanted, rtol=1e-4)
    assert len(model.variables) == variables


class StopAtEpoch(Silent):
    """Stops, as Ctrl-C does, when an epoch begins."""

    def __init__(self, epoch: int) -> None:
        self.words = f"epoch {epoch}/"

    def track(self, words: str, total: int) -> Callable[[int], None]:
        if words.startswith(self.words):
            raise KeyboardInterrupt
        return super().track(words, total)


def test_stages_of_several_sizes_go_on_exactly_after_a_stop(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    stages = "[{size: 8, epochs: 2}, {size: [12, 10], epochs: 1}, {size: 16, epochs: 1}]"
    recipe = load_recipe(tmp_path / "tiny.yaml", [AVERAGE, f"training={{batch_size: 4, stages: {stages}}}"])
    tasks = {name: task.fit(name, LABELS[name]) for name, task in recipe.tasks.items()}
    targets = {name: task.encode(LABELS[name]) for name, task in tasks.items()}
    data = TrainingData(lambda rows: IMAGES[rows], targets, np.arange(8), np.arange(8, 12))

    def train(folder: Path, progress: Progress = SILENT) -> dict[str, np.ndarray]:
        folder.mkdir(exist_ok=True)
        train_network(recipe, tasks, data, RunContext(folder, progress))
        with np.load(folder / STATE) as arrays:
            return {key: array for key, array in arrays.items() if key != "position"}

    whole = train(tmp_path / "whole")
    for epoch in (2, 4):
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "broken", StopAtEpoch(epoch))
    for key, array in train(tmp_path / "broken").items():
        np.testing.assert_array_equal(array, whole[key], err_msg=key)


def test_a_smaller_network_has_the_low_rank_factors_of_the_whole_one(tmp_path: Path) -> None:
    own = f"network={{backbone: {{builder: '{__name__}:build_plain', lora: 1}}}}"
    stages = "training={batch_size: 4, stages: [{size: 8, epochs: 1, learning_rate: 0.1}, {epochs: 1}]}"
    (tmp_path / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    recipe = load_recipe(tmp_path / "tiny.yaml", [own, stages, "tasks={color: {kind: categorical}}"])
    tasks = {"color": recipe.tasks["color"].fit("color", LABELS["color"])}
    data = TrainingData(
        lambda rows: IMAGES[rows], {"color": tasks["color"].encode(LABELS["color"])}, np.arange(12), np.arange(0)
    )
    train_network(recipe, tasks, data, RunContext(tmp_path))
    assert len((tmp_path / "history.csv").read_text(encoding="utf-8").splitlines()) == 3


def build_plain(input_shape: tuple[int, int, int]) -> keras.Model:
    """A backbone that takes any size."""
    return keras.Sequential([keras.Input(input_shape), keras.layers.Conv2D(4, 3), keras.layers.Conv2D(4, 3)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ([AVERAGE, "training.stages=[{size: 24, epochs: 3}]"], "stages.0.size: expected image.size, 16x16, or less"),
        ([AVERAGE, "training.stages=[{size: 4, epochs: 3}]"], "stages.0.size: expected greater than or equal to 8"),
        (["training.stages=[{size: 8, epochs: 3}]"], "stages.0.size: network.trunk ends in `flatten`"),
        (
            [
                "network={trunk: {blocks: [{filters: 4, pool: 9}], end: average}}",
                "training.stages=[{size: 8, epochs: 3}]",
            ],
            "training.stages.0.size: the pools of network.trunk leave nothing of an image of 8x8",
        ),
        (
            [name_backbone(BACKBONES[0]), "image.size=64", "training.stages=[{size: 16, epochs: 3}]"],
            "training.stages.0.size: MobileNetV2 takes 32 pixels a side or more; got 16x16",
        ),
        (
            [
                name_backbone(BACKBONES[0]),
                "image.size=64",
                "training.stages=[{size: 32, train: heads, epochs: 3}, {epochs: 1}]",
            ],
            "training.stages.0.size: is for stages that train more than the heads; remove it",
        ),
        (
            ["network={backbone: {model: my.keras}}", "training.stages=[{size: 8, epochs: 3}]"],
            "training.stages.0.size: the size of a `network.backbone.model` is fixed; give its `builder` instead",
        ),
    ],
)
def test_a_size_that_a_stage_cannot_have_is_refused(settings: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    with pytest.raises(PolyheadError) as error:
        load_recipe(tmp_path / "tiny.yaml", ["training.epochs=3", *settings])
    assert message in str(error.value)


def build_wide(input_shape: tuple[int, int, int]) -> keras.Model:
    """A backbone whose weights depend on the size."""
    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(4)])


def test_a_backbone_of_ones_own_with_weights_for_one_size_is_told_before_it_trains(tmp_path: Path) -> None:
    own = f"network={{backbone: {{builder: '{__name__}:build_wide'}}}}"
    recipe, tasks, _ = build(tmp_path, own, "training={stages: [{size: 16, epochs: 1}], epochs: 1}")
    with pytest.raises(PolyheadError, match=r"training.stages.0.size: .* has other weights at that size"):
        build_smaller(build_network(recipe, tasks), recipe, tasks, tmp_path)
