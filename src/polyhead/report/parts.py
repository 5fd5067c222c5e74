"""The parts of a report, which its caller provides; each may be missing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polyhead.model.card import Diagram
from polyhead.model.familiarity import Familiarity
from polyhead.tasks import Array, Numbers, Task
from polyhead.tasks.agreed import Agreed

# Indices (n,) of rows in a table -> their images (n, height, width, 3), RGB, 0 to 255.
Pixels = Callable[[NDArray[np.intp]], NDArray[np.uint8]]


@dataclass(frozen=True)
class DataPart:
    """The data set.

    `table` has the text columns `path`, `split` (blank where there is none) and one a task, blank where unknown;
    `rejected` has `path`, `task`, `value`, `reason`; `repeats` are groups of rows of the table, as indices, whose
    images are byte-identical. `shortcuts` are sentences on what tells a label without the picture; None where it was
    not looked for. `rules` is what `evaluation.rules.count_in_labels` found.
    """

    table: pd.DataFrame
    rejected: pd.DataFrame
    tasks: Mapping[str, Task]
    repeats: Sequence[Sequence[int]]
    pixels: Pixels
    shortcuts: Sequence[str] | None = None
    rules: Sequence[Numbers] = ()


@dataclass(frozen=True)
class TrainingPart:
    """The training: one row for each epoch, with `epoch`, `loss`, `TASK.loss`, `TASK.METRIC`, the same behind `val_`,
    `TASK.weight` where the tasks' weights changed, `learning_rate` and `seconds`; the epoch whose weights were kept;
    remarks for the reader; what `evaluation.learning_curve` found, or why there is none, if that is known."""

    history: pd.DataFrame
    kept_epoch: int | None = None
    notes: Sequence[str] = ()
    learning_curve: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class EvaluatedSplit:
    """A split that was evaluated: rows with `path` and a column a task, the outputs (n, width) a task, the images.

    `agreed` holds the outputs as the model gave them, too, where answers keep rules.
    """

    rows: pd.DataFrame
    outputs: Mapping[str, Array]
    pixels: Pixels
    agreed: Agreed | None = None


@dataclass(frozen=True)
class ResultPart:
    """The evaluation, as in `evaluation.json`, and the splits to show in detail, by name."""

    evaluation: Mapping[str, Any]
    tasks: Mapping[str, Task]
    splits: Mapping[str, EvaluatedSplit]
    held_out: Sequence[Mapping[str, str]] = ()
    familiarity: Familiarity | None = None


@dataclass(frozen=True)
class Report:
    """A report's title, texts and parts; `note` is a warning shown near the top, `facts` are names and values."""

    title: str
    description: str = ""
    note: str = ""
    facts: Sequence[tuple[str, str]] = ()
    remarks: Sequence[str] = ()
    data: DataPart | None = None
    network: Diagram | None = None
    training: TrainingPart | None = None
    results: ResultPart | None = None
