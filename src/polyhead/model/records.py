"""One answer in other forms: flat, with the columns that a CSV of answers has, and in words."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from polyhead.errors import PolyheadError, show_text
from polyhead.tasks import Answer, Task

Flat = dict[str, Any]


def flatten_answers(answers: Mapping[str, Answer]) -> Flat:
    """Answers by task as one flat row: `TASK.KEY` for every key of each answer.

    Several labels stand in one cell with `|` between them (`none` for none), `top` is JSON text, and `probabilities`
    has a column `TASK.probabilities.LABEL` a label.
    """
    flat: Flat = {}
    for name, answer in answers.items():
        for key, value in answer.items():
            if isinstance(value, dict):
                flat |= {f"{name}.{key}.{label}": number for label, number in value.items()}
            elif isinstance(value, list):
                flat[f"{name}.{key}"] = "|".join(value) or "none" if key == "answer" else json.dumps(value)
            else:
                flat[f"{name}.{key}"] = value
    return flat


def flat_form(tasks: Mapping[str, Task]) -> Flat:
    """A row such as `flatten_record` gives for the tasks: its columns, and values of their types."""
    answers = {name: task.decode(task.constant()[np.newaxis])[0] for name, task in tasks.items()}
    return flatten_record({"image": "", "error": "", "answers": answers})


def flat_columns(tasks: Mapping[str, Task]) -> list[str]:
    """`image`, `error` and the columns that `flatten_answers` gives for the tasks."""
    return list(flat_form(tasks))


def flatten_record(record: Answer) -> Flat:
    """A record (see `Predictor.predict`) as one flat row."""
    return {"image": record["image"], "error": record["error"], **flatten_answers(record["answers"])}


def tell_answer(answer: Answer) -> str:
    """An answer as a person reads it: `dress (89.04%)`, `dress (41.20%, unsure)`, `27.3 years`."""
    text = answer["answer"]
    text = ", ".join(text) or "none" if isinstance(text, list) else text
    if "unit" in answer:
        return show_text(f"{text:.4g} {answer['unit']}".strip())
    return show_text(f"{text} ({answer['probability']:.2%}{', unsure' if answer['unsure'] else ''})")


def tell_record(record: Answer) -> str:
    """A record as one line: the image and its answers, or why there are none."""
    answers = ", ".join(f"{name}: {tell_answer(answer)}" for name, answer in record["answers"].items())
    return show_text(f"{record['image']}: {record['error'] or answers}")


def name_openly(record: Answer) -> Answer:
    """A record that may leave the program: its image's name as one line of Unicode, which a file's name need not be.

    Everything that is written or printed of files goes through here, and the files themselves keep their names.
    """
    return record if record["image"] is None else {**record, "image": show_text(record["image"])}


def write_json(record: Answer) -> str:
    """A record as a line of JSON.

    Raises:
        PolyheadError: an answer is not finite, which JSON has no word for.
    """
    try:
        return json.dumps(record, ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise PolyheadError(
            f"{record['image']}: an answer is NaN or infinite, which JSON cannot hold: the model is damaged; train anew"
        ) from None
