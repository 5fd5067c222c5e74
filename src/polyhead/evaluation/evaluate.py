"""How good answers are, as plain numbers: what `evaluation.json` and `predictions.csv` hold.

Takes labels and the outputs that a model gave; knows no model, no image and no page.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from polyhead.model.familiarity import Familiarity
from polyhead.model.records import Record, flat_columns, flatten_record
from polyhead.tasks import Array, Numbers, Task
from polyhead.tasks.agreed import Agreed, decode_answers


def evaluate_split(tasks: Mapping[str, Task], labels: pd.DataFrame, outputs: Mapping[str, Array]) -> Numbers:
    """How good the outputs of one split are, each task apart and all together.

    Args:
        tasks: by name, as the training split taught them.
        labels: n rows, a text column a task, blank where unknown; other columns are passed over.
        outputs: (n, width) a task.

    Returns:
        `{"tasks": {NAME: Task.measure(...)}, "joint": ...}`, ready for JSON: None where a metric does not exist.
        `joint` has what `measure_joint` and `average_accuracy` give.
    """
    measured = {name: task.measure(labels[name].tolist(), outputs[name]) for name, task in tasks.items()}
    joint = measure_joint(tasks, labels, outputs) | average_accuracy(tasks, measured)
    found: Numbers = _without_nan({"tasks": measured, "joint": joint})
    return found


def average_accuracy(tasks: Mapping[str, Task], measured: Mapping[str, Numbers]) -> Numbers:
    """The mean of the tasks' accuracies, each over its own images, weighted by how many these are.

    Args:
        tasks: by name; those with several right labels or none do not count.
        measured: what `Task.measure` gave of each.

    Returns:
        `mean_accuracy`, None where no label is known; `mean_accuracy_baseline`, the same of the constant answers; and
        `labels`, over how many known labels.
    """
    counted = [measured[name] for name, task in tasks.items() if task.has_one_label and measured[name]["n"]]
    total = sum(metrics["n"] for metrics in counted)
    right = sum(metrics["n"] * metrics["accuracy"] for metrics in counted)
    constant = sum(metrics["n"] * metrics["baseline"]["accuracy"] for metrics in counted)
    return {
        "mean_accuracy": right / total if total else None,
        "mean_accuracy_baseline": constant / total if total else None,
        "labels": total,
    }


def measure_joint(tasks: Mapping[str, Task], labels: pd.DataFrame, outputs: Mapping[str, Array]) -> Numbers:
    """The fraction of rows whose every answer with one right label is right, over the labels that are known.

    Arguments are those of `evaluate_split`.

    Returns:
        `all_correct`, a fraction of the `n` rows that have such a label, None where there is none; and `n`.
    """
    known = np.zeros(len(labels), bool)
    right = np.ones(len(labels), bool)
    for name, task in tasks.items():
        if task.has_one_label:
            truth = np.array(task.regroup(labels[name].tolist()), object)
            answers = np.array([answer.label for answer in task.decode(outputs[name])], object)
            known |= truth != ""
            right &= (truth == "") | (truth == answers)
    return {"all_correct": float(right[known].mean()) if known.any() else None, "n": int(known.sum())}


def combine(evaluation: Mapping[str, Numbers]) -> dict[str, Numbers]:
    """The evaluation of all splits; where one is `unseen`, with seen and unseen combinations side by side.

    Args:
        evaluation: what `evaluate_split` gave, by split.

    Returns:
        The same, and `combinations`: all_correct of `test` as `seen`, of `unseen`, and their `harmonic_mean`; with
        `intervals` where both have some: of the mean by those of the two (Zou, Donner 2008, "Construction of confidence
        limits about effect measures").
    """
    if "unseen" not in evaluation:
        return dict(evaluation)
    joint = [evaluation.get(split, {"joint": {}})["joint"] for split in ("test", "unseen")]
    seen, unseen = (found.get("all_correct") for found in joint)
    both = None if seen is None or unseen is None else _harmonic_mean(seen, unseen)
    combinations: Numbers = {"seen": seen, "unseen": unseen, "harmonic_mean": both}
    bounds = [found.get("intervals", {}).get("all_correct") for found in joint]
    if seen is not None and unseen is not None and both is not None and all(bounds):
        ends = [  # how far the mean moves with either of the two
            math.hypot(both - _harmonic_mean(bounds[0][end], unseen), both - _harmonic_mean(seen, bounds[1][end]))
            for end in (0, 1)
        ]
        mean = [max(0.0, both - ends[0]), min(1.0, both + ends[1])]
        combinations["intervals"] = {"seen": bounds[0], "unseen": bounds[1], "harmonic_mean": mean}
    return {**evaluation, "combinations": combinations}


def _harmonic_mean(first: float, second: float) -> float:
    return 2 * first * second / (first + second) if first and second else 0.0


def answers_frame(
    paths: Sequence[str],
    tasks: Mapping[str, Task],
    answered: Agreed | Mapping[str, Array],
    familiarity: Familiarity | None = None,
) -> pd.DataFrame:
    """Answers as a flat table, one row an image, as `model/records.py` flattens them.

    Args:
        paths: n names of images.
        tasks: by name, as the training split taught them.
        answered: outputs (n, width) a task, and `features` where there is a familiarity; with those that rules changed
            marked, if they did.
        familiarity: what the model file keeps of its training images.
    """
    agreed = answered if isinstance(answered, Agreed) else Agreed(dict(answered), dict(answered))
    answers = decode_answers(tasks, agreed)
    rates: Sequence[float | None] = [None] * len(paths)
    if familiarity:
        rates = familiarity.rate(agreed.outputs["features"]).tolist()
    rows = []
    for row, (path, rate) in enumerate(zip(paths, rates, strict=True)):
        unfamiliar = rate > familiarity.threshold if familiarity and rate is not None else None
        record = Record(path, "", {name: found[row] for name, found in answers.items()}, unfamiliar, rate)
        rows.append(flatten_record(record))
    return pd.DataFrame(rows, columns=flat_columns(tasks, agreed.changed, rated=bool(familiarity)))


def _without_nan(value: Any) -> Any:
    """The same with None for NaN and infinity, which JSON does not have; outputs of a diverged network lead to them."""
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
