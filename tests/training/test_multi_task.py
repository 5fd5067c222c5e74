"""Training sums over known labels: in the gradient, in a batch's loss, in an epoch's log."""

import itertools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from conftest import TINY_RECIPE
from polyhead.recipe.augment import Augment
from polyhead.recipe.loading import load_recipe
from polyhead.recipe.schema import Recipe
from polyhead.training.augmentation import RandomChange
from polyhead.training.batches import Batches, OneEpoch, TrainingData
from polyhead.training.multi_task import MultiTaskModel
from polyhead.training.network import build_network
from polyhead.training.policy import Policy

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


def make_recipe(folder: Path, *settings: str) -> Recipe:
    (folder / "tiny.yaml").write_text(TINY_RECIPE.replace("dropout: 0.1", "dropout: 0"), encoding="utf-8")
    plain = ["training.augment={}", "training.optimizer=sgd", "training.learning_rate=1.0"]
    return load_recipe(folder / "tiny.yaml", [*plain, *settings])


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return make_recipe(tmp_path)


def make_learner(recipe: Recipe) -> MultiTaskModel:
    keras.utils.set_random_seed(1)
    tasks = {name: task.fit(name, LABELS[name]) for name, task in recipe.tasks.items()}
    learner = MultiTaskModel(build_network(recipe, tasks), recipe)
    learner(np.zeros((1, 16, 16, 3), np.uint8))
    learner.compile(optimizer=keras.optimizers.SGD(1.0))
    return learner


def encode(learner: MultiTaskModel, labels: dict[str, list[str]]) -> dict[str, np.ndarray]:
    return {name: head.task.encode(labels[name]) for name, head in learner.heads.items()}


IMAGES = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), np.uint8)


class WithoutBlanks(MultiTaskModel):
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
                mask = mask * head.weights(known[0])
                total += head.task.loss_weight * ops.sum(values * mask) / ops.sum(mask)
        return total


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("tasks.color.loss=focal", "tasks.shape.loss=focal", "tasks.marks.loss=focal", "tasks.size.loss=focal"),
        ("tasks.color.label_smoothing=0.1", "tasks.marks.loss=asymmetric", "tasks.shape.class_weight=balanced"),
        ("tasks.color.class_weight=balanced", "tasks.marks.loss=cosine", "tasks.color.min_count=2"),
        ("tasks.color.activation=sigmoid", "tasks.color.loss=focal", "tasks.marks.class_weight=effective_number"),
    ],
    ids=lambda settings: " ".join(settings) or "plain",
)
def test_a_half_blank_batch_moves_the_weights_as_if_the_blanks_were_not_there(
    settings: tuple[str, ...], tmp_path: Path
) -> None:
    recipe = make_recipe(tmp_path, *settings)
    masked, written = make_learner(recipe), make_learner(recipe)
    written.__class__ = WithoutBlanks
    targets = encode(masked, BLANKED)
    for learner in (masked, written):
        learner.train_on_batch(IMAGES, targets)
    moved = 0.0
    fresh = make_learner(recipe)
    for one, other, before in zip(masked.weights, written.weights, fresh.weights, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(one), ops.convert_to_numpy(other), rtol=1e-4, atol=1e-5)
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


def test_class_weights_change_what_is_learnt_and_not_what_is_logged(tmp_path: Path) -> None:
    plain, weighted = (
        make_learner(make_recipe(tmp_path, f"tasks.color.class_weight={way}")) for way in ("none", "balanced")
    )
    targets = encode(plain, LABELS)
    first, other = (learner.train_on_batch(IMAGES, targets, return_dict=True) for learner in (plain, weighted))
    assert first == pytest.approx(other, rel=1e-5)
    second, other = (learner.train_on_batch(IMAGES, targets, return_dict=True) for learner in (plain, weighted))
    assert second["color.loss"] != pytest.approx(other["color.loss"], rel=1e-5)


def test_a_task_without_any_label_trains_without_nan_and_logs_no_figure(recipe: Recipe) -> None:
    learner = make_learner(recipe)
    logs = learner.train_on_batch(IMAGES, encode(learner, BLANKED), return_dict=True)
    assert np.isnan(logs["size.loss"])
    assert np.isfinite(logs["loss"])
    assert all(np.isfinite(ops.convert_to_numpy(weight)).all() for weight in learner.weights)


def test_a_rows_weight_is_how_often_it_counts_in_losses_and_no_weight_is_in_a_metric(recipe: Recipe) -> None:
    learner = make_learner(recipe)
    targets = encode(learner, LABELS)
    weights, repeated = np.array([2, 1, 0, 1, 0, 3], "float32"), np.array([0, 0, 1, 3, 5, 5, 5])

    def evaluate(rows: np.ndarray, weights: np.ndarray | None = None) -> dict[str, float]:
        training_data = TrainingData(lambda wanted: IMAGES[wanted], targets, rows, rows, weights)
        return dict(learner.evaluate(OneEpoch(training_data, rows, 4), return_dict=True, verbose=0))

    found, expected, plain = evaluate(np.arange(6), weights), evaluate(repeated), evaluate(np.arange(6))
    for name, value in found.items():
        assert value == pytest.approx((expected if name.endswith("loss") else plain)[name], rel=1e-4)
    logits = learner(IMAGES)
    tiny = learner.compute_loss(y=targets, y_pred=logits, sample_weight=weights / 1000)  # it is the ratios that count
    assert float(ops.convert_to_numpy(tiny)) == pytest.approx(found["loss"], rel=1e-4)


def test_learnt_variances_move_by_the_loss_and_stay_where_a_batch_has_no_label(tmp_path: Path) -> None:
    learner = make_learner(make_recipe(tmp_path, "training.balance=uncertainty", "tasks.color.loss_weight=2"))
    logs = learner.train_on_batch(IMAGES, encode(learner, BLANKED), return_dict=True)
    found = ops.convert_to_numpy(learner.balance.log_variances)
    # exp(-s) loss + s/2 has at s = 0 the slope -loss + 1/2; a step of size 1 goes against it.
    assert found[0] == pytest.approx(2 * (logs["color.loss"] - 1 / 2), rel=1e-4)
    assert found[1:4] == pytest.approx([logs[f"{name}.loss"] - 1 / 2 for name in ("shape", "marks", "width")], rel=1e-4)
    assert found[4] == 0  # size
    assert learner.balance.current()["color"] == pytest.approx(2 * np.exp(-found[0]), rel=1e-4)


def test_the_order_of_rows_is_a_function_of_seed_epoch_and_step() -> None:
    rows = np.arange(10)
    targets = {"t": np.arange(10, dtype="float32")[:, None]}

    def batches(start: int = 0, seed: int = 3) -> Batches:
        made = Batches(TrainingData(lambda wanted: wanted.astype("uint8"), targets, rows, rows[:0]), 4, seed)
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


@pytest.mark.parametrize(
    "setting",
    [
        {"crop": 0.3},
        {"policy": "randaugment"},
        {"policy": "trivialaugment", "policy_strength": 1},
        {"policy": "randaugment", "policy_colors": False, "crop": 0.5},
        {"rotation": 90},
        {"shift": 0.5},
        {"zoom": 0.5},
        {"shear": 40},
        {"flip": "both"},
        {"brightness": 0.5},
        {"contrast": 0.9},
        {"saturation": 0.9},
        {"hue": 0.9},
        {"grayscale": 0.5},
        {"blur": 0.5},
        {"erase": 0.5},
    ],
    ids=lambda setting: " ".join(map(str, setting.values() if len(setting) > 1 else setting)),
)
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


def test_a_crop_shows_no_less_than_its_area_and_only_what_is_in_the_image() -> None:
    height, width = 30, 40
    down, across = np.mgrid[:height, :width].astype("float32")
    places = np.stack([across, down, np.zeros_like(down)], axis=-1)  # each pixel says where it is
    change = RandomChange(Augment(crop=0.4), seed=0)
    found = ops.convert_to_numpy(change(np.repeat(places[None], 200, axis=0)))
    first, last = found[:, 4, 4, :2], found[:, -5, -5, :2]  # away from the edges, where pixels are repeated
    shown = (last - first) / (np.array([width, height]) - 9)
    areas, ratios = shown.prod(axis=1), shown[:, 0] / shown[:, 1]
    assert 0.39 < areas.min() < 0.5
    assert 0.9 < areas.max() <= 1.001
    assert 3 / 4 - 0.01 < ratios.min() < 0.85
    assert 1.15 < ratios.max() < 4 / 3 + 0.01
    middle = (first + last) / 2 - (np.array([width, height]) - 1) / 2
    assert (abs(middle) <= (1 - shown) / 2 * np.array([width, height]) + 0.1).all()
    assert (middle.min(axis=0) < -1).all()
    assert (middle.max(axis=0) > 1).all()


def test_a_crop_goes_with_a_flip() -> None:
    images = np.repeat(IMAGES[:1], 32, axis=0).astype("float32")
    crops, both = (
        ops.convert_to_numpy(RandomChange(Augment(crop=0.999, flip=flip), seed=0)(images))
        for flip in ("none", "horizontal")
    )
    mirrored = [abs(image - IMAGES[0][:, ::-1]).mean() < abs(image - IMAGES[0]).mean() for image in both]
    assert 4 <= sum(mirrored) <= 28
    assert not any(abs(image - IMAGES[0][:, ::-1]).mean() < abs(image - IMAGES[0]).mean() for image in crops)


@pytest.mark.parametrize(("policy", "drawn"), [("randaugment", 2), ("trivialaugment", 1)])
def test_a_policy_draws_operations_for_each_image(policy: str, drawn: int) -> None:
    images = np.repeat(IMAGES[:1], 200, axis=0).astype("float32")
    settings = Augment.model_validate({"policy": policy, "policy_strength": 1})
    found = Policy(settings, ops.convert_to_tensor(images), keras.random.SeedGenerator(0))
    counts = np.array([ops.convert_to_numpy(of) for of in found.drawn.values()])
    assert (counts.sum(axis=0) == drawn).all()
    assert (counts.sum(axis=1) > 200 * drawn / len(counts) / 3).all()  # each about as often
    assert len(np.unique(counts, axis=1).T) > len(counts) - 2


def test_a_policy_without_colours_only_moves_pixels() -> None:
    images = np.zeros((100, 16, 16, 3), "float32") + np.array([200, 30, 90])
    kept, changed = (
        ops.convert_to_numpy(RandomChange(Augment(policy="randaugment", policy_colors=colors), seed=0)(images))
        for colors in (False, True)
    )
    np.testing.assert_allclose(kept, images, atol=1e-3)
    assert (abs(changed - images).max(axis=(1, 2, 3)) > 1).mean() > 0.5
