"""How far probabilities can be trusted: found on the validation split, kept in the task, used in every answer."""

import json

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter

from kinds import EXAMPLES
from polyhead.evaluation.evaluate import answers_frame, evaluate_split
from polyhead.tasks import (
    Answer,
    AnyTask,
    Array,
    Binary,
    Categorical,
    MultiLabel,
    Ordinal,
    Regression,
    StoredTask,
    Task,
)
from polyhead.tasks.calibration import (
    NEVER,
    alternatives,
    choose_threshold,
    choose_unsure,
    expected_calibration_error,
    fit_temperature,
    known_images,
    measure_coverage,
    measure_reliability,
    temper,
)

ROWS = 1500
# A task of each kind that has probabilities, with all that validation can be asked for.
ASKING: dict[str, Task] = {
    "categorical": Categorical(classes=["a", "b", "c"], answer_accuracy=0.9),
    "sigmoids": Categorical(classes=["a", "b", "c"], activation="sigmoid", answer_accuracy=0.9),
    "binary": Binary(labels=["no", "yes"], threshold="best_f1", answer_accuracy=0.9),
    "multilabel": MultiLabel(labels=["a", "b", "c"], threshold="best_f1", answer_accuracy=0.82),
    "ordinal": Ordinal(levels=["S", "M", "L"], answer_accuracy=0.9),
}


def softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def sigmoid(logits: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-logits)))


def draw_places(rng: np.random.Generator, shares: Array) -> NDArray[np.intp]:
    """A place for each row of probabilities."""
    return np.asarray((shares.cumsum(axis=1) < rng.random((len(shares), 1))).sum(axis=1))


def draw_split(task: Task, seed: int, sharpness: float = 3.0, rows: int = ROWS) -> tuple[list[str], Array]:
    """Labels drawn by true probabilities, and outputs whose logits are `sharpness` times too large."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(rows, task.width))
    if task.width == 1 or isinstance(task, MultiLabel):
        yes = rng.random(logits.shape) < sigmoid(logits)
        names = task.names[-task.width :]
        words = ["|".join(n for n, y in zip(names, row, strict=True) if y) for row in yes]
        return [word or "none" if task.width > 1 else word or "no" for word in words], sigmoid(sharpness * logits)
    labels = [task.names[place] for place in draw_places(rng, softmax(logits))]
    return labels, softmax(sharpness * logits).astype(np.float32)


@pytest.fixture(params=ASKING)
def fitted(request: pytest.FixtureRequest) -> Task:
    """A task that learnt on one split and was calibrated on another."""
    task = ASKING[request.param]
    return task.fit("task", draw_split(task, seed=1)[0]).calibrate(*draw_split(task, seed=2))


def sure_of(task: Task, outputs: Array) -> list[Answer]:
    return [answer for answer in task.decode(outputs) if not answer.unsure]


# --- Numbers


@pytest.mark.parametrize("sharpness", [3.0, 1.0, 0.5])
def test_a_temperature_undoes_a_known_miscalibration(sharpness: float) -> None:
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(ROWS, 4))
    truth = draw_places(rng, softmax(logits))

    assert fit_temperature(softmax(sharpness * logits).astype(np.float32), truth) == pytest.approx(sharpness, rel=0.08)


@pytest.mark.parametrize("sharpness", [3.0, 0.5])
def test_a_temperature_undoes_that_of_yes_and_no(sharpness: float) -> None:
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=ROWS)
    truth = (rng.random(ROWS) < sigmoid(logits)).astype(int)
    yes = sigmoid(sharpness * logits).astype(np.float32)

    assert fit_temperature(alternatives(yes), truth) == pytest.approx(sharpness, rel=0.1)


def test_few_rows_without_a_mistake_ask_for_no_extreme() -> None:
    probabilities = np.tile([0.9, 0.1], (20, 1))

    assert 0.3 < fit_temperature(probabilities, np.zeros(20, int)) < 1


def test_a_temperature_divides_logits() -> None:
    logits = np.array([[2.0, 0.0, -1.0]])

    assert temper(softmax(logits), 2.0) == pytest.approx(softmax(logits / 2))
    assert temper(alternatives(sigmoid(logits)), 4.0)[..., 1] == pytest.approx(sigmoid(logits / 4))
    assert temper(logits, 1.0) is logits


def test_certainty_itself_can_be_tempered() -> None:
    found = temper(alternatives(np.array([0.0, 1.0], np.float32)), 3.0)

    assert np.isfinite(found).all()
    assert found[0, 1] < 0.01 < 0.99 < found[1, 1]


def test_the_calibration_error_is_the_mean_gap_of_the_bins_weighted_by_their_answers() -> None:
    certainty = np.array([0.95, 0.97, 0.55, 0.58, 0.56, 1.0])
    right = np.array([1.0, 0, 1, 1, 0, 1])
    # Bins of 1/15: (.933, 1] holds 3 answers, (.533, .6] holds 3.
    sure, unsure = abs(2 / 3 - (0.95 + 0.97 + 1.0) / 3), abs(2 / 3 - (0.55 + 0.58 + 0.56) / 3)

    assert expected_calibration_error(certainty, right) == pytest.approx(3 / 6 * sure + 3 / 6 * unsure)
    bins = measure_reliability(certainty, right)
    assert len(bins) == 15
    assert [row["n"] for row in bins] == [0] * 8 + [3] + [0] * 5 + [3]
    assert bins[8] == {"n": 3, "probability": pytest.approx((0.55 + 0.58 + 0.56) / 3), "accuracy": pytest.approx(2 / 3)}
    assert bins[0] == {"n": 0, "probability": None, "accuracy": None}


@pytest.mark.parametrize(
    ("truth", "scores", "threshold"),
    [
        ([1, 1, 0, 0], [0.9, 0.3, 0.2, 0.1], (0.3 + 0.2) / 2),
        ([1, 1, 0, 0], [0.9, 0.8, 0.6, 0.1], (0.8 + 0.6) / 2),
        ([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1], 0.5),  # between .2 and .8 all are as good: the nearest to one half
        ([1, 0, 1], [0.1, 0.2, 0.3], 0.1 / 2),  # yes to all: 2 of 3, recall 1, F1 .8
        ([0, 0], [0.9, 0.1], 0.5),  # nothing to find
        ([1, 1], [0.2, 0.2], 0.1),
    ],
)
def test_a_threshold_gives_the_best_f1(truth: list[int], scores: list[float], threshold: float) -> None:
    assert choose_threshold(np.array(truth) == 1, np.array(scores)) == pytest.approx(threshold)


def test_accuracy_against_share_answered_has_a_point_for_every_certainty() -> None:
    certainty, right = np.array([0.6, 0.9, 0.9, 0.7]), np.array([0, 1, 1, 0])

    levels, shares, accuracies = measure_coverage(certainty, right, np.ones(4))

    assert levels.tolist() == [0.9, 0.7, 0.6]
    assert shares.tolist() == [2 / 4, 3 / 4, 4 / 4]
    assert accuracies.tolist() == [2 / 2, 2 / 3, 2 / 4]


@pytest.mark.parametrize(
    ("wanted", "below"),
    [
        (1.0, (0.9 + 0.7) / 2),  # only .9 is answered, both of them right
        (0.7, (0.6 + 0.5) / 2),  # .9, .7 and .6: 3 of 4
        (0.6, 0.0),  # all of them: 3 of 5
    ],
)
def test_unsure_is_what_would_make_answers_less_accurate_than_asked_for(wanted: float, below: float) -> None:
    certainty, right = np.array([0.9, 0.9, 0.7, 0.6, 0.5]), np.array([1, 1, 0, 1, 0])

    assert choose_unsure(certainty, right, np.ones(5), wanted) == pytest.approx(below)


def test_where_no_probability_gives_the_accuracy_everything_is_unsure() -> None:
    assert choose_unsure(np.array([0.9, 0.8]), np.array([0, 1]), np.ones(2), 0.9) == NEVER


def test_images_count_by_their_known_labels() -> None:
    certainty = np.array([[0.9, 0.6], [0.8, 0.7], [0.5, 0.5]])
    right = np.array([[1, 0], [np.nan, 1], [np.nan, np.nan]])

    sure, hits, known = known_images(certainty, right)

    assert (sure.tolist(), hits.tolist(), known.tolist()) == ([0.6, 0.7], [1, 1], [2, 1])


# --- Tasks


def test_every_kind_with_probabilities_is_tested() -> None:
    assert {task.kind for task in ASKING.values()} == {
        e.task.kind for e in EXAMPLES.values() if e.task.has_probabilities
    }


def test_a_calibrated_task_errs_less_in_its_probabilities_and_keeps_its_promise_elsewhere(fitted: Task) -> None:
    found = fitted.measure(*draw_split(fitted, seed=3))

    calibration = found["calibration"]
    assert calibration["calibrated_on"] == ROWS
    assert calibration["ece_after"] < 0.5 * calibration["ece_before"]
    assert 0.1 < found["answered"] < 1
    assert found["answered_accuracy"] == pytest.approx(calibration["answer_accuracy"], abs=0.03)
    assert found["answered_accuracy"] > found["accuracy"]


@pytest.mark.parametrize("name", ["categorical", "binary", "multilabel"])
def test_a_task_learns_the_temperature(name: str) -> None:
    task = ASKING[name].fit("task", draw_split(ASKING[name], seed=1)[0])

    assert vars(task.calibrate(*draw_split(task, seed=2)).fitted)["temperature"] == pytest.approx(3, rel=0.1)


def test_a_temperature_changes_no_answer(fitted: Task) -> None:
    outputs = draw_split(fitted, seed=3)[1]
    cool = fitted.uncalibrated().refitted(temperature=3.0)

    for before, after in zip(fitted.uncalibrated().decode(outputs), cool.decode(outputs), strict=True):
        assert before.label == after.label


def test_answers_figures_and_table_agree(fitted: Task) -> None:
    labels, outputs = draw_split(fitted, seed=3, rows=300)
    labels[::7] = [""] * len(labels[::7])
    known = [row for row, label in enumerate(labels) if label]

    answers = fitted.decode(outputs)
    found = evaluate_split({"task": fitted}, pd.DataFrame({"task": labels}), {"task": outputs})["tasks"]["task"]
    frame = answers_frame(labels, {"task": fitted}, {"task": outputs})

    assert frame["task.unsure"].tolist() == [answer.unsure for answer in answers]
    assert frame["task.probability"].tolist() == [answer.probability for answer in answers]
    sure = [row for row in known if not answers[row].unsure]
    assert found["answered"] == len(sure) / len(known)
    wrong = fitted.mistakes(labels, outputs) > 0
    if "exact_match" in found:
        assert found["exact_match"] == pytest.approx(1 - wrong.sum() / len(known))
    else:
        right = [answers[row].label == labels[row] for row in known]
        assert found["accuracy"] == pytest.approx(sum(right) / len(known))
        assert wrong.sum() == len(known) - sum(right)
        assert found["answered_accuracy"] == pytest.approx(np.mean([not wrong[row] for row in sure]))


def test_answers_carry_the_tasks_probabilities(fitted: Task) -> None:
    outputs = draw_split(fitted, seed=3, rows=50)[1]

    for answer, row in zip(fitted.decode(outputs), fitted.probabilities(outputs), strict=True):
        by_name = dict(zip(fitted.names, row.tolist(), strict=True))
        found = answer.to_dict()
        assert found.get("probabilities", by_name) == by_name
        assert found.get("top", []) == sorted(
            ([name, p] for name, p in by_name.items() if "top" in found), key=lambda pair: -pair[1]
        )


def test_one_image_is_answered_as_among_many(fitted: Task) -> None:
    outputs = draw_split(fitted, seed=3, rows=50)[1]

    assert [fitted.decode(outputs[row : row + 1])[0] for row in range(50)] == fitted.decode(outputs)


def test_unknown_labels_count_nowhere(fitted: Task) -> None:
    labels, outputs = draw_split(fitted, seed=2)
    labels[::3] = [""] * len(labels[::3])
    known = [row for row, label in enumerate(labels) if label]

    found = fitted.calibrate(labels, outputs)

    assert found == fitted.calibrate([labels[row] for row in known], outputs[known])
    assert found.measure(labels, outputs) == found.measure([labels[row] for row in known], outputs[known])
    assert vars(found.fitted)["calibrated_on"] == len(known)


def test_single_unknown_labels_count_nowhere() -> None:
    task = MultiLabel(labels=["a", "b"], threshold="best_f1", answer_accuracy=0.75).fit("t", ["a|b"])
    outputs = np.array([[0.9, 0.9], [0.8, 0.1], [0.3, 0.1], [0.2, 0.2]])

    found = task.calibrate(["a|?b", "a|?b", "a|?b", "?b"], outputs)

    assert found.state.thresholds == {"a": pytest.approx(found.probabilities(np.array([0.3, 0.2])).mean())}
    assert found.measure(["?a|?b", "a|?b"], outputs[:2])["answered_accuracy"] == 1 / 1


def test_without_labels_a_task_stays_as_it_was(fitted: Task) -> None:
    labels, outputs = draw_split(fitted, seed=2)
    plain = fitted.uncalibrated()

    assert fitted.calibrate([""] * ROWS, outputs) == plain
    assert fitted.calibrate(labels, np.full_like(outputs, np.nan)) == plain
    assert fitted.calibrate(labels[:0], outputs[:0]) == plain
    assert "calibration" not in plain.measure(labels, outputs)
    assert not any(answer.unsure for answer in plain.decode(outputs))


def test_calibrating_again_changes_nothing(fitted: Task) -> None:
    assert fitted.calibrate(*draw_split(fitted, seed=2)) == fitted


def test_a_calibrated_task_survives_json_and_older_ones_load(fitted: Task) -> None:
    adapter: TypeAdapter[Task] = TypeAdapter(StoredTask)
    stored = adapter.dump_python(fitted)
    later = {
        "temperature",
        "calibrated_on",
        "unsure_below",
        "answer_accuracy",
        "calibration",
        "threshold",
        "thresholds",
    }
    older = adapter.validate_python({key: value for key, value in stored.items() if key not in later})

    assert TypeAdapter(AnyTask).validate_json(fitted.model_dump_json()) == fitted
    assert adapter.validate_json(json.dumps(stored)).fitted == fitted.fitted
    assert older.uncalibrated() == older
    assert older.names == fitted.names


def test_probabilities_can_be_left_as_they_are() -> None:
    task = Categorical(classes=["a", "b", "c"], calibration="none").fit("t", ["a", "b", "c"])
    labels, outputs = draw_split(task, seed=2)

    found = task.calibrate(labels, outputs)

    assert found.state.temperature == 1
    assert found.decode(outputs) == task.decode(outputs)
    assert found.measure(labels, outputs)["calibration"]["ece_before"] > 0


def test_a_class_that_training_never_saw_is_an_answer_gone_wrong() -> None:
    task = Categorical(answer_accuracy=0.9).fit("t", ["a", "b"])
    outputs = np.array([[0.99, 0.01], [0.9, 0.1], [0.8, 0.2]])

    assert task.calibrate(["c", "a", "a"], outputs).state.unsure_below == NEVER
    assert task.calibrate(["c"], outputs[:1]) == task  # nothing to learn from


def test_a_task_that_cannot_reach_what_is_asked_answers_nothing() -> None:
    task = Binary(labels=["no", "yes"], answer_accuracy=0.9).fit("t", ["no", "yes"])

    found = task.calibrate(["no", "yes"], np.array([[0.9], [0.6]]))

    assert [answer.unsure for answer in found.decode(np.array([[1.0], [0.0]]))] == [True, True]
    measured = found.measure(["no", "yes"], np.array([[0.9], [0.6]]))
    assert (measured["answered"], measured["answered_accuracy"]) == (0, None)


def test_the_baseline_answers_as_before(fitted: Task) -> None:
    labels, outputs = draw_split(fitted, seed=3)

    assert fitted.measure(labels, outputs)["baseline"] == fitted.uncalibrated().measure(labels, outputs)["baseline"]


def test_a_number_carries_no_probability_and_is_never_unsure() -> None:
    task = Regression().fit("t", ["1", "2"])
    outputs: NDArray[np.float32] = np.array([[1.0], [5.0]], np.float32)

    assert task.calibrate(["1", "2"], outputs) is task
    assert not task.has_probabilities
    assert "calibration" not in task.measure(["1", "2"], outputs)


def test_intervals_are_stretched_until_they_hold_four_of_five_validation_labels() -> None:
    task = Regression(bins=10, unit="cm", minimum=0).fit("width", [str(number) for number in range(101)])
    truth = np.random.default_rng(0).normal(50, 10, 2000)
    labels = ["", *(f"{number:.6f}" for number in truth)]
    outputs = np.tile(np.array([50.0, 49, 51]), (len(labels), 1))  # far too sure
    before, after = task.measure(labels, outputs), task.calibrate(labels, outputs).measure(labels, outputs)
    assert before["interval_coverage"] < 0.1
    assert after["interval_coverage"] == pytest.approx(0.8, abs=0.01)
    assert after["interval_width"] == pytest.approx(2 * 1.2816 * 10, rel=0.05)  # a normal distribution's
    assert after["mae"] == before["mae"]
    assert after["baseline"]["interval_coverage"] == before["baseline"]["interval_coverage"]
    (answer,) = task.calibrate(labels, outputs).decode(np.array([[5.0, 4, 6]]))
    assert answer.to_dict()["interval"] == [0, pytest.approx(5 + after["interval_width"] / 2)]
    assert str(task.decode(outputs)[0]) == "50 cm (49 to 51)"
    assert task.calibrate(labels, outputs).uncalibrated() == task
    assert task.calibrate(labels[:10], outputs[:10]) == task  # too few to say
