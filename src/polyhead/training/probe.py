"""Measures networks before one of them is trained: what their frozen features know, and how long a step takes."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np

from polyhead.errors import PolyheadError
from polyhead.progress import Progress
from polyhead.recipe.schema import Recipe
from polyhead.tasks import Task
from polyhead.training import backend
from polyhead.training.backbones import build_backbone, set_trainable
from polyhead.training.batches import Batches, OneEpoch, TrainingData
from polyhead.training.features import precompute
from polyhead.training.fit import compile_stage
from polyhead.training.multi_task import MultiTaskModel
from polyhead.training.network import Network, build_network

TIMED_STEPS = 6


@dataclass(frozen=True)
class FeatureProbe:
    """What linear heads on frozen features reach on validation images.

    Attributes:
        loss: the lowest validation loss: the sum of the tasks' losses by their `loss_weight`.
        metrics: of that epoch, `TASK.accuracy` or `TASK.mae`.
        image_seconds: that the network takes to see an image.
        seconds: that the probe took.
    """

    loss: float
    metrics: dict[str, float]
    image_seconds: float
    seconds: float


def probe_features(
    recipes: Sequence[Recipe], tasks: Mapping[str, Task], training_data: TrainingData, progress: Progress
) -> tuple[FeatureProbe, int]:
    """Train the heads of recipes that differ in how heads are trained alone; what the best one reaches, and its index.

    Args:
        recipes: each with one stage, of heads, on the same backbone.
        training_data: some images, at the size of the recipes.

    Raises:
        PolyheadError: the pretrained weights cannot be had, or there is too little memory.
    """
    begun = time.monotonic()
    with backend.explain_memory(), TemporaryDirectory(prefix="polyhead-") as place:
        network = _start(recipes[0], tasks, pretrained=True)
        if network.trunk is None:
            raise ValueError("a probe is of a backbone that all tasks stand on")
        image_seconds = _time_images(network.trunk, training_data)
        seen = precompute(network.trunk, training_data, Path(place) / "features", progress)
        found = [_fit_heads(recipe, tasks, seen) for recipe in recipes]
    best = min(range(len(found)), key=lambda index: found[index][0])
    return FeatureProbe(*found[best], image_seconds, time.monotonic() - begun), best


def _fit_heads(recipe: Recipe, tasks: Mapping[str, Task], seen: TrainingData) -> tuple[float, dict[str, float]]:
    """The lowest validation loss of linear heads on vectors, and that epoch's metrics on validation images."""
    network = build_network(recipe, tasks)
    model = MultiTaskModel(network, recipe)
    model(np.zeros((1, *recipe.image.size, 3), np.uint8))
    if network.backbone is not None and recipe.network.backbone is not None:
        set_trainable(network.backbone, recipe.network.backbone, False, network.frozen)
    stage = recipe.training.plan()[0]
    batches = Batches(seen, recipe.training.batch_size, recipe.seed)
    compile_stage(model, network, recipe, stage, batches.steps)
    fitted = model.fit(
        batches,
        steps_per_epoch=batches.steps,
        epochs=stage.epochs,
        validation_data=OneEpoch(seen, seen.valid, 256),
        shuffle=False,
        verbose=0,
    )
    losses = np.nan_to_num(fitted.history["val_loss"], nan=np.inf)
    best = int(losses.argmin())
    names = [name for name in fitted.history if name.startswith("val_")]
    return float(losses[best]), {name.removeprefix("val_"): float(fitted.history[name][best]) for name in names}


def time_step(recipe: Recipe, tasks: Mapping[str, Task], training_data: TrainingData) -> float:
    """The seconds that a step of a recipe's last stage takes, once it is compiled: the median of a few.

    Raises:
        PolyheadError: there is too little memory.
    """
    network = _start(recipe, tasks, pretrained=False)
    model = MultiTaskModel(network, recipe)
    model(np.zeros((1, *recipe.image.size, 3), np.uint8))
    stage = recipe.training.plan()[-1]
    if network.backbone is not None and recipe.network.backbone is not None:
        set_trainable(network.backbone, recipe.network.backbone, stage.train != "heads", network.frozen)
    batches = Batches(training_data, recipe.training.batch_size, recipe.seed)
    with backend.explain_memory():
        compile_stage(model, network, recipe, stage, batches.steps)
        times = []
        for step in range(TIMED_STEPS + 1):
            batch = batches[step % max(1, len(training_data.train) // recipe.training.batch_size)]
            begun = time.monotonic()
            model.train_on_batch(*batch)
            times.append(time.monotonic() - begun)
    return float(np.median(times[1:]))


def can_load(recipe: Recipe) -> str:
    """Why the pretrained weights of a recipe's backbone cannot be had; blank if they can."""
    try:
        if recipe.network.backbone is not None:
            build_backbone(recipe.network.backbone, recipe.image.size, pretrained=True)
    except PolyheadError as error:
        return str(error)
    return ""


def _start(recipe: Recipe, tasks: Mapping[str, Task], pretrained: bool) -> Network:
    backend.start(recipe.seed, recipe.training.precision)
    return build_network(recipe, tasks, pretrained)


def _time_images(trunk: keras.Model, training_data: TrainingData) -> float:
    """The seconds that the trunk takes to see an image, compiled."""
    some = training_data.pixels(training_data.train[:64]).astype(np.float32)
    trunk.predict_on_batch(some)
    begun = time.monotonic()
    trunk.predict_on_batch(some)
    return (time.monotonic() - begun) / len(some)


def take_sample(training_data: TrainingData, train: int, valid: int, seed: int) -> TrainingData:
    """At most so many rows of either split, drawn at random."""
    rng = np.random.default_rng(seed)

    def draw(rows: Any, count: int) -> Any:
        return np.sort(rng.permutation(rows)[:count])

    return replace(training_data, train=draw(training_data.train, train), valid=draw(training_data.valid, valid))
