"""Groups of points that no model made."""

import numpy as np
import pytest

from polyhead.clustering.arrays import cluster_arrays
from polyhead.errors import PolyheadError

CENTRES = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
POINTS = np.repeat(CENTRES, [30, 20, 10], axis=0) + np.random.default_rng(0).normal(scale=0.2, size=(60, 2))


def test_a_range_of_numbers_finds_the_groups_that_are_there() -> None:
    found = cluster_arrays(POINTS, k="2..6", methods=["kmeans"])
    assert (found.method, found.k) == ("kmeans", 3)
    assert found.groups.labels.tolist() == [1] * 30 + [2] * 20 + [3] * 10
    np.testing.assert_allclose(found.groups.centres, CENTRES, atol=0.2)
    assert found.choice is not None
    assert len(found.choice.tries) == 5


def test_a_method_is_asked_with_its_own_parameters() -> None:
    found = cluster_arrays(POINTS.tolist(), methods=["dbscan"], settings={"eps": 1.0})
    assert (found.k, found.choice) == (None, None)
    assert found.settings == {"eps": 1.0}
    assert len(found.groups.centres) == 3


@pytest.mark.parametrize(
    ("points", "asked", "words"),
    [
        (np.zeros(3), {}, "expected an array (n, columns); got one of shape (3,)"),
        (np.ones((4, 2)), {}, "the same answers"),
        (POINTS, {"methods": ["kmean"]}, "did you mean 'kmeans'?"),
        (POINTS, {"k": "9..2"}, "expected a number such as 8, or a range"),
        (POINTS, {"methods": ["dbscan"], "settings": {"eps": 1e-9}}, "noise"),
    ],
)
def test_what_cannot_be_grouped_is_one_line(points: np.ndarray, asked: dict[str, object], words: str) -> None:
    with pytest.raises(PolyheadError) as error:
        cluster_arrays(points, **asked)  # type: ignore[arg-type]
    assert words in str(error.value)
