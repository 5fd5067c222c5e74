"""Trackers are told of a run: each epoch once, whatever comes between; none of them can end the training."""

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import keras
import pandas as pd
from pydantic import BaseModel, TypeAdapter, ValidationError

from polyhead.errors import PolyheadError, shorten
from polyhead.files import write_text
from polyhead.progress import warn
from polyhead.recipe.loading import recipe_values
from polyhead.recipe.schema import Recipe
from polyhead.run_folder import RunFolder
from polyhead.training.tracking.tracker import Described, Figures, MLflow, TensorBoard, Tracker, Trackio, WandB

TRACKERS: Mapping[str, type[Tracker]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb": WandB,
    "trackio": Trackio,
}
NO_FIGURES = {"epoch", "kept"}  # columns of the history
PARTS = {"folds", "trials"}  # folders whose runs have a number for a name
LONGEST = 300  # characters of what a tracker's error says


class Known(BaseModel, extra="forbid"):
    """What a tracker knows of a run: its own name for it, and how many epochs."""

    run: str = ""
    epochs: int = 0


KNOWN = TypeAdapter(dict[str, Known])


class RunLog(keras.callbacks.Callback):
    """What trackers were told of a run: it is written down in it, so that no epoch is told twice if it is resumed."""

    def __init__(self, run: RunFolder) -> None:
        super().__init__()
        self.run, self.file = run, run.state / "trackers.json"
        self.known = _read_known(self.file)
        self.trackers: dict[str, Tracker] = {}
        self.silent: set[str] = set()  # those that could not be told something

    def begin(self, recipe: Recipe) -> None:
        """Begin the run in each tracker of the recipe, or go on with it.

        Raises:
            PolyheadError: a tracker cannot be reached.
        """
        described = Described(self.run.path.resolve(), _name_run(self.run.path.resolve()), recipe_values(recipe))
        for name in recipe.training.log:
            tracker, known = TRACKERS[name](), self.known.get(name, Known())
            try:
                with _off_stdout():
                    known.run = tracker.begin(described, known.run)
            except Exception as error:  # it may raise whatever its libraries raise
                raise PolyheadError(f"training.log: {name}: {_tell(error)}") from None
            self.trackers[name], self.known[name] = tracker, known
        self._note()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Tell of the epochs that are in the history by now."""
        self.catch_up()

    def catch_up(self) -> None:
        """Tell each tracker of the epochs that it was not told of yet."""
        if not self.trackers or not self.run.history.exists():
            return
        rows = [_read_figures(row) for row in pd.read_csv(self.run.history).to_dict("records")]
        for name, tracker in self.trackers.items():
            self._try(name, self._tell_epochs, tracker, self.known[name], rows)
        self._note()

    def finish(self, figures: Figures, files: Sequence[Path]) -> None:
        """Tell the finished model's figures, and keep the files.

        Args:
            figures: by name, `test/color.accuracy`.
            files: those of the run, and folders, that trackers are to keep.
        """
        self.catch_up()
        for name, tracker in self.trackers.items():
            self._try(name, tracker.log, figures, self.known[name].epochs)
            self._try(name, tracker.keep, files)

    def end(self, finished: bool) -> None:
        """Leave the trackers; once."""
        for name, tracker in reversed(self.trackers.items()):
            self._try(name, tracker.end, finished)
        self.trackers = {}

    @staticmethod
    def _tell_epochs(tracker: Tracker, known: Known, rows: Sequence[Figures]) -> None:
        for epoch in range(known.epochs + 1, len(rows) + 1):
            tracker.log(rows[epoch - 1], epoch)
            known.epochs = epoch

    def _try(self, name: str, tell: Callable[..., None], *what: Any) -> None:
        """Tell a tracker something; if that fails, training goes on, and says so once."""
        try:
            with _off_stdout():
                tell(*what)
        except Exception as error:  # it may raise whatever its libraries raise
            if name not in self.silent:
                warn(f"training.log: {name} could not be told of the run, which goes on: {_tell(error)}")
            self.silent.add(name)

    def _note(self) -> None:
        if self.trackers:
            write_text(self.file, KNOWN.dump_json(self.known).decode())


@contextmanager
def follow_run(run: RunFolder, recipe: Recipe) -> Iterator[RunLog]:
    """Follow a run in the trackers of its recipe, until it is finished or whatever else ends it.

    Raises:
        PolyheadError: see `RunLog.begin`.
    """
    log = RunLog(run)
    finished = False
    try:
        log.begin(recipe)
        yield log
        finished = True
    finally:
        log.end(finished)


def _off_stdout() -> AbstractContextManager[Any]:
    """What a tracker prints of itself goes to stderr: stdout is of answers."""
    return redirect_stdout(sys.stderr)


def _read_known(file: Path) -> dict[str, Known]:
    try:
        return KNOWN.validate_json(file.read_bytes()) if file.exists() else {}
    except (OSError, ValidationError):
        raise PolyheadError(
            f"{file}: is damaged; delete it, and the run begins anew in its trackers, or train again with `force`"
        ) from None


def _name_run(path: Path) -> str:
    """The folder's name; that of a part of a run with the run's before it."""
    return "/".join(path.parts[-3:]) if path.parent.name in PARTS else path.name


def _read_figures(row: Mapping[Any, Any]) -> Figures:
    """The figures of a row of the history."""
    figures = {}
    for name, value in row.items():
        if name in NO_FIGURES or not isinstance(value, (int, float)) or not math.isfinite(value):
            continue
        split = "" if name in ("learning_rate", "seconds") else "valid/" if name.startswith("val_") else "train/"
        figures[split + name.removeprefix("val_")] = float(value)
    return figures


def _tell(error: Exception) -> str:
    return shorten(f"{type(error).__name__}: {error}", LONGEST)
