"""The figures of two models on the same images: those of an evaluation, and what is said of their difference."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from polyhead.evaluation.bootstrap import Draws
from polyhead.evaluation.comparison import Answers, Difference, compare_joint, compare_task
from polyhead.evaluation.evaluate import evaluate_split
from polyhead.tasks import KINDS, Array, Task

ROWS = 200
TASKS: dict[str, dict[str, Any]] = {
    "color": {"kind": "categorical", "classes": ["red", "green", "blue"]},
    "marks": {"kind": "multilabel", "labels": ["dot", "bar"]},
    "shiny": {"kind": "binary", "labels": ["no", "yes"]},
    "size": {"kind": "ordinal", "levels": ["S", "M", "L"]},
    "width": {"kind": "regression", "unit": "cm"},
}
FIGURES = {
    "color": ["accuracy", "macro_f1"],
    "marks": ["accuracy", "macro_f1"],
    "shiny": ["accuracy", "macro_f1"],
    "size": ["accuracy", "macro_f1", "mae"],
    "width": ["mae", "r2"],
}


def draw() -> tuple[dict[str, Task], pd.DataFrame, dict[str, Array], dict[str, Array]]:
    """Tasks of every kind, labels of which some are unknown, and what a good and a bad model answer."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, ROWS)
    numbers, yes = rng.normal(0, 10, ROWS), rng.random((ROWS, 2)) < 0.5
    frame = pd.DataFrame({
        "color": np.array(["red", "green", "blue"])[truth],
        "marks": ["|".join(np.array(["dot", "bar"])[row]) or "none" for row in yes],
        "shiny": np.where(yes[:, 0], "yes", "no"),
        "size": np.array(["S", "M", "L"])[truth],
        "width": numbers.astype(str),
    }).astype(object)  # fmt: skip
    frame.loc[:9, :] = ""
    frame.loc[10:19, "color"] = ""
    tasks = {
        name: KINDS[keys["kind"]].model_validate(keys).fit(name, list(frame[name])) for name, keys in TASKS.items()
    }

    def answer(wrong: float) -> dict[str, Array]:
        three = 0.1 + 0.7 * np.eye(3)[np.where(rng.random(ROWS) < wrong, (truth + 1) % 3, truth)]
        two = np.where((rng.random((ROWS, 2)) < wrong) ^ yes, 0.9, 0.1)
        number = (numbers + rng.normal(0, 10 * wrong, ROWS))[:, np.newaxis]
        return {"color": three, "marks": two, "shiny": two[:, :1], "size": three, "width": number}

    return tasks, frame, answer(0.3), answer(0.05)


def compare(first: Mapping[str, Array], second: Mapping[str, Array], rows: int = ROWS) -> dict[str, list[Difference]]:
    tasks, frame, _, _ = draw()
    parts = [{name: outputs[:rows] for name, outputs in given.items()} for given in (first, second)]
    both = {name: (task, task) for name, task in tasks.items()}
    labels = frame.iloc[:rows].reset_index(drop=True)
    answers = Answers(both, labels, (parts[0], parts[1]), Draws(np.arange(rows), 0))
    return {name: compare_task(name, answers) for name in tasks} | {"": compare_joint(answers)}


def test_every_figure_is_that_of_an_evaluation_and_the_better_model_is_better() -> None:
    tasks, frame, bad, good = draw()
    found = compare(bad, good)
    evaluated = [evaluate_split(tasks, frame, outputs) for outputs in (bad, good)]
    assert {name: [one.metric for one in all_found] for name, all_found in found.items() if name} == FIGURES
    for name, all_found in found.items():
        for one in all_found:
            values = [part["tasks"][name] if name else part["joint"] for part in evaluated]
            assert one.values == pytest.approx([value[one.metric] for value in values]), one
            assert one.verdict == "better", one
            assert one.interval
            assert one.interval[0] < one.better_by < one.interval[1]
    assert [one.metric for one in found[""]] == ["all_correct", "mean_accuracy"]
    assert (found["color"][0].n, found["size"][2].unit, found["width"][0].unit) == (180, "levels", "cm")


def test_a_model_is_as_good_as_itself_and_of_few_images_nothing_is_said() -> None:
    _, _, bad, good = draw()
    assert {one.verdict for found in compare(good, good).values() for one in found} == {"no clear difference"}
    assert {one.verdict for found in compare(bad, good, rows=20).values() for one in found} == {"too few"}
    assert all(not found for found in compare(bad, good, rows=10).values())


@pytest.mark.slow
@pytest.mark.parametrize("together", [1, 3])
def test_intervals_of_differences_hold_the_truth(together: int) -> None:
    rng, often, names = np.random.default_rng(1), np.array([0.6, 0.3, 0.1]), np.array(["a", "b", "c"])
    task = KINDS["categorical"].model_validate({"kind": "categorical", "classes": [*names]}).fit("x", [*names])

    def macro_f1(right: float) -> float:
        return float((2 * often * right / (often + often * right + (1 - often) * (1 - right) / 2)).mean())

    truth = {"accuracy": 0.06, "macro_f1": macro_f1(0.9) - macro_f1(0.84)}
    held = dict.fromkeys(truth, 0)
    groups = np.repeat(np.arange(120), together)
    for _ in range(500):
        labels, hard = rng.choice(3, 120, p=often), rng.random(120)
        other = (labels + rng.integers(1, 3, 120)) % 3
        outputs = [{"x": 0.1 + 0.7 * np.eye(3)[np.where(hard < right, labels, other)][groups]} for right in (0.84, 0.9)]
        frame = pd.DataFrame({"x": names[labels][groups]})
        found = compare_task("x", Answers({"x": (task, task)}, frame, (outputs[0], outputs[1]), Draws(groups, 0)))
        for one in found:
            assert one.interval
            held[one.metric] += one.interval[0] <= truth[one.metric] <= one.interval[1]
    assert all(0.93 <= count / 500 <= 0.975 for count in held.values()), held
