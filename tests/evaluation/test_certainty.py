"""The intervals of calibration errors, of what answers promise and of what is answered at all."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from polyhead.evaluation.bootstrap import Draws
from polyhead.evaluation.certainty import find_calibration_error
from polyhead.evaluation.evaluate import evaluate_split
from polyhead.evaluation.intervals import add_intervals
from polyhead.tasks import KINDS, Array, Task

ROWS = 400
TASKS: dict[str, dict[str, Any]] = {
    "color": {"kind": "categorical", "classes": ["red", "green", "blue"], "coverage": 0.9, "answer_accuracy": 0.9},
    "marks": {"kind": "multilabel", "labels": ["dot", "bar"], "coverage": 0.9, "answer_accuracy": 0.97},
    "size": {"kind": "ordinal", "levels": ["S", "M", "L"], "coverage": 0.9},
    "width": {"kind": "regression", "coverage": 0.9},
}
FIGURES = {
    "color": {"coverage", "set_size", "answered", "answered_accuracy"},
    "marks": {"coverage", "not_sure", "answered", "answered_accuracy"},
    "size": {"coverage", "set_size"},
    "width": {"coverage"},
}


def draw(seed: int) -> tuple[pd.DataFrame, dict[str, Array]]:
    rng = np.random.default_rng(seed)
    truth, numbers = rng.integers(0, 3, ROWS), rng.normal(0, 10, ROWS)
    yes = rng.random((ROWS, 2)) < 0.4
    frame = pd.DataFrame({"color": np.array(["red", "green", "blue"])[truth]}).astype(object)
    frame["marks"] = ["|".join(np.array(["dot", "bar"])[row]) or "none" for row in yes]
    frame["size"] = np.array(["S", "M", "L"])[truth]
    frame["width"] = numbers.astype(str)
    logits = 1.5 * np.eye(3)[truth] + rng.normal(0, 1, (ROWS, 3))
    three = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    two = 1 / (1 + np.exp(-(3 * yes - 1.5 + rng.normal(0, 1.2, (ROWS, 2)))))
    number = (numbers + rng.normal(0, 3, ROWS))[:, np.newaxis]
    return frame, {"color": three, "marks": two, "size": three, "width": number}


def test_what_is_promised_and_answered_has_intervals_that_hold_it() -> None:
    (valid, shown), (frame, outputs) = draw(0), draw(1)
    tasks: dict[str, Task] = {}
    for name, keys in TASKS.items():
        task = KINDS[keys["kind"]].model_validate(keys).fit(name, list(valid[name]))
        tasks[name] = task.calibrate(list(valid[name]), shown[name])
    found = evaluate_split(tasks, frame, outputs)
    add_intervals(found, tasks, frame, outputs)
    for name, wanted in FIGURES.items():
        figures = found["tasks"][name]
        assert wanted <= set(figures["intervals"]), name
        for figure in wanted:
            low, high = figures["intervals"][figure]
            assert low < figures[figure] < high, (name, figure)
        assert figures["intervals"]["coverage"][0] < 0.92
        if name != "width":
            errors = figures["calibration"]["intervals"]
            assert set(errors) == {"ece_before", "ece_after"}
            assert all(low <= figures["calibration"][key] <= high for key, (low, high) in errors.items())


@pytest.mark.slow
@pytest.mark.parametrize(("off", "together"), [(0.0, 1), (0.1, 1), (0.3, 1), (0.0, 3)])
def test_the_interval_of_a_calibration_error_holds_it(off: float, together: int) -> None:
    rng, held = np.random.default_rng(0), 0

    def answer(count: int) -> tuple[Array, Array]:
        sure = 1 - rng.beta(0.6, 2, count) / 2
        right = rng.random(count) < sure - off * (sure - 0.3)
        return sure, right.astype(float)

    sure, right = answer(400_000)
    everything = Draws(np.zeros(len(sure), np.intp), 0)  # one group: its sums alone are looked at
    bins = np.clip(np.ceil(sure * 15).astype(int) - 1, 0, 14)
    truth = np.abs(everything.sum_groups(np.eye(15)[bins] * (right - sure)[:, np.newaxis])).sum() / len(sure)
    groups = np.repeat(np.arange(400), together)
    for _ in range(300):
        sure, right = (values[groups][:, np.newaxis] for values in answer(400))
        interval = find_calibration_error(sure, right, Draws(groups, 0))
        assert interval
        held += interval[0] <= truth <= interval[1]
    assert 0.92 <= held / 300 <= 0.99, held
