"""A run folder: where its files are, how far it has come, and who may work on it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from polyhead.errors import PolyheadError
from polyhead.files import PART

# What a run holds before anything has been trained; `data` is what the demo draws, the last two are trackers'.
UNTRAINED = {"recipe.yaml", "table.csv", "rejected.csv", "state", "data", "folds", "tensorboard", "wandb"}
DRAWN = {"images", "labels.csv"}


@dataclass(frozen=True)
class RunFolder:
    """The files of a run."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe, with the data's path and the seed."""
        return self.path / "recipe.yaml"

    @property
    def table(self) -> Path:
        """Every image: path, split, labels."""
        return self.path / "table.csv"

    @property
    def table_digest(self) -> Path:
        """What tells whether the table is the one that was written."""
        return self.state / "table.blake2b"

    def digest_table(self) -> str:
        """32 hex digits of the table that is there; none where it is missing."""
        return hashlib.blake2b(self.table.read_bytes(), digest_size=16).hexdigest() if self.table.exists() else ""

    @property
    def history(self) -> Path:
        """One row an epoch."""
        return self.path / "history.csv"

    @property
    def state(self) -> Path:
        """What it goes on from."""
        return self.path / "state"

    @property
    def lock(self) -> Path:
        """The file that whoever trains it has locked."""
        return self.state / "lock"

    @property
    def model(self) -> Path:
        """The artefact."""
        return self.path / "model.onnx"

    @property
    def evaluation(self) -> Path:
        """The figures."""
        return self.path / "evaluation.json"

    @property
    def predictions(self) -> Path:
        """The test split's answers."""
        return self.path / "predictions.csv"

    @property
    def out_of_fold(self) -> Path:
        """In a run of folds, the answers to the images that are trained on, each by the network that was not."""
        return self.path / "out_of_fold.csv"

    @property
    def report(self) -> Path:
        """The pages."""
        return self.path / "report"

    @property
    def fold_count(self) -> Path:
        """In a run of folds, the file that says how many there are."""
        return self.state / "folds.json"

    @property
    def learning_curve(self) -> Path:
        """How answers get better with more training images, as it was measured before anything was trained."""
        return self.state / "learning_curve.json"

    @property
    def fitted_tasks(self) -> Path:
        """In a fold's run, the tasks as the labels of all folds teach them."""
        return self.state / "tasks.json"

    def fold(self, number: int) -> "RunFolder":
        """The run of a fold, numbered from 1."""
        return RunFolder(self.path / "folds" / str(number))

    def find_folds(self) -> list["RunFolder"]:
        """The runs of the folds that have begun, in order; none in a run without folds."""
        folder = self.path / "folds"
        names = [path.name for path in folder.iterdir()] if self.fold_count.exists() and folder.is_dir() else []
        return [self.fold(number) for number in sorted(int(name) for name in names if name.isdecimal())]

    @property
    def has_trained(self) -> bool:
        """Whether it holds anything that took training."""
        kept = [self.state / name for name in ("last.npz", "before.npz", "kept.weights.h5")]
        return any(path.exists() for path in (self.model, self.history, *kept)) or any(
            fold.has_trained for fold in self.find_folds()
        )

    @property
    def is_untrained(self) -> bool:
        """Whether it is a start that was stopped before anything was trained, and holds nothing else."""
        if self.has_trained or not self.path.is_dir():
            return False
        own = _list_names(self.path) <= UNTRAINED and _list_names(self.path / "data") <= DRAWN
        folds = self.find_folds()
        return (
            own
            and _list_names(self.path / "folds") == {fold.path.name for fold in folds}
            and all(fold.is_untrained for fold in folds)
        )

    @property
    def is_whole(self) -> bool:
        """Whether it is trained, exported, evaluated and reported."""
        return self.model.exists() and self.evaluation.exists() and self.report.exists()

    def find_examples(self, count: int) -> list[Path]:
        """At most `count` of the test images that the report shows, spread evenly over them."""
        shown = sorted((self.report / "images").glob("test-*.jpg"))
        return shown[:: max(1, len(shown) // count)][:count]


def _list_names(folder: Path) -> set[str]:
    """What lies in a folder, but for files that were being written."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return {name for name in names if not name.startswith(PART)}


@contextmanager
def lock_run(run: RunFolder) -> Iterator[None]:
    """Be the only process that trains a run. The lock ends with the process, however that ends.

    Raises:
        PolyheadError: another one has it.
    """
    from filelock import FileLock, Timeout  # prediction needs none

    run.state.mkdir(exist_ok=True)
    lock = FileLock(run.lock)
    try:
        with suppress(NotImplementedError):  # a file system without locks
            lock.acquire(blocking=False)
    except Timeout:
        raise PolyheadError(f"{run.path}: another process is training it; wait until it ends, or stop it") from None
    try:
        yield
    finally:
        with suppress(OSError):
            Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def is_locked(run: RunFolder) -> bool:
    """Whether a process trains the run right now."""
    if not run.lock.exists():
        return False
    try:
        with lock_run(run):
            return False
    except PolyheadError:
        return True
