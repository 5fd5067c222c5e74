"""Folders that are made, and that take the place of others: nothing is deleted before its successor is whole.

Beside NAME lie, hidden, and only while they are needed: `.NAME.new`, where NAME is made; `.NAME.replaced`, what NAME
replaces; `.NAME.unfinished`, an unfinished run that NAME replaces while `.NAME.replaced` is taken. A run alone is made
in its own place, since it can be resumed there: what it replaces stands aside until it is whole, in whichever process
that comes about.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from polyhead.errors import PolyheadError
from polyhead.files import LONGEST_NAME
from polyhead.progress import SILENT, Progress
from polyhead.run_folder import RunFolder, is_locked

NEW, LOCK, MADE, OLD = "new", "lock", "made", "old"
ASIDE = ("unfinished", "replaced")  # the newer first
RECIPE = "recipe.yaml"  # what shows a folder to be a run; and others to be what they are
MARKS = ("evaluation.json", "clusters.json", "index.html", "saved_model.pb", "model.xml")


@contextmanager
def tell_failures(path: Path) -> Iterator[None]:
    """Turn what the system refuses (a full disk, a place that cannot be written) into one line that names the file.

    Raises:
        PolyheadError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        # HDF5 puts the system's own words in the middle of many.
        inner = re.search(r"error message = '([^']+)'", str(error))
        reason = error.strerror or (inner[1] if inner else str(error))
        other = error.filename and path.name not in str(error.filename)  # a file that was read, say
        raise PolyheadError(
            f"{error.filename}: {reason}" if other else f"{path}: cannot be written: {reason}"
        ) from error
    except MemoryError as error:
        raise PolyheadError(f"{path}: the memory is full") from error


@contextmanager
def claim_folder(path: Path, mark: str, force: bool, progress: Progress = SILENT) -> Iterator[Path]:
    """An empty folder to fill, which is then at `path`; nothing of it is left if filling it fails.

    Args:
        mark: a file that shows a folder to be one that may be replaced.
        force: whether to replace what is there; it stays where it is until the new folder is whole.

    Raises:
        PolyheadError: something is there, and is not to be or may not be replaced; or the folder cannot be made.
    """
    with tell_failures(path):
        target = find_target(path)
        restore_replaced(path, progress)
        clear_beside(path)
        check_free(path, target, mark, force)
        with work_beside(path) as folder:
            (folder / MADE).mkdir()
            yield folder / MADE
            put_in_place(folder / MADE, path)


@contextmanager
def work_beside(path: Path) -> Iterator[Path]:
    """An empty hidden folder beside `path` (inside it, where it is an empty folder), gone when the work ends.

    Raises:
        PolyheadError: another process is at the same work.
    """
    from filelock import FileLock, Timeout  # prediction needs none

    target = find_target(path)
    inside = target.is_dir() and {entry.name for entry in target.iterdir()} <= {hide_beside(target, NEW).name}
    folder = target / hide_beside(target, NEW).name if inside else hide_beside(target, NEW)
    missing = list_missing(folder.parent)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        with suppress(NotImplementedError):  # a file system without locks
            lock.acquire(blocking=False)
    except Timeout:
        raise PolyheadError(f"{path}: another process is writing it; wait until it ends, or stop it") from None
    try:
        empty_folder(folder, spared=LOCK)  # of what a killed process has left
        yield folder
    finally:
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)
        remove_empty(missing)


def put_in_place(made: Path, path: Path) -> None:
    """Give a file or folder that was made by `work_beside` its name; what it replaces is deleted last."""
    target = find_target(path)
    if made.is_dir() and target.is_dir():
        if made.parent.parent == target:
            for entry in made.iterdir():
                os.replace(entry, target / entry.name)
            return
        aside = hide_beside(target, "replaced")
        check_aside(path, aside)
        os.replace(target, aside)
        try:
            os.replace(made, target)
        except OSError:
            os.replace(aside, target)
            raise
        os.replace(aside, made.with_name(OLD))  # what is deleted lies among what may be deleted
    else:
        os.replace(made, target)


def restore_replaced(path: Path, progress: Progress = SILENT) -> None:
    """Put back what stands aside for a successor that never came: a killed process was to make it at `path`.

    A successor that has begun to train stays, and so does what stands aside for it.
    """
    with suppress(OSError, ValueError, PolyheadError):  # whoever asked will say what is wrong with the path
        target = find_target(path)
        for aside in _find_aside(target):
            untrained = RunFolder(target).is_untrained and not is_locked(RunFolder(target))
            if untrained:
                shutil.rmtree(target)
            if untrained or not os.path.lexists(target):
                os.replace(aside, target)
                progress.say(f"{path}: restored; what was to replace it was stopped before it was of any use")


def clear_beside(path: Path) -> None:
    """Delete what stands aside for `path`, if that is its whole successor, and what killed work has left beside it."""
    target = find_target(path)
    for aside in _find_aside(target):
        if RunFolder(aside).recipe.exists():
            whole = RunFolder(target).recipe.exists() and RunFolder(target).is_whole
        else:
            whole = any((aside / mark).exists() and (target / mark).exists() for mark in MARKS)
        if whole:
            delete_aside(aside, path)
    if hide_beside(target, NEW).is_dir():
        with suppress(PolyheadError), work_beside(path):  # nobody is at it: it is emptied, and gone
            pass


def delete_aside(aside: Path, path: Path) -> None:
    """Delete what stands aside for `path` so that nobody takes what a killed process leaves of it for the whole."""
    with work_beside(path) as folder:
        os.replace(aside, folder / OLD)


def check_free(path: Path, target: Path, mark: str, force: bool) -> None:
    if not is_taken(target):
        return
    if not force:
        raise PolyheadError(f"{path}: is there already; give another `out`, or `force` to replace it")
    if not (target / mark).exists():
        raise PolyheadError(f"{path}: is not replaced: there is no {mark} in it, so it is not one of Polyhead's")
    if mark != RECIPE and (target / RECIPE).exists():
        raise PolyheadError(f"{path}: is not replaced: it is a run; name another folder")
    if Path.cwd().is_relative_to(target):
        raise PolyheadError(f"{path}: is not replaced while it is the current folder; call it from elsewhere")


def check_aside(path: Path, aside: Path) -> None:
    if os.path.lexists(aside):
        raise PolyheadError(f"{aside}: is in the way: it was to be replaced by {path} before; move or delete it")


def is_taken(target: Path) -> bool:
    """Whether something is there that is no empty folder; a hidden folder of killed work is nothing."""
    if not target.is_dir():
        return os.path.lexists(target)
    return any(entry.name != hide_beside(target, NEW).name for entry in target.iterdir())


def find_target(path: Path) -> Path:
    """What `path` stands for, links followed.

    Raises:
        PolyheadError: it cannot be a name.
    """
    try:
        target = Path(os.path.realpath(path))
    except ValueError:
        raise PolyheadError(f"{path}: there is a NUL in the name") from None
    if not target.name:
        raise PolyheadError(f"{path}: is the root of a disk; name a folder in it")
    if target.is_symlink():
        raise PolyheadError(f"{path}: is a link that leads to itself")
    return target


def hide_beside(target: Path, word: str) -> Path:
    """The hidden name beside `target` that ends in a word."""
    name = f".{target.name}.{word}"
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f".{hashlib.blake2b(os.fsencode(target.name), digest_size=16).hexdigest()}.{word}"
    return target.with_name(name)


def _find_aside(target: Path) -> list[Path]:
    return [aside for word in ASIDE if (aside := hide_beside(target, word)).is_dir()]


def list_missing(folder: Path) -> list[Path]:
    """The folders that have to be made for `folder` to be there, itself included, the innermost first."""
    return [place for place in (folder, *folder.parents) if not place.exists()]


def remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def empty_folder(folder: Path, spared: str = "") -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != spared:
            entry.unlink()
