"""Who may make, replace or resume a run: one process at a time, and nothing is lost that it replaces.

A run is made in its own place, since it can be resumed there: what it replaces stands aside, hidden, until it is whole,
in whichever process that comes about. See `folders.py` for the hidden names.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from polyhead.data.table import Dataset, write_csv
from polyhead.errors import PolyheadError
from polyhead.files import write_text
from polyhead.folders import (
    RECIPE,
    check_aside,
    check_free,
    clear_beside,
    delete_aside,
    empty_folder,
    find_target,
    hide_beside,
    is_taken,
    list_missing,
    remove_empty,
    restore_replaced,
    tell_failures,
)
from polyhead.progress import Progress
from polyhead.recipe.loading import write_recipe
from polyhead.recipe.own_parts import KEPT_BACKBONE, KEPT_PRESET
from polyhead.run_folder import RunFolder, lock_run


@contextmanager
def claim_run(path: Path, force: bool, progress: Progress) -> Iterator[RunFolder]:
    """A new run folder at `path`, locked, to train in.

    If the work in it fails before anything was trained, the folder is gone and what it replaced is back. A start that
    was killed before that is no obstacle: it is replaced without `force`.

    Raises:
        PolyheadError: something is there, and is not to be or may not be replaced; or another process trains it.
    """
    run = RunFolder(path)
    with tell_failures(path), ExitStack() as held:
        target = find_target(path)
        restore_replaced(path, progress)
        clear_beside(path)
        aside = _make_way(run, target, force, progress)
        missing = list_missing(target)
        try:
            target.mkdir(parents=True, exist_ok=True)
            held.enter_context(lock_run(run))
            if {entry.name for entry in target.iterdir()} != {run.state.name}:
                raise PolyheadError(f"{path}: another process has put something there meanwhile; try again")
        except (OSError, PolyheadError):
            _put_back(aside, target)
            raise
        try:
            yield run
        except BaseException as error:
            # Stopped by Ctrl-C while it loads, it can be resumed; but not in the place of another run.
            if not run.has_trained and (aside or isinstance(error, Exception)):
                held.close()
                empty_folder(target)
                _put_back(aside, target)
                remove_empty(missing)
            raise
    clear_beside(path)


@contextmanager
def open_run(path: Path, progress: Progress) -> Iterator[RunFolder]:
    """The run folder that `path` is, locked, to resume.

    Raises:
        PolyheadError: it is none, or another process trains it.
    """
    run = RunFolder(path)
    with tell_failures(path):
        restore_replaced(path, progress)
        if not path.is_dir():
            raise PolyheadError(f"{path}: there is no such run folder")
        if not run.recipe.exists():
            raise PolyheadError(f"{path}: is not a run folder: there is no recipe.yaml in it")
        if (path / "start.yaml").exists():  # see `runs/trials.py`
            raise PolyheadError(f"{path}: is the folder of a search; train the recipe in it, or give `tune` its folder")
        with lock_run(run):
            yield run
    clear_beside(path)


def copy_backbone(source: Path, run: Path) -> None:
    """Give a run the network that was handed over, or what one is built by, where another folder has kept that."""
    for kept in (KEPT_BACKBONE, KEPT_PRESET):
        if (source / kept).exists():
            (run / kept).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / kept, run / kept)


def fill_run(run: RunFolder, dataset: Dataset) -> None:
    """Make the folder of a run whose rows and splits are known; its recipe last, so that what has one has all."""
    run.state.mkdir(parents=True, exist_ok=True)
    write_csv(dataset.table, run.path)
    write_text(run.table_digest, run.digest_table())
    write_text(run.recipe, write_recipe(dataset.recipe))


def _make_way(run: RunFolder, target: Path, force: bool, progress: Progress) -> Path | None:
    """Let nothing stand at `target`; where a run is now that stood there."""
    if run.is_untrained and run.recipe.exists():
        with lock_run(run):
            progress.say(f"{run.path}: nothing had been trained in it yet; it is replaced")
        empty_folder(target)
    check_free(run.path, target, RECIPE, force)
    if not is_taken(target):
        return None
    with lock_run(run):
        aside = hide_beside(target, "replaced")
        if aside.exists():
            if RunFolder(target).is_whole:
                check_aside(run.path, aside)
            aside = hide_beside(target, "unfinished")
            if aside.exists():
                delete_aside(aside, run.path)
        os.replace(target, aside)
    with suppress(OSError):
        RunFolder(aside).lock.unlink(missing_ok=True)
    return aside


def _put_back(aside: Path | None, target: Path) -> None:
    if aside:
        with suppress(OSError):  # it stands there under its other name, and the next command tries again
            target.rmdir()
        with suppress(OSError):
            os.replace(aside, target)
