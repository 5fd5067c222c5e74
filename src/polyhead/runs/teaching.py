"""What a larger run answers to the training images: worked out once, before training, and kept in `state/`."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polyhead.data.table import Dataset, reopen_dataset
from polyhead.errors import PolyheadError, list_words, shorten
from polyhead.files import open_regular, write_beside, write_text
from polyhead.model.predictor import Predictor
from polyhead.progress import Progress
from polyhead.recipe.schema import Recipe
from polyhead.run_folder import RunFolder
from polyhead.tasks import Task

KEY = "training.teacher"
ANSWERS, NOTE = "teacher.f32", "teacher.json"  # in `state/`
BATCH = 256
Taught = Callable[[NDArray[np.intp]], dict[str, NDArray[np.float32]]]


def check_teacher(recipe: Recipe) -> None:
    """See that a recipe's teacher can be opened and answers at least one of its tasks, before anything is made.

    Raises:
        PolyheadError: it is no run and no model file, or answers none of the tasks.
    """
    if recipe.training.teacher:
        _find_common(recipe.tasks, _open(recipe.training.teacher))


def ask_teacher(run: RunFolder, dataset: Dataset, tasks: Mapping[str, Task], progress: Progress) -> Taught | None:
    """Read what the recipe's teacher answers to training images: the outputs (n, width) by task, for n rows.

    The file of answers is made where it is not there or not whole. None without a teacher.

    Args:
        tasks: as the training split has taught them.

    Raises:
        PolyheadError: the teacher cannot be opened, does not fit, was trained on images that this run evaluates on, or
            is not the one that the run began with.
    """
    path = dataset.recipe.training.teacher
    if not path:
        return None
    rows, answers = dataset.rows_of("train"), run.state / ANSWERS
    noted = _read_note(run.state / NOTE)
    if noted is None or not answers.exists() or _digest(answers) != noted["digest"]:
        teacher = _open(path)
        if noted is not None and noted["fingerprint"] != teacher.card.fingerprint:
            raise PolyheadError(f"{KEY}: {path} is not the model that the run began with; put that one back")
        noted = _write_answers(run, dataset, tasks, teacher, progress)
    widths: dict[str, int] = noted["widths"]
    table = np.memmap(answers, np.float32, "r", shape=(len(rows), sum(widths.values())))
    places = np.zeros(len(dataset.table.frame), np.intp)
    places[rows] = np.arange(len(rows))
    ends = np.cumsum(list(widths.values()))[:-1]

    def read(wanted: NDArray[np.intp]) -> dict[str, NDArray[np.float32]]:
        return dict(zip(widths, np.split(np.asarray(table[places[wanted]]), ends, axis=1), strict=True))

    return read


def _open(path: str) -> Predictor:
    try:
        return Predictor(path)
    except PolyheadError as error:
        raise PolyheadError(f"{KEY}: {error}") from None


def _find_common(tasks: Mapping[str, Task], teacher: Predictor) -> list[str]:
    """The tasks that the teacher answers in the same way; those that it does not have, it does not teach.

    Raises:
        PolyheadError: there is none; or one of the same name is of another kind, or has other labels or another unit.
    """
    known = teacher.card.tasks
    common = [name for name in tasks if name in known]
    if not common:
        raise PolyheadError(
            f"{KEY}: expected one that answers {list_words(tasks)}; {teacher.path} answers {list_words(known)}"
        )
    for name in common:
        _check_alike(name, tasks[name], known[name])
    return common


def _check_alike(name: str, task: Task, taught: Task) -> None:
    same = "take a teacher with the same tasks, or give the task another name"
    if task.kind != taught.kind:
        raise PolyheadError(f"{KEY}: {name} is {task.kind} here, and {taught.kind} in the teacher; {same}")
    if task.error_unit != taught.error_unit:
        found = [unit or "none" for unit in (task.error_unit, taught.error_unit)]
        raise PolyheadError(f"{KEY}: the unit of {name} is {found[0]} here, and {found[1]} in the teacher; {same}")
    if task.fitted is not None and task.names != taught.names:
        found = [shorten(list_words(names), 100) for names in (task.names, taught.names)]
        raise PolyheadError(f"{KEY}: the labels of {name} are {found[0]} here, and {found[1]} in the teacher; {same}")


def _check_apart(dataset: Dataset, teacher: Path) -> None:
    """See that a teacher that is a run has not learnt from the images that this run is evaluated on.

    Of a model file that lies in no run folder it is not known.
    """
    table = teacher.parent / "table.csv"
    if not table.is_file():
        return
    try:
        with open_regular(table) as file:
            learnt = pd.read_csv(file, usecols=["split", "content"], dtype=str)
    except (OSError, ValueError) as error:
        raise PolyheadError(f"{KEY}: {table}: cannot be read: {' '.join(str(error).split())[:200]}") from None
    frame = dataset.table.frame
    seen = frame["content"].isin(set(learnt["content"][learnt["split"] == "train"])) & (frame["split"] != "train")
    if seen.any():
        raise PolyheadError(
            f"{KEY}: {teacher} was trained on {seen.sum():,} of the images that this run is validated or tested on, "
            f"such as {frame['path'][seen].iloc[0]}; take one of the same data.split and seed"
        )


def _write_answers(
    run: RunFolder, dataset: Dataset, tasks: Mapping[str, Task], teacher: Predictor, progress: Progress
) -> dict[str, Any]:
    """Write the teacher's outputs for the training rows, one after another, and what they are."""
    names = _find_common(tasks, teacher)
    _check_apart(dataset, teacher.path)
    sized = dataset
    if (teacher.card.image.size, teacher.card.image.resize) != (dataset.recipe.image.size, dataset.recipe.image.resize):
        image = dataset.recipe.image.model_copy(
            update={"size": teacher.card.image.size, "resize": teacher.card.image.resize}
        )
        sized = reopen_dataset(dataset.recipe.model_copy(update={"image": image}), dataset.table, progress)
    rows, answers = dataset.rows_of("train"), run.state / ANSWERS
    run.state.mkdir(exist_ok=True)
    advance = progress.track("teacher", len(rows))
    with write_beside(answers) as beside, beside.open("wb") as file:
        for at in range(0, len(rows), BATCH):
            part = rows[at : at + BATCH]
            outputs = teacher.run(sized.pixels(part))
            file.write(np.concatenate([outputs[name] for name in names], axis=1, dtype=np.float32).tobytes())
            advance(len(part))
    widths = {name: teacher.card.tasks[name].width for name in names}
    noted = {"digest": _digest(answers), "fingerprint": teacher.card.fingerprint, "widths": widths}
    write_text(run.state / NOTE, json.dumps(noted))
    return noted


def _read_note(path: Path) -> dict[str, Any] | None:
    """What is known of the answers that are kept; None where that is not there or damaged: they are made again."""
    try:
        with open_regular(path) as file:
            noted = json.loads(file.read())
        return dict(noted) if noted.keys() == {"digest", "fingerprint", "widths"} else None
    except (OSError, ValueError, AttributeError, PolyheadError):
        return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]
