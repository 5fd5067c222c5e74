"""The Keras half of every kind: what a loss counts, and what it leaves out."""

import numpy as np
import pytest
from keras import ops

from kinds import EXAMPLES, Example
from polyhead.tasks import KINDS, Binary, Categorical, MultiLabel, Ordinal, Regression
from polyhead.training.heads import HEADS, Head


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest) -> Example:
    return EXAMPLES[request.param]


def head_of(example: Example) -> Head:
    return HEADS[example.task.kind](example.task.fit("task", example.labels))


def mean_loss(head: Head, targets: np.ndarray, logits: np.ndarray) -> float:
    values, known = head.loss(ops.convert_to_tensor(targets), ops.convert_to_tensor(logits.astype("float32")))
    return float(ops.sum(values * known) / ops.sum(known))


def test_every_kind_has_a_head() -> None:
    assert set(HEADS) == set(KINDS)


def test_outputs_are_what_the_task_decodes(example: Example) -> None:
    head = head_of(example)
    logits = np.random.default_rng(0).normal(size=(6, head.units)).astype("float32")
    outputs = ops.convert_to_numpy(head.activate(ops.convert_to_tensor(logits)))
    assert outputs.shape == (6, head.task.width)
    assert len(head.task.decode(outputs)) == 6


def test_a_right_answer_costs_less_than_a_wrong_one(example: Example) -> None:
    head = head_of(example)
    targets = head.task.encode(example.labels)
    rng = np.random.default_rng(0)
    tries = [rng.normal(size=(len(example.labels), head.units)) * 4 for _ in range(200)]
    scores = [
        np.nansum(head.task.mistakes(example.labels, ops.convert_to_numpy(head.activate(ops.convert_to_tensor(t)))))
        for t in tries
    ]
    costs = [mean_loss(head, targets, t) for t in tries]
    assert costs[int(np.argmin(scores))] < np.median(costs) < costs[int(np.argmax(scores))]


def test_unknown_labels_are_neither_in_the_loss_nor_in_its_denominator(example: Example) -> None:
    head = head_of(example)
    targets = head.task.encode(example.labels)
    logits = np.random.default_rng(1).normal(size=(len(targets), head.units))
    known = [row for row, label in enumerate(example.labels) if label]
    assert mean_loss(head, targets, logits) == pytest.approx(mean_loss(head, targets[known], logits[known]), rel=1e-6)


def test_scores_are_finite_and_count_known_labels_only(example: Example) -> None:
    head = head_of(example)
    targets = ops.convert_to_tensor(head.task.encode(example.labels))
    for values, known in head.scores(targets, ops.zeros((len(example.labels), head.units))).values():
        assert np.isfinite(ops.convert_to_numpy(values)).all()
        assert set(ops.convert_to_numpy(known).ravel()) <= {0.0, 1.0}
        assert ops.convert_to_numpy(known)[2].sum() == 0  # the third label of every example is blank


def test_softmax_cross_entropy_is_minus_the_logarithm_of_the_share() -> None:
    head = HEADS["categorical"](Categorical().fit("t", ["a", "b"]))
    logits = np.array([[2.0, 0.0], [1.0, 3.0], [9.0, 9.0]])
    expected = -(np.log(np.exp(2) / (np.exp(2) + 1)) + np.log(np.exp(1) / (np.exp(1) + np.exp(3)))) / 2
    assert mean_loss(head, np.array([[0], [0], [np.nan]], "float32"), logits) == pytest.approx(expected, rel=1e-6)


def test_sigmoids_cost_the_mean_over_units() -> None:
    head = HEADS["categorical"](Categorical(activation="sigmoid").fit("t", ["a", "b"]))
    expected = (np.log(1 + np.exp(-2)) + np.log(1 + np.exp(1))) / 2
    assert mean_loss(head, np.array([[0]], "float32"), np.array([[2.0, 1.0]])) == pytest.approx(expected, rel=1e-6)


def test_a_blank_label_of_a_row_leaves_its_others_in() -> None:
    head = HEADS["multilabel"](MultiLabel(labels=["a", "b"]).fit("t", ["a", "b"]))
    expected = np.log(1 + np.exp(-2))
    assert mean_loss(head, np.array([[1, np.nan]], "float32"), np.array([[2.0, 5.0]])) == pytest.approx(
        expected, rel=1e-6
    )


def test_corn_teaches_passing_a_level_only_where_it_was_reached() -> None:
    head = HEADS["ordinal"](Ordinal(levels=["S", "M", "L"]).fit("t", ["S", "M", "L"]))
    # S: not above S. M: above S, not above M. The second logit of S is conditional on being above S: left out.
    expected = (np.log(1 + np.exp(1)) + np.log(1 + np.exp(-1)) + np.log(1 + np.exp(2))) / 3
    assert mean_loss(head, np.array([[0], [1]], "float32"), np.array([[1.0, 7.0], [1.0, 2.0]])) == pytest.approx(
        expected, rel=1e-6
    )


def test_ordinal_outputs_are_the_probabilities_of_the_levels() -> None:
    head = HEADS["ordinal"](Ordinal(levels=["S", "M", "L"]).fit("t", ["S", "M", "L"]))
    above_s, above_m = 0.8, 0.8 * 0.5
    logits = np.array([[np.log(0.8 / 0.2), 0.0]], "float32")
    outputs = ops.convert_to_numpy(head.activate(ops.convert_to_tensor(logits)))
    assert outputs[0] == pytest.approx([1 - above_s, above_s - above_m, above_m], abs=1e-6)


def test_binary_gives_the_probability_of_the_second_label() -> None:
    head = HEADS["binary"](Binary(labels=["no", "yes"]).fit("t", ["no", "yes"]))
    outputs = ops.convert_to_numpy(head.activate(ops.convert_to_tensor(np.array([[np.log(3.0)]], "float32"))))
    answer = head.task.decode(outputs)[0]
    assert answer.label == "yes"
    assert answer.probability == pytest.approx(3 / 4)


def test_a_number_with_bins_is_their_expectation_and_its_interval_their_quantiles() -> None:
    head = HEADS["regression"](Regression(bins=5).fit("t", ["0", "4"]))  # bins of width 1 around 0 to 4
    shares = np.array([[0.0, 0.2, 0.6, 0.2, 0.0], [0.4, 0.1, 0.0, 0.1, 0.4]])
    logits = np.log(np.maximum(shares, 1e-30)).astype("float32")
    outputs = ops.convert_to_numpy(head.activate(ops.convert_to_tensor(logits)))
    # Half of the second bin, which reaches from 0.5 to 1.5, is a tenth; a quarter of the first is, of the other row.
    np.testing.assert_allclose(outputs, np.array([[2, 1, 3], [2, -0.25, 4.25]]), atol=1e-4)


def test_a_number_with_bins_costs_a_cross_entropy_and_the_error_of_its_expectation() -> None:
    head = HEADS["regression"](Regression(bins=3, loss="mae", scale="none").fit("t", ["10", "12"]))
    falls = np.exp(-np.array([1, 0, 1]) / 2)
    target = falls / falls.sum()
    logits = np.array([[0.0, 0.0, 50.0]])
    expected = -(target * np.log([np.exp(-50), np.exp(-50), 1])).sum() + abs(12 - 11)
    assert mean_loss(head, np.array([[11]], "float32"), logits) == pytest.approx(expected, rel=1e-5)


def test_answers_are_nearest_to_a_teachers_where_they_are_the_same(example: Example) -> None:
    head = head_of(example)
    rng = np.random.default_rng(0)
    logits = ops.convert_to_tensor(rng.normal(size=(8, head.units)).astype("float32"))
    outputs = head.activate(logits)

    def cost(other: np.ndarray) -> float:
        return float(ops.mean(head.compare(outputs, ops.convert_to_tensor(other.astype("float32")), 2.0)))

    own = ops.convert_to_numpy(logits)
    costs = [cost(own + size * rng.normal(size=own.shape)) for size in (0.0, 0.1, 1.0, 4.0)]
    assert costs == sorted(costs)
    assert costs[-1] > costs[0] + 0.1
