"""Intervals hold the truth as often as they say, tell less of few images, and count repeats once."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from polyhead.cli.printing import print_evaluation
from polyhead.evaluation.arrays import evaluate_arrays
from polyhead.evaluation.evaluate import evaluate_split
from polyhead.evaluation.intervals import add_intervals
from polyhead.evaluation.results import SplitEvaluation
from polyhead.tasks import KINDS, Array, Task

NAMES = ("a", "b", "c")


def fit(kind: str, labels: list[str], **keys: Any) -> Task:
    return KINDS[kind].model_validate({"kind": kind, **keys}).fit("x", labels)


def answer(indices: Any) -> Array:
    """Outputs of three labels that give these answers."""
    return np.asarray(np.full((len(indices), 3), 0.1) + 0.7 * np.eye(3)[indices])


def measure(labels: list[str], answers: Any, content: list[str] | None = None) -> SplitEvaluation:
    """The figures of one task with three labels."""
    frame = pd.DataFrame({"content": content or [""] * len(labels), "x": labels})
    tasks, outputs = {"x": fit("categorical", [*NAMES], classes=[*NAMES])}, {"x": answer(answers)}
    found = evaluate_split(tasks, frame, outputs)
    add_intervals(found, tasks, frame, outputs)
    return SplitEvaluation(found)


@pytest.mark.slow
@pytest.mark.parametrize(("images", "together"), [(60, False), (400, False), (400, True)])
def test_intervals_hold_the_truth_in_93_to_97_of_100_test_sets(images: int, together: bool) -> None:
    rng, right, often = np.random.default_rng(0), 0.9, np.array([0.6, 0.3, 0.1])
    answered = often * right + (1 - often) * (1 - right) / 2
    truth = {"accuracy": right, "macro_f1": float((2 * often * right / (often + answered)).mean())}
    held = dict.fromkeys(truth, 0)
    for _ in range(500):
        group = np.arange(images) // 2 if together else np.arange(images)
        labels = rng.choice(3, images, p=often)[group]
        answers = np.where(rng.random(images)[group] < right, labels, (labels + rng.integers(1, 3, images)[group]) % 3)
        found = measure([NAMES[i] for i in labels], answers, [str(i) for i in group]).tasks["x"].intervals
        for name, value in truth.items():
            held[name] += found[name][0] <= value <= found[name][1]
    assert all(0.93 <= count / 500 <= 0.975 for count in held.values()), held


def test_repeats_count_once() -> None:
    labels, answers = ["a", "b", "c", "a"] * 25, [0, 1, 2, 1] * 25
    apart = measure(labels, answers).tasks["x"].intervals["accuracy"]
    once = measure(labels * 4, answers * 4, [str(i) for i in range(100)] * 4).tasks["x"].intervals["accuracy"]
    fourfold = measure(labels * 4, answers * 4).tasks["x"].intervals["accuracy"]
    assert once == pytest.approx(apart, abs=0.02)
    assert fourfold[1] - fourfold[0] < 0.6 * (once[1] - once[0])


def test_all_right_is_not_certain() -> None:
    few = measure(["a", "b"] * 3, [0, 1] * 3)
    assert few.tasks["x"].intervals["accuracy"] == pytest.approx((0.607, 1), abs=0.001)  # mid-P, 6 of 6: .05^(1/6)
    assert few.tasks["x"].label_intervals["a"]["f1"][0] < 0.6
    many = measure(["a", "b"] * 100, [0, 1] * 100).tasks["x"]
    assert many.intervals["accuracy"] == pytest.approx((0.981, 1), abs=0.001)  # Wilson, 200 of 200
    assert many.intervals["macro_f1"][0] < 1


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (["a"] * 6, "x: accuracy between 0.61 and 1.00: 6 images are too few to say more"),
        (["a"], "x: accuracy between 0.05 and 1.00: 1 image is too few to say more"),
        (["a", "b", "c"] * 20, "x: accuracy 1.000 (0.940 to 1.000; baseline 0.333), of 60 images"),
    ],
)
def test_few_images_are_told_in_words(labels: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = measure(labels, [NAMES.index(label) for label in labels])
    assert repr(found).splitlines()[0] == told
    assert ("1.000" in repr(found)) == (len(labels) == 60)
    html = found._repr_html_()
    assert ("too few images" in html) == (len(labels) < 30)
    print_evaluation({"test": found})
    shown = capsys.readouterr().out
    assert ("1.000" in shown) == (len(labels) == 60)
    assert ("few to say more" in shown.splitlines()[1]) == (len(labels) < 30)  # of all tasks together


def test_every_kind_has_intervals_around_its_figures() -> None:
    rng = np.random.default_rng(0)
    yes = rng.random((300, 2)) < (0.3, 0.5)
    numbers, scores = rng.normal(0, 10, 300), np.clip(yes * 0.4 + rng.random((300, 2)) * 0.6, 0, 1)
    tasks: dict[str, Any] = {
        "marks": {"kind": "multilabel", "labels": ["dot", "bar"]},
        "shiny": {"kind": "binary", "labels": ["no", "yes"]},
        "size": {"kind": "ordinal", "levels": ["S", "M", "L"]},
        "width": {"kind": "regression"},
    }
    labels: dict[str, Any] = {
        "marks": [[name for name, on in zip(("dot", "bar"), row, strict=True) if on] for row in yes],
        "shiny": ["yes" if on else "no" for on in yes[:, 0]],
        "size": [("S", "M", "L")[i] for i in rng.integers(0, 3, 300)],
        "width": [*numbers[:-1], None],
    }
    outputs = {
        "marks": scores,
        "shiny": scores[:, 0],
        "size": rng.dirichlet(np.ones(3), 300),
        "width": numbers + rng.normal(0, 2, 300),
    }
    found = evaluate_arrays(tasks, labels, outputs)
    for name, task in found.tasks.items():
        intervals = task.intervals
        assert {"macro_f1", "rmse"} & set(intervals), name
        assert set(task.metrics) - set(intervals) <= {"rate", "exact_match"}, name
        for metric, (low, high) in intervals.items():
            assert low < task.metrics[metric] < high, (name, metric)
    assert {"accuracy", "f1", "average_precision", "roc_auc"} <= set(found.tasks["marks"].label_intervals["dot"])
    low, high = found.joint.get("intervals", {})["all_correct"]
    assert low < (found.joint["all_correct"] or 0) < high
