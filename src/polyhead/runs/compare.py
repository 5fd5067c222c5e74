"""Compare models on the same labelled images: which is better at what, which answers changed, how recipes differ."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from polyhead.data.splits import find_groups
from polyhead.errors import PolyheadError, list_words, require, show_text
from polyhead.evaluation.comparison import Difference, compare_answers
from polyhead.files import write_text
from polyhead.folders import restore_replaced
from polyhead.model.predictor import Predictor
from polyhead.progress import Progress, show_progress, warn
from polyhead.recipe.loading import check_recipe, load_run_plugins
from polyhead.runs.labelled_data import find_labelled_data
from polyhead.runs.tables import TableFiles, locate_data
from polyhead.tasks import Array, Task

if TYPE_CHECKING:
    from polyhead.data.sources.given import DataLike


class ChangedAnswer(NamedTuple):
    """An image that two models answer differently: its path, the task, the label, and what the first and the second
    say."""

    image: str
    task: str
    label: str
    first: str
    second: str


@dataclass(frozen=True)
class Comparison:
    """A second model against a first one, on the same `n` images.

    Attributes:
        names: of the two, as they were given.
        differences: how much better the second is, a task each.
        changed: the answers that differ, in tasks with labels; numbers are not listed.
        recipes: the keys in which the recipes differ, with the first's value and the second's.
    """

    names: tuple[str, str]
    n: int
    differences: Sequence[Difference]
    changed: Sequence[ChangedAnswer]
    recipes: Mapping[str, tuple[Any, Any]]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write `image`, `task`, `label`, `first` and `second`, a row a changed answer.

        Raises:
            PolyheadError: it cannot be written.
        """
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(ChangedAnswer._fields)
        writer.writerows([show_text(cell) for cell in row] for row in self.changed)
        write_text(Path(path), text.getvalue())

    def __str__(self) -> str:
        """In words, a line a task."""
        first, second = map(show_text, self.names)
        lines = [f"{second} against {first}, on the same {self.n:,} images:"]
        lines += [f"  {_describe(found)}" for found in self.differences]
        lines.append(f"  answers that changed: {len(self.changed):,}")
        lines += [
            f"  {show_text(key)}: {show_text(str(a))} -> {show_text(str(b))}" for key, (a, b) in self.recipes.items()
        ]
        return "\n".join(lines)


class _Answered(NamedTuple):
    predictor: Predictor
    rows: pd.DataFrame
    outputs: Mapping[str, Array]


def compare(
    *models: str | os.PathLike[str],
    data: "DataLike | None" = None,
    split: str | None = None,
    progress: Progress | bool = True,
) -> list[Comparison]:
    """Compare models with the first of them, on the same labelled images.

    Args:
        models: two or more run folders or model files, whose tasks of the same name have the same labels.
        data: labelled images, as for `evaluate`. If absent: those that are in the split of every run.
        split: train, valid, test, unseen or all. If absent: test of runs, all of other images.
        progress: whether to show how far it is, on stderr or in a notebook; or an object that is told.

    Returns:
        A comparison with the first for each of the others.

    Raises:
        PolyheadError: something given is wrong, or the models share no task or no image.
    """
    require("compare", "report")
    if len(models) < 2:
        raise PolyheadError(f"models: expected two or more to compare; got {len(models)}")
    with show_progress(progress) as shown:
        predictors = []
        for model in models:
            restore_replaced(Path(model), shown)
            load_run_plugins(model)
            predictors.append(Predictor(model))
        with locate_data(data, predictors[0].card) as place:
            answered = _answer_all(predictors, place, split, shown)
    names = [str(model) for model in models]
    return [
        _compare_two((names[0], name), answered[0], other) for name, other in zip(names[1:], answered[1:], strict=True)
    ]


def _answer_all(
    predictors: Sequence[Predictor], place: Path | TableFiles | None, split: str | None, progress: Progress
) -> list[_Answered]:
    """What each says of the images that all have, in the same order; each reads them at its own size."""
    datasets = [find_labelled_data(predictor, place, split, progress) for predictor in predictors]
    places = []
    for dataset in datasets:
        frame = dataset.table.frame
        rows = dataset.rows_of(split or ("all" if "all" in set(frame["split"]) else "test"))
        places.append(dict(zip(frame["path"].iloc[rows], rows.tolist(), strict=True)))
    shared = [path for path in places[0] if all(path in found for found in places)]
    if not shared:
        raise PolyheadError("models: have no images of this split in common; give labelled ones with `data`")
    if most := max(map(len, places)) - len(shared):
        warn(f"{most:,} images are not in this split of every model, and are left out")
    found = []
    for predictor, dataset, place_of in zip(predictors, datasets, places, strict=True):
        rows = np.array([place_of[path] for path in shared])

        def pixels(indices: Any, dataset: Any = dataset, rows: Any = rows) -> Any:
            return dataset.pixels(rows[indices])

        frame = dataset.table.frame.iloc[rows].reset_index(drop=True)
        found.append(_Answered(predictor, frame, predictor.obey(predictor.run_all(pixels, len(rows))).outputs))
    return found


def _compare_two(names: tuple[str, str], first: _Answered, second: _Answered) -> Comparison:
    ours, theirs = first.predictor.card.tasks, second.predictor.card.tasks
    shared = [name for name in ours if name in theirs]
    if not shared:
        raise PolyheadError(f"{names[1]}: has none of the tasks of {names[0]} ({list_words(list(ours))})")
    differences, changed = [], []
    groups = find_groups(first.rows)
    for name in shared:
        task, other = ours[name], theirs[name]
        if not _is_same(task, other):
            raise PolyheadError(f"{names[1]}: its task {name} has other labels than that of {names[0]}")
        labels = first.rows[name].tolist()
        found = compare_answers(name, (task, other), labels, (first.outputs[name], second.outputs[name]), groups)
        differences += [found] if found else []
        if task.has_probabilities:
            answers = zip(task.decode(first.outputs[name]), other.decode(second.outputs[name]), strict=True)
            for path, label, (a, b) in zip(first.rows["path"], labels, answers, strict=True):
                if a.label != b.label:
                    changed.append(ChangedAnswer(path, name, label, a.label, b.label))
    return Comparison(names, len(first.rows), differences, changed, _diff_recipes(first.predictor, second.predictor))


def _is_same(task: Task, other: Task) -> bool:
    """Whether answers of two models to a task can be compared; several labels of one answer in the same order, too."""
    same = task.names == other.names or (task.has_one_label and set(task.names) == set(other.names))
    return same and type(task) is type(other) and task.has_probabilities == other.has_probabilities


def _diff_recipes(first: Predictor, second: Predictor) -> Mapping[str, tuple[Any, Any]]:
    """Empty where a file, such as one of other software, holds no recipe."""
    if not first.card.recipe or not second.card.recipe:
        return {}
    one, two = (check_recipe(it.card.recipe, str(it.path)) for it in (first, second))
    return one.diff(two)


def _describe(found: Difference) -> str:
    scale, unit = (1, f" {found.unit}".rstrip()) if found.metric == "mae" else (100, " points")
    if found.interval is None or found.verdict == "too few":
        return f"{found.task}: too few to say: {found.n} image{'s' if found.n != 1 else ''}"
    low, high, by = found.interval[0] * scale, found.interval[1] * scale, found.better_by * scale
    if found.verdict == "worse":
        low, high, by = -high, -low, -by
    if found.verdict == "no clear difference":
        return f"{found.task}: no clear difference ({low:+.1f} to {high:+.1f}{unit})"
    return f"{found.task}: {found.verdict} by {by:.1f}{unit} ({low:.1f} to {high:.1f})"
