"""Low-rank updates: the backbone's own weights stay, what is kept is merged, and a stopped run ends as a whole one."""

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import ops

from conftest import TINY_RECIPE
from polyhead.errors import PolyheadError
from polyhead.export.onnx import export_network
from polyhead.progress import SILENT
from polyhead.recipe.loading import load_recipe
from polyhead.recipe.schema import Recipe
from polyhead.tasks import Task
from polyhead.training import WEIGHTS
from polyhead.training.batches import TrainingData
from polyhead.training.checkpoint_callback import RunContext
from polyhead.training.fit import train_network
from polyhead.training.network import build_network

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)
LABELS = {
    "color": ["red", "blue", "", "green"] * 3,
    "shape": ["disc", "square", "disc", ""] * 3,
    "marks": ["dot", "dot|bar", "", "none"] * 3,
    "width": ["1", "", "3", "4"] * 3,
    "size": ["S", "M", "L", ""] * 3,
}
RANK = 2


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of weights for the backbone."""
    model = keras.applications.MobileNetV2(input_shape=(32, 32, 3), alpha=0.35, include_top=False, weights=None)
    model.save_weights(tmp_path / "backbone.weights.h5")
    return tmp_path / "backbone.weights.h5"


def make_recipe(folder: Path, weights: Path, *settings: str) -> Recipe:
    (folder / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    backbone = f"{{name: MobileNetV2, width: 0.35, weights: {weights}, lora: {RANK}}}"
    stages = "{stages: [{train: heads, epochs: 1}, {epochs: 2}], batch_size: 4, keep: last, learning_rate: 0.01}"
    plain = [f"network={{backbone: {backbone}}}", f"training={stages}", "image.size=[32, 32]"]
    return load_recipe(folder / "tiny.yaml", [*plain, *settings])


def fit_tasks(recipe: Recipe) -> dict[str, Task]:
    return {name: task.fit(name, LABELS[name]) for name, task in recipe.tasks.items()}


def train(folder: Path, recipe: Recipe, *callbacks: keras.callbacks.Callback) -> dict[str, Task]:
    folder.mkdir(exist_ok=True)
    tasks = fit_tasks(recipe)
    targets = {name: task.encode(LABELS[name]) for name, task in tasks.items()}
    data = TrainingData(lambda rows: IMAGES[rows], targets, np.arange(8), np.arange(8, 12))
    train_network(recipe, tasks, data, RunContext(folder, SILENT, callbacks))
    return tasks


class Stop(keras.callbacks.Callback):
    """Fails when the second stage's first epoch has ended."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if epoch == 1:
            raise LookupError("stopped")


@pytest.mark.slow
def test_kernels_change_by_a_low_rank_and_nothing_else_of_the_backbone_does(tmp_path: Path, weights: Path) -> None:
    recipe = make_recipe(tmp_path, weights)
    tasks = train(tmp_path / "run", recipe)
    begun, ended = (build_network(recipe, tasks, pretrained=True) for _ in range(2))
    ended.core.load_weights(tmp_path / "run" / WEIGHTS)
    assert begun.backbone is not None
    assert ended.backbone is not None
    changed = 0
    for before, after in zip(begun.backbone.weights, ended.backbone.weights, strict=True):
        change = ops.convert_to_numpy(after) - ops.convert_to_numpy(before)
        changed += bool(change.any())
        if change.any():
            assert before.name == "kernel"
            assert np.linalg.matrix_rank(change.reshape(-1, change.shape[-1]), tol=1e-5) <= RANK
    assert changed > 10


@pytest.mark.slow
def test_a_stopped_run_ends_as_a_whole_one(tmp_path: Path, weights: Path) -> None:
    recipe = make_recipe(tmp_path, weights)
    train(tmp_path / "whole", recipe)
    with pytest.raises(LookupError, match="stopped"):
        train(tmp_path / "broken", recipe, Stop())
    train(tmp_path / "broken", recipe)
    files = [h5py.File(tmp_path / run / WEIGHTS) for run in ("whole", "broken")]
    pairs: list[tuple[str, object]] = []
    files[0].visititems(lambda name, item: pairs.append((name, item)) if isinstance(item, h5py.Dataset) else None)
    assert pairs
    for name, item in pairs:
        np.testing.assert_array_equal(item[()], files[1][name][()])  # type: ignore[index]


@pytest.mark.slow
def test_the_file_of_a_run_agrees_with_what_it_kept(tmp_path: Path, weights: Path) -> None:
    recipe = make_recipe(tmp_path, weights)
    tasks = train(tmp_path / "run", recipe)
    _, difference = export_network(recipe, tasks, tmp_path / "run" / WEIGHTS, {"train": 8}, IMAGES[:3])
    assert difference < 1e-5


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("network.backbone.lora=0", "network.backbone.lora: expected greater than or equal to 1"),
        ("network.backbone.weights=none", "lora: is for pretrained weights; with `weights: none` it would leave rand"),
        (
            "training={stages: [{train: heads, epochs: 1}]}",
            "network.backbone.lora: every stage trains the heads alone, and leaves it without effect",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(setting: str, words: str, tmp_path: Path, weights: Path) -> None:
    with pytest.raises(PolyheadError) as error:
        make_recipe(tmp_path, weights, setting)
    assert words in str(error.value)


def test_a_rank_that_no_layer_takes_is_told(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(PolyheadError, match=r"none of the backbone's layers takes factors of rank 1024"):
        train(tmp_path / "run", make_recipe(tmp_path, weights, "network.backbone.lora=1024"))
