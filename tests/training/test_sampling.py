"""Which rows an epoch shows."""

from collections import Counter

import numpy as np
import pytest

from polyhead.training.batches import BalancedDraw, Batches, TrainingData

NAN = np.nan


def column(*counts: int) -> np.ndarray:
    """Strata 0, 1, ... of so many rows each; the last count is of unknown ones."""
    places = [float(place) for place in range(len(counts) - 1)] + [NAN]
    return np.repeat(places, counts).astype("float32")[:, None]


def shares(strata: np.ndarray, drawn: np.ndarray) -> Counter[float]:
    return Counter(np.nan_to_num(strata[drawn, 0], nan=-1).tolist())


@pytest.mark.parametrize("epoch", range(3))
def test_each_label_and_the_unknown_ones_are_shown_equally_often(epoch: int) -> None:
    strata = column(200, 80, 7, 13)
    drawn = BalancedDraw([strata]).draw(np.random.default_rng((5, epoch)))
    assert len(drawn) == 300
    assert all(abs(count - 300 / 4) <= 1 for count in shares(strata, drawn).values())


def test_alike_rows_are_shown_equally_often() -> None:
    strata = column(290, 10, 0)
    counts = np.bincount(BalancedDraw([strata]).draw(np.random.default_rng(0)), minlength=300)
    assert set(counts[:290]) <= {0, 1}  # 150 of 290
    assert set(counts[290:]) == {15}  # 150 / 10


def test_each_task_has_an_equal_say() -> None:
    # Four rows. One task parts them 3 : 1, the other 2 : 2, and so the last row's chance is (1/2 + 1/4) / 2.
    one, other = column(3, 1, 0), column(2, 2, 0)
    chances = BalancedDraw([one, other]).chances
    assert chances == pytest.approx([(1 / 6 + 1 / 4) / 2] * 3 + [(1 / 2 + 1 / 4) / 2])
    labels = np.concatenate([one, other], axis=1)
    assert BalancedDraw([labels]).chances == pytest.approx(chances)  # and so has each label of a multilabel task


def training_data(**more: object) -> TrainingData:
    targets = {"t": np.arange(40, dtype="float32")[:, None]}
    rows = np.arange(0, 40, 2)
    return TrainingData(lambda wanted: wanted.astype("uint8"), targets, rows, np.arange(0), **more)  # type: ignore[arg-type]


def test_a_balanced_order_is_a_function_of_seed_epoch_and_step() -> None:
    given = training_data(strata={"t": column(34, 6, 0)})

    def batches(start: int = 0, seed: int = 3) -> Batches:
        made = Batches(given, 8, seed)
        made.start = start
        return made

    whole = [batches()[step][0].tolist() for step in range(6)]  # two epochs of 20 rows in 3 steps
    assert [batches(start=4)[step][0].tolist() for step in range(2)] == whole[4:]
    assert [len(batch) for batch in whole] == [8, 8, 4, 8, 8, 4]
    assert whole[:3] != whole[3:]
    assert [batches(seed=4)[step][0].tolist() for step in range(6)] != whole
    for epoch in (whole[:3], whole[3:]):
        shown = [row for batch in epoch for row in batch]
        assert all(row % 2 == 0 for row in shown)  # training rows alone
        assert sum(row >= 34 for row in shown) == 10


def test_a_batch_brings_its_rows_weights() -> None:
    weights = np.arange(40, dtype="float32") / 10
    images, _, found = Batches(training_data(weights=weights), 8, 0)[0]
    assert found.tolist() == pytest.approx((images / 10).tolist())
    assert len(Batches(training_data(), 8, 0)[0]) == 2
