"""Compare models on the same labelled images: which is better at what, which answers changed, how recipes differ."""

import csv
import io
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from polyhead.data.splits import find_groups
from polyhead.errors import PolyheadError, list_words, require, show_text
from polyhead.evaluation.bootstrap import Draws
from polyhead.evaluation.comparison import Answers, Difference, compare_joint, compare_task
from polyhead.files import write_text
from polyhead.folders import restore_replaced
from polyhead.model.predictor import Predictor
from polyhead.progress import Progress, show_progress, warn
from polyhead.recipe.loading import check_recipe, load_run_plugins
from polyhead.report.words import METRICS
from polyhead.runs.labelled_data import find_labelled_data
from polyhead.runs.tables import TableFiles, locate_data
from polyhead.tasks import Array, Task

if TYPE_CHECKING:
    from polyhead.data.sources.given import DataLike

NAMES = METRICS | {"all_correct": "all right", "mean_accuracy": "mean accuracy"}


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
        differences: how much better the second is, a task each: in accuracy, or the mean error of a number.
        figures: the same and every further main figure of each task, and those of all tasks together.
        changed: the answers that differ, in tasks with labels; numbers are not listed.
        recipes: the keys in which the recipes differ, with the first's value and the second's.
    """

    names: tuple[str, str]
    n: int
    differences: Sequence[Difference]
    changed: Sequence[ChangedAnswer]
    recipes: Mapping[str, tuple[Any, Any]]
    figures: Sequence[Difference] = ()

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
        by_task: dict[str, list[Difference]] = {}
        for found in self.figures or self.differences:
            by_task.setdefault(found.task, []).append(found)
        lines += [f"  {_describe(*all_found)}" for all_found in by_task.values()]
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
    for name in shared:
        if not _is_same(ours[name], theirs[name]):
            raise PolyheadError(f"{names[1]}: its task {name} has other labels than that of {names[0]}")
    answers = Answers(
        tasks={name: (ours[name], theirs[name]) for name in shared},
        labels=first.rows,
        outputs=(first.outputs, second.outputs),
        draws=Draws(np.unique(find_groups(first.rows), return_inverse=True)[1].reshape(-1), seed=0),
    )
    by_task = [found for found in (compare_task(name, answers) for name in shared) if found]
    return Comparison(
        names=names,
        n=len(first.rows),
        differences=[found[0] for found in by_task],
        changed=_list_changed(answers),
        recipes=_diff_recipes(first.predictor, second.predictor),
        figures=[one for found in (*by_task, compare_joint(answers)) for one in found],
    )


def _list_changed(answers: Answers) -> list[ChangedAnswer]:
    changed = []
    for name, tasks in answers.tasks.items():
        if not tasks[0].has_probabilities:
            continue
        both = [task.decode(outputs[name]) for task, outputs in zip(tasks, answers.outputs, strict=True)]
        rows = zip(answers.labels["path"], answers.labels[name], *both, strict=True)
        changed += [
            ChangedAnswer(path, name, label, a.label, b.label) for path, label, a, b in rows if a.label != b.label
        ]
    return changed


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


def _describe(main: Difference, *others: Difference) -> str:
    """A task's figures in a line, all but the main one by their name."""
    name = show_text(main.task) or "all together"
    if main.verdict == "too few":
        return f"{name}: too few to say: {main.n} image{'s' if main.n != 1 else ''}"
    metric = "" if main.task else f"{NAMES[main.metric]} "
    further = [f"{NAMES[found.metric]} {_say(found)}" for found in others if found.verdict != "too few"]
    return f"{name}: {'; '.join([metric + _say(main), *further])}"


def _say(found: Difference) -> str:
    assert found.interval
    digits = 1
    scale, unit = 100, " points"
    if found.metric in ("mae", "r2"):
        scale, unit = 1, f" {found.unit}".rstrip()
        digits = max(1, 1 - math.floor(math.log10(max(map(abs, found.interval)) or 1)))
    low, high, by = found.interval[0] * scale, found.interval[1] * scale, found.better_by * scale
    if found.verdict == "worse":
        low, high, by = -high, -low, -by
    if found.verdict == "no clear difference":
        return f"no clear difference ({low:+.{digits}f} to {high:+.{digits}f}{unit})"
    return f"{found.verdict} by {by:.{digits}f}{unit} ({low:.{digits}f} to {high:.{digits}f})"
