"""A search for a better recipe: trials, each a run with other values, and the one that does best on validation images.

Optuna proposes values from what came of those before (a tree-structured Parzen estimator: Bergstra et al. 2011), and
ends trials that are worse than the median of others at the same epoch. All that a search knows is in its folder, so
that one that was stopped, or killed, is gone on with by the same call.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from polyhead.data.table import Dataset, load_dataset, write_csv
from polyhead.errors import PolyheadError, require, show_text
from polyhead.files import write_text
from polyhead.folders import empty_folder, find_target, is_taken, list_missing, remove_empty, tell_failures
from polyhead.progress import Progress, show_progress
from polyhead.recipe.loading import RecipeLike, load_recipe, write_recipe
from polyhead.recipe.overrides import Changes
from polyhead.recipe.own_parts import KEPT_BACKBONE, find_recipe_folder
from polyhead.recipe.schema import Recipe
from polyhead.report.report import PAGE
from polyhead.runs.plan import load_unplanned, plan_dataset
from polyhead.runs.search_page import describe_trials
from polyhead.runs.searching import Engine, Limits, Searching
from polyhead.runs.tables import load_recipe_for
from polyhead.runs.trials import Search, constant_errors, open_study, quiet_optuna
from polyhead.training import choose_backend
from polyhead.training.own_code import import_own_code
from polyhead.training.time_limit import TimeLimit

if TYPE_CHECKING:
    import pandas

    from polyhead.data.sources.given import DataLike

LOCK = ".lock"
UNTRAINED = {
    LOCK,
    "table.csv",
    "rejected.csv",
    "data",
    "given.yaml",
    "state",
}  # what is there before a search has begun
PLANNED_TRIALS = 8  # that are to fit into the minutes, where the recipe leaves open how long it trains
MOST_MINUTES = 1_000_000.0


class Tuning(os.PathLike[str]):
    """A search's folder: what `polyhead.tune` makes. It stands for its path wherever a path is wanted."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._search = Search(Path(path))

    @property
    def path(self) -> Path:
        """The folder."""
        return self._search.path

    @property
    def recipe(self) -> Recipe:
        """The best recipe, with the data's path: `polyhead.train` takes it as any other.

        Raises:
            PolyheadError: no trial is over.
        """
        if not self._search.recipe.exists():
            raise PolyheadError(f"{self}: no trial is over, so no recipe is the best; search on with more `minutes`")
        return load_recipe(self._search.recipe)

    @cached_property
    def trials(self) -> "pandas.DataFrame":
        """One row a trial: `trial` (from 1), `state` (complete, pruned, failed, running), `score`, `epochs`, `seconds`
        of training, and a column for each thing that the search changes.

        Raises:
            PolyheadError: it is no search's folder.
        """
        import pandas

        if not self._search.journal.exists():
            raise PolyheadError(f"{self}: is not the folder of a search: there is no {self._search.journal.name} in it")
        recipe = self._search.load_start()
        return pandas.DataFrame(describe_trials(self._search, open_study(self._search, recipe)))

    @property
    def report(self) -> Path:
        """The search's page, for a browser."""
        return self._search.report / PAGE

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return show_text(f"<Tuning {self.path}>")


def tune(
    recipe: RecipeLike,
    out: str | os.PathLike[str],
    *,
    minutes: float,
    trials: int | None = None,
    data: "DataLike | None" = None,
    overrides: Changes = (),
    seed: int | None = None,
    engine: Engine = "process",
    progress: Progress | bool = True,
) -> Tuning:
    """Search for a recipe that does better on the validation images: other sizes, backbones, rates and the like.

    The first trial is the recipe as it is. The test images are never looked at: train the recipe that is found, and
    they say what it is worth. The same call goes on with a search that was stopped; with more `minutes`, also with one
    that was over.

    Args:
        recipe: as for `polyhead.train`, with validation images. What it leaves out is planned so that eight trials
            fit into the minutes.
        out: the folder to make.
        minutes: how long the search may take in all.
        trials: how many trials to make at most.
        data: as for `polyhead.train`.
        overrides: as for `polyhead.train`.
        seed: as for `polyhead.train`.
        engine: `process`: one trial after another in this process; `ray`: several at once on a Ray cluster, which is
            that of `RAY_ADDRESS`, or this machine's cores. All machines must find `out` and the data under the same
            paths.
        progress: whether to show how far it is, on stderr or in a notebook; or an object that is told.

    Raises:
        PolyheadError: something given is wrong, `out` is the folder of another search, or no trial was over in time.
    """
    begun = time.monotonic()
    limits = _check_limits(minutes, trials, engine)
    require("a search", "tune")
    choose_backend()
    loaded, table = load_recipe_for(recipe, overrides, data, Path(out) / "data", {"seed": seed})
    loaded.data_root()
    if loaded.network.backbone:
        loaded.network.backbone.find_weights()
    if not loaded.has_validation:
        raise PolyheadError("data.split.valid: a search chooses by validation images; set it to a fraction")
    with show_progress(progress) as shown, _claim_search(Path(out), loaded) as search:
        import_own_code(loaded, shown)
        if not search.start.exists():
            if table:
                table.write()
            limit = TimeLimit(minutes / PLANNED_TRIALS + 1, started=begun)  # planning takes a minute, trials do not
            _begin(search, loaded, find_recipe_folder(recipe), limit, shown)
        with quiet_optuna():
            Searching(search, limits, begun, shown).run()
    return Tuning(out)


def _check_limits(minutes: float, trials: int | None, engine: Engine) -> Limits:
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 < minutes <= MOST_MINUTES:
        raise PolyheadError(f"`minutes`: expected a number above 0; got {minutes!r}")
    if trials is not None and (isinstance(trials, bool) or not isinstance(trials, int) or trials < 1):
        raise PolyheadError(f"`trials`: expected a whole number of 1 or more; got {trials!r}")
    if engine not in ("process", "ray"):
        raise PolyheadError(f"`engine`: expected process or ray; got {engine!r}")
    return Limits(60.0 * minutes, trials, engine)


@contextmanager
def _claim_search(path: Path, recipe: Recipe) -> Iterator[Search]:
    """The folder of a search, new or gone on with, that no other process works in; gone if it fails before any trial.

    Raises:
        PolyheadError: something else is there, or a search that began with another recipe, or another process.
    """
    from filelock import FileLock, Timeout

    search = Search(path)
    with tell_failures(path):
        target = find_target(path)
        begun = is_taken(target) and {entry.name for entry in target.iterdir()} <= UNTRAINED
        if is_taken(target) and not begun and not search.start.exists():
            raise PolyheadError(f"{path}: is there already, and is no search; give another `out`")
        if search.start.exists() and (given := load_recipe(search.given)) != recipe:
            differs = next(iter(given.diff(recipe)), "recipe")
            raise PolyheadError(
                f"{path}: holds a search that began with another {differs}; give another `out`, or the same recipe"
            )
        missing = list_missing(target)
        target.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target / LOCK)
        try:
            with suppress(NotImplementedError):  # a file system without locks
                lock.acquire(blocking=False)
        except Timeout:
            raise PolyheadError(f"{path}: another process searches in it; wait until it ends, or stop it") from None
        try:
            yield search
        except Exception:
            if not search.trial(1).path.exists():
                empty_folder(target, spared=LOCK)
            raise
        finally:
            with suppress(OSError):
                Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()
            if not search.start.exists():
                with suppress(OSError):
                    target.rmdir()
                remove_empty(missing)


def _begin(search: Search, recipe: Recipe, folder: Path, limit: TimeLimit, progress: Progress) -> None:
    """Read and split the data, once for all trials, and leave the test images out; the recipe last.

    Args:
        folder: the recipe's.
        limit: for which a trial is planned, where the recipe leaves something to be planned.
    """
    write_text(search.given, write_recipe(recipe))
    if recipe.network.backbone and recipe.network.backbone.model:
        from polyhead.training.own_backbone import keep_backbone

        keep_backbone(recipe, None, folder, search.path)
        # By its whole path: the trials, and runs by the recipe that is found, are elsewhere.
        recipe = recipe.override({"network.backbone.model": os.path.abspath(search.path / KEPT_BACKBONE)})
    elif recipe.network.backbone and recipe.network.backbone.preset:
        from polyhead.training.presets import keep_preset

        recipe = keep_preset(recipe, recipe.network.backbone, folder, search.path)
    if recipe.is_complete:
        dataset = load_dataset(recipe, recipe.data_root(), progress)
    else:
        dataset = plan_dataset(load_unplanned(recipe, recipe.data_root(), progress), limit, progress)
    frame = dataset.table.frame
    table = replace(dataset.table, frame=frame[frame["split"].isin(("train", "valid"))].reset_index(drop=True))
    known = Dataset(dataset.recipe, table, dataset.images, dataset.rows[frame["split"].isin(("train", "valid"))])
    constant_errors(known, known.fit_tasks())  # or else it fails here, before anything is trained
    write_csv(table, search.path)
    write_text(search.start, write_recipe(dataset.recipe))
