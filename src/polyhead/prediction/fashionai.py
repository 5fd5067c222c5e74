"""FashionAI's answer file: the question file with the probabilities of each attribute's classes in the third column."""

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from polyhead.errors import PolyheadError, list_words, nearest, shorten
from polyhead.files import open_regular, write_beside
from polyhead.model.predictor import Predictor
from polyhead.progress import SILENT, Progress
from polyhead.tasks import Array, Task


class Question(NamedTuple):
    """A row of the question file: the bytes of its first two columns, its line ending, its image, its task."""

    start: bytes
    end: bytes
    image: Path
    task: str


def write_fashionai_answers(question: Path, predictor: Predictor, out: Path, progress: Progress = SILENT) -> int:
    """Write the rows of `answer_questions`, completely or not at all; returns how many have no answer."""
    unanswered = 0
    rows = answer_questions(question, predictor, progress)
    with write_beside(out) as beside, beside.open("wb") as file:
        for row, answered in rows:
            file.write(row)
            unanswered += not answered
    return unanswered


def answer_questions(question: Path, predictor: Predictor, progress: Progress = SILENT) -> Iterator[tuple[bytes, bool]]:
    """The rows of the answer file, in order.

    The question file has no header: image, attribute, and an empty third column. The first two columns are kept
    byte for byte; the third becomes the probabilities of all classes of the attribute, in the order of the letters in
    `label.csv`, with 8 decimals, separated by `;`. A task answers the attribute of its `column` or name.
    Images are looked up relative to the file's folder and to its parent.

    Returns:
        Each row, and whether it has an answer; if the image cannot be read, the third column stays empty.

    Raises:
        PolyheadError: the file cannot be read, a row is malformed, or the model has no classes for its attribute.
    """
    questions = _read_questions(question, predictor.card.tasks)
    return _answer(questions, predictor, progress)


def _answer(questions: Sequence[Question], predictor: Predictor, progress: Progress) -> Iterator[tuple[bytes, bool]]:
    tasks = {name: task for name, task in predictor.card.tasks.items() if task.names}
    advance = progress.track("PredictionJob", len(questions))
    remaining = iter(questions)
    for batch in predictor.run_files([question.image for question in questions]):
        probabilities = {name: _order_classes(task, batch.outputs[name]) for name, task in tasks.items()}
        for row, error in enumerate(batch.errors):
            question = next(remaining)
            third = "" if error else ";".join(f"{p:.8f}" for p in probabilities[question.task][row])
            if error:
                progress.say(f"{question.image}: {error}")
            yield question.start + b"," + third.encode() + question.end, not error
        advance(len(batch.errors))


def _order_classes(task: Task, outputs: Array) -> Array:
    """Probabilities (n, classes) in the order of the source's indices, if the task maps those; 0 for unknown ones."""
    probabilities = dict(zip(task.names, task.probabilities(outputs).T, strict=True))
    indices = [str(index) for index in range(len(task.values))]
    order = [task.values[index] for index in indices] if indices and set(indices) == set(task.values) else task.names
    return np.column_stack([probabilities.get(name, np.zeros(len(outputs))) for name in order])


def _read_questions(file: Path, tasks: Mapping[str, Task]) -> list[Question]:
    single = {name: task.columns(name) for name, task in tasks.items() if task.names and len(task.columns(name)) == 1}
    answering = {name: name for name in single} | {column: name for name, (column,) in single.items()}
    folder = Path(os.path.abspath(file)).parent
    try:
        with open_regular(file) as stream:
            lines = stream.read().splitlines(keepends=True)
    except OSError as error:
        raise PolyheadError(f"{file}: cannot be read: {error.strerror}") from None
    questions = []
    for number, line in enumerate(lines, 1):
        text = line.rstrip(b"\r\n")
        if not text.strip():
            continue
        image, attribute, start = _read_row(f"{file} line {number}", text)
        if attribute not in answering:
            raise PolyheadError(
                f"{file} line {number}: the model has no classes for {shorten(attribute, 60)!r}; it answers "
                f"{list_words(answering)}{nearest(attribute, answering)}"
            )
        inside = os.path.isfile(folder / image) or not os.path.isfile(folder.parent / image)
        path = (folder if inside else folder.parent) / image
        questions.append(Question(start, line[len(text) :], path, answering[attribute]))
    if not questions:
        raise PolyheadError(f"{file}: expected rows such as Images/collar/1.jpg,collar; there are none")
    return questions


def _read_row(where: str, line: bytes) -> tuple[str, str, bytes]:
    """The image, the attribute, and the bytes of both columns."""
    try:
        cells = next(csv.reader([line.decode("utf-8-sig")], strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise PolyheadError(f"{where}: is not CSV in UTF-8: {error}") from None
    if len(cells) not in (2, 3) or any(cells[2:]):
        raise PolyheadError(f"{where}: expected an image, an attribute and an empty third column; got {line[:80]!r}")
    return cells[0].strip(), cells[1].strip(), line if len(cells) == 2 else line.rpartition(b",")[0]
