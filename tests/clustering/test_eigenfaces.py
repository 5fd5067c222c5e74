"""Eigenfaces: what a full decomposition finds, in batches."""

import numpy as np
import pytest
from numpy.typing import NDArray

from polyhead.clustering.eigenfaces import SINGLE_BATCH, draw_component, find_eigenface


def draw_images(count: int, rank: int) -> NDArray[np.uint8]:
    """Images that differ in `rank` ways, each half as much as the one before, and a little noise."""
    rng = np.random.default_rng(0)
    ways = rng.standard_normal((rank, 12 * 10 * 3)) * 2.0 ** -np.arange(rank)[:, None]
    values = 128 + 20 * rng.standard_normal((count, rank)) @ ways + rng.normal(0, 0.3, (count, 360))
    return values.clip(0, 255).round().astype(np.uint8).reshape(count, 12, 10, 3)


@pytest.mark.parametrize("count", [40, SINGLE_BATCH, SINGLE_BATCH + 1, 1000])
def test_components_are_those_of_a_full_decomposition(count: int) -> None:
    images = draw_images(count, rank=6)
    found = find_eigenface(lambda rows: images[rows], np.arange(count))
    flat = images.reshape(count, -1) / 255
    _, sizes, expected = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)

    assert np.abs(found.mean.ravel() - flat.mean(axis=0)).max() < 1e-4
    for component, truth in zip(found.components.reshape(4, -1), expected, strict=False):
        assert np.abs(component * np.sign(component @ truth) - truth).max() < 1e-4
    assert found.variances == pytest.approx((sizes**2 / (sizes**2).sum())[:4], abs=1e-4)


def test_signs_are_fixed() -> None:
    images = draw_images(60, rank=6)
    found = find_eigenface(lambda rows: images[rows], np.arange(60))
    turned = find_eigenface(lambda rows: 255 - images[rows], np.arange(60))  # every difference the other way round
    assert all(component.max() == np.abs(component).max() for component in found.components)
    assert np.abs(found.components - turned.components).max() < 1e-6


def test_no_more_images_are_read_at_a_time_than_fit_in_memory() -> None:
    images, read = draw_images(1000, rank=3), []

    def pixels(rows: NDArray[np.intp]) -> NDArray[np.uint8]:
        read.append(len(rows))
        return images[rows]

    find_eigenface(pixels, np.arange(1000))
    assert max(read) <= SINGLE_BATCH


@pytest.mark.parametrize(("count", "components"), [(1, 0), (2, 1), (5, 4), (9, 4)])
def test_few_images_have_few_components(count: int, components: int) -> None:
    images = draw_images(count, rank=6)
    found = find_eigenface(lambda rows: images[rows], np.arange(count))
    assert found.components.shape == (components, 12, 10, 3)
    assert np.abs(found.mean - images.mean(axis=0) / 255).max() < 1e-6


def test_images_that_are_all_alike_differ_in_nothing() -> None:
    images = np.full((8, 4, 4, 3), 77, np.uint8)
    found = find_eigenface(lambda rows: images[rows], np.arange(8))
    assert not found.variances.any()
    assert np.isfinite(found.components).all()


def test_a_component_is_drawn_about_grey() -> None:
    picture = draw_component(np.array([[-0.5, 0.0], [0.25, 0.5]]))
    assert picture.tolist() == [[0, 128], [191, 255]]
