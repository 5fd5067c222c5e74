"""Losses and metrics that leave unknown labels out, in any Keras model."""

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from polyhead.training.masked import (
    MaskedBinaryAccuracy,
    MaskedBinaryCrossentropy,
    MaskedCategoricalAccuracy,
    MaskedCategoricalCrossentropy,
    MaskedMeanAbsoluteError,
    MaskedRegressionLoss,
)

NAN = float("nan")
LOGITS = np.array([[2.0, 0.0], [9.0, -9.0], [0.0, 1.0]], np.float32)
CLASSES = np.array([0, NAN, 1], np.float32)
YES = np.array([[1, NAN], [NAN, NAN], [0, 1]], np.float32)


def softplus(number: float) -> float:
    return math.log1p(math.exp(number))


@pytest.mark.parametrize("targets", [CLASSES, CLASSES[:, None]])
def test_a_class_that_is_unknown_is_not_in_the_denominator(targets: Any) -> None:
    loss = MaskedCategoricalCrossentropy()(targets, LOGITS)
    assert float(loss) == pytest.approx((softplus(-2) + softplus(-1)) / 2, abs=1e-6)
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    same = MaskedCategoricalCrossentropy(from_logits=False)(targets, shares)
    assert float(same) == pytest.approx(float(loss), abs=1e-5)


def test_a_row_may_know_some_of_its_labels() -> None:
    wanted = (softplus(-2) + softplus(0) + softplus(-1)) / 3
    assert float(MaskedBinaryCrossentropy()(YES, LOGITS)) == pytest.approx(wanted, abs=1e-6)


def test_errors_are_those_of_known_numbers() -> None:
    targets = np.array([1.0, NAN, 3.0], np.float32)
    outputs = np.array([1.5, 7.0, 6.0], np.float32)
    for error, wanted in {
        "squared": (0.25 + 9) / 2,
        "absolute": (0.5 + 3) / 2,
        "huber": (0.125 + 2.5) / 2,
    }.items():
        assert float(MaskedRegressionLoss(error)(targets, outputs)) == pytest.approx(wanted)  # type: ignore[arg-type]
        assert float(MaskedRegressionLoss(error)(targets[:, None], outputs[:, None])) == pytest.approx(wanted)  # type: ignore[arg-type]


def test_a_weight_counts_a_row_as_often_as_it_says() -> None:
    loss = MaskedCategoricalCrossentropy()(CLASSES, LOGITS, sample_weight=np.array([3.0, 1.0, 1.0]))
    assert float(loss) == pytest.approx((3 * softplus(-2) + softplus(-1)) / 4, abs=1e-6)


@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        (MaskedCategoricalCrossentropy(focusing=2), np.full(3, NAN)),
        (MaskedBinaryCrossentropy(label_smoothing=0.1), np.full((3, 2), NAN)),
        (MaskedRegressionLoss(), np.full((3, 2), NAN)),
    ],
)
def test_without_any_label_the_loss_is_nothing(loss: Any, targets: Any) -> None:
    assert float(loss(targets, LOGITS)) == 0


def test_metrics_are_over_the_epoch_whatever_the_batches() -> None:
    accuracy, yes, error = MaskedCategoricalAccuracy(), MaskedBinaryAccuracy(), MaskedMeanAbsoluteError()
    for rows in ([0], [1, 2]):
        accuracy.update_state(1 - CLASSES[rows] if 0 in rows else CLASSES[rows], LOGITS[rows])
        yes.update_state(YES[rows], LOGITS[rows])
        error.update_state(YES[rows], LOGITS[rows])
    assert float(accuracy.result()) == pytest.approx(1 / 2)
    assert float(yes.result()) == pytest.approx((1 + 0 + 1) / 3)
    assert float(error.result()) == pytest.approx((1 + 0 + 0) / 3)


def test_a_network_learns_from_what_is_known_and_is_kept_with_its_losses(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(64, 2)).astype("float32")
    side, both = (inputs[:, 0] > 0).astype("float32"), (inputs > 0).astype("float32")
    side[rng.random(64) < 0.5] = NAN
    both[rng.random((64, 2)) < 0.5] = NAN
    given = keras.Input((2,))
    outputs = {"side": keras.layers.Dense(2, name="side")(given), "both": keras.layers.Dense(2, name="both")(given)}
    model = keras.Model(given, outputs)
    model.compile(
        keras.optimizers.Adam(0.05),
        loss={"side": MaskedCategoricalCrossentropy(), "both": MaskedBinaryCrossentropy()},
        metrics={"side": [MaskedCategoricalAccuracy()], "both": [MaskedBinaryAccuracy()]},
    )
    model.fit(inputs, {"side": side, "both": both}, batch_size=16, epochs=30, verbose=0)
    found = model.evaluate(inputs, {"side": side, "both": both}, verbose=0, return_dict=True)
    assert min(found["side_accuracy"], found["both_accuracy"]) > 0.9
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    model.save(tmp_path / "kept.keras")
    again = keras.models.load_model(tmp_path / "kept.keras")
    assert again.evaluate(inputs, {"side": side, "both": both}, verbose=0, return_dict=True) == pytest.approx(found)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="focusing"):
        MaskedBinaryCrossentropy(from_logits=False, focusing=2)
    with pytest.raises(ValueError, match="error: expected squared, absolute or huber"):
        MaskedRegressionLoss("cubic")  # type: ignore[arg-type]
