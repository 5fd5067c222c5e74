"""An evaluation of any model's outputs: labels and arrays in, numbers out. No image, no model file."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from polyhead.data.sources.memory import tell_cell
from polyhead.errors import PolyheadError, list_words
from polyhead.evaluation.evaluate import evaluate_split
from polyhead.evaluation.intervals import add_intervals
from polyhead.evaluation.results import SplitEvaluation
from polyhead.recipe.loading import load_recipe
from polyhead.tasks import AnyTask, Array, Task

Labels = Mapping[str, Sequence[object]]


def evaluate_arrays(
    tasks: Mapping[str, Mapping[str, object] | AnyTask],
    labels: Labels,
    outputs: Mapping[str, ArrayLike],
    train_labels: Labels | None = None,
) -> SplitEvaluation:
    """How good outputs are, each task apart and all together, over the labels that are known.

    Args:
        tasks: by name, as in a recipe: `{"color": {"kind": "categorical", "classes": ["red", "green"]}}`; or those of
            a `Model`.
        labels: n labels a task: texts, numbers, lists for a multilabel task; None, NaN or a blank text where unknown.
        outputs: by task (n, width): probabilities, a column for each class, label or level in their order; or numbers
            in the label's unit. (n,) where the width is 1.
        train_labels: what the baseline, always giving one answer, takes its answer from; `labels`, if absent.

    Raises:
        PolyheadError: a task is none, a label is none of its task's, or the sizes do not fit.
    """
    read: dict[str, list[str]] = {}
    known: dict[str, Task] = {}
    arrays: dict[str, Array] = {}
    for name, given in tasks.items():
        task = _check_task(name, given)
        read[name] = _read_labels(task, name, labels)
        known[name] = task if task.fitted else task.fit(name, _read_labels(task, name, train_labels or labels))
        arrays[name] = _check_outputs(known[name], name, outputs, len(read[name]))
    if len({len(column) for column in read.values()}) > 1:
        raise PolyheadError(f"labels: {list_words(read)} are of different numbers of images")
    frame = pd.DataFrame(read, dtype=str)
    found = evaluate_split(known, frame, arrays)
    add_intervals(found, known, frame, arrays)
    return SplitEvaluation(found)


def _check_task(name: str, given: Any) -> Any:
    """A task from its keys in a recipe, around which a recipe is put: it says best what is wrong with them."""
    if isinstance(given, Task):
        return given
    around = {"name": name, "data": {"source": {"kind": "csv"}}, "network": {"trunk": {"blocks": [{"filters": 1}]}}}
    return load_recipe({**around, "tasks": {name: given}}).tasks[name]


def _read_labels(task: Task, name: str, labels: Labels) -> list[str]:
    if name not in labels:
        raise PolyheadError(f"labels: there are none of {name}, but of {list_words(labels)}")
    found = []
    for row, cell in enumerate(labels[name]):
        try:
            found.append(task.read(tell_cell(cell, task.cell_separator)))
        except ValueError as error:
            raise PolyheadError(f"labels: {name}, row {row}: {error}") from None
    return found


def _check_outputs(task: Task, name: str, outputs: Mapping[str, ArrayLike], count: int) -> Array:
    if name not in outputs:
        raise PolyheadError(f"outputs: there are none of {name}, but of {list_words(outputs)}")
    array = np.asarray(outputs[name], float)
    array = array[:, np.newaxis] if array.ndim == 1 else array
    if array.shape != (count, task.width):
        raise PolyheadError(f"outputs: {name}: expected an array {(count, task.width)}; got {array.shape}")
    if not np.isfinite(array).all():
        raise PolyheadError(f"outputs: {name}: expected finite numbers")
    return array
