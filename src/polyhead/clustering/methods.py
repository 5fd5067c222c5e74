"""Groups of points: scikit-learn's methods, their groups numbered by size, and how well each point fits its group.

Takes arrays; knows no model, no task and no image. Points are rows of a float array (n, columns) whose Euclidean
distances mean something. Group 0 is noise (points in no group); groups count from 1, the largest first.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyhead.errors import PolyheadError, nearest, require
from polyhead.tasks import Array

Labels = NDArray[np.intp]
NOISE = 0
MINI_BATCH_FROM = 20_000  # points: above that, K-Means works in mini-batches
SAME_POINT = 1e-6  # points closer than this count as one


class Method(NamedTuple):
    """A clustering method: whether it takes a number of groups, and how many points it handles in reasonable time."""

    takes_k: bool
    max_points: int | None


METHODS = {
    "kmeans": Method(True, None),
    "agglomerative": Method(True, 10_000),
    "spectral": Method(True, 5_000),
    "birch": Method(True, 20_000),
    "dbscan": Method(False, 10_000),
    "optics": Method(False, 10_000),
    "hdbscan": Method(False, 20_000),
}


@dataclass(frozen=True, eq=False)
class Groups:
    """The groups of n points.

    Attributes:
        labels: (n,) the group of each.
        centres: (groups, columns), the mean of each group from 1 on.
        distances: (n,) to the centre of the point's own group; of noise, to the nearest centre.
        fits: (n,) from -1 to 1, how much nearer its own centre is than the nearest other one: the simplified
            silhouette (Hruschka, de Castro, Campello 2004); 0 for noise and where there is no other group.
        others: (n,) the group with the nearest other centre; 0 where there is none.
    """

    labels: Labels
    centres: Array
    distances: Array
    fits: Array
    others: Labels

    @property
    def numbers(self) -> list[int]:
        """The numbers of the groups, noise (if any) last."""
        found = list(range(1, len(self.centres) + 1))
        return [*found, NOISE] if (self.labels == NOISE).any() else found

    def members(self, number: int) -> NDArray[np.intp]:
        """The rows of a group, nearest to its centre first."""
        rows = np.flatnonzero(self.labels == number)
        return rows[np.argsort(self.distances[rows], kind="stable")]


def check_points(points: Array, most_groups: int) -> None:
    """Refuse points that cannot be grouped, or not into so many groups.

    Raises:
        PolyheadError: fewer than two, all equal, or fewer (different) ones than groups; or they are not finite.
    """
    if not np.isfinite(points).all():
        raise PolyheadError("the model's answers are not finite numbers: training it has failed; train it again")
    if len(points) < 2:
        raise PolyheadError("one image cannot be grouped; give two or more")
    if np.ptp(points, axis=0).max(initial=0) < SAME_POINT:
        raise PolyheadError(f"all {len(points):,} images have the same answers: there is nothing to group them by")
    if most_groups > len(points):
        raise PolyheadError(f"`k`: {most_groups} groups need at least as many images; there are {len(points)}")
    different = count_different(points)
    if most_groups > different:
        raise PolyheadError(
            f"`k`: {most_groups} groups are too many: the images have only {different} different answers"
        )


def count_different(points: Array) -> int:
    """How many different points there are."""
    return len(np.unique(np.round(points / SAME_POINT), axis=0))


def find_groups(points: Array, method: str, k: int | None, settings: Mapping[str, object], seed: int) -> Labels:
    """Group points; equal arguments give equal groups.

    Args:
        points: (n, columns).
        method: one of METHODS.
        k: how many groups; only for methods that take a number.
        settings: parameters of scikit-learn's class, besides those that `default_settings` gives.
        seed: of whatever is random.

    Returns:
        The group of each point (n,).

    Raises:
        PolyheadError: the method has no such parameter, refuses its value, or cannot handle so many points.
    """
    check_size(method, len(points))
    estimator = _build(method, k, default_settings(method, len(points)) | dict(settings), (len(points), seed))
    from threadpoolctl import threadpool_limits

    try:
        # One thread: on so few points, several mostly wait for each other (measured: up to a hundred times slower on
        # a busy machine), and their sums would differ from machine to machine.
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter(
                "ignore", UserWarning
            )  # about groups not found: what is found is counted and measured
            found = estimator.fit_predict(points)
    except (ValueError, TypeError, OverflowError) as error:
        raise PolyheadError(f"{method}: {' '.join(str(error).split())}") from None
    return number_by_size(found)


def check_size(method: str, count: int) -> None:
    """Refuse more points than a method can handle.

    Raises:
        PolyheadError: naming the methods that can.
    """
    limit = METHODS[method].max_points
    if limit is not None and count > limit:
        able = [name for name, other in METHODS.items() if other.max_points is None or count <= other.max_points]
        raise PolyheadError(f"{method} takes at most {limit:,} images, not {count:,}; use {' or '.join(able)}")


def default_settings(method: str, count: int) -> dict[str, Any]:
    """Parameters that suit answers, which are 1 apart where they differ completely; otherwise scikit-learn's own."""
    few = max(5, count // 100)  # a smaller group is not worth showing
    settings: dict[str, dict[str, Any]] = {
        "kmeans": {"n_init": 10},
        "birch": {"threshold": 0.2},
        "optics": {"min_samples": few},
        "hdbscan": {"min_cluster_size": few},
    }
    return settings.get(method, {})


def _build(method: str, k: int | None, settings: Mapping[str, object], size_and_seed: tuple[int, int]) -> Any:
    require("clustering", "report")
    from sklearn import cluster

    count, seed = size_and_seed
    classes = {
        "kmeans": cluster.MiniBatchKMeans if count > MINI_BATCH_FROM else cluster.KMeans,
        "agglomerative": cluster.AgglomerativeClustering,
        "spectral": cluster.SpectralClustering,
        "birch": cluster.Birch,
        "dbscan": cluster.DBSCAN,
        "optics": cluster.OPTICS,
        "hdbscan": cluster.HDBSCAN,
    }
    known = set(classes[method]().get_params())
    fixed = {"n_clusters": k, "random_state": seed}
    for name in settings:
        if name in fixed:
            raise PolyheadError(f"{method}: {name} is set by {'`k`' if name == 'n_clusters' else '`seed`'}")
        if name not in known:
            names = ", ".join(sorted(known - set(fixed)))
            raise PolyheadError(
                f"{method}: has no parameter {name!r}; its parameters are {names}{nearest(name, known)}"
            )
    if method == "hdbscan":
        settings = {"copy": True, **settings}  # its future default; set here, so that it does not warn
    return classes[method](**settings, **{name: value for name, value in fixed.items() if name in known})


def number_by_size(labels: NDArray[np.integer]) -> Labels:
    """Groups numbered from 1, the largest first, equal ones by their first point; labels below 0 are noise."""
    found, first, sizes = np.unique(labels[labels >= 0], return_index=True, return_counts=True)
    numbers = np.zeros(len(labels), np.intp)
    for number, index in enumerate(np.lexsort((first, -sizes)), 1):
        numbers[labels == found[index]] = number
    return numbers


def measure_groups(points: Array, labels: Labels) -> Groups:
    """The centres of groups, and how well points (n, columns) fit the one that they are in."""
    count = int(labels.max(initial=0))
    if not count:
        zeros = np.zeros(len(points))
        return Groups(labels, np.empty((0, points.shape[1])), zeros, zeros, np.zeros(len(points), np.intp))
    centres = np.stack([points[labels == number].mean(axis=0) for number in range(1, count + 1)])
    distances = np.stack([np.linalg.norm(points - centre, axis=1) for centre in centres], axis=1)
    rows, inside = np.arange(len(points)), labels != NOISE
    own = np.where(inside, distances[rows, labels - 1], distances.min(axis=1))
    distances[rows[inside], labels[inside] - 1] = np.inf
    other = distances.min(axis=1)
    known = inside & np.isfinite(other)
    larger = np.maximum(own, np.where(known, other, 0))
    fits = np.where(known, (np.where(known, other, 0) - own) / np.maximum(larger, SAME_POINT), 0.0)
    return Groups(labels, centres, own, fits, np.where(np.isfinite(other), distances.argmin(axis=1) + 1, NOISE))


def measure_tightness(points: Array, groups: Groups) -> dict[int, float]:
    """For each group: 1 where all its points are equal, 0 where they are spread out as all points are (below 0: more).

    1 minus the root mean square distance to the group's mean over that of all points to theirs.
    """

    def spread(rows: Array) -> float:
        return float(np.sqrt(((rows - rows.mean(axis=0)) ** 2).sum(axis=1).mean()))

    overall = spread(points)
    return {number: 1 - spread(points[groups.labels == number]) / overall for number in groups.numbers}
