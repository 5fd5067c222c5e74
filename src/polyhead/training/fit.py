"""Training: Keras fits, one callback keeps the run so that it can go on after any end."""

import itertools
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import keras
import numpy as np
import pandas as pd

from polyhead.files import write_beside
from polyhead.progress import Progress, warn
from polyhead.recipe.schema import Recipe
from polyhead.recipe.training import Augment, Stage
from polyhead.tasks import Task
from polyhead.training import WEIGHTS, backend, checkpoint
from polyhead.training.backbones import set_trainable
from polyhead.training.batches import Batches, OneEpoch, TrainingData
from polyhead.training.devices import use_devices
from polyhead.training.divergence import explain_divergence, note_divergence, read_divergence
from polyhead.training.features import precompute
from polyhead.training.history import best_epoch, kept_epoch
from polyhead.training.multi_task import MultiTaskModel
from polyhead.training.network import Network, build_network

SAVE_EVERY = 30.0  # seconds; what a kill may cost
# By name; Keras's own `get` does not know all of them.
OPTIMIZERS = {name.lower(): found for name, found in vars(keras.optimizers).items() if isinstance(found, type)}
LARGEST = float(np.finfo(np.float32).max)
STATE, HISTORY = "state/last.npz", "history.csv"
FEATURES = "state/features.f32"


def train_network(
    recipe: Recipe, tasks: Mapping[str, Task], training_data: TrainingData, folder: Path, progress: Progress
) -> None:
    """Train, or go on with, the network of a run folder, until WEIGHTS in it are those to ship.

    Writes HISTORY and `state/`. Two runs of one recipe on one machine are equal, and so are a run that was broken off
    anywhere and gone on with, and one that was not. One that diverged before is not trained again: the weights that it
    kept are those to ship.

    Raises:
        TrainingDiverged: a loss or a weight is not finite; or that was so before, and no epoch was whole by then.
        PolyheadError: there is too little memory, or a backbone's weights cannot be had.
    """
    (folder / "state").mkdir(exist_ok=True)
    position = checkpoint.read_position(folder / STATE)
    training_data = _leave_out_unlabelled(recipe, tasks, training_data)
    chooses = recipe.keeps == "best" and len(training_data.valid) > 0
    diverged = read_divergence(folder)
    if diverged and not diverged.kept:
        raise diverged.error()
    if diverged:
        warn(f"{diverged.happened}; finishing the run with the weights of epoch {diverged.kept}")
        checkpoint.check_kept(folder / WEIGHTS, position)
        return
    with backend.explain_memory():
        backend.start(recipe.seed, recipe.training.precision)
        use_devices(recipe.training, progress)
        network = build_network(recipe, tasks, pretrained=not (folder / STATE).exists())
        learner = MultiTaskModel(network, recipe)
        learner(np.zeros((1, *recipe.image.size, 3), np.uint8))
        checkpoints = CheckpointCallback(learner, recipe, folder, position, progress)
        checkpoints.chooses = chooses
        for stage, start, end in _list_stages(recipe):
            if position.epoch < end and not checkpoints.is_over():
                checkpoints.stage_begins = start
                _train_stage(network, stage, end, training_data, checkpoints)
        checkpoints.write_history()
    checkpoint.check_kept(folder / WEIGHTS, position)
    (folder / FEATURES).unlink(missing_ok=True)
    if chooses and best_epoch(position.rows) is None:
        warn("no epoch has a finite validation loss to be chosen by: the last epoch's weights are kept")


def _leave_out_unlabelled(recipe: Recipe, tasks: Mapping[str, Task], training_data: TrainingData) -> TrainingData:
    """The training_data without its validation images, where none of their labels would count in the loss."""
    rows = (
        training_data.valid
        if training_data.weights is None
        else training_data.valid[training_data.weights[training_data.valid] > 0]
    )
    counted = [training_data.targets[name][rows] for name, task in tasks.items() if task.loss_weight]
    if not len(training_data.valid) or any(not np.isnan(targets).all() for targets in counted):
        return training_data
    warn("no validation image has a label that counts: the last epoch's weights are kept")
    return replace(training_data, valid=training_data.valid[:0])


def _train_stage(
    network: Network, stage: Stage, end: int, training_data: TrainingData, checkpoints: "CheckpointCallback"
) -> None:
    """Train until `end` epochs are over in all."""
    learner, recipe, position = checkpoints.learner, checkpoints.recipe, checkpoints.position
    if network.backbone is not None and recipe.network.backbone is not None:
        set_trainable(network.backbone, recipe.network.backbone, stage.train == "all")
    if network.trunk is not None and stage.train == "heads" and recipe.training.augment == Augment():
        training_data = precompute(network.trunk, training_data, checkpoints.folder / FEATURES, checkpoints.progress)
    batches = Batches(training_data, recipe.training.batch_size, recipe.seed)
    valid = OneEpoch(training_data, training_data.valid, recipe.training.batch_size)
    checkpoints.steps = batches.steps
    _compile(learner, recipe, stage, batches.steps)
    while position.epoch < end and not checkpoints.is_over():
        # An epoch that was broken off is finished by a fit of its own. Whatever the last fit ended with (Keras then
        # puts averages in the weights' place), this one goes on from what was saved.
        checkpoints.restored = False
        batches.start = position.epoch * batches.steps + position.step
        learner.fit(
            batches,
            steps_per_epoch=batches.steps - position.step,
            initial_epoch=position.epoch,
            epochs=position.epoch + 1 if position.step else end,
            validation_data=valid if len(training_data.valid) else None,
            callbacks=checkpoints.callbacks(),
            shuffle=False,
            verbose=0,
        )


def _list_stages(recipe: Recipe) -> list[tuple[Stage, int, int]]:
    """The recipe's stages, each with the epochs before it and at its end; cut where the recipe's epochs are over."""
    stages, most = recipe.training.plan(), recipe.training.epochs
    ends = [min(end, most) for end in itertools.accumulate(stage.epochs for stage in stages)]
    return list(zip(stages, [0, *ends], ends, strict=False))


def _compile(learner: MultiTaskModel, recipe: Recipe, stage: Stage, steps: int) -> None:
    """Give the model an optimiser of the stage's own."""
    averages = {"use_ema": True, "ema_momentum": recipe.training.ema} if recipe.training.ema else {}
    optimizer = OPTIMIZERS[recipe.training.optimizer](learning_rate=_schedule(stage, steps), **averages)
    optimizer.build(learner.trainable_variables)
    learner.compile(optimizer=optimizer)


def _schedule(stage: Stage, steps: int) -> Any:
    rate, total = stage.learning_rate, stage.epochs * steps
    if stage.schedule == "inverse_time":
        return keras.optimizers.schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate=rate / stage.epochs)
    if stage.schedule == "cosine":
        warmup = total // 20
        return keras.optimizers.schedules.CosineDecay(
            rate / 100 if warmup else rate, max(total - warmup, 1), warmup_target=rate, warmup_steps=warmup
        )
    return rate


class CheckpointCallback(keras.callbacks.Callback):
    """Saves the state, keeps the best weights, stops early, tells how it goes."""

    chooses: bool
    steps: int
    stage_begins: int  # the epochs before the stage

    def __init__(
        self, learner: MultiTaskModel, recipe: Recipe, folder: Path, position: checkpoint.Position, progress: Progress
    ) -> None:
        super().__init__()
        self.learner, self.recipe, self.folder, self.position = learner, recipe, folder, position
        self.progress = progress
        self.advance: Callable[[int], None] = lambda done: None
        self.restored = False
        self.averages = keras.callbacks.SwapEMAWeights() if recipe.training.ema else None

    def callbacks(self) -> list[keras.callbacks.Callback]:
        """What `fit` is to call: also what judges an epoch by its averaged weights, where there are any."""
        return [*([self.averages] if self.averages else []), self]

    def is_over(self) -> bool:
        """Whether patience has run out."""
        patience, rows = self.recipe.training.patience, self.position.rows
        return bool(self.chooses and patience and len(rows) - (best_epoch(rows) or 0) >= patience)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Restore, once a fit, after Keras has cleared the metrics and before it takes the first step."""
        if not self.restored and (self.folder / STATE).exists():
            begins = self.position.epoch == self.stage_begins and not self.position.step
            checkpoint.load(self.folder / STATE, self.learner, with_optimizer=not begins)
        self.restored = True
        self.learner.balance.start_epoch(self.position.rows)
        self.first_step = self.position.step
        self.begun = time.monotonic() - self.position.seconds
        self.saved = time.monotonic()
        self.advance = self.progress.track(f"epoch {epoch + 1}/{self.recipe.training.epochs}", self.steps)
        self.advance(self.first_step)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stop where the epoch's loss so far, a sum, is not finite; save where half a minute has gone by.

        The end of an epoch saves itself.
        """
        self.advance(1)
        self.position.step = self.first_step + batch + 1
        if not math.isfinite(float((logs or {})["loss"])):
            self._diverge()
        if time.monotonic() - self.saved >= SAVE_EVERY and self.position.step < self.steps:
            self.position.seconds = time.monotonic() - self.begun
            if checkpoint.is_finite(self.learner):  # or else the next step's loss tells it, or the end of the epoch
                checkpoint.save(self.folder / STATE, self.learner, self.position)
            self.saved = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """One more row of history, then the weights where they are the best, then the state."""
        if not checkpoint.is_finite(self.learner):
            self._diverge()
        seconds = time.monotonic() - self.begun
        found = logs or {}
        names = [
            prefix + name for prefix in ("", "val_") for name in self.learner.log_names() if prefix + name in found
        ]
        figures = {name: float(found[name]) for name in names}
        figures |= {f"{name}.weight": weight for name, weight in self.learner.balance.current().items()}
        known = {name: value if math.isfinite(value) else None for name, value in figures.items()}
        rate = float(keras.ops.convert_to_numpy(self.learner.optimizer.learning_rate))
        self.position.rows.append({"epoch": epoch + 1, **known, "learning_rate": rate, "seconds": round(seconds, 3)})
        rows = self.position.rows
        if kept_epoch(rows, self.chooses) == len(rows):
            self._keep_weights()
        self.write_history()
        self.position.epoch, self.position.step, self.position.seconds = epoch + 1, 0, 0.0
        checkpoint.save(self.folder / STATE, self.learner, self.position)
        self.progress.say(describe_epoch(self.position.rows, self.recipe.training.epochs))
        self.model.stop_training = self.is_over()

    def _diverge(self) -> NoReturn:
        """End a run whose losses or weights are not finite; what was saved before stays."""
        backend.settle(self.learner)
        tasks = []
        for name, means in self.learner.means.items():
            total = float(keras.ops.convert_to_numpy(means["loss"].total)) * self.recipe.tasks[name].loss_weight
            tasks += [] if abs(total) <= LARGEST else [name]
        rows, step = self.position.rows, self.position.step
        # Where validation cannot tell, the first step of an epoch tells of the weights that the last one ended with.
        kept = (best_epoch(rows) if self.chooses else None) or (len(rows) if step > 1 else 0)
        divergence = explain_divergence(self.recipe, tasks, (self.position.epoch + 1, step), kept)
        note_divergence(self.folder, divergence)
        raise divergence.error()

    def _keep_weights(self) -> None:
        backend.settle(self.learner)
        if self.averages:
            self.averages.on_test_begin()
        self.position.kept = checkpoint.keep_weights(self.folder / WEIGHTS, self.learner)
        if self.averages:
            self.averages.on_test_end()

    def write_history(self) -> None:
        """Write one row an epoch; what may have been damaged is whole again."""
        with write_beside(self.folder / HISTORY) as beside:
            pd.DataFrame(self.position.rows).to_csv(beside, index=False)


def describe_epoch(rows: list[dict[str, Any]], epochs: int) -> str:
    """The line that a person reads: the last epoch's metrics (validation's in brackets), and the time left."""
    row = rows[-1]
    words = [f"epoch {row['epoch']}/{epochs}"]
    for name, value in row.items():
        wanted = name == "loss" or name.endswith((".accuracy", ".mae"))
        if wanted and not name.startswith("val_") and value is not None:
            valid = row.get(f"val_{name}")
            words.append(f"{name.replace('.', ' ')} {value:.3g}" + (f" ({valid:.3g})" if valid is not None else ""))
    left = (epochs - row["epoch"]) * sum(r["seconds"] for r in rows) / len(rows)
    return "  ".join([*words, f"{int(left // 60)}:{int(left % 60):02d} left"])
