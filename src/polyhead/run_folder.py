"""A run folder: where its files are, and how one comes to be without another being lost."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from polyhead.errors import PolyheadError


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
    def history(self) -> Path:
        """One row an epoch."""
        return self.path / "history.csv"

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
    def report(self) -> Path:
        """The pages."""
        return self.path / "report"

    def find_examples(self, count: int) -> list[Path]:
        """At most `count` of the test images that the report shows, spread evenly over them."""
        shown = sorted((self.report / "images").glob("test-*.jpg"))
        return shown[:: max(1, len(shown) // count)][:count]


def open_run(path: Path) -> RunFolder:
    """The run folder that `path` is.

    Raises:
        PolyheadError: it is none.
    """
    run = RunFolder(path)
    if not path.is_dir():
        raise PolyheadError(f"{path}: there is no such run folder")
    if not run.recipe.exists():
        raise PolyheadError(f"{path}: is not a run folder: there is no recipe.yaml in it")
    return run


@contextmanager
def claim_folder(path: Path, mark: str, force: bool) -> Iterator[Path]:
    """A new, empty folder at `path`; what was there is put back if the work in it fails for a user's mistake.

    Args:
        mark: a file that shows a folder to be one that may be replaced.
        force: whether to replace what is there.

    Raises:
        PolyheadError: something is there, and is not to be or may not be replaced.
    """
    aside = path.with_name(f".{path.name}.replaced")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        if not force:
            raise PolyheadError(f"{path}: is there already; give another --out, or --force to replace it")
        if not (path / mark).exists():
            raise PolyheadError(f"{path}: is not replaced: there is no {mark} in it, so it is not one of Polyhead's")
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(path, aside)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PolyheadError(f"{path}: cannot be made: {error.strerror}") from None
    try:
        yield path
    except PolyheadError:
        shutil.rmtree(path)
        if aside.exists():
            os.replace(aside, path)
        raise
    shutil.rmtree(aside, ignore_errors=True)
