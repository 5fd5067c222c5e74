"""The callback that saves a run while it trains, so that it can be resumed after any end."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import keras
import numpy as np
import pandas as pd

from polyhead.files import write_beside
from polyhead.progress import SILENT, Progress, warn
from polyhead.recipe.schema import Recipe
from polyhead.training import WEIGHTS, backend, checkpoint
from polyhead.training.frozen import FeatureRequest
from polyhead.training.history import best_epoch, choose_epoch, explain_divergence, mark_kept, note_divergence
from polyhead.training.multi_task import MultiTaskModel
from polyhead.training.soup import is_candidate, keep_candidate
from polyhead.training.time_limit import TimeLimit

SAVE_EVERY = 30.0  # seconds; what a kill may cost
WORTH_MORE = 1.1  # times as many epochs must fit before epochs that were left out are taken in again
LARGEST = float(np.finfo(np.float32).max)
STATE, HISTORY = "state/last.npz", "history.csv"


@dataclass(frozen=True)
class RunContext:
    """Where a network is trained, and who watches.

    Attributes:
        folder: the run's.
        callbacks: the user's own.
        limit: where the run has one in time.
        features: what is wanted of the pretrained backbone's, before anything is trained.
    """

    folder: Path
    progress: Progress = SILENT
    callbacks: Sequence[keras.callbacks.Callback] = ()
    limit: TimeLimit | None = None
    features: FeatureRequest | None = None


class OneTraining(keras.callbacks.CallbackList):
    """The user's callbacks: they see one training begin and end, where each stage is a `fit` of its own."""

    logs: dict[str, Any] | None = None  # of the last epoch; None before the training has begun

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Begin, at the first `fit`."""
        if self.logs is None:
            self.logs = {}
            super().on_train_begin(logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Keep what the last epoch of a `fit` was, which may not be the last."""
        self.logs = logs or {}

    def end(self) -> None:
        """End, behind the last `fit`."""
        if self.logs is not None:
            super().on_train_end(self.logs)


class CheckpointCallback(keras.callbacks.Callback):
    """Saves the state, keeps the best weights, stops early, reports progress."""

    chooses: bool
    steps: int
    images: int  # of an epoch
    limited: bool  # whether the stage may be ended by time; what learns from features that are there is over soon
    stage_begins: int  # the epochs before the stage
    stage_ends: int  # and at its end
    averaged: Sequence[int] = ()  # the epochs whose weights were averaged behind the last one

    def __init__(
        self, model: MultiTaskModel, recipe: Recipe, context: RunContext, position: checkpoint.Position
    ) -> None:
        super().__init__()
        self.set_model(model)
        self.recipe, self.folder, self.position = recipe, context.folder, position
        self.progress, self.limit, self.request = context.progress, context.limit, context.features
        if self.limit:
            self.limit.spent += position.spent
        self.own = OneTraining(list(context.callbacks), model=model)
        self.advance: Callable[[int], None] = lambda done: None
        self.restored = False
        self.averages = keras.callbacks.SwapEMAWeights() if recipe.training.ema_momentum else None

    def callbacks(self) -> list[keras.callbacks.Callback]:
        """What `fit` calls: what puts averaged weights in place, where there are any; this one; the user's own.

        An epoch is saved before the user's callbacks hear of its end: what goes wrong there costs nothing.
        """
        return [*([self.averages] if self.averages else []), self, self.own]

    def is_over(self) -> bool:
        """Whether patience or time has run out, or a callback of the user's has ended the training."""
        patience, rows = self.recipe.training.patience, self.position.rows
        waited = self.chooses and patience and len(rows) - (best_epoch(rows) or 0) >= patience
        return bool(waited) or self.position.stopped or self.position.reached >= self.recipe.training.epochs

    def note_stop(self) -> None:
        """Remember that a callback of the user's has ended the training, where it has."""
        if self.model.stop_training and not self.is_over():
            self.position.stopped = True
            checkpoint.save(self.folder / STATE, self.model, self.position)
            self.progress.say(f"a callback ended the training after epoch {self.position.epoch}")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Restore, once a fit, after Keras has cleared the metrics and before it takes the first step."""
        if not self.restored and (self.folder / STATE).exists():
            begins = self.position.epoch == self.stage_begins and not self.position.step
            checkpoint.load(self.folder / STATE, self.model, with_optimizer=not begins)
        if not self.restored:
            self.compiled, self.began_fit = False, time.monotonic()
        self.restored, self.compiling = True, 0.0
        self.model.balance.start_epoch(self.position.rows)
        self.first_step = self.position.step
        self.begun = time.monotonic() - self.position.seconds
        self.saved = time.monotonic()
        self.advance = self.progress.track(f"epoch {epoch + 1}/{self._count_epochs()}", self.steps)
        self.advance(self.first_step)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stop where the epoch's loss so far, a sum, is not finite; save where half a minute has gone by.

        The end of an epoch saves itself.
        """
        self.advance(1)
        self.position.step = self.first_step + batch + 1
        if batch == 0 and not self.compiled:
            self.compiling, self.compiled = time.monotonic() - self.began_fit, True
        if not math.isfinite(float((logs or {})["loss"])):
            self._diverge()
        if self.limit and self.limited and self.limit.left((time.monotonic() - self.begun) / self.images) <= 0:
            self._end_in_time(f"within epoch {self.position.epoch + 1}")
        if time.monotonic() - self.saved >= SAVE_EVERY and self.position.step < self.steps:
            self.position.seconds = time.monotonic() - self.begun
            self.position.spent = self.limit.elapsed() if self.limit else 0.0
            if checkpoint.is_finite(self.model):  # or else the next step's loss tells it, or the end of the epoch
                checkpoint.save(self.folder / STATE, self.model, self.position)
            self.saved = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """One more row of history, then the weights where they are the best, then the state."""
        if not checkpoint.is_finite(self.model):
            self._diverge()
        seconds = time.monotonic() - self.begun
        found = logs or {}
        names = [prefix + name for prefix in ("", "val_") for name in self.model.log_names() if prefix + name in found]
        metrics = {name: float(found[name]) for name in names}
        metrics |= {f"{name}.weight": weight for name, weight in self.model.balance.current().items()}
        known = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.position.rows.append({"epoch": epoch + 1, **known, "learning_rate": rate, "seconds": round(seconds, 3)})
        self._keep_weights()
        self.write_history()
        self.position.epoch, self.position.step, self.position.seconds = epoch + 1, 0, 0.0
        if self.limit:
            self._keep_time(self.limit)
        checkpoint.save(self.folder / STATE, self.model, self.position)
        self.progress.say(describe_epoch(self.position.rows, self._count_epochs()))
        self.model.stop_training = self.model.stop_training or self.is_over()

    def _count_epochs(self) -> int:
        """Epochs in all, as far as time allows."""
        return max(len(self.position.rows), self.recipe.training.epochs - self.position.skipped)

    def _keep_time(self, limit: TimeLimit) -> None:
        """Leave out epochs of the last stage that time does not allow, or take some in again: the rate goes along."""
        position, epochs = self.position, self.recipe.training.epochs
        position.spent = limit.elapsed()
        planned = epochs - position.reached
        if self.stage_ends < epochs or planned <= 0:
            return
        seconds = position.rows[-1]["seconds"] - self.compiling
        affordable = min(limit.affordable(seconds, self.images), planned + position.skipped)
        if not affordable:
            self._end_in_time(f"after epoch {position.epoch}")
        elif affordable < planned or affordable > WORTH_MORE * planned:
            position.skipped += planned - affordable
            iterations = self.model.optimizer.iterations
            iterations.assign(iterations + self.steps * (planned - affordable))
            self.progress.say(f"an epoch takes {seconds:.0f} seconds: there is time for {affordable} more")

    def _end_in_time(self, when: str) -> None:
        """End the training here; the epoch that is under way is its last."""
        self.position.skipped = self.recipe.training.epochs
        self.model.stop_training = True
        warn(f"the minutes of the run end: training ends {when}")

    def _diverge(self) -> NoReturn:
        """End a run whose losses or weights are not finite; what was saved before stays."""
        backend.sync_variables(self.model)
        tasks = []
        for name, means in self.model.means.items():
            total = float(keras.ops.convert_to_numpy(means["loss"].total)) * self.recipe.tasks[name].loss_weight
            tasks += [] if abs(total) <= LARGEST else [name]
        rows, step = self.position.rows, self.position.step
        # Where validation cannot tell, the first step of an epoch tells of the weights that the last one ended with.
        kept = (best_epoch(rows) if self.chooses else None) or (len(rows) if step > 1 else 0)
        divergence = explain_divergence(self.recipe, tasks, (self.position.epoch + 1, step), kept)
        note_divergence(self.folder, divergence)
        raise divergence.error()

    def _keep_weights(self) -> None:
        """Keep the last epoch's weights where they are the best, or may be averaged with those of others."""
        rows = self.position.rows
        is_best = choose_epoch(rows, self.chooses) == len(rows)
        joins = self.recipe.kept_epoch == "soup" and self.chooses and is_candidate(rows)
        if not is_best and not joins:
            return
        backend.sync_variables(self.model)
        if self.averages:
            self.averages.on_test_begin()
        if is_best:
            self.position.kept = checkpoint.keep_weights(self.folder / WEIGHTS, self.model)
        if joins:
            keep_candidate(self.folder, self.model, rows)
        if self.averages:
            self.averages.on_test_end()

    def write_history(self) -> None:
        """Write one row an epoch; what may have been damaged is whole again."""
        with write_beside(self.folder / HISTORY) as beside:
            pd.DataFrame(mark_kept(self.position.rows, self.chooses, self.averaged)).to_csv(beside, index=False)


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
