"""What a training run makes of its recipe's options, seen in the weights that it keeps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import polyhead
from conftest import TINY_RECIPE
from polyhead.errors import PolyheadError
from polyhead.progress import SILENT
from polyhead.recipe.loading import load_recipe
from polyhead.recipe.network import NetworkRecipe
from polyhead.training import WEIGHTS
from polyhead.training.batches import TrainingData
from polyhead.training.checkpoint_callback import RunContext
from polyhead.training.features import precompute
from polyhead.training.fit import train_network
from polyhead.training.history import find_gains, find_overfitted
from polyhead.training.network import build_network

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)
COLORS = ["red", "blue", "green"] * 4
BACKBONE = "{name: MobileNetV2, width: 0.35, weights: none}"


class Reader:
    """Gives images, and counts how many."""

    count = 0

    def __call__(self, rows: NDArray[np.intp]) -> NDArray[np.uint8]:
        self.count += len(rows)
        return IMAGES[rows]


def train(
    folder: Path, reader: Reader, *settings: str, callbacks: Sequence[keras.callbacks.Callback] = ()
) -> list[NDArray[np.float32]]:
    """The weights that are kept, in order, of a task trained on eight rows and watched on four."""
    folder.mkdir(exist_ok=True)
    (folder / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    plain = ["tasks={color: {kind: categorical}}", "image.size=[32, 32]", *settings]
    recipe = load_recipe(folder / "tiny.yaml", plain)
    tasks = {"color": recipe.tasks["color"].fit("color", COLORS)}
    training_data = TrainingData(reader, {"color": tasks["color"].encode(COLORS)}, np.arange(8), np.arange(8, 12))
    train_network(recipe, tasks, training_data, RunContext(folder, SILENT, callbacks))
    found: dict[str, NDArray[np.float32]] = {}
    with h5py.File(folder / WEIGHTS) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return [found[name] for name in sorted(found)]


def test_a_backbone_that_stays_as_it_is_sees_every_image_once(tmp_path: Path) -> None:
    heads = [f"network={{backbone: {BACKBONE}}}", "training={stages: [{train: heads, epochs: 3}], batch_size: 8}"]
    once, always, mixed = Reader(), Reader(), Reader()
    train(tmp_path / "once", once, *heads)
    train(tmp_path / "always", always, *heads, "training.augment.flip=horizontal")
    train(tmp_path / "mixed", mixed, *heads, "training.mix.mixup=0.2")
    assert once.count == 8 + 4
    assert always.count >= 3 * (8 + 4)  # Keras fetches ahead
    assert mixed.count >= 3 * (8 + 4)
    assert not list((tmp_path / "once/state").glob("features*"))


class Stopped(Exception):
    """What a callback ends a training with."""


class StopAfterFirst(keras.callbacks.Callback):
    """Ends the training as Ctrl-C would, after its first epoch."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        raise Stopped


def test_heads_that_go_on_learn_from_the_vectors_that_they_began_with(tmp_path: Path) -> None:
    """Those of the pretrained weights: when training goes on, the network is built without them."""
    keras.utils.set_random_seed(7)
    pretrained = keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, include_top=False, weights=None)
    for layer in pretrained.layers:
        if isinstance(layer, keras.layers.BatchNormalization):  # or features of random weights are all but 0
            layer.moving_variance.assign(0.1 * layer.moving_variance)
    pretrained.save_weights(tmp_path / "pretrained.weights.h5")
    heads = [
        f"network={{backbone: {BACKBONE.replace('none', str(tmp_path / 'pretrained.weights.h5'))}}}",
        "training={stages: [{train: heads, epochs: 2}], batch_size: 8}",
    ]
    train(tmp_path / "unbroken", Reader(), *heads)
    with pytest.raises(Stopped):
        train(tmp_path / "broken", Reader(), *heads, callbacks=[StopAfterFirst()])
    train(tmp_path / "broken", Reader(), *heads)
    unbroken, broken = (
        pd.read_csv(tmp_path / name / "history.csv").drop(columns="seconds") for name in ("unbroken", "broken")
    )
    pd.testing.assert_frame_equal(broken, unbroken, check_exact=True)


def test_the_vectors_of_a_frozen_backbone_are_those_that_the_network_itself_reads(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    recipe = load_recipe(tmp_path / "tiny.yaml", [f"network={{backbone: {BACKBONE}}}", "image.size=[32, 32]"])
    network = build_network(recipe, {"color": recipe.tasks["color"].fit("color", COLORS)})
    assert network.trunk is not None
    assert network.top is not None
    rows = np.array([7, 2, 9])
    training_data = TrainingData(lambda rows: IMAGES[rows], {}, np.arange(8), np.arange(8, 12))
    vectors = precompute(network.trunk, training_data, tmp_path / "features", SILENT).pixels(rows)
    whole = network.core(IMAGES[rows].astype("float32"))
    np.testing.assert_allclose(vectors, keras.ops.convert_to_numpy(whole["features"]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(network.top(vectors)["color"]),
        keras.ops.convert_to_numpy(whole["color"]),
        rtol=1e-4,
        atol=1e-5,
    )


def test_averaged_weights_are_what_is_kept(tmp_path: Path) -> None:
    plain = ["network={trunk: {blocks: [{filters: 4, pool: 8}]}}", "training={optimizer: sgd, keep: last, epochs: 2}"]
    settings = [*plain, "training.learning_rate=0.1", "training.batch_size=8"]  # one step an epoch
    first = train(tmp_path / "first", Reader(), *settings, "training.epochs=1")
    second = train(tmp_path / "second", Reader(), *settings)
    average = train(tmp_path / "average", Reader(), *settings, "training.ema=0.75")
    trained = [not np.array_equal(one, other) for one, other in zip(first, second, strict=True)]
    assert sum(trained) >= 4
    # The average begins as the weights of the first step. Batch normalisation's statistics are averages already.
    expected = [0.75 * one + 0.25 * other for one, other in zip(first, second, strict=True)]
    close = [np.allclose(*pair, atol=1e-6) for pair in zip(average, expected, strict=True)]
    statistics = [np.array_equal(*pair) for pair in zip(average, second, strict=True)]
    assert all(one or other for one, other in zip(close, statistics, strict=True))
    assert sum(one and moved for one, moved in zip(close, trained, strict=True)) >= 4


ONE_STEP = ["network={trunk: {blocks: [{filters: 4, pool: 8}], dense: [4]}}", "training={epochs: 1, optimizer: sgd}"]
ONE_STEP += ["training.batch_size=8", "training.augment={}"]


def step(folder: Path, *settings: str) -> list[NDArray[np.float32]]:
    """The weights after one step of plain gradient descent at a rate of 0.5, or one that is given."""
    return train(folder, Reader(), *ONE_STEP, "training.learning_rate=0.5", *settings)


def test_weight_decay_shrinks_the_kernels_alone(tmp_path: Path) -> None:
    first = step(tmp_path / "first", "training.learning_rate=1e-30")
    plain, decayed = step(tmp_path / "plain"), step(tmp_path / "decayed", "training.weight_decay=0.1")
    for before, without, found in zip(first, plain, decayed, strict=True):
        shrunk = 0.5 * 0.1 * before if before.ndim > 1 else 0
        np.testing.assert_allclose(found, without - shrunk, atol=1e-6)
    assert sum(weights.ndim > 1 for weights in first) == 3


def test_gradients_are_clipped_by_the_norm_of_all_of_them(tmp_path: Path) -> None:
    first = step(tmp_path / "first", "training.learning_rate=1e-30")
    plain, clipped = step(tmp_path / "plain"), step(tmp_path / "clipped", "training.clip_norm=0.01")
    # Batch normalisation's averages are those of the first batch in both.
    updates = [
        (without - before, found - before)
        for before, without, found in zip(first, plain, clipped, strict=True)
        if not np.array_equal(without, found)
    ]
    norms = [np.sqrt(sum(np.sum(np.square(part)) for part in parts)) for parts in zip(*updates, strict=True)]
    assert norms[0] > norms[1]
    assert norms[1] == pytest.approx(0.5 * 0.01, rel=1e-3)
    for without, found in updates:
        np.testing.assert_allclose(found / norms[1], without / norms[0], atol=1e-3)


def test_the_rate_warms_up_over_the_fraction_of_the_steps_that_the_recipe_says(tmp_path: Path) -> None:
    def rates(name: str, *settings: str) -> list[float]:
        plan = "training={epochs: 10, batch_size: 2, schedule: cosine, learning_rate: 0.01}"  # four steps an epoch
        train(tmp_path / name, Reader(), *ONE_STEP[:1], plan, *settings)
        return pd.read_csv(tmp_path / name / "history.csv")["learning_rate"].tolist()

    assert rates("absent") == rates("given", "training.warmup=0.05")
    none, half = rates("none", "training.warmup=0"), rates("half", "training.warmup=0.5")
    assert none == sorted(none, reverse=True)
    assert half[:4] == pytest.approx([1e-4 + 0.0099 * done / 5 for done in (1, 2, 3, 4)])
    assert half[4] == pytest.approx(0.01)
    assert half[5:] == sorted(half[5:], reverse=True)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training={weight_decay: -1}", "training.weight_decay: expected greater than or equal to 0; got -1"),
        ("training={clip_norm: 0}", "training.clip_norm: expected greater than 0; got 0"),
        ("training={warmup: 1, schedule: cosine}", "training.warmup: expected less than 1; got 1"),
        ("training={warmup: 0.1}", "training: warmup: has an effect with `schedule: cosine` only"),
        (
            "training={warmup: 0.1, schedule: cosine, stages: [{epochs: 1}]}",
            "training: warmup: has an effect with `schedule: cosine` only",
        ),
    ],
)
def test_what_an_optimiser_cannot_be_asked_for_is_refused(setting: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    with pytest.raises(PolyheadError) as error:
        load_recipe(tmp_path / "tiny.yaml", [setting])
    assert message in str(error.value)


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])  # the latter also sets TensorFlow back
def test_weights_are_float32_whatever_is_computed_in(precision: str, tmp_path: Path) -> None:
    kept = train(tmp_path / "run", Reader(), f"training.precision={precision}", "training.epochs=2")
    assert {weights.dtype for weights in kept} == {np.dtype(np.float32)}
    assert all(np.isfinite(weights).all() for weights in kept)


@pytest.mark.parametrize(
    ("steps", "momentum"), [(1, 0.5), (3, 0.5), (8, 0.75), (30, 0.933), (100, 0.98), (200, 0.99), (10**6, 0.99)]
)
def test_batch_normalisation_follows_within_an_epoch(steps: int, momentum: float) -> None:
    stack = {"trunk": {"blocks": [{"filters": 4}]}}
    assert NetworkRecipe.model_validate(stack).complete(steps).norm_momentum == momentum
    given = NetworkRecipe.model_validate(stack | {"norm_momentum": 0.97})
    assert given.complete(steps) == given


@pytest.mark.parametrize(
    ("given", "steps", "momentum"),
    [
        ({"weights": "none"}, 8, 0.75),
        ({"frozen_batch_norm": False}, 8, 0.75),
        ({"frozen_batch_norm": False, "norm_momentum": 0.9}, 8, 0.9),
        ({"frozen_batch_norm": False}, 200, None),
        ({}, 8, None),
    ],
    ids=str,
)
def test_so_does_that_of_a_backbone_which_learns_it(
    given: dict[str, object], steps: int, momentum: float | None
) -> None:
    network = NetworkRecipe.model_validate({"backbone": {"name": "MobileNetV2"} | given})
    settled = network.complete(steps).backbone
    assert settled is not None
    assert settled.norm_momentum == momentum
    as_keras_has_it = network.model_copy(update={"norm_momentum": 0.99})
    assert as_keras_has_it.complete(steps) == as_keras_has_it


@pytest.mark.parametrize("name", ["fashionnet", "utkface", "celeba", "fashionai", "demo", "fashionnet-best"])
def test_a_recipe_of_published_figures_leaves_nothing_of_it_open(name: str) -> None:
    network = load_recipe(name).network
    assert network.complete(3) == network


@pytest.mark.slow
def test_a_runs_recipe_says_the_momentum_that_was_taken(shapes: Path, tmp_path: Path) -> None:
    settings = ["tasks={color: {kind: categorical}}", "training.epochs=2", "training.batch_size=4"]
    settings.append("data.max_rejected=0.2")
    run = polyhead.train(shapes.parent / "tiny.yaml", tmp_path / "run", data=shapes, overrides=settings)
    network = load_recipe(run / "recipe.yaml").network
    assert network.norm_momentum == 0.667  # 22 rows in steps of 4: 6 an epoch
    again = polyhead.train(run / "recipe.yaml", tmp_path / "again")
    assert (again / "evaluation.json").read_bytes() == (run / "evaluation.json").read_bytes()


def test_what_was_find_overfitted_alone_is_known_by_its_figures() -> None:
    rows = [{"a.accuracy": 0.9, "b.accuracy": 0.9, "c.accuracy": 0.45, "d.mae": 1.0, "e.mae": 1.0, "f.accuracy": None}]
    valid = {
        "a": {"n": 9, "accuracy": 0.3, "baseline": {"accuracy": 0.3}},
        "b": {"n": 9, "accuracy": 0.4, "baseline": {"accuracy": 0.3}},  # learnt
        "c": {"n": 9, "accuracy": 0.3, "baseline": {"accuracy": 0.3}},  # not learnt at all
        "d": {"n": 9, "mae": 4.0, "baseline": {"mae": 3.0}},
        "e": {"n": 9, "mae": 2.0, "baseline": {"mae": 3.0}},  # learnt
        "f": {"n": 9, "accuracy": 0.3, "baseline": {"accuracy": 0.3}},
        "g": {"n": 0},
    }
    assert find_overfitted(rows, valid) == ["a", "d"]
    assert find_overfitted([], valid) == []


def test_what_fine_tuning_gained_over_frozen_features(tmp_path: Path) -> None:
    """The best epoch of the heads alone against the one that was kept."""
    stages = "training.stages=[{train: heads, epochs: 2}, {train: all, epochs: 2}]"
    (tmp_path / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    settings = [f"network={{backbone: {BACKBONE}}}", "image.size=[32, 32]", "training={}", stages]
    recipe = load_recipe(tmp_path / "tiny.yaml", settings)
    losses, accuracies, errors = [3.0, 2.0, 2.5, 1.0], [0.5, 0.6, 0.6, 0.8], [4.0, 5.0, 3.0, 2.5]
    rows = [
        {"val_loss": loss, "val_color.accuracy": accuracy, "val_width.mae": error}
        for loss, accuracy, error in zip(losses, accuracies, errors, strict=True)
    ]
    assert [gain.describe() for gain in find_gains(recipe, rows, 4)] == [
        "color 0.600 to 0.800 (+20.0 points of accuracy)",
        "width 5 to 2.5 (mean absolute error)",
    ]
    assert find_gains(recipe, rows, 2) == []  # fine-tuning made it worse, and is not what was kept
    assert find_gains(recipe.override({"training.stages": [{"train": "all", "epochs": 4}]}), rows, 4) == []
