"""Losses of labels: their arithmetic, what they become at their neutral settings, and what class weights do to them."""

import math
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from kinds import EXAMPLES, Example
from polyhead.tasks import Binary, Categorical, MultiLabel, Ordinal, Task
from polyhead.training.heads import HEADS, Head
from polyhead.training.losses import asymmetric, class_loss, cosine, focal, focal_classes, smooth, yes_no_loss


def numbers(values: object) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(values))


def tensor(values: Any) -> Any:
    return ops.convert_to_tensor(np.array(values, "float32"))


LOGITS = tensor(np.random.default_rng(0).normal(size=(50, 4)) * 3)
YES_NO = tensor(np.random.default_rng(1).random((50, 4)) < 0.4)
CLASSES = tensor(np.eye(4)[np.random.default_rng(2).integers(0, 4, 50)])


def sigmoid(number: float) -> float:
    return 1 / (1 + math.exp(-number))


def total(task: Task, labels: list[str], targets: list[list[float]], logits: list[list[float]]) -> tuple[float, float]:
    """The sums of a learnt task's loss and of what it is divided by."""
    head = HEADS[task.kind](task.fit("task", labels))
    values, known = head.loss(tensor(targets), tensor(logits))
    counts = known * head.weights(tensor(targets))
    return float(numbers(ops.sum(values * counts))), float(numbers(ops.sum(counts)))


def test_focal_loss_without_focusing_is_cross_entropy() -> None:
    expected = ops.binary_crossentropy(YES_NO, LOGITS, from_logits=True)
    np.testing.assert_allclose(numbers(focal(YES_NO, LOGITS, 0.0)), numbers(expected), rtol=1e-4, atol=1e-6)
    expected = ops.categorical_crossentropy(CLASSES, LOGITS, from_logits=True)
    np.testing.assert_allclose(numbers(focal_classes(CLASSES, LOGITS, 0.0))[:, 0], numbers(expected), rtol=1e-4)


def test_focal_loss_is_cross_entropy_times_a_power_of_the_doubt() -> None:
    p = sigmoid(1.5)
    found = numbers(focal(tensor([[1.0, 0.0]]), tensor([[1.5, 1.5]]), 2.0))
    assert found[0] == pytest.approx([-((1 - p) ** 2) * math.log(p), -(p**2) * math.log(1 - p)], rel=1e-5)
    p = math.exp(1.5) / (math.exp(1.5) + math.exp(0.5))
    found = numbers(focal_classes(tensor([[1.0, 0.0]]), tensor([[1.5, 0.5]]), 2.0))
    assert found[0] == pytest.approx([-((1 - p) ** 2) * math.log(p)], rel=1e-5)


def test_asymmetric_loss_without_exponents_and_margin_is_cross_entropy() -> None:
    expected = ops.binary_crossentropy(YES_NO, LOGITS, from_logits=True)
    found = asymmetric(YES_NO, LOGITS, (0.0, 0.0), 0.0)
    np.testing.assert_allclose(numbers(found), numbers(expected), rtol=1e-4, atol=1e-6)


def test_asymmetric_loss_tones_down_yes_and_no_apart_and_forgets_easy_noes() -> None:
    p = sigmoid(-1.0)
    found = numbers(asymmetric(tensor([[1.0, 0.0, 0.0]]), tensor([[-1.0, -1.0, -4.0]]), (1.0, 4.0), 0.05))
    hard_no = -((p - 0.05) ** 4) * math.log(1 - (p - 0.05))
    assert sigmoid(-4.0) < 0.05
    assert found[0] == pytest.approx([-(1 - p) * math.log(p), hard_no, 0.0], rel=1e-4, abs=1e-9)


def test_cosine_loss_is_one_less_the_cosine_over_the_known_labels() -> None:
    logits = tensor([[0.0, math.log(3.0), 5.0]])  # sigmoids 1/2, 3/4 and one that is not to be seen
    values, known = cosine(tensor([[1.0, 0.0, 0.0]]), logits, tensor([[1.0, 1.0, 0.0]]))
    assert numbers(values)[0, 0] == pytest.approx(1 - 0.5 / math.hypot(0.5, 0.75), rel=1e-5)
    assert numbers(known).tolist() == [[1.0]]


def test_a_row_without_a_yes_has_no_direction_and_one_without_a_known_label_does_not_count() -> None:
    truth, known = tensor([[0.0, 0.0], [0.0, 0.0]]), tensor([[1.0, 1.0], [0.0, 0.0]])
    values, counts = cosine(truth, tensor([[1.0, 1.0], [1.0, 1.0]]), known)
    assert numbers(values)[0].tolist() == [1.0]
    assert numbers(counts).tolist() == [[1.0], [0.0]]


def test_smoothing_spreads_a_share_evenly_over_all_ways() -> None:
    assert numbers(smooth(tensor([[0.0, 1.0, 0.0, 0.0]]), 0.2, 4))[0] == pytest.approx([0.05, 0.85, 0.05, 0.05])
    p = sigmoid(2.0)
    found = numbers(yes_no_loss(Binary(label_smoothing=0.1), tensor([[1.0]]), tensor([[2.0]])))
    assert found[0, 0] == pytest.approx(-0.95 * math.log(p) - 0.05 * math.log(1 - p), rel=1e-5)
    logs = [2.0 - math.log(math.exp(2) + 2), -math.log(math.exp(2) + 2)]
    task = Categorical(label_smoothing=0.3)
    found = numbers(class_loss(task, tensor([[1.0, 0, 0]]), tensor([[2.0, 0, 0]])))
    assert found[0, 0] == pytest.approx(-0.8 * logs[0] - 2 * 0.1 * logs[1], rel=1e-5)


class Logits(keras.Model):
    """A network that is nothing but its logits: a step of size 1 against a head's loss shows their gradient."""

    def __init__(self, head: Head, logits: np.ndarray) -> None:
        super().__init__()
        self.head = head
        self.logits = self.add_weight(
            shape=logits.shape, initializer=lambda shape, dtype: ops.convert_to_tensor(logits)
        )
        self.built = True

    def call(self, x: Any) -> Any:
        return self.logits + 0 * x

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        values, known = self.head.loss(y, y_pred)
        counts = known * self.head.weights(y)
        return ops.sum(values * counts) / ops.sum(counts)


def gradient(head: Head, targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    logits = logits.astype("float32")
    model = Logits(head, logits)
    model.compile(optimizer=keras.optimizers.SGD(1.0), run_eagerly=True)
    model.train_on_batch(np.zeros(logits.shape, "float32"), targets)
    found: np.ndarray = logits - numbers(model.logits)
    return found


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest) -> Example:
    return EXAMPLES[request.param]


def test_blank_rows_have_no_gradient_and_leave_that_of_the_others_as_it_is(example: Example) -> None:
    head = HEADS[example.task.kind](example.task.fit("task", example.labels))
    targets = head.task.encode(example.labels)
    logits = np.random.default_rng(0).normal(size=(len(targets), head.units))
    known = [row for row, label in enumerate(example.labels) if label]
    found = gradient(head, targets, logits)
    np.testing.assert_allclose(found[known], gradient(head, targets[known], logits[known]), rtol=1e-4, atol=1e-6)
    assert np.abs(found[2]).max() == 0  # the third label of every example is blank
    assert np.abs(found[known]).max() > 0.01


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "asymmetric", "cosine"])
def test_a_blank_label_within_a_row_is_as_if_the_row_had_one_label_less(loss: str) -> None:
    def head_of(labels: list[str]) -> Head:
        given = {"labels": labels, "loss": loss, "class_weight": "none" if loss == "cosine" else "balanced"}
        return HEADS["multilabel"](MultiLabel.model_validate(given).fit("t", ["a", "a|b", "b", "none"]))

    targets = np.array([[1, np.nan, 0]], "float32")
    logits = np.array([[0.3, 5.0, -0.2]])
    found = gradient(head_of(["a", "x", "b"]), targets, logits)
    expected = gradient(head_of(["a", "b"]), targets[:, [0, 2]], logits[:, [0, 2]])
    np.testing.assert_allclose(found[:, [0, 2]], expected, rtol=1e-4, atol=1e-6)
    assert found[0, 1] == 0


@pytest.mark.parametrize("focusing", [0.0, 0.5, 2.0])
@pytest.mark.parametrize(
    "task",
    [
        MultiLabel(labels=["a", "b", "c", "d"], loss="focal"),
        MultiLabel(labels=["a", "b", "c", "d"], loss="asymmetric", margin=0.3),
        MultiLabel(labels=["a", "b", "c", "d"], loss="asymmetric", margin=0.0),
        MultiLabel(labels=["a", "b", "c", "d"], loss="cosine"),
        Categorical(classes=["a", "b", "c", "d"], loss="focal"),
    ],
    ids=lambda task: f"{task.kind} {task.loss}",
)
def test_gradients_are_numbers_however_sure_the_network_is(task: Task, focusing: float) -> None:
    field = {"focal": "focusing", "asymmetric": "focusing_no"}.get(getattr(task, "loss", ""))
    given = task.model_copy(update={field: focusing} if field else {})
    head = HEADS[task.kind](given.fit("task", ["a", "b"]))
    targets = head.task.encode(["a", "b"])
    logits = np.array([[-100.0, 100.0, 0.0, 30.0]] * 2)
    values, _ = head.loss(tensor(targets), tensor(logits))
    assert np.isfinite(numbers(values)).all()
    assert np.isfinite(gradient(head, targets, logits)).all()


def test_a_label_of_weight_w_counts_as_w_labels() -> None:
    # a: 3 rows, b: 1. balanced: 4 / (2 x 3) and 4 / (2 x 1).
    rows, costs = ["a", "a", "a", "b"], (math.log(1 + math.exp(-1)), math.log(1 + math.exp(1)))
    summed, counts = 4 / 6 * costs[0] + 4 / 2 * costs[1], 4 / 6 + 4 / 2
    expected = pytest.approx((summed, counts), rel=1e-5)
    assert total(Categorical(class_weight="balanced"), rows, [[0], [1]], [[1.0, 0.0]] * 2) == expected
    assert total(Binary(class_weight="balanced"), rows, [[0], [1]], [[-1.0]] * 2) == expected


def test_a_levels_weight_is_on_each_of_the_thresholds_that_it_reaches() -> None:
    # S, of 2 rows, reaches one threshold (above S?); L, of 1 row, two.
    cost, task = math.log(2), Ordinal(levels=["S", "M", "L"], class_weight="balanced")
    found = total(task, ["S", "S", "M", "L"], [[0], [2]], [[0.0, 0.0]] * 2)
    counts = 1 * 4 / (3 * 2) + 2 * 4 / (3 * 1)
    assert found == pytest.approx((counts * cost, counts), rel=1e-5)


def test_a_multilabel_task_weighs_yes_and_no_of_each_label_by_the_rows_that_know_it() -> None:
    # a: 1 yes, 3 no. b: 1 yes, 1 no, unknown in two rows.
    cost, labels = math.log(2), ["a|b", "none", "?b", "?b"]
    found = total(MultiLabel(class_weight="balanced"), labels, [[1, 1], [0, 0]], [[0.0, 0.0]] * 2)
    counts = 4 / (2 * 1) + 4 / (2 * 3) + 2 / (2 * 1) + 2 / (2 * 1)
    assert found == pytest.approx((counts * cost, counts), rel=1e-5)


def test_balanced_weights_give_each_class_of_the_training_split_one_say() -> None:
    labels = ["a"] * 7 + ["b"] * 2 + [""] * 3 + ["c"]
    task = Categorical(class_weight="balanced")
    targets, logits = task.fit("t", labels).encode(labels), np.random.default_rng(0).normal(size=(13, 3))
    found = np.divide(*total(task, labels, targets.tolist(), logits.tolist()))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    costs = [-np.log(shares[targets[:, 0] == place, place]).mean() for place in range(3)]
    assert found == pytest.approx(np.mean(costs), rel=1e-5)
