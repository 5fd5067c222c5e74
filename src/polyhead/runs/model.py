"""A trained model as a program holds it: answers, tables, features, an evaluation, and itself shown in a notebook."""

import html
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

from polyhead.data.sources.given import read_memory
from polyhead.errors import list_words, show_text
from polyhead.evaluation.results import SHOWN, Evaluation
from polyhead.fields import Plain
from polyhead.model.inputs import Given as ImageLike
from polyhead.model.predictor import Predictor
from polyhead.prediction.gather import gather_files
from polyhead.progress import Progress, warn

if TYPE_CHECKING:
    import datasets
    import pandas

    from polyhead.data.sources.given import DataLike
    from polyhead.recipe.overrides import Changes
    from polyhead.tasks import AnyTask

# One image or any number of them: paths, bytes, Pillow images, arrays; a folder; a table with a column of images.
ImagesLike: TypeAlias = "ImageLike | Iterable[ImageLike] | pandas.DataFrame | datasets.Dataset"


class Record(TypedDict):
    """The answers to one image.

    `image` is its path, None for what has none; `error` the reason why there are no answers, None where there are;
    `answers` holds by task `answer` (a label, a list of labels, or a number), `unsure`, and, as the kind has them,
    `probability` (0 to 1), `top` or `probabilities`, `unit`.
    """

    image: str | None
    error: str | None
    answers: dict[str, dict[str, Plain]]


class Model(Predictor):
    """A trained model, opened: one `model.onnx`. It may be used by several threads at once.

    `path` is the file; `card` is all that the file says of itself: tasks, label names, units, figures, the recipe.
    """

    @property
    def tasks(self) -> "dict[str, AnyTask]":
        """The questions that it answers, by name, with their labels and units."""
        return self.card.tasks

    def predict(self, images: "ImagesLike") -> Iterator[Record]:  # type: ignore[override]
        """The answers to images, one record each, in order, worked out as they are asked for.

        Args:
            images: paths, bytes of image files, Pillow images, or uint8 arrays (height, width), (height, width, 3),
                (height, width, 4) from 0 to 255; one of them, or any iterable of them; a folder; or a DataFrame or
                Hugging Face Dataset with a column of images.

        Returns:
            See `Record`. An image that cannot be read has the reason as its `error`.

        Raises:
            PolyheadError: there is no image in a folder, no column of images in a table, or the model is damaged.
        """
        return super().predict(_list_images(images))  # type: ignore[return-value]

    def predict_table(self, images: "ImagesLike") -> "pandas.DataFrame":
        """The same as a DataFrame: one row an image, with the index of the DataFrame that was given, if it was one.

        Columns: `image`, `error`, and for each task `TASK.answer`, `TASK.probability`, `TASK.unsure` and the rest of
        its answer, as in predictions.csv. Several labels stand in one cell with `|` between them, `none` for none.
        """
        table = super().predict_table(_list_images(images))
        index = getattr(images, "index", None)
        return table.set_axis(index, axis=0) if hasattr(images, "columns") and index is not None else table

    def embed(self, images: "ImagesLike") -> NDArray[np.float32]:
        """The vectors that the network's heads read, one an image: images that look alike lie near each other.

        Args:
            images: as in `predict`.

        Returns:
            float32 (n, width); NaN for an image that cannot be read, of which a warning is logged.
        """
        parts, failed = [], 0
        for batch in self.run_files(_list_images(images)):
            void = np.array([error is not None for error in batch.errors])
            parts.append(np.where(void[:, np.newaxis], np.float32(np.nan), batch.outputs["features"]))
            failed += int(void.sum())
        if failed:
            warn(f"{failed:,} images could not be read: their features are NaN")
        return np.concatenate(parts) if parts else np.empty((0, 0), np.float32)

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
    return Model(Path(path), cores)


def draw_html(title: str, about: Iterable[str], heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A title, lines about it and a table, for a notebook; every text is shown as it is, whatever it holds."""

    def show(text: str) -> str:
        return html.escape(show_text(text))

    lines = "".join(f"<div>{show(line)}</div>" for line in about if line)
    head = "".join(f"<th>{show(word)}</th>" for word in heads)
    body = "".join(f"<tr>{''.join(f'<td>{show(cell)}</td>' for cell in row)}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div><strong>{show(title)}</strong>{lines}{table}</div>"


def _tell_figures(figures: dict[str, float], baseline: dict[str, float]) -> tuple[str, str]:
    """The metric that says most of a task, and the same of its baseline; blank where it was not judged."""
    for metric in SHOWN:
        if metric in figures:
            base = baseline.get(metric)
            return f"{metric} {figures[metric]:.3f}", "" if base is None else f"{base:.3f}"
    return "", ""


def _list_images(images: Any) -> Any:
    """What a predictor takes of what a program gives."""
    if isinstance(images, str | os.PathLike):
        return gather_files([Path(images)]).paths if os.path.isdir(images) else images
    table = read_memory(images) if hasattr(images, "columns") or hasattr(images, "column_names") else None
    return images if table is None else table.list_images()
