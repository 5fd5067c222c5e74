"""Labels and outputs of any model in, numbers out; and an evaluation as a program reads it."""

import json
from typing import Any

import numpy as np
import pytest

from polyhead.errors import PolyheadError
from polyhead.evaluation.arrays import evaluate_arrays
from polyhead.evaluation.results import Evaluation
from polyhead.tasks import Categorical

TASKS: dict[str, Any] = {
    "color": {"kind": "categorical", "classes": ["red", "green"]},
    "marks": {"kind": "multilabel", "labels": ["dot", "bar"]},
    "width": {"kind": "regression", "unit": "px"},
}
LABELS: dict[str, list[object]] = {
    "color": ["red", None, "green", "red"],
    "marks": [["dot"], [], None, ["dot", "bar"]],
    "width": [1, 2.5, float("nan"), 4],
}
OUTPUTS: dict[str, Any] = {
    "color": [[0.9, 0.1], [0.5, 0.5], [0.8, 0.2], [0.7, 0.3]],
    "marks": [[0.9, 0.1], [0.1, 0.2], [0.5, 0.5], [0.8, 0.3]],
    "width": [2.0, 2.5, 9.0, 3.0],
}


def test_unknown_labels_are_in_no_number() -> None:
    found = evaluate_arrays(TASKS, LABELS, OUTPUTS)
    assert {name: task.n for name, task in found.tasks.items()} == {"color": 3, "marks": 3, "width": 3}
    assert found.tasks["color"].metrics["accuracy"] == pytest.approx(2 / 3)
    assert found.tasks["marks"].metrics["accuracy"] == pytest.approx(5 / 6)
    assert found.tasks["width"].metrics["mae"] == pytest.approx((1 + 0 + 1) / 3)
    assert found.tasks["color"].baseline["accuracy"] == pytest.approx(2 / 3)
    assert found.tasks["color"].baseline_answer == "red"
    assert found.tasks["marks"].labels["bar"]["recall"] == 0
    assert found.joint["n"] == 3


def test_the_baseline_answers_as_the_training_labels_say() -> None:
    train: dict[str, list[object]] = {"color": ["green"] * 3, "marks": [["bar"]] * 3, "width": [7.0]}
    found = evaluate_arrays(TASKS, LABELS, OUTPUTS, train)
    assert found.tasks["color"].baseline_answer == "green"
    assert found.tasks["width"].baseline["mae"] == pytest.approx((6 + 4.5 + 3) / 3)


def test_a_task_that_a_model_has_is_taken_as_it_is() -> None:
    task = Categorical(classes=["red", "green"]).fit("color", ["green"])
    found = evaluate_arrays({"color": task}, LABELS, OUTPUTS)
    assert found.tasks["color"].baseline_answer == "green"


@pytest.mark.parametrize(
    ("tasks", "labels", "outputs", "words"),
    [
        ({"color": {"kind": "colour"}}, {}, {}, "tasks.color.kind: expected categorical"),
        ({}, {"color": ["blue", *LABELS["color"][1:]]}, {}, "labels: color, row 0: expected red, green; got 'blue'"),
        ({}, {}, {"color": [[1.0]] * 4}, "outputs: color: expected an array (4, 2); got (4, 1)"),
        ({}, {}, {"width": [np.nan] * 4}, "outputs: width: expected finite numbers"),
        ({}, {"color": LABELS["color"][:2]}, {"color": OUTPUTS["color"][:2]}, "different numbers of images"),
        ({"size": {"kind": "regression"}}, {}, {}, "labels: there are none of size, but of color, marks, width"),
    ],
)
def test_what_does_not_fit_is_one_line(tasks: Any, labels: Any, outputs: Any, words: str) -> None:
    with pytest.raises(PolyheadError) as error:
        evaluate_arrays(TASKS | tasks, LABELS | labels, OUTPUTS | outputs)
    assert words in str(error.value)


def test_an_evaluation_is_the_dict_that_its_file_holds() -> None:
    split = json.loads(json.dumps(evaluate_arrays(TASKS, LABELS, OUTPUTS)))
    held = {"test": split, "unseen": split, "combinations": {"seen": 1.0, "unseen": 0.5, "harmonic_mean": None}}
    evaluation = Evaluation(held)
    assert evaluation == held == evaluation.to_dict() == json.loads(json.dumps(evaluation))
    assert list(evaluation.splits) == ["test", "unseen"]
    assert evaluation.combinations == held["combinations"]
    assert evaluation["test"]["tasks"]["color"]["n"] == evaluation["test"].tasks["color"].n == 3
    assert Evaluation({"test": split}).combinations is None
    told = "color: accuracy between 0.13 and 0.98: 3 images are too few to say more"
    assert f"test  {told}" in repr(evaluation).splitlines()
    assert told in repr(evaluation["test"]).splitlines()


def test_an_evaluation_in_a_notebook_shows_names_as_they_are() -> None:
    split = {"tasks": {"<script>": {"kind": "binary", "n": 1, "accuracy": 1.0, "baseline": {}}}, "joint": {"n": 0}}
    page = Evaluation({"test": split})._repr_html_()  # type: ignore[dict-item]
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "&lt;script&gt;" in Evaluation({"test": split})["test"]._repr_html_()  # type: ignore[dict-item]
