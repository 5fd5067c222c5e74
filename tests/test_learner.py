"""Training sums over known labels: in the gradient, in a batch's loss, in an epoch's log."""

import itertools
from typing import Any

import keras
import numpy as np
import pytest
from conftest import TINY_RECIPE
from keras import ops

from polyhead.learn.augment import RandomChange
from polyhead.learn.batches import Batches
from polyhead.learn.learner import Learner
from polyhead.learn.network import build_network
from polyhead.recipe import Augment, Recipe
from polyhead.recipe_file import load_recipe

LABELS = {
    "color": ["red", "blue", "green", "red", "blue", "red"],
    "shape": ["disc", "square", "disc", "square", "square", "disc"],
    "marks": ["dot", "bar", "none", "dot|bar", "?dot|bar", "none"],
    "width": ["8", "10", "12", "14", "16", "18"],
    "size": ["S", "M", "L", "S", "M", "L"],
}
BLANKED = {
    "color": ["red", "", "", "red", "", ""],
    "shape": ["", "", "", "", "", "disc"],
    "marks": ["dot", "", "none", "dot|?bar", "", ""],
    "width": ["", "", "", "14", "16", "18"],
    "size": ["", "", "", "", "", ""],
}


@pytest.fixture
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(TINY_RECIPE.replace("dropout: 0.1", "dropout: 0"), encoding="utf-8")
    return load_recipe(path, ["training.augment={}", "training.optimizer=sgd", "training.learning_rate=1.0"])


def make_learner(recipe: Recipe) -> Learner:
    keras.utils.set_random_seed(1)
    tasks = {name: task.learn(name, LABELS[name]) for name, task in recipe.tasks.items()}
    learner = Learner(build_network(recipe, tasks), recipe)
    learner(np.zeros((1, 16, 16, 3), np.uint8))
    learner.compile(optimizer=keras.optimizers.SGD(1.0))
    return learner


def encode(learner: Learner, labels: dict[str, list[str]]) -> dict[str, np.ndarray]:
    return {name: head.task.encode(labels[name]) for name, head in learner.heads.items()}


IMAGES = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), np.uint8)


class WithoutBlanks(Learner):
    """A learner whose loss is written without the blank terms: each task over its known rows, cut out by hand."""

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        total = 0.0
        for name, head in self.heads.items():
            rows = [row for row, label in enumerate(BLANKED[name]) if label]
            total += 0 * ops.sum(y_pred[name])  # a task without labels has a gradient all the same: zero
            if rows:
                known = ops.take(y[name], rows, axis=0), ops.take(y_pred[name], rows, axis=0)
                values, mask = head.loss(*known)
                total += head.task.loss_weight * ops.sum(values * mask) / ops.sum(mask)
        return total


def test_a_half_blank_batch_moves_the_weights_as_if_the_blanks_were_not_there(recipe: Recipe) -> None:
    masked, written = make_learner(recipe), make_learner(recipe)
    written.__class__ = WithoutBlanks
    targets = encode(masked, BLANKED)
    for learner in (masked, written):
        learner.train_on_batch(IMAGES, targets)
    moved = 0.0
    fresh = make_learner(recipe)
    for one, other, before in zip(masked.weights, written.weights, fresh.weights, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(one), ops.convert_to_numpy(other), rtol=1e-4, atol=1e-6)
        moved += float(np.abs(ops.convert_to_numpy(one) - ops.convert_to_numpy(before)).sum())
    assert moved > 0.1


def test_an_epochs_figures_are_sums_over_known_labels_by_their_number(recipe: Recipe) -> None:
    learner = make_learner(recipe)
    targets = encode(learner, BLANKED)
    whole = learner.evaluate(IMAGES, targets, batch_size=6, return_dict=True, verbose=0)
    parts = learner.evaluate(IMAGES, targets, batch_size=4, return_dict=True, verbose=0)  # batches of 4 and 2
    assert parts == pytest.approx(whole, rel=1e-5, nan_ok=True)
    logits = learner(IMAGES)
    values, known = learner.heads["shape"].loss(ops.convert_to_tensor(targets["shape"]), logits["shape"])
    assert whole["shape.loss"] == pytest.approx(float(ops.convert_to_numpy(values)[5, 0]), rel=1e-5)
    assert float(ops.sum(known)) == 1
    weighted = sum(whole[f"{name}.loss"] for name in ("color", "shape", "marks", "width"))
    assert whole["loss"] == pytest.approx(weighted, rel=1e-5)


def test_a_task_without_any_label_trains_without_nan_and_logs_no_figure(recipe: Recipe) -> None:
    learner = make_learner(recipe)
    logs = learner.train_on_batch(IMAGES, encode(learner, BLANKED), return_dict=True)
    assert np.isnan(logs["size.loss"])
    assert np.isfinite(logs["loss"])
    assert all(np.isfinite(ops.convert_to_numpy(weight)).all() for weight in learner.weights)


def test_the_order_of_rows_is_a_function_of_seed_epoch_and_step() -> None:
    rows = np.arange(10)
    targets = {"t": np.arange(10, dtype="float32")[:, None]}

    def batches(start: int = 0, seed: int = 3) -> Batches:
        made = Batches(lambda wanted: wanted.astype("uint8"), targets, rows, 4, seed)
        made.start = start
        return made

    whole = [batches()[step][0].tolist() for step in range(6)]
    assert [batches(start=4)[step][0].tolist() for step in range(2)] == whole[4:]
    assert [sorted(itertools.chain(*epoch)) for epoch in (whole[:3], whole[3:])] == [list(range(10))] * 2
    assert whole[:3] != whole[3:]
    assert [batches(seed=4)[step][0].tolist() for step in range(6)] != whole
    assert all(
        images.tolist() == wanted["t"][:, 0].tolist() for images, wanted in (batches()[step] for step in range(3))
    )


@pytest.mark.parametrize("setting", [{"rotation": 90}, {"shift": 0.5}, {"zoom": 0.5}, {"shear": 40}, {"flip": "both"}])
def test_augmentation_changes_images_and_stays_within_their_values(setting: dict[str, object]) -> None:
    change = RandomChange(Augment.model_validate(setting), seed=0)
    images = ops.cast(IMAGES, "float32")
    first, second = (ops.convert_to_numpy(change(images)) for _ in range(2))
    assert first.shape == IMAGES.shape
    assert first.min() >= 0
    assert first.max() <= 255
    assert not np.allclose(first, IMAGES)
    assert not np.allclose(first, second)


def test_a_flip_mirrors_about_half_of_the_images_exactly() -> None:
    change = RandomChange(Augment(flip="horizontal"), seed=0)
    images = np.repeat(IMAGES[:1], 64, axis=0)
    found = ops.convert_to_numpy(change(ops.cast(images, "float32")))
    same = [bool(np.allclose(image, IMAGES[0], atol=1e-2)) for image in found]
    mirrored = [bool(np.allclose(image, IMAGES[0][:, ::-1], atol=1e-2)) for image in found]
    assert all(one != other for one, other in zip(same, mirrored, strict=True))
    assert 16 <= sum(mirrored) <= 48
