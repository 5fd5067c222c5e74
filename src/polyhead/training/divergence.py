"""Training that diverged: what is told of it, and remembered beside the state. Without Keras."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from polyhead.errors import TrainingDiverged
from polyhead.files import write_text
from polyhead.recipe.schema import Recipe

DIVERGED = "state/diverged.json"  # in a run folder


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


def explain_divergence(recipe: Recipe, tasks: Sequence[str], place: tuple[int, int], kept: int) -> Divergence:
    """What to tell of it.

    Args:
        tasks: whose losses are not finite; none where it is the weights alone.
        place: the epoch and its step, from 1.
        kept: see `Divergence`.
    """
    some = tasks if len(tasks) < len(recipe.tasks) or len(tasks) == 1 else []
    names = ", ".join(some) or "every task"
    spoilt = f"the loss of {names} is" if tasks else "weights are"
    tries = [f"a lower learning rate ({_rate(recipe, place[0])})"]
    tries += [f"a lower tasks.{name}.loss_weight" for name in tasks if recipe.tasks[name].loss_weight > 1]
    checks = [f"the labels of {names}"] if some else []
    checks += [f"the numbers in {recipe.data.weight} (data.weight)"] if recipe.data.weight else []
    advice = " or ".join(tries) + (f", and check {' and '.join(checks)}" if checks else "")
    return Divergence(f"training diverged in epoch {place[0]}, step {place[1]}: {spoilt} not finite", advice, kept)


def _rate(recipe: Recipe, epoch: int) -> str:
    """The key and the value of the learning rate of an epoch, from 1."""
    end = 0
    for place, stage in enumerate(recipe.training.stages):
        end += stage.epochs
        if epoch <= end:
            return f"training.stages.{place}.learning_rate is {stage.learning_rate:g}"
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
