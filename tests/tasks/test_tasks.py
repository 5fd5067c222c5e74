"""What every kind of task promises, and what each does of its own."""

import json

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from kinds import EXAMPLES, Example
from polyhead.errors import PolyheadError
from polyhead.tasks import KINDS, AnyTask, Binary, Categorical, MultiLabel, Ordinal, Regression, Task
from polyhead.tasks.rare_labels import weigh_labels


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest) -> Example:
    return EXAMPLES[request.param]


def perfect_outputs(task: Task, labels: list[str]) -> np.ndarray:
    """The outputs of a model that is always right; rows of unknown labels hold 0."""
    targets: np.ndarray = np.nan_to_num(task.encode(labels))
    one_hot: np.ndarray = np.eye(task.width)[targets[:, 0].astype(int) % task.width]
    if task.numeric:  # an interval is as narrow as can be
        return np.repeat(targets, task.width, axis=1)
    return targets if targets.shape[1] == task.width else one_hot


def test_every_kind_is_tested() -> None:
    assert {example.task.kind for example in EXAMPLES.values()} == set(KINDS)


def test_decoding_undoes_encoding(example: Example) -> None:
    task = example.task.fit("task", example.labels)
    answers = task.decode(perfect_outputs(task, example.labels))
    given = [answer.to_dict()["answer"] for answer in answers]
    known = [(found, wanted) for found, wanted in zip(given, example.answers, strict=True) if wanted]
    assert all(found == wanted for found, wanted in known)


@pytest.mark.parametrize("name", ["categorical", "sigmoids", "binary", "ordinal"])
def test_the_probabilities_of_classes_make_up_one_and_hold_the_answers_own(name: str) -> None:
    task = EXAMPLES[name].task.fit("task", EXAMPLES[name].labels)
    outputs = np.random.default_rng(0).dirichlet(np.ones(max(task.width, 2)), 5)[:, : task.width]
    probabilities = task.probabilities(outputs)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(5))
    for answer, row in zip(task.decode(outputs), probabilities, strict=True):
        assert answer.probability == pytest.approx(row[task.names.index(answer.label)])


def test_what_speaks_for_a_label_is_its_log_odds_and_for_a_number_itself(example: Example) -> None:
    task = example.task.fit("task", example.labels)
    outputs = np.random.default_rng(0).dirichlet(np.ones(max(task.width, 2)), 5)[:, : task.width]
    for answer in task.decode(outputs):
        assert answer.main_label in (task.names or (None,))
    for index, label in enumerate(task.names):
        assert 1 / (1 + np.exp(-task.evidence(outputs, label))) == pytest.approx(task.probabilities(outputs)[:, index])
    if not task.names:
        assert task.evidence(outputs, None) == pytest.approx(outputs[:, 0])
    assert np.isfinite(task.evidence(np.eye(max(task.width, 2))[:, : task.width], (*task.names, None)[0])).all()


def test_unknown_labels_are_unknown_targets(example: Example) -> None:
    task = example.task.fit("task", example.labels)
    targets = task.encode(example.labels)
    assert targets.dtype == np.float32
    assert [bool(np.isnan(row).all()) for row in targets] == [label == "" for label in example.labels]


def test_a_model_that_is_always_right_measures_perfect_and_beats_the_baseline(example: Example) -> None:
    task = example.task.fit("task", example.labels)
    found = task.measure(example.labels, perfect_outputs(task, example.labels))
    assert found["n"] == len(example.labels) - 1
    best = {"accuracy": 1.0, "macro_f1": 1.0, "r2": 1.0, "mae": 0.0}
    figures = {key: value for key, value in best.items() if key in found}
    assert figures
    assert {key: found[key] for key in figures} == pytest.approx(figures)
    assert all(found["baseline"][key] != value for key, value in figures.items())
    json.dumps(found, allow_nan=False)


def test_unknown_labels_count_nowhere(example: Example) -> None:
    task = example.task.fit("task", example.labels)
    outputs = np.random.default_rng(0).dirichlet(np.ones(max(task.width, 2)), len(example.labels))[:, : task.width]
    known = [row for row, label in enumerate(example.labels) if label]
    without = task.measure([example.labels[row] for row in known], outputs[known])
    assert task.measure(example.labels, outputs) == without
    assert np.isnan(task.mistakes(example.labels, outputs)).tolist() == [label == "" for label in example.labels]


def test_no_label_at_all_is_a_result_and_not_a_failure(example: Example) -> None:
    task = example.task.fit("task", example.labels)
    assert task.measure(["", ""], np.zeros((2, task.width))) == {"kind": task.kind, "n": 0}


def test_a_training_split_without_labels_is_refused(example: Example) -> None:
    with pytest.raises(PolyheadError, match=r"tasks\.color: no row of the training split has a label"):
        example.task.fit("color", ["", ""])


def test_a_task_survives_json(example: Example) -> None:
    task = example.task.fit("task", example.labels)
    assert TypeAdapter(AnyTask).validate_json(task.model_dump_json()) == task


@pytest.mark.parametrize(
    ("task", "cells", "label"),
    [
        (Categorical(values={"0": "male", "1": "female"}), ["1"], "female"),
        (Categorical(values={"0": "male", "1": "female"}), ["3"], "expected 0, 1; got '3'"),
        (Categorical(classes=["a", "b"]), [" a "], "a"),
        (Categorical(classes=["a", "b"]), ["c"], "expected a, b; got 'c'"),
        (Categorical(blank=["NA"]), ["NA"], ""),
        (Regression(minimum=0, maximum=116), ["26"], "26"),
        (Regression(minimum=0, maximum=116), ["200"], "expected a number from 0 to 116; got 200"),
        (Regression(), ["old"], "expected a number; got 'old'"),
        (Regression(), ["nan"], "expected a number from -inf to inf; got nan"),
        (MultiLabel(separator=";"), ["b; a"], "a|b"),
        (MultiLabel(labels=["b", "a"]), ["a|?b"], "?b|a"),
        (MultiLabel(labels=["a", "b"]), ["a|c"], "expected a, b; got 'c'"),
        (MultiLabel(labels=["a", "b"]), ["none"], "none"),
        (MultiLabel(from_columns=["hat", "tie"]), ["1", "-1"], "hat"),
        (MultiLabel(from_columns=["hat", "tie"]), ["yes", ""], "hat|?tie"),
        (MultiLabel(from_columns=["hat", "tie"], blank=["NA"]), ["yes", "NA"], "hat|?tie"),
        (MultiLabel(from_columns=["hat", "tie"]), ["", ""], ""),
        (MultiLabel(from_columns=["hat", "tie"]), ["0", "0"], "none"),
        (MultiLabel(from_columns=["hat", "tie"]), ["x", "0"], "expected 1, 0, yes or no in column hat; got 'x'"),
    ],
)
def test_labels_are_read_from_the_text_of_a_source(task: Task, cells: list[str], label: str) -> None:
    if label.startswith("expected"):
        with pytest.raises(ValueError, match="expected") as error:
            task.read(*cells)
        assert str(error.value) == label
    else:
        assert task.read(*cells) == label


@pytest.mark.parametrize(
    ("task", "labels", "message"),
    [
        (Binary(), ["a", "b", "c"], "tasks.t: binary needs two labels; the training split has a, b, c"),
        (Binary(), ["a"], "declare both in `labels`"),
        (Ordinal(), ["low", "high"], "tasks.t.levels: give the levels, lowest first; found high, low"),
        (Ordinal(levels=["a"]), ["a"], "two levels or more are needed"),
        (Regression(scale="max"), ["-1", "-2"], "tasks.t.scale: max needs a label above 0; the largest is -1"),
        (MultiLabel(), ["none"], "declare `labels`"),
    ],
)
def test_labels_that_cannot_be_learnt_from_are_refused(task: Task, labels: list[str], message: str) -> None:
    with pytest.raises(PolyheadError) as error:
        task.fit("t", labels)
    assert message in str(error.value)


def test_a_class_that_training_never_saw_counts_as_missed() -> None:
    task = Categorical().fit("t", ["a", "b"])
    found = task.measure(["a", "c"], np.array([[0.9, 0.1], [0.2, 0.8]]))
    assert found["accuracy"] == 1 / 2
    assert found["per_class"]["c"] == {"precision": 0, "recall": 0, "f1": 0, "support": 1}
    assert found["not_in_training"] == ["c"]
    assert found["macro_f1"] == pytest.approx((1 + 0 + 0) / 3)


def test_single_labels_of_a_row_can_be_unknown() -> None:
    task = MultiLabel(labels=["a", "b"]).fit("t", ["a|?b", "b"])
    assert np.array_equal(
        task.encode(["a|?b", "b", "none", ""]), np.array([[1, np.nan], [0, 1], [0, 0], [np.nan] * 2]), True
    )
    found = task.measure(["a|?b", "b"], np.array([[0.9, 0.1], [0.2, 0.1]]))
    assert found["per_label"]["a"]["accuracy"] == 2 / 2
    assert (found["per_label"]["b"]["n"], found["per_label"]["b"]["accuracy"]) == (1, 0 / 1)


def test_numbers_are_measured_in_their_unit_and_by_range() -> None:
    task = Regression(unit="years", scale="max", ranges=[10, 20]).fit("age", ["5", "10", "100"])
    found = task.measure(["5", "10", "30"], np.array([[6.0], [12.0], [27.0]]))
    assert found["mae"] == pytest.approx((1 + 2 + 3) / 3)
    assert [(row["range"], row["n"], row["mae"]) for row in found["by_range"]] == [
        ("<10", 1, 1.0),
        ("10-20", 1, 2.0),
        ("20+", 1, 3.0),
    ]
    assert found["baseline"]["answer"] == 10
    assert found["baseline"]["mae"] == pytest.approx((5 + 0 + 20) / 3)


def test_the_baseline_answers_the_most_frequent_training_label() -> None:
    task = Categorical().fit("t", ["a", "b", "b"])
    found = task.measure(["a", "a", "b"], np.array([[1, 0], [1, 0], [0, 1]]))
    assert found["baseline"]["answer"] == "b"
    assert found["baseline"]["accuracy"] == pytest.approx(1 / 3)


def test_an_ordinal_answer_is_the_median_level_and_errs_in_ranks() -> None:
    task = Ordinal(levels=["S", "M", "L"]).fit("t", ["S", "M", "L"])
    outputs = np.array([[0.4, 0.25, 0.35], [0.9, 0.05, 0.05]])
    assert [answer.label for answer in task.decode(outputs)] == ["M", "S"]
    assert task.measure(["L", "L"], outputs)["mae"] == (1 + 2) / 2


@pytest.mark.parametrize(
    ("counts", "way", "weights"),
    [
        ([3, 1], "none", [1, 1]),
        ([3, 1], "balanced", [4 / (2 * 3), 4 / (2 * 1)]),
        ([6, 2, 0], "balanced", [8 / (2 * 6), 8 / (2 * 2), 1]),  # a label without rows weighs 1 and changes nothing
        ([0, 0], "balanced", [1, 1]),
        # Effective numbers of 1 and 2 rows at beta 1/2: 1 and 1.5. 1/1 and 1/1.5, scaled to (1 x a + 2 x b) / 3 = 1.
        ([1, 2], "effective_number", [1 * 3 / (1 + 2 / 1.5), 1 / 1.5 * 3 / (1 + 2 / 1.5)]),
    ],
)
def test_class_weights_have_a_mean_of_one_over_the_rows(counts: list[int], way: str, weights: list[float]) -> None:
    found = weigh_labels(counts, way, 0.5)
    assert found == pytest.approx(weights)
    assert np.dot(found, counts) == pytest.approx(sum(counts))


def test_effective_numbers_lie_between_no_weights_and_balanced_ones() -> None:
    counts = [1000, 10]
    assert weigh_labels(counts, "effective_number", 0.0) == pytest.approx([1, 1])
    assert weigh_labels(counts, "effective_number", 1 - 1e-9) == pytest.approx(weigh_labels(counts, "balanced", 0))


def test_rare_classes_are_one_class_in_the_answer_and_in_the_truth() -> None:
    task = Categorical(min_count=2).fit("t", ["a", "a", "b", "c", "a", "d", "d", ""])
    assert task.names == ("a", "d", "other")
    assert task.counts == {"a": 3, "d": 2, "other": 2}
    assert task.encode(["b", "other", "d", "", "never seen"])[:, 0].tolist() == pytest.approx(
        [2, 2, 1, np.nan, 2], nan_ok=True
    )
    found = task.measure(["b", "never seen", "d", ""], np.array([[0, 0, 1], [0, 0, 1], [1, 0, 0], [1, 0, 0]]))
    assert (found["n"], found["accuracy"]) == (3, pytest.approx(2 / 3))
    assert found["per_class"]["other"]["support"] == 2
    assert found["rare"] == {"counted_as": "other", "labels": ["b", "c"]}
    assert "not_in_training" not in found
    assert task.mistakes(["b"], np.array([[0.1, 0.2, 0.7]])).tolist() == [0]
    assert task.distribution(["b", "c", "a"]) == {"a": 1, "other": 2}


def test_rare_classes_can_be_left_out_as_if_they_were_blank() -> None:
    task = Categorical(min_count=2, rare="unknown").fit("t", ["a", "a", "b", "d", "d"])
    assert (task.names, task.counts) == (("a", "d"), {"a": 2, "d": 2})
    assert np.isnan(task.encode(["b", "never seen", ""])).all()
    found = task.measure(["a", "d", "b", "never seen"], np.array([[1, 0]] * 4))
    assert (found["n"], found["accuracy"], found["rare"]["counted_as"]) == (2, 1 / 2, "unknown")
    assert np.isnan(task.mistakes(["b"], np.array([[1.0, 0.0]]))).all()


def test_nothing_is_merged_where_no_class_is_rare() -> None:
    task = Categorical(min_count=2, classes=["a", "b", "c"]).fit("t", ["a", "a", "b", "b"])
    assert task.names == ("a", "b", "c")  # c, which training never saw, has no rows to learn `other` from
    assert task.measure(["c"], np.array([[1, 0, 0]]))["accuracy"] == 0


def test_a_class_called_other_takes_the_rare_ones_in() -> None:
    task = Categorical(min_count=2).fit("t", ["a", "a", "b", "other", "c", "c"])
    assert task.counts == {"a": 2, "c": 2, "other": 2}


def test_rare_labels_of_a_row_are_one_label_that_is_unknown_where_it_must_be() -> None:
    labels = ["a|b|c", "a|d", "a|?c", "none", "?a", "b"]
    task = MultiLabel(min_count=2).fit("t", labels)
    assert task.names == ("a", "b", "other")
    assert np.array_equal(
        task.encode(["a|c", "?c", "b|?c|d", "none", ""]),
        np.array([[1, 0, 1], [0, 0, np.nan], [0, 1, 1], [0, 0, 0], [np.nan] * 3]),
        equal_nan=True,
    )
    assert (task.counts, task.state.known) == ({"a": 3, "b": 2, "other": 2}, {"a": 5, "b": 6, "other": 5})
    without = MultiLabel(min_count=2, rare="unknown").fit("t", labels)
    assert without.encode(["a|c", "?c"]).tolist() == [[1, 0], [0, 0]]


def test_merged_labels_from_columns_survive_json() -> None:
    task = MultiLabel(from_columns=["hat", "tie", "bow"], min_count=2).fit("t", ["hat", "hat|tie", "bow", "none"])
    assert task.names == ("hat", "other")
    assert TypeAdapter(AnyTask).validate_json(task.model_dump_json()) == task


@pytest.mark.parametrize(
    ("task", "labels", "message"),
    [
        (
            Categorical(min_count=9),
            ["a", "a", "b"],
            "tasks.t.min_count: 9 leaves 1 label; lower it (the most frequent has 2",
        ),
        (Categorical(min_count=9, rare="unknown"), ["a", "b"], "tasks.t.min_count: 9 leaves no label; lower it"),
        (MultiLabel(min_count=9, rare="unknown"), ["a", "b"], "tasks.t.min_count: 9 leaves no label; lower it"),
    ],
)
def test_a_count_that_leaves_too_few_labels_is_refused(task: Task, labels: list[str], message: str) -> None:
    with pytest.raises(PolyheadError) as error:
        task.fit("t", labels)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "categorical", "focusing": 3}, "focusing has an effect with `loss: focal` only"),
        ({"kind": "categorical", "beta": 0.9}, "beta has an effect with `class_weight: effective_number` only"),
        ({"kind": "multilabel", "margin": 0.1}, "margin has an effect with `loss: asymmetric` only"),
        (
            {"kind": "multilabel", "loss": "cosine", "class_weight": "balanced"},
            "class_weight has no effect with `loss: cosine`",
        ),
        ({"kind": "categorical", "rare": "unknown"}, "rare has an effect with a min_count above 0 only"),
    ],
)
def test_a_setting_without_effect_is_a_mistake(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        TypeAdapter(AnyTask).validate_python(fields)
    assert message in str(error.value)


def test_a_sampler_sees_labels_places_and_ranges_as_strata() -> None:
    assert Categorical().fit("t", ["a", "b"]).strata(["b", ""])[:, 0].tolist() == pytest.approx(
        [1, np.nan], nan_ok=True
    )
    assert MultiLabel(labels=["a", "b"]).fit("t", ["a"]).strata(["a|?b"])[0].tolist() == pytest.approx(
        [1, np.nan], nan_ok=True
    )
    ages = Regression(ranges=[10, 20]).fit("t", ["5", "30"])
    assert ages.strata(["9", "10", "99", ""])[:, 0].tolist() == pytest.approx([0, 1, 2, np.nan], nan_ok=True)


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("categorical", [1, 0, 0], [0, 0, 1]),
        ("binary", [1, 0], [0, 1]),
        ("multilabel", [0, 1, 1], [0, 0, 1]),
        ("ordinal", [1, 0, 0], [0, 0, 1]),
        ("regression", [0.0], [50.0]),
    ],
)
def test_answers_that_differ_wholly_are_1_apart(name: str, first: list[float], second: list[float]) -> None:
    task = EXAMPLES[name].task.fit("task", EXAMPLES[name].labels)
    places = task.positions(np.array([first, second] * 20, float))
    assert np.linalg.norm(places[0] - places[1]) == pytest.approx(1)


def test_a_level_between_two_others_lies_between_them() -> None:
    assert Ordinal(levels=["S", "M", "L"]).positions(np.eye(3))[:, 0].tolist() == [0, 0.5, 1]
