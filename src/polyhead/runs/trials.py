"""One trial of a search: a run that trains with the values of the trial, tells its score after every epoch, and ends
where it is done, where others were better by then, or where the time is over.

No test image has a part in it: a search's table has none. A trial's run is trained, not exported: what a search wants
of it is the score of the epoch that it kept. `resume` finishes it as any run.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from polyhead.data.table import Dataset, Table, read_csv, reopen_dataset
from polyhead.errors import PolyheadError, TrainingDiverged, require
from polyhead.progress import SILENT, Progress
from polyhead.recipe.loading import load_recipe
from polyhead.recipe.schema import Recipe
from polyhead.run_folder import RunFolder, lock_run
from polyhead.runs.claims import copy_backbone, fill_run
from polyhead.runs.space import change_recipe, list_knobs
from polyhead.runs.train import complete_network
from polyhead.tasks import Task
from polyhead.training.history import choose_epoch
from polyhead.training.own_code import import_own_code

if TYPE_CHECKING:
    import optuna

STUDY = "search"
State = Literal["complete", "pruned", "failed", "unusable", "stopped"]


@dataclass(frozen=True)
class Search:
    """A search's folder.

    Attributes:
        path: of the folder.
    """

    path: Path

    @property
    def recipe(self) -> Path:
        """The best recipe so far."""
        return self.path / "recipe.yaml"

    @property
    def given(self) -> Path:
        """The recipe that was asked for, by which it is told whether the same one is asked for again."""
        return self.path / "given.yaml"

    @property
    def start(self) -> Path:
        """The same with all that it left open: what the search begins with, and so the last file of its beginning."""
        return self.path / "start.yaml"

    @property
    def journal(self) -> Path:
        """Optuna's record of every trial, to which lines are added."""
        return self.path / "journal.jsonl"

    @property
    def report(self) -> Path:
        """The folder of the page."""
        return self.path / "report"

    def trial(self, number: int) -> RunFolder:
        """The run of a trial, numbered from 1."""
        return RunFolder(self.path / "trials" / str(number))

    def load_start(self) -> Recipe:
        """The recipe that the search began with."""
        return load_recipe(self.start)

    def load_table(self, recipe: Recipe) -> Table:
        """The training and validation rows."""
        return read_csv(self.path, recipe.data_root())


@dataclass(frozen=True)
class Outcome:
    """What became of a trial: `stopped` where the time was over, `unusable` where the recipe as it is fails; its score
    where it was complete; and why it failed."""

    state: State
    score: float | None = None
    why: str = ""


class TimeIsOver(Exception):
    """Ends a trial that is gone on with when the search is."""


class OthersAreBetter(Exception):
    """Ends a trial that is not worth its time."""


@dataclass(frozen=True)
class Watch:
    """Until when a trial may train, and who watches.

    Attributes:
        deadline: by `time.monotonic`, when the search is over.
        on_epoch: called after every epoch.
    """

    deadline: float
    progress: Progress = SILENT
    on_epoch: Callable[[], None] = lambda: None


def open_study(search: Search, recipe: Recipe) -> "optuna.Study":
    """Optuna's study of a search, made where there is none.

    Raises:
        PolyheadError: its record is damaged, or Optuna is not installed.
    """
    require("a search", "tune")
    with quiet_optuna() as optuna:
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        # Not before three trials are over, nor within the first quarter of one: rates rise, backbones are still frozen.
        pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=max(1, recipe.training.epochs // 4))
        try:
            storage = JournalStorage(JournalFileBackend(str(search.journal)))
            return optuna.create_study(
                storage=storage, study_name=STUDY, direction="maximize", pruner=pruner, load_if_exists=True
            )
        except (ValueError, KeyError, OSError) as error:
            raise PolyheadError(f"{search.journal}: is damaged: {' '.join(str(error).split())[:160]}") from None


@contextmanager
def quiet_optuna() -> Iterator[Any]:
    """Optuna, without its lines on stderr, and its warnings of what is new in it."""
    import warnings

    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield optuna


def run_trial(search: Search, number: int, watch: Watch) -> Outcome:
    """Train a trial, or go on with one that was stopped.

    Args:
        number: from 1; Optuna counts from 0.

    Raises:
        PolyheadError: the search's folder is damaged.
    """
    recipe = search.load_start()
    study = open_study(search, recipe)
    with quiet_optuna() as optuna:
        trial = optuna.Trial(study, study.trials[number - 1]._trial_id)
        knobs = list_knobs(recipe)
        chosen = {knob.name: knob.suggest(trial) for knob in knobs}
        run = search.trial(number)
        try:
            changed = change_recipe(recipe, knobs, chosen)
            dataset = reopen_dataset(changed, search.load_table(changed), watch.progress)
            if not run.recipe.exists():
                copy_backbone(search.path, run.path)
                fill_run(run, dataset)
            with lock_run(run):
                return _train(run, dataset, trial, watch)
        except TimeIsOver:
            return Outcome("stopped")
        except OthersAreBetter:
            return Outcome("pruned")
        except PolyheadError as error:
            usable = number > 1 or isinstance(error, TrainingDiverged)  # another rate may do
            return Outcome("failed" if usable else "unusable", why=str(error))


def _train(run: RunFolder, dataset: Dataset, trial: "optuna.Trial", watch: Watch) -> Outcome:
    """Train to the end, unless something ends it before."""
    from polyhead.training.batches import TrainingData
    from polyhead.training.checkpoint_callback import RunContext
    from polyhead.training.fit import train_network
    from polyhead.training.watching import watch_training

    import_own_code(dataset.recipe, watch.progress)
    tasks = dataset.fit_tasks()
    constant = constant_errors(dataset, tasks)
    reported = set(trial.study.trials[trial.number].intermediate_values)
    for row in read_history(run):  # of what was trained before it was stopped
        _report(trial, reported, int(row["epoch"]), score_epoch(row, constant))

    def on_epoch(epoch: int, figures: Mapping[str, float]) -> None:
        _report(trial, reported, epoch, score_epoch(figures, constant))
        watch.on_epoch()
        if trial.should_prune():
            raise OthersAreBetter
        on_step()

    def on_step() -> None:
        if time.monotonic() >= watch.deadline:
            raise TimeIsOver

    context = RunContext(run.path, watch.progress, [watch_training(on_epoch, on_step)])
    dataset = Dataset(complete_network(run, dataset), dataset.table, dataset.images, dataset.rows)
    train_network(dataset.recipe, tasks, TrainingData.from_dataset(dataset, tasks), context)
    rows = read_history(run)
    kept = rows[choose_epoch(rows, by_validation=dataset.recipe.kept_epoch != "last") - 1]
    score = score_epoch(kept, constant)
    return Outcome("failed", why="no validation figure is a number") if score is None else Outcome("complete", score)


def _report(trial: "optuna.Trial", reported: set[int], epoch: int, score: float | None) -> None:
    if score is not None and epoch not in reported:
        trial.report(score, epoch)
        reported.add(epoch)


def read_history(run: RunFolder) -> list[dict[str, Any]]:
    """An epoch a row; none where there is no history."""
    if not run.history.exists():
        return []
    try:
        return [dict(row) for _, row in pd.read_csv(run.history).iterrows()]
    except ValueError:  # it is written whole, and again after the next epoch
        return []


def constant_errors(dataset: Dataset, tasks: Mapping[str, Task]) -> dict[str, float | None]:
    """By task with known validation labels the mean absolute error of always giving the training labels' median; None
    for a task whose answers are labels.

    Raises:
        PolyheadError: no task has any.
    """
    frame = dataset.table.frame.iloc[dataset.rows_of("valid")]
    found: dict[str, float | None] = {}
    for name, task in tasks.items():
        labels = task.regroup(frame[name].tolist())
        if any(labels):
            figures = task.measure(labels, np.tile(task.baseline_outputs(), (len(labels), 1)))
            found[name] = float(figures["mae"]) if task.numeric else None
    if not found:
        raise PolyheadError("data.split.valid: no validation image has a label to choose by; enlarge it")
    return found


def score_epoch(figures: Mapping[str, Any], constant: Mapping[str, float | None]) -> float | None:
    """How good an epoch is on the validation images: the mean over tasks of the accuracy; of a number, of the share of
    a constant answer's error that is gone, 1 - MAE / MAE of the median.

    Losses would not do: what they are depends on smoothing, mixing and weights, which a search may change.

    Args:
        figures: of a row of the history.
        constant: see `constant_errors`.

    Returns:
        1 for answers that are all right, 0 or less for useless ones; None where one of the figures is no number.
    """
    scores = []
    for name, error in constant.items():
        value = figures.get(f"val_{name}.accuracy" if error is None else f"val_{name}.mae")
        if value is None or not np.isfinite(value):
            return None
        scores.append(float(value) if error is None else 1 - float(value) / (error or 1.0))
    return float(np.mean(scores))
