"""A trained model as a program holds it: answers, tables, features, an evaluation, and itself shown in a notebook."""

import os
from typing import TYPE_CHECKING

from polyhead.errors import list_words, show_text
from polyhead.evaluation.results import SHOWN, Evaluation, draw_html
from polyhead.model.predictor import Predictor
from polyhead.progress import Progress

if TYPE_CHECKING:
    from polyhead.data.sources.given import DataLike
    from polyhead.recipe.overrides import Changes
    from polyhead.tasks import AnyTask


class Model(Predictor):
    """A trained model, opened: one `model.onnx`. It may be used by several threads at once.

    `path` is the file; `card` is all that the file says of itself: tasks, label names, units, figures, the recipe.
    """

    @property
    def tasks(self) -> "dict[str, AnyTask]":
        """The questions that it answers, by name, with their labels and units."""
        return self.card.tasks

    def evaluate(
        self,
        data: "DataLike | None" = None,
        *,
        split: str | None = None,
        overrides: "Changes" = (),
        out: str | os.PathLike[str] | None = None,
        force: bool = False,
        progress: Progress | bool = True,
    ) -> Evaluation:
        """How good its answers are; see `polyhead.evaluate`, which does the same for a path."""
        from polyhead.runs.evaluate import evaluate

        return evaluate(self.path, data=data, split=split, overrides=overrides, out=out, force=force, progress=progress)

    def __repr__(self) -> str:
        tasks = list_words(f"{name} ({task.kind})" for name, task in self.tasks.items())
        return show_text(f"<Model {self.card.name!r}: {tasks}; {self.path}>")

    def _repr_html_(self) -> str:
        figures, baseline = self.card.figures, self.card.baseline
        rows = [
            (name, task.kind, list_words(task.names), *_tell_figures(figures.get(name, {}), baseline.get(name, {})))
            for name, task in self.tasks.items()
        ]
        heads = ("task", "kind", "labels", "on test images", "always one answer")
        about = [self.card.description, str(self.path)]
        return draw_html(self.card.name, about, heads, rows)


def load_model(path: str | os.PathLike[str], cores: int | None = None) -> Model:
    """Open a trained model. It loads ONNX Runtime, never Keras.

    Args:
        path: a run folder or a model file.
        cores: how many cores to work with; all that this process may use, if absent.

    Raises:
        PolyheadError: there is no such file, or it is not one of Polyhead's.
    """
    return Model(path, cores)


def _tell_figures(figures: dict[str, float], baseline: dict[str, float]) -> tuple[str, str]:
    """The metric that says most of a task, and the same of its baseline; blank where it was not evaluated."""
    for metric in SHOWN:
        if metric in figures:
            base = baseline.get(metric)
            return f"{metric} {figures[metric]:.3f}", "" if base is None else f"{base:.3f}"
    return "", ""
