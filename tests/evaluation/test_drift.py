"""How far images are from those of validation: no alarm where they are of the same kind, one where they are not."""

import numpy as np
import pytest

from polyhead.evaluation.drift import compare_shares, measure_drift
from polyhead.model.reference import Reference
from polyhead.tasks import Array, Categorical, MultiLabel, Regression, Task

TASKS: dict[str, Task] = {
    "color": Categorical(answer_accuracy=0.9).fit("color", ["red", "blue", "green"] * 10).refitted(unsure_below=0.5),
    "marks": MultiLabel(labels=["dot", "line"]).fit("marks", ["dot", "line", "none"] * 10),
    "price": Regression().fit("price", [str(number) for number in range(40)]),
}


def draw(rng: np.random.Generator, count: int, moved: float = 0.0) -> dict[str, Array]:
    """Outputs for images, which lie farther from the others the more they are moved."""
    scores = rng.normal(size=(count, 3)) + np.array([moved, 0, 0])
    colors = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    marks = rng.uniform(size=(count, 2)) * [1 - moved / 4, 1]
    features = rng.normal(size=(count, 40)) * np.linspace(0.1, 3, 40) + moved
    return {"color": colors, "marks": marks, "price": rng.uniform(0, 40, (count, 1)), "features": features}


def test_images_of_the_same_kind_seldom_differ() -> None:
    rng, features, alarms, trials = np.random.default_rng(0), 0, 0, 200
    for _ in range(trials):
        reference = Reference.find(TASKS, draw(rng, 300), None)
        assert reference
        found = measure_drift(reference, TASKS, draw(rng, 200), None)
        features += bool(found.features and found.features.clear)
        alarms += any(shift.clear for shifts in found.answers.values() for shift in shifts.values())
    assert features <= 0.06 * trials
    assert alarms <= 0.2 * trials  # three tables, each in five of a hundred


def test_the_distance_of_the_features_is_told_with_an_interval_that_holds_it() -> None:
    rng, held, trials, moved = np.random.default_rng(1), 0, 200, 0.7
    true = moved * np.sqrt(40) / np.sqrt((np.linspace(0.1, 3, 40) ** 2).sum())
    for _ in range(trials):
        reference = Reference.find(TASKS, draw(rng, 300), None)
        assert reference
        shift = measure_drift(reference, TASKS, draw(rng, 200, moved), None).features
        assert shift
        held += shift.interval[0] <= true <= shift.interval[1]
    assert held >= 0.9 * trials


def test_what_differs_is_said_in_a_sentence_each() -> None:
    rng = np.random.default_rng(2)
    reference = Reference.find(TASKS, draw(rng, 500), None)
    assert reference
    found = measure_drift(reference, TASKS, draw(rng, 400, moved=2), None, unreadable=3)
    assert (found.images, found.validation_images, found.unreadable) == (400, 500, 3)
    sentences = str(found)
    assert "400 images, compared with 500 of validation" in sentences
    assert "The features have moved by" in sentences
    assert "color: “red”" in sentences
    assert "marks: “dot”" in sentences
    assert "price" not in sentences  # it is as it was
    assert found.to_dict()["findings"] == found.findings


def test_labels_of_strangers_cannot_command_a_terminal() -> None:
    task = Categorical().fit("color", ["red", "\x1b[31mblue"] * 20)
    answered = {"color": np.eye(2)[[0] * 40], "features": np.random.default_rng(0).normal(size=(40, 3))}
    reference = Reference.find({"color": task}, answered | {"color": np.eye(2)[[0, 1] * 20]}, None)
    assert reference
    said = str(measure_drift(reference, {"color": task}, answered, None))
    assert "blue" in said
    assert "\x1b" not in said


def test_few_images_say_little() -> None:
    rng = np.random.default_rng(3)
    reference = Reference.find(TASKS, draw(rng, 100), None)
    assert reference
    found = measure_drift(reference, TASKS, draw(rng, 1), None)
    assert found.features is None
    assert "Fewer than 30 images say little." in str(found)
    assert "Nothing differs clearly." in str(found)


@pytest.mark.parametrize(("found", "kept"), [((0, 1), (0, 30)), ((1, 1), (0, 30)), ((5, 5), (30, 30))])
def test_shares_of_few_images_have_wide_intervals_within_what_is_possible(
    found: tuple[int, int], kept: tuple[int, int]
) -> None:
    shift = compare_shares(found, kept)
    assert -1 <= shift.interval[0] <= shift.share - shift.of_validation <= shift.interval[1] <= 1
    assert shift.interval[1] - shift.interval[0] > 0.1


def test_too_few_validation_images_are_no_reference() -> None:
    assert Reference.find(TASKS, draw(np.random.default_rng(4), 29), None) is None
