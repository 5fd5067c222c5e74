"""The state that a run resumes from: one file, written whole or not at all; the one before it, should it be damaged.

It holds every variable of the model and its optimiser (weights, moments, seeds, the sums of the epoch's metrics),
where training stood, and the history so far. What depends on the history alone (the best epoch, the patience) is
worked out from it.
"""

import hashlib
import json
import os
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from polyhead.errors import PolyheadError, shorten
from polyhead.files import write_beside
from polyhead.progress import warn
from polyhead.training import backend
from polyhead.training.multi_task import MultiTaskModel

BEFORE = "before.npz"  # beside the last state, the one that it replaced
HDF5_ROOM = 8192  # bytes that it needs besides, for an array


@dataclass
class Position:
    """How far training is: `epoch` whole epochs, and `step` steps of the next."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0  # spent on the unfinished epoch
    rows: list[dict[str, Any]] = field(default_factory=list)  # one an epoch
    stopped: bool = False  # whether a callback of the user's has ended training before its last epoch
    skipped: int = 0  # epochs that the recipe has and time did not allow
    spent: float = 0.0  # seconds that the run had taken by then, where it has a limit
    kept: str = ""  # a digest of the file of the weights that are kept; none are, or an older version kept them

    @property
    def reached(self) -> int:
        """The epochs of the recipe that are over or left out."""
        return self.epoch + self.skipped


def save(path: Path, model: MultiTaskModel, position: Position) -> None:
    """Write the state beside `path`, then put it in its place."""
    backend.sync_variables(model)
    arrays = {name: keras.ops.convert_to_numpy(variable) for name, variable in _variables(model).items()}
    with write_beside(path) as beside:
        with beside.open("wb") as file:
            np.savez(file, position=np.array(json.dumps(asdict(position))), **arrays)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            os.replace(path, path.with_name(BEFORE))


def is_finite(model: MultiTaskModel) -> bool:
    """Whether the weights, and what the optimiser keeps of them, are finite; a sum of the metrics need not be."""
    backend.sync_variables(model)
    variables = [variable for name, variable in _variables(model).items() if not name.startswith("metric")]
    return all(np.isfinite(keras.ops.convert_to_numpy(variable)).all() for variable in variables)


def load(path: Path, model: MultiTaskModel, with_optimizer: bool) -> Position:
    """Set the model's variables, and its optimiser's if it is not a new stage's, to what `path` holds.

    Raises:
        PolyheadError: the file is damaged, or of another network.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            position = Position(**json.loads(str(arrays["position"])))
            for name, variable in _variables(model).items():
                if with_optimizer or not name.startswith("optimizer"):
                    variable.assign(arrays[name])
        if not position.step:
            model.reset_metrics()  # between two epochs they hold what validation left
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _refuse(path, error) from None
    return position


def load_weights(path: Path, model: MultiTaskModel) -> None:
    """Set the model's variables alone, before it is compiled: a frozen backbone is then asked as it was trained with.

    Raises:
        PolyheadError: the file is damaged, or of another network.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for at, variable in enumerate(model.variables):
                variable.assign(arrays[f"model{at}"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _refuse(path, error) from None


def _refuse(path: Path, error: Exception) -> PolyheadError:
    return PolyheadError(f"{path}: cannot be resumed from: {shorten(str(error), 200)}; train again with `force`")


def read_position(path: Path) -> Position:
    """Where training stood, without the variables; at its beginning where there is no state.

    Where the file is damaged, or a process was killed while it was being replaced, the one before takes its place:
    what is trained again from there is the same.

    Raises:
        PolyheadError: both are damaged.
    """
    before = path.with_name(BEFORE)
    if not path.exists() and not before.exists():
        return Position()
    for file in (path, before):
        position = _read_whole(file)
        if position:
            if file == before:
                if path.exists():
                    warn(f"{path}: is damaged; resuming from the state before it")
                os.replace(before, path)
            return position
    raise PolyheadError(
        f"{path}: is damaged, and there is no whole state before it; train again with `force` to replace the run"
    )


def _read_whole(file: Path) -> Position | None:
    """The position in a file all of whose arrays are as they were written; None if they are not."""
    try:
        with zipfile.ZipFile(file) as archive:
            if archive.testzip():
                return None
        with np.load(file, allow_pickle=False) as arrays:
            return Position(**json.loads(str(arrays["position"])))
    except Exception:  # a damaged archive fails in as many ways as it has bytes
        return None


def keep_weights(path: Path, model: MultiTaskModel) -> str:
    """Write the network's weights, whole or not at all; the file's digest."""
    core = model.core
    with write_beside(path) as beside:
        if hasattr(os, "posix_fallocate"):
            # On a full disk HDF5 does not fail as a file does, but says much and ends the process: room is made before.
            with beside.open("wb") as file:
                bytes_needed = sum(weight.nbytes + HDF5_ROOM for weight in core.get_weights())
                os.posix_fallocate(file.fileno(), 0, bytes_needed + HDF5_ROOM)
        core.save_weights(beside)
        return digest_file(beside)


def digest_file(file: Path) -> str:
    """32 hex digits that differ where the file does."""
    return hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()


def check_kept(file: Path, position: Position) -> None:
    """See that the weights to ship are those that training kept.

    Raises:
        PolyheadError: they are missing or damaged.
    """
    if not file.exists():
        raise PolyheadError(f"{file}: is missing; train again with `force` to replace the run")
    if position.kept and digest_file(file) != position.kept:
        raise PolyheadError(f"{file}: is damaged; train again with `force` to replace the run")


def _variables(model: MultiTaskModel) -> dict[str, Any]:
    parts = {"model": model.variables, "optimizer": model.optimizer.variables, "metric": model.metrics_variables}
    return {f"{part}{at}": variable for part, variables in parts.items() for at, variable in enumerate(variables)}
