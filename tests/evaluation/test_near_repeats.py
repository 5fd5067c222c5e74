"""Near repeats and strange images are found by features, a block of rows at a time."""

import numpy as np
import pytest

from polyhead.evaluation import near_repeats
from polyhead.evaluation.near_repeats import (
    FeatureSpace,
    Thresholds,
    find_mirrored_repeats,
    find_near_repeats,
    find_nearest,
    find_thresholds,
    find_unlike,
    mirror,
)


def test_the_nearest_are_those_of_all_products_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(90, 200)) + 3
    space = FeatureSpace.of(features)
    vectors = space.place(features)
    assert vectors.shape == (90, 128)
    asked, among = np.arange(0, 90, 3), np.arange(90)
    products = vectors[asked] @ vectors.T
    products[np.arange(30), asked] = -2
    expected = np.argsort(-products, axis=1)[:, :4]
    monkeypatch.setattr(near_repeats, "CELLS", 200)  # two rows at a time
    rows, similar = find_nearest(vectors, asked, among, 4)
    assert (rows == expected).all()
    np.testing.assert_allclose(similar, np.take_along_axis(products, expected, axis=1), atol=1e-6)
    np.testing.assert_allclose(abs(FeatureSpace.of(features).place(features)), abs(vectors), atol=1e-3)


def test_an_altered_copy_is_a_near_repeat_and_another_image_is_not() -> None:
    rng = np.random.default_rng(1)
    images = np.kron(rng.integers(0, 256, (40, 4, 4, 3)), np.ones((1, 8, 8, 1))).astype(np.uint8)
    images[30] = np.clip(images[3].astype(int) + 4, 0, 255)  # of training image 3
    images[31] = images[7]

    def embed(some: np.ndarray) -> np.ndarray:
        return some[:, ::4, ::4].reshape(len(some), -1).astype(float)

    features = embed(images)
    space = FeatureSpace.of(features)
    thresholds = find_thresholds(space, images[:20], features[:20], embed)
    assert 0 < thresholds.features < 1
    assert 0 < thresholds.pixels < 1
    asked, among = np.arange(30, 40), np.arange(30)
    found = find_near_repeats(space.place(features), asked, among, lambda rows: images[rows], thresholds)
    assert {(one.row, one.of) for one in found} == {(30, 3), (31, 7)}
    never = Thresholds(thresholds.features, 1.1)  # the features alone are not enough
    assert find_near_repeats(space.place(features), asked, among, lambda rows: images[rows], never) == []


def test_a_mirror_image_is_found_and_a_turned_one_is_not() -> None:
    rng = np.random.default_rng(3)
    images = np.kron(rng.integers(0, 256, (40, 4, 4, 3)), np.ones((1, 8, 8, 1))).astype(np.uint8)
    images[30] = np.clip(images[3, :, ::-1].astype(int) + 4, 0, 255)
    images[31] = images[7, ::-1]
    images[32] = images[8]  # no mirror image

    def embed(some: np.ndarray) -> np.ndarray:
        return some[:, ::4, ::4].reshape(len(some), -1).astype(float)

    features = embed(images)
    space = FeatureSpace.of(features)
    thresholds = find_thresholds(space, images[:20], features[:20], embed)
    asked, among, vectors = np.arange(30, 40), np.arange(30), space.place(features)
    mirrored = space.place(embed(mirror(images[asked])))
    found = find_mirrored_repeats(vectors, mirrored, (asked, among), lambda rows: images[rows], thresholds)
    assert [(one.row, one.of, one.mirrored) for one in found] == [(30, 3, True)]
    plain = find_near_repeats(vectors, asked, among, lambda rows: images[rows], thresholds)
    assert [(one.row, one.of, one.mirrored) for one in plain] == [(32, 8, False)]


def test_what_is_far_from_all_neighbours_is_told_first() -> None:
    rng = np.random.default_rng(2)
    centres = rng.normal(size=(5, 60)) * 5
    features = np.repeat(centres, 40, axis=0) + rng.normal(size=(200, 60)) * 0.3
    features[17] = rng.normal(size=60) * 5
    found = find_unlike(FeatureSpace.of(features).place(features))
    assert found[0][0] == 17
    assert found[0][1] > 5
    assert len(found) < 5
    assert find_unlike(FeatureSpace.of(features[:20]).place(features[:20])) == []
