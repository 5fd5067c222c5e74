"""What an answer promises holds as often as was asked, on drawn images that validation has not seen."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from polyhead.tasks import Binary, Categorical, MultiLabel, Ordinal, Regression, Task

ASKED, CALIBRATED_ON, TESTED = 0.9, 2000, 4000
LEVELS = ["low", "middle", "high", "top"]


def draw(width: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Probabilities (n, width), and labels that are drawn from sharper ones: the network is not to be believed."""
    random = np.random.default_rng(1)
    probabilities = random.dirichlet([0.6] * width, CALIBRATED_ON + TESTED)
    truth = probabilities**1.5 / (probabilities**1.5).sum(axis=1, keepdims=True)
    return probabilities, np.array([random.choice(width, p=row) for row in truth])


def drawn(kind: str) -> tuple[Task, list[str], NDArray[np.float64]]:
    if kind == "regression":
        random = np.random.default_rng(2)
        numbers = random.uniform(0, 80, CALIBRATED_ON + TESTED)
        labels = numbers + random.normal(size=len(numbers)) * (1 + numbers / 10)
        return Regression(coverage=ASKED), [str(label) for label in labels], numbers[:, np.newaxis]
    width = 2 if kind in ("binary", "multilabel") else 4
    outputs, truth = draw(width)
    if kind == "binary":
        return Binary(labels=["no", "yes"], coverage=ASKED), [["no", "yes"][index] for index in truth], outputs[:, 1:]
    if kind == "multilabel":
        said = ["bag|belt" if index else "bag" for index in truth]
        return (
            MultiLabel(labels=["bag", "belt"], coverage=ASKED),
            said,
            np.column_stack([np.full(len(truth), 0.99), outputs[:, 1]]),
        )
    task = Ordinal(levels=LEVELS, coverage=ASKED) if kind == "ordinal" else Categorical(coverage=ASKED)
    return task, [LEVELS[index] for index in truth] if kind == "ordinal" else [f"c{index}" for index in truth], outputs


@pytest.mark.parametrize("kind", ["categorical", "binary", "ordinal", "multilabel", "regression"])
def test_the_truth_lies_in_what_is_promised_as_often_as_was_asked(kind: str) -> None:
    task, labels, outputs = drawn(kind)
    task = task.fit(kind, labels)
    blank = ["" if row % 5 == 0 else label for row, label in enumerate(labels[:CALIBRATED_ON])]
    task = task.calibrate(blank, outputs[:CALIBRATED_ON])
    found = task.measure(labels[CALIBRATED_ON:], outputs[CALIBRATED_ON:])
    # Both the images that the quantile was found on and those it is tried on are drawn: their variances add up.
    spread = np.sqrt(1 + TESTED / (CALIBRATED_ON * 0.8))
    low = ASKED - spread * (ASKED - binom.ppf(0.001, TESTED, ASKED) / TESTED)
    assert found["promised"] == ASKED
    assert found["coverage"] >= low
    if kind != "multilabel":
        assert found["coverage"] <= ASKED + (ASKED - low) + 0.02
    answers = [answer.to_dict() for answer in task.decode(outputs[:5])]
    assert all(("interval" if kind == "regression" else "set") in answer for answer in answers)


@pytest.mark.parametrize("kind", ["categorical", "binary", "ordinal", "multilabel", "regression"])
def test_too_few_images_promise_nothing_and_say_so(kind: str) -> None:
    task, labels, outputs = drawn(kind)
    task = task.fit(kind, labels).calibrate(labels[:20], outputs[:20])
    assert task.measure(labels[20:60], outputs[20:60])["promised"] is None
    assert "set" not in task.decode(outputs[:1])[0].to_dict()
    assert "interval" not in task.decode(outputs[:1])[0].to_dict()
