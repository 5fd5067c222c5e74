"""One answer, flat: the columns that a CSV of answers has."""

import csv
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

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


def flat_columns(tasks: Mapping[str, Task]) -> list[str]:
    """`image`, `error` and the columns that `flatten_answers` gives for the tasks."""
    form = {name: task.decode(task.constant()[np.newaxis])[0] for name, task in tasks.items()}
    return ["image", "error", *flatten_answers(form)]


def write_records(records: Iterable[Answer], tasks: Mapping[str, Task], path: Path) -> int:
    """Write records (see `Predictor.predict`) as CSV, whole or not at all; how many of them hold an error."""
    failed = 0
    beside = path.with_name(f"{path.name}.part")
    with beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, flat_columns(tasks))
        writer.writeheader()
        for record in records:
            failed += record["error"] is not None
            writer.writerow({"image": record["image"], "error": record["error"], **flatten_answers(record["answers"])})
    os.replace(beside, path)
    return failed
