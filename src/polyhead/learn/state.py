"""What a run keeps to go on from: one file, written whole or not at all.

It holds every variable of the learner and its optimiser (weights, moments, seeds, the sums of the epoch's metrics),
where training stood, and the history so far. What depends on the history alone (the best epoch, the patience) is
worked out from it.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from polyhead.errors import PolyheadError
from polyhead.files import write_beside
from polyhead.learn import backend
from polyhead.learn.learner import Learner


@dataclass
class Position:
    """How far training is: `epoch` epochs are whole, `step` steps of the next are done."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0  # spent in the epoch under way
    rows: list[dict[str, Any]] = field(default_factory=list)  # one an epoch


def save(path: Path, learner: Learner, position: Position) -> None:
    """Write the state beside `path`, then put it in its place."""
    backend.settle(learner)
    arrays = {name: keras.ops.convert_to_numpy(variable) for name, variable in _variables(learner).items()}
    with write_beside(path) as beside, beside.open("wb") as file:
        np.savez(file, position=np.array(json.dumps(asdict(position))), **arrays)
        file.flush()
        os.fsync(file.fileno())


def is_finite(learner: Learner) -> bool:
    """Whether the weights, and what the optimiser keeps of them, are finite; a sum of the metrics need not be."""
    backend.settle(learner)
    variables = [variable for name, variable in _variables(learner).items() if not name.startswith("metric")]
    return all(np.isfinite(keras.ops.convert_to_numpy(variable)).all() for variable in variables)


def load(path: Path, learner: Learner, with_optimizer: bool) -> Position:
    """Set the learner's variables, and its optimiser's if it is not a new stage's, to what `path` holds.

    Raises:
        PolyheadError: the file is damaged, or of another network.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            position = Position(**json.loads(str(arrays["position"])))
            for name, variable in _variables(learner).items():
                if with_optimizer or not name.startswith("optimizer"):
                    variable.assign(arrays[name])
        if not position.step:
            learner.reset_metrics()  # between two epochs they hold what validation left
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PolyheadError(f"{path}: cannot go on from it: {error}; train again with --force") from None
    return position


def read_position(path: Path) -> Position:
    """Where training stood, without the variables; at its beginning where there is no state."""
    if not path.exists():
        return Position()
    with np.load(path, allow_pickle=False) as arrays:
        return Position(**json.loads(str(arrays["position"])))


def _variables(learner: Learner) -> dict[str, Any]:
    parts = {"model": learner.variables, "optimizer": learner.optimizer.variables, "metric": learner.metrics_variables}
    return {f"{part}{at}": variable for part, variables in parts.items() for at, variable in enumerate(variables)}
