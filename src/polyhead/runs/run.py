"""A run as a program holds it: its folder's model, history, figures, answers, recipe and report."""

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from polyhead.errors import PolyheadError, show_text
from polyhead.evaluation.results import HEADS, Evaluation, draw_html
from polyhead.recipe.loading import load_recipe, load_run_plugins
from polyhead.recipe.schema import Recipe
from polyhead.report.report import PAGE
from polyhead.run_folder import RunFolder
from polyhead.runs.model import Model, load_model

if TYPE_CHECKING:
    import pandas

    from polyhead.training.trained import KerasModel


class Run(os.PathLike[str]):
    """A run folder: what `polyhead.train` makes. It stands for its path wherever a path is wanted.

    Everything is read when it is asked for; what an unfinished run does not have yet is a `PolyheadError` then.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._folder = RunFolder(Path(path))

    @property
    def path(self) -> Path:
        """The folder."""
        return self._folder.path

    @property
    def is_finished(self) -> bool:
        """Whether it is trained, evaluated and reported; `polyhead.resume` finishes one that is not."""
        return self._folder.is_whole

    @cached_property
    def model(self) -> Model:
        """The trained model.

        Raises:
            PolyheadError: the run is not finished.
        """
        load_run_plugins(self.path)
        return load_model(self.path)

    def keras_model(self) -> "KerasModel":
        """The trained network in Keras, with the weights that were kept: to train on, to look into, to take apart.

        Its input is uint8 images (n, height, width, 3) from 0 to 255, scaled inside. Its output is a dict of float32:
        by task (n, width), activated, in the label's own unit, as in model.onnx but uncalibrated; and `features`
        (n, width), what the heads read. Imports Keras.

        Raises:
            PolyheadError: the run is not finished, or of several folds, or Keras or the file of weights is missing.
        """
        from polyhead.training import choose_backend

        if self.folds:
            raise PolyheadError(f"{self}: is of several networks, one a fold; take one of `folds`")
        choose_backend()
        from polyhead.training.trained import load_trained

        return load_trained(self.recipe, self.model.tasks, self.path)

    @property
    def recipe(self) -> Recipe:
        """What it was trained by, every key with its value.

        Raises:
            PolyheadError: recipe.yaml is missing or damaged.
        """
        return load_recipe(self._folder.recipe)

    @property
    def history(self) -> "pandas.DataFrame":
        """One row an epoch: `epoch`, `loss`, `val_loss`, `TASK.loss`, `TASK.accuracy`, `seconds`, ...; NaN where a
        number does not exist.

        Raises:
            PolyheadError: no epoch is over.
        """
        return _read_table(self._folder.history)

    @property
    def predictions(self) -> "pandas.DataFrame":
        """The answers to the test images, one row each; columns as in `Model.predict_table`.

        Raises:
            PolyheadError: the run is not finished.
        """
        return self._read_answers(self._folder.predictions)

    def _read_answers(self, file: Path) -> "pandas.DataFrame":
        from polyhead.model.records import flat_form

        texts = {
            name: str
            for name, value in flat_form(self.model.tasks, self.model.card.changeable).items()
            if isinstance(value, str)
        }
        return _read_table(file, texts)

    @property
    def evaluation(self) -> Evaluation:
        """How good the model is, by split: `run.evaluation["test"].tasks["color"].metrics["accuracy"]`.

        Raises:
            PolyheadError: the run is not finished, or evaluation.json is damaged.
        """
        return Evaluation.load(self._folder.evaluation)

    @property
    def folds(self) -> "list[Run]":
        """The runs of the folds, in order, of a run that was trained with `folds`; none of any other."""
        return [Run(fold.path) for fold in self._folder.find_folds()]

    @property
    def out_of_fold(self) -> "pandas.DataFrame":
        """Of a run of folds, the answers to the images that were trained on, each by the network that was not; columns
        as in `predictions`.

        Raises:
            PolyheadError: the run is not finished, or has no folds.
        """
        return self._read_answers(self._folder.out_of_fold)

    @property
    def report(self) -> Path:
        """The report's page, for a browser."""
        return self._folder.report / PAGE

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def __truediv__(self, name: str | os.PathLike[str]) -> Path:
        return self.path / name

    def __eq__(self, other: object) -> bool:
        return self.path == other.path if isinstance(other, Run) else self.path == other

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        return show_text(f"<Run {self.path}{'' if self.is_finished else ' (unfinished)'}>")

    def _repr_html_(self) -> str:
        if not self.is_finished:
            return draw_html(str(self.path), ["This run is not finished; polyhead.resume finishes it."], (), ())
        about = [str(self.path), f"report: {self.report}"]
        return draw_html(self.recipe.name, about, ("split", *HEADS), self.evaluation.list_cells())


def load_run(path: str | os.PathLike[str]) -> Run:
    """A run folder that is there, finished or not.

    Raises:
        PolyheadError: it is no run folder.
    """
    run = Run(path)
    if not run.path.is_dir():
        raise PolyheadError(f"{run}: there is no such run folder")
    if not (run.path / "recipe.yaml").exists():
        raise PolyheadError(f"{run}: is not a run folder: there is no recipe.yaml in it")
    return run


def _read_table(file: Path, texts: dict[str, type[str]] | None = None) -> "pandas.DataFrame":
    """A CSV file of a run; a blank cell is NaN, and any other text of a column of texts is a text."""
    import pandas

    try:
        with pandas.option_context("mode.string_storage", "python"):
            return pandas.read_csv(file, dtype=texts, keep_default_na=False, na_values=[""])
    except OSError as error:
        raise PolyheadError(f"{file}: cannot be read: {error.strerror}; is the run finished?") from None
    except ValueError as error:
        raise PolyheadError(f"{file}: is not a table: {' '.join(str(error).split())}") from None
