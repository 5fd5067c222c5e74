"""What a run's history says, without Keras: which epoch was kept, which tasks are overfitted, how training diverged."""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from polyhead.errors import TrainingDiverged
from polyhead.files import write_text
from polyhead.recipe.schema import Recipe

Row = Mapping[str, Any]  # an epoch's figures by name; None or NaN where there is none
CLEARLY = 1 / 3  # of the way from a constant answer to a perfect one
DIVERGED = "state/diverged.json"  # in a run folder


def rank_epochs(rows: Sequence[Row]) -> list[int]:
    """The numbers, from 1, of the epochs with a finite validation loss, the lowest first, and then the first."""
    losses = {index + 1: _finite(row.get("val_loss")) for index, row in enumerate(rows)}
    return sorted((epoch for epoch, loss in losses.items() if loss is not None), key=lambda epoch: losses[epoch] or 0.0)


def best_epoch(rows: Sequence[Row]) -> int | None:
    """The number, from 1, of the first epoch with the lowest validation loss; None where no epoch has a finite one."""
    return next(iter(rank_epochs(rows)), None)


def choose_epoch(rows: Sequence[Row], by_validation: bool) -> int:
    """The number, from 1, of the epoch whose weights to keep: the best, or the last where none is known to be."""
    return (best_epoch(rows) if by_validation else None) or len(rows)


def mark_kept(rows: Sequence[Row], by_validation: bool, averaged: Sequence[int] = ()) -> list[Row]:
    """The same rows, each with `kept`: 1 in that of the epoch whose weights are kept, 0 in the others.

    Args:
        averaged: the epochs, from 1, whose weights were averaged, where that was done: they are then all marked.
    """
    kept = averaged or [choose_epoch(rows, by_validation)]
    return [{**row, "kept": int(index + 1 in kept)} for index, row in enumerate(rows)]


def find_kept_epochs(rows: Sequence[Row]) -> list[int]:
    """The numbers, from 1, of the epochs that `mark_kept` has marked; none in a history that is older than that."""
    return [index + 1 for index, row in enumerate(rows) if row.get("kept") == 1]


@dataclass(frozen=True)
class Gain:
    """What fine-tuning changed of a task's metric on validation images, against heads on frozen features."""

    task: str
    metric: str  # accuracy or mae
    frozen: float
    tuned: float

    def describe(self) -> str:
        """In words, such as `color 0.938 to 0.979 (+4.1 points of accuracy)`."""
        if self.metric == "mae":
            return f"{self.task} {self.frozen:.3g} to {self.tuned:.3g} (mean absolute error)"
        points = 100 * (self.tuned - self.frozen)
        return f"{self.task} {self.frozen:.3f} to {self.tuned:.3f} ({points:+.1f} points of accuracy)"


def find_gains(recipe: Recipe, rows: Sequence[Row], kept: int) -> list[Gain]:
    """What fine-tuning gained over the best epoch of the heads alone; nothing where there was no such stage.

    Args:
        rows: the history.
        kept: the number, from 1, of the epoch that was kept.
    """
    stages = recipe.training.plan()
    heads = list(itertools.takewhile(lambda stage: stage.train == "heads", stages))
    before = rows[: sum(stage.epochs for stage in heads)]
    best = best_epoch(before)
    if not best or kept <= len(before) or kept > len(rows) or len(heads) == len(stages):
        return []
    found = []
    for name in recipe.tasks:
        for metric in ("accuracy", "mae"):
            frozen, tuned = (_finite(row.get(f"val_{name}.{metric}")) for row in (before[best - 1], rows[kept - 1]))
            if frozen is not None and tuned is not None:
                found.append(Gain(name, metric, frozen, tuned))
                break
    return found


def find_overfitted(rows: Sequence[Row], valid: Mapping[str, Any]) -> list[str]:
    """The tasks answered clearly better than by one constant answer on training images, and no better on others.

    Args:
        rows: the history.
        valid: the figures of the kept weights on validation images by task, each with its `baseline`.
    """
    return [name for name, found in valid.items() if found["n"] and rows and _is_overfitted(name, found, rows[-1])]


def _is_overfitted(name: str, found: Mapping[str, Any], last: Row) -> bool:
    """By the share of right answers, or by the mean error of a number."""
    baseline = found["baseline"]
    right, wrong = _finite(last.get(f"{name}.accuracy")), _finite(last.get(f"{name}.mae"))
    if right is not None and {"accuracy"} <= found.keys() & baseline.keys():
        clear = baseline["accuracy"] + CLEARLY * (1 - baseline["accuracy"])
        return bool(found["accuracy"] <= baseline["accuracy"] and right > clear)
    if wrong is not None and {"mae"} <= found.keys() & baseline.keys():
        return bool(found["mae"] >= baseline["mae"] and wrong < (1 - CLEARLY) * baseline["mae"])
    return False


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


@dataclass(frozen=True)
class Divergence:
    """What happened and what to try, in words; the epoch, from 1, whose weights are left to finish with, or 0."""

    happened: str
    advice: str
    kept: int

    def error(self) -> TrainingDiverged:
        """What ends the run."""
        after = f"or resume the run to finish it with the weights of epoch {self.kept}" if self.kept else "train again"
        return TrainingDiverged(f"{self.happened}; try {self.advice}; {after}")


def explain_divergence(recipe: Recipe, tasks: Sequence[str], at: tuple[int, int], kept: int) -> Divergence:
    """What to tell of it.

    Args:
        tasks: whose losses are not finite; none where it is the weights alone.
        at: the epoch and its step, from 1.
        kept: see `Divergence`.
    """
    some = tasks if len(tasks) < len(recipe.tasks) or len(tasks) == 1 else []
    names = ", ".join(some) or "every task"
    spoilt = f"the loss of {names} is" if tasks else "weights are"
    tries = [f"a lower learning rate ({_rate(recipe, at[0])})"]
    tries += [f"a lower tasks.{name}.loss_weight" for name in tasks if recipe.tasks[name].loss_weight > 1]
    checks = [f"the labels of {names}"] if some else []
    checks += [f"the numbers in {recipe.data.sample_weight} (data.sample_weight)"] if recipe.data.sample_weight else []
    advice = " or ".join(tries) + (f", and check {' and '.join(checks)}" if checks else "")
    return Divergence(f"training diverged in epoch {at[0]}, step {at[1]}: {spoilt} not finite", advice, kept)


def _rate(recipe: Recipe, epoch: int) -> str:
    """The key and the value of the learning rate of an epoch, from 1."""
    end = 0
    for index, stage in enumerate(recipe.training.stages):
        end += stage.epochs
        if epoch <= end:
            return f"training.stages.{index}.learning_rate is {stage.learning_rate:g}"
    return f"training.learning_rate is {recipe.training.learning_rate:g}"


def note_divergence(folder: Path, divergence: Divergence) -> None:
    """Remember it in a run's folder."""
    write_text(folder / DIVERGED, json.dumps(asdict(divergence)))


def read_divergence(folder: Path) -> Divergence | None:
    """What was remembered; None where training did not diverge (or that cannot be read: it then does so again)."""
    try:
        return Divergence(**json.loads((folder / DIVERGED).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
