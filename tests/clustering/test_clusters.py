"""Groups of points: every method finds what was drawn, equal runs are equal, and mistakes are one line."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from polyhead.clustering.choice import choose_groups, measure_trial
from polyhead.clustering.methods import (
    METHODS,
    NOISE,
    check_points,
    find_groups,
    measure_groups,
    measure_tightness,
    number_by_size,
)
from polyhead.errors import PolyheadError
from polyhead.progress import SILENT
from polyhead.tasks import Array


def draw_answers(count: int, seed: int = 0) -> tuple[Array, np.ndarray]:
    """Probabilities of six labels: four kinds of image, each sure of its own labels; and which kind each image is."""
    rng = np.random.default_rng(seed)
    kinds = np.array([[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1], [1, 0, 1, 0, 1, 0]])
    truth = rng.choice(4, count, p=[0.4, 0.3, 0.2, 0.1])
    return np.where(kinds[truth] == 1, rng.beta(12, 2, (count, 6)), rng.beta(2, 12, (count, 6))), truth


@pytest.mark.parametrize("method", METHODS)
def test_each_method_finds_the_groups_that_were_drawn(method: str) -> None:
    points, truth = draw_answers(600)
    settings = {"eps": 0.35, "min_samples": 10} if method == "dbscan" else {}
    labels = find_groups(points, method, 4, settings, seed=0)
    inside = labels != NOISE
    assert inside.mean() > (0.99 if METHODS[method].takes_k else 0.5)
    assert adjusted_rand_score(truth[inside], labels[inside]) >= 0.95


def test_equal_runs_give_equal_groups() -> None:
    points = np.random.default_rng(1).random((300, 5))
    for method in METHODS:
        first, second = (find_groups(points, method, 7, {}, seed=3) for _ in range(2))
        assert (first == second).all(), method


def test_above_twenty_thousand_images_k_means_takes_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    from polyhead.clustering import methods as clusters

    monkeypatch.setattr(clusters, "MINI_BATCH_FROM", 500)
    points, truth = draw_answers(600)
    assert adjusted_rand_score(truth, find_groups(points, "kmeans", 4, {"batch_size": 64}, seed=0)) >= 0.95
    with pytest.raises(PolyheadError, match="'algorithm'"):  # which only the other has
        find_groups(points, "kmeans", 4, {"algorithm": "lloyd"}, seed=0)


def test_groups_are_numbered_by_size_and_noise_is_a_group_of_its_own() -> None:
    assert number_by_size(np.array([7, 2, 2, -1, 5, 2, 5, 9])).tolist() == [3, 1, 1, 0, 2, 1, 2, 4]


def test_points_know_how_well_they_fit() -> None:
    points = np.array([[0.0], [2.0], [10.0], [12.0], [6.5], [90.0]])
    groups = measure_groups(points, np.array([1, 1, 2, 2, 2, 0]))
    centre = (10 + 12 + 6.5) / 3  # 9.5

    assert groups.numbers == [1, 2, NOISE]
    assert groups.centres[:, 0].tolist() == pytest.approx([1, centre])
    assert groups.distances.tolist() == pytest.approx([1, 1, 10 - centre, 12 - centre, centre - 6.5, 90 - centre])
    assert groups.members(2).tolist() == [2, 3, 4]
    assert groups.fits[0] == pytest.approx((centre - 1) / centre)
    assert groups.fits[5] == 0
    assert groups.others.tolist()[:5] == [2, 2, 1, 1, 1]


def test_a_tight_group_is_one_and_a_group_as_scattered_as_the_whole_is_nought() -> None:
    points = np.array([[0.0, 0], [0, 0], [5, 5], [7, 5]])
    tightness = measure_tightness(points, measure_groups(points, np.array([1, 1, 2, 2])))
    # The whole: mean (3, 2.5), squared distances 15.25, 15.25, 10.25 and 22.25. Group 2: each 1 from its mean.
    assert tightness == pytest.approx({1: 1.0, 2: 1 - 1 / np.sqrt(15.75)})


def test_the_best_number_of_groups_is_chosen_and_said_why() -> None:
    points, _ = draw_answers(400)
    asked = {"kmeans": range(2, 9), "agglomerative": range(2, 9), "hdbscan": range(2, 9)}
    choice = choose_groups(points, asked, {}, 0, SILENT)
    assert choice.best.groups == 4
    assert len(choice.tries) == 7 + 7 + 1
    assert f"{choice.best.method} with 4 groups: silhouette 0." in choice.why
    assert "of 15 trials" in choice.why
    assert "Davies-Bouldin" in choice.why
    again = choose_groups(points, asked, {}, 0, SILENT)
    assert again == choice


def test_many_points_are_tried_on_a_sample() -> None:
    points, _ = draw_answers(2500)
    choice = choose_groups(points, {"kmeans": [4]}, {}, 0, SILENT)
    assert (choice.sampled, choice.count) == (2000, 2500)


def test_a_few_outliers_against_the_rest_are_not_chosen() -> None:
    points, _ = draw_answers(400)
    points = np.concatenate([points, np.full((4, 6), 40.0)])  # far away: the highest silhouette is theirs against all
    choice = choose_groups(points, {"agglomerative": range(2, 9)}, {}, 0, SILENT)
    assert choice.best.groups == 5
    assert "passed over because one group held more than 80 % of all" in choice.why


def test_noise_lowers_the_silhouette() -> None:
    points = np.array([[0.0], [0.1], [9], [9.1], [4], [5]])
    whole = measure_trial(points[:4], np.array([1, 1, 2, 2]), "dbscan", None)
    noisy = measure_trial(points, np.array([1, 1, 2, 2, 0, 0]), "dbscan", None)
    assert whole.silhouette is not None
    assert noisy.silhouette == pytest.approx(whole.silhouette * 4 / 6)
    assert noisy.noise == pytest.approx(2 / 6)


@pytest.mark.parametrize(
    ("points", "groups", "message"),
    [
        (np.zeros((1, 2)), 2, "one image cannot be grouped"),
        (np.ones((5, 2)), 2, "all 5 images have the same answers"),
        (np.eye(3), 4, "4 groups need at least as many images; there are 3"),
        (np.array([[0.0], [1], [0], [1]]), 3, "the images have only 2 different answers"),
    ],
)
def test_points_that_cannot_be_grouped_are_refused(points: Array, groups: int, message: str) -> None:
    with pytest.raises(PolyheadError, match=message):
        check_points(points, groups)


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("dbscan", {"epps": 1}, "dbscan: has no parameter 'epps'; its parameters are .* \\(did you mean 'eps'\\?\\)"),
        ("dbscan", {"eps": -1}, "dbscan: The 'eps' parameter of DBSCAN must be"),
        ("kmeans", {"n_clusters": 3}, "kmeans: n_clusters is set by `k`"),
        ("birch", {"random_state": 3}, "birch: random_state is set by `seed`"),
    ],
)
def test_a_wrong_parameter_is_one_line(method: str, settings: dict[str, int], message: str) -> None:
    with pytest.raises(PolyheadError, match=message):
        find_groups(draw_answers(20)[0], method, 3, settings, seed=0)


def test_a_method_says_how_many_images_it_takes() -> None:
    with pytest.raises(PolyheadError, match="spectral takes at most 5,000 images, not 5,001; use kmeans or"):
        find_groups(np.zeros((5001, 2)), "spectral", 2, {}, seed=0)
