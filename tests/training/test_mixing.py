"""Mixed images: what is mixed, what a loss then counts, and that it goes on where it was."""

import csv
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from conftest import TINY_RECIPE
from polyhead.progress import Silent
from polyhead.recipe.augment import Mix
from polyhead.recipe.loading import load_recipe
from polyhead.training.batches import TrainingData
from polyhead.training.checkpoint_callback import HISTORY, RunContext
from polyhead.training.fit import train_network
from polyhead.training.mixing import SHARES, MixImages
from polyhead.training.multi_task import MultiTaskModel
from polyhead.training.network import build_network

ROWS = 24
LABELS = {
    "color": ["red", "blue", "", "green"] * 6,
    "shape": ["disc", "", "square", "disc"] * 6,
    "marks": ["dot", "none", "", "?dot|bar"] * 6,
    "width": ["4", "", "8", "10"] * 6,
    "size": ["S", "M", "L", ""] * 6,
}
MIXES = [{"mixup": 0.5}, {"cutmix": 1.0}, {"mixup": 0.3, "cutmix": 1.0}, {"cutmix": 0.5, "chance": 0.4}]


@pytest.mark.parametrize("settings", MIXES, ids=str)
def test_an_images_share_is_what_its_pixels_say(settings: dict[str, float]) -> None:
    count = 300
    values = np.arange(count) % 7 * 30.0
    images = np.zeros((count, 12, 16, 3), "float32") + values[:, None, None, None]
    mixed, shares = map(ops.convert_to_numpy, MixImages(Mix.model_validate(settings), seed=0)(images))
    others = np.roll(values, -1)
    expected = shares[:, 0] * values + (1 - shares[:, 0]) * others
    np.testing.assert_allclose(mixed.mean(axis=(1, 2, 3)), expected, atol=1e-2)
    blended = [
        bool(len(set(image.round(2).ravel()) - {own, other}))
        for image, own, other in zip(mixed, values, others, strict=True)
    ]
    whole = (shares > 0.999).mean()
    if "mixup" not in settings:
        assert not any(blended)
    if settings.get("chance"):
        assert 0.45 < whole < 0.95  # some boxes are empty, too
    else:
        assert whole < 0.2
    assert 0.3 < np.median(shares[shares < 0.999]) < 0.8  # a box may lie partly outside
    if len(settings) == 2 and "mixup" in settings:
        assert 0.2 < np.mean(blended) < 0.7


@pytest.mark.parametrize("weights", [None, np.array([1, 2, 0, 0.5] * 6, "float32")], ids=["plain", "weighted"])
def test_a_mixed_batchs_loss_counts_known_labels_of_both_images_by_their_shares(
    weights: np.ndarray | None, tmp_path: Path
) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    recipe = load_recipe(tmp_path / "tiny.yaml", ["tasks.color.class_weight=balanced"])
    tasks = {name: task.fit(name, LABELS[name]) for name, task in recipe.tasks.items()}
    model = MultiTaskModel(build_network(recipe, tasks), recipe)
    targets = {name: task.encode(LABELS[name]) for name, task in tasks.items()}
    rng = np.random.default_rng(0)
    logits = {name: rng.normal(size=(ROWS, head.units)).astype("float32") for name, head in model.heads.items()}
    shares = rng.random((ROWS, 1)).astype("float32")
    found = model.compute_loss(y=targets, y_pred=logits | {SHARES: shares}, sample_weight=weights)
    total = 0.0
    for name, head in model.heads.items():
        costs = number = 0.0
        for share, moved in ((shares, 0), (1 - shares, -1)):
            labels = np.roll(targets[name], moved, axis=0)
            row_weights = share[:, 0] * (1 if weights is None else np.roll(weights, moved))
            rows = np.flatnonzero(~np.isnan(labels).all(axis=1))
            values, counts = map(ops.convert_to_numpy, head.loss(labels[rows], logits[name][rows]))
            counts = counts * ops.convert_to_numpy(head.weights(labels[rows])) * row_weights[rows, None]
            costs, number = costs + (values * counts).sum(), number + counts.sum()
        total += costs / number
    assert float(ops.convert_to_numpy(found)) == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_a_teacher_teaches_beside_the_labels_and_where_they_are_blank(weight: float, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    settings = ["training.teacher=run", f"training.teacher_weight={weight}", "training.teacher_temperature=3"]
    recipe = load_recipe(tmp_path / "tiny.yaml", settings)
    tasks = {name: task.fit(name, LABELS[name]) for name, task in recipe.tasks.items()}
    model = MultiTaskModel(build_network(recipe, tasks), recipe)
    rng = np.random.default_rng(0)
    logits = {name: rng.normal(size=(ROWS, head.units)).astype("float32") for name, head in model.heads.items()}
    targets = {name: task.encode(LABELS[name]) for name, task in tasks.items()}
    blank = {name: np.full_like(values, np.nan) for name, values in targets.items()}
    answers = rng.dirichlet(np.ones(3), ROWS).astype("float32")

    def loss(labels: dict[str, np.ndarray], **more: np.ndarray) -> float:
        return float(ops.convert_to_numpy(model.compute_loss(y=labels | more, y_pred=logits)))

    taught = float(ops.mean(model.heads["color"].compare(answers, logits["color"], 3.0)))
    more = {"taught.color": answers}
    assert loss(blank, **more) == pytest.approx(weight * taught, rel=1e-5)
    only_color = blank | {"color": targets["color"]}
    assert loss(only_color, **more) == pytest.approx((1 - weight) * loss(only_color) + weight * taught, rel=1e-5)


class Stopper(Silent):
    """Breaks off after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def track(self, words: str, total: int) -> Callable[[int], None]:
        return self.count

    def count(self, done: int) -> None:
        self.left -= done
        if self.left < 0:
            raise KeyboardInterrupt


def train(folder: Path, settings: list[str], steps: int = 10**6) -> list[dict[str, str]]:
    """Train, or go on, and break off after so many steps; the history of a whole training."""
    folder.mkdir(exist_ok=True)
    (folder / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    network = "network={trunk: {blocks: [{filters: 2}], end: average}}"
    recipe = load_recipe(folder / "tiny.yaml", [network, "training.epochs=4", *settings])
    tasks = {name: task.fit(name, LABELS[name]) for name, task in recipe.tasks.items()}
    pixels = np.random.default_rng(0).integers(0, 256, (ROWS, 16, 16, 3), np.uint8)
    targets = {name: task.encode(LABELS[name]) for name, task in tasks.items()}
    answers = np.random.default_rng(1).dirichlet(np.ones(3), ROWS).astype("float32")
    taught = (lambda rows: {"color": answers[rows]}) if recipe.training.teacher else None
    split = np.arange(16), np.arange(16, ROWS)
    training_data = TrainingData(lambda rows: pixels[rows], targets, *split, taught=taught)
    train_network(recipe, tasks, training_data, RunContext(folder, Stopper(steps)))
    with (folder / HISTORY).open(encoding="utf-8") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


CHANGED = ["training.augment={crop: 0.5, policy: randaugment}", "training.mix={mixup: 0.2, cutmix: 1, chance: 0.8}"]
CHANGED += ["tasks.width.bins=7", "training.teacher=run"]


def test_changed_images_are_gone_on_with_where_training_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polyhead.training.checkpoint_callback.SAVE_EVERY", 0.0)
    whole = train(tmp_path / "whole", CHANGED)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "broken", CHANGED, steps=5)  # in the third of four epochs of two steps
    assert train(tmp_path / "broken", CHANGED) == whole
    assert len(whole) == 4


def test_a_small_network_learns_from_mixed_images(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    rows = train(tmp_path / "run", ["training.mix={mixup: 0.2, cutmix: 1}", "training.epochs=12"])
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
