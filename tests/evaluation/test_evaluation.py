"""Evaluation: how good answers are, all together, and as a table."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kinds import EXAMPLES
from polyhead.evaluation.evaluate import answers_frame, combine, evaluate_split, measure_joint
from polyhead.evaluation.results import Evaluation
from polyhead.tasks import Array, Categorical, MultiLabel, Ordinal, Regression, Task
from polyhead.tasks.published import Published

COLOR = Categorical().fit("color", ["red", "blue", "red"])  # outputs: blue, red
SIZE = Ordinal(levels=["S", "M", "L"]).fit("size", ["S", "M", "L"])
PRICE = Regression(unit="euro").fit("price", ["1", "2", "4"])
MARKS = MultiLabel(labels=["dot", "bar"]).fit("marks", ["dot", "dot|bar"])


def sure(task: Task, answers: list[str]) -> Array:
    """Outputs that are sure of one label each."""
    return np.array([[float(name == answer) for name in task.names] for answer in answers])


@pytest.mark.parametrize(
    ("colors", "sizes", "expected"),
    [
        (["red", "blue"], ["S", "M"], {"all_correct": 2 / 2, "n": 2}),
        (["blue", "blue"], ["S", "M"], {"all_correct": 1 / 2, "n": 2}),
        (["red", "blue"], ["L", "S"], {"all_correct": 0.0, "n": 2}),
        # A blank label is no question; a row without any does not count.
        (["red", ""], ["", "M"], {"all_correct": 2 / 2, "n": 2}),
        (["red", ""], ["L", ""], {"all_correct": 0 / 1, "n": 1}),
        (["", ""], ["", ""], {"all_correct": None, "n": 0}),
        # A class that training never saw is missed.
        (["green", "blue"], ["S", "M"], {"all_correct": 1 / 2, "n": 2}),
    ],
)
def test_all_correct_is_over_known_labels(colors: list[str], sizes: list[str], expected: dict[str, Any]) -> None:
    tasks: dict[str, Task] = {"color": COLOR, "size": SIZE, "price": PRICE}
    outputs = {"color": sure(COLOR, ["red", "blue"]), "size": sure(SIZE, ["S", "M"]), "price": np.array([[9.0], [9.0]])}
    labels = pd.DataFrame({"path": ["a", "b"], "color": colors, "size": sizes, "price": ["1", "2"]})

    assert measure_joint(tasks, labels, outputs) == expected


def test_without_a_task_of_one_right_label_nothing_is_all_correct() -> None:
    found = evaluate_split({"price": PRICE}, pd.DataFrame({"price": ["1", "2"]}), {"price": np.array([[1.0], [2.0]])})

    assert found["joint"]["all_correct"] is None
    assert found["joint"]["mean_accuracy"] is None
    assert found["tasks"]["price"]["mae"] == 0


def test_the_mean_accuracy_is_weighted_by_the_images_of_each_task() -> None:
    tasks: dict[str, Task] = {"color": COLOR, "size": SIZE, "price": PRICE, "marks": MARKS}
    colors, sizes = ["red", "blue", "red", ""], ["", "", "", "L"]
    labels = pd.DataFrame({"color": colors, "size": sizes, "price": "1", "marks": ["dot"] * 4})
    outputs = {"color": sure(COLOR, ["red"] * 4), "size": sure(SIZE, ["L"] * 4)}
    outputs |= {"price": np.ones((4, 1)), "marks": np.zeros((4, 2))}

    joint = evaluate_split(tasks, labels, outputs)["joint"]

    # color: 2 of 3 right, and so are as many of the constant answer, red; size: 1 of 1, and none of the constant, S.
    assert joint["mean_accuracy"] == pytest.approx((3 * 2 / 3 + 1 * 1) / 4)
    assert joint["mean_accuracy_baseline"] == pytest.approx((3 * 2 / 3 + 1 * 0) / 4)
    assert joint["labels"] == 3 + 1


def test_published_figures_stand_beside_those_of_the_labels() -> None:
    published = {"column": "Paper", "accuracy": {"bar": 0.75, "dropped": 0.5}}
    marks = MARKS.model_copy(update={"published": Published.model_validate(published)})

    found = marks.measure(["dot", "dot|bar"], np.array([[1.0, 0], [1, 1]]))

    assert found["published"] == {"column": "Paper", "accuracy": 0.75}  # over the labels of the task alone
    assert [row.get("published") for row in found["per_label"].values()] == [None, 0.75]


@pytest.mark.parametrize("kind", EXAMPLES)
def test_an_evaluation_of_every_kind_is_plain_json(kind: str) -> None:
    example = EXAMPLES[kind]
    task = example.task.fit(kind, example.labels)
    outputs = np.tile(task.baseline_outputs(), (len(example.labels), 1))

    found = evaluate_split({kind: task}, pd.DataFrame({kind: example.labels}), {kind: outputs})

    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["tasks"][kind]["n"] == len(example.labels) - 1  # one is blank
    blank = evaluate_split({kind: task}, pd.DataFrame({kind: ["", ""]}), {kind: outputs[:2]})
    assert blank["tasks"][kind] == {"kind": task.kind, "n": 0}


def test_a_split_of_one_label_all_answered_right_has_a_confusion_matrix_of_one_cell() -> None:
    found = evaluate_split(
        {"color": COLOR}, pd.DataFrame({"color": ["red", "red"]}), {"color": sure(COLOR, ["red"] * 2)}
    )
    assert found["tasks"]["color"]["confusion"] == {"labels": ["red"], "matrix": [[2]]}


def test_figures_of_a_diverged_network_are_none() -> None:
    found = evaluate_split({"price": PRICE}, pd.DataFrame({"price": ["1", "2"]}), {"price": np.full((2, 1), np.nan)})

    assert found["tasks"]["price"]["mae"] is None
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("seen", "unseen", "mean"),
    [(0.8, 0.4, 2 * 0.8 * 0.4 / (0.8 + 0.4)), (0.5, 0.5, 0.5), (0.9, 0.0, 0.0), (0.0, 0.0, 0.0), (0.9, None, None)],
)
def test_seen_and_unseen_combinations_have_a_harmonic_mean(
    seen: float, unseen: float | None, mean: float | None
) -> None:
    splits: dict[str, Any] = {"test": {"joint": {"all_correct": seen}}, "unseen": {"joint": {"all_correct": unseen}}}

    found = combine(splits)

    expected = {"seen": seen, "unseen": unseen, "harmonic_mean": mean}
    assert found == {**splits, "combinations": pytest.approx(expected, nan_ok=False)}


def test_the_harmonic_mean_has_an_interval_where_both_have() -> None:
    seen = {"joint": {"all_correct": 0.9, "intervals": {"all_correct": [0.8, 0.95]}}}
    unseen = {"joint": {"all_correct": 0.5, "intervals": {"all_correct": [0.3, 0.7]}}}
    found = Evaluation({"combinations": combine({"test": seen, "unseen": unseen})["combinations"]})
    low, high = found.combination_intervals["harmonic_mean"]
    # .643; with .8 .615, with .3 .45: lower by the root of .028^2 + .193^2; and so upwards, with .655 and .788.
    assert (low, high) == pytest.approx((0.448, 0.788), abs=0.001)
    assert set(found.combinations or ()) == {"seen", "unseen", "harmonic_mean"}


def test_without_held_out_combinations_there_are_none_to_compare() -> None:
    assert combine({"test": {"joint": {"all_correct": 1.0}}}) == {"test": {"joint": {"all_correct": 1.0}}}


def test_answers_become_a_row_an_image() -> None:
    tasks: dict[str, Task] = {"color": COLOR, "marks": MARKS, "price": PRICE}
    outputs = {
        "color": np.array([[0.25, 0.75], [0.5, 0.5]]),
        "marks": np.array([[0.75, 0.5], [0.25, 0.125]]),
        "price": np.array([[2.5], [3.0]]),
    }

    frame = answers_frame(["a.jpg", "b.jpg"], tasks, outputs)

    assert frame.iloc[0].to_dict() == {
        "image": "a.jpg",
        "error": "",
        "color.answer": "red",
        "color.probability": 0.75,
        "color.unsure": False,
        "color.top": '[["red", 0.75], ["blue", 0.25]]',
        "marks.answer": "dot|bar",
        "marks.probability": 0.5,
        "marks.unsure": False,
        "marks.probabilities.dot": 0.75,
        "marks.probabilities.bar": 0.5,
        "price.answer": 2.5,
        "price.unit": "euro",
        "price.unsure": False,
    }
    assert frame["marks.answer"][1] == "none"
    nothing = answers_frame([], tasks, {name: rows[:0] for name, rows in outputs.items()})
    assert list(nothing) == list(frame)
    assert len(nothing) == 0
