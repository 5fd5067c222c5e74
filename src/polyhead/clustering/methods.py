"""Groups of points: scikit-learn's methods, their groups numbered by size, and how well each point fits its group.

Takes arrays; knows no model, no task and no image. Points are rows of a float array (n, columns) whose Euclidean
distances mean something. Group 0 is noise (points that a method leaves alone); groups count from 1, the largest first.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyhead.errors import PolyheadError, nearest
from polyhead.extras import require
from polyhead.tasks import Array

Labels = NDArray[np.intp]
NOISE = 0
LARGE = 20_000  # points above which K-Means takes them in small batches
ALIKE = 1e-6  # points nearer than this are one


class Method(NamedTuple):
    """A way of grouping: whether it takes a number of groups, and how many points it can take in bearable time."""

    counts: bool
    most: int | None


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
    """Where n points belong.

    Attributes:
        labels: (n,) the group of each.
        centres: (groups, columns), the mean of each group from 1 on.
        distances: (n,) to the centre of the own group; of noise, to the nearest centre.
        fits: (n,) from -1 to 1, how much nearer the own centre is than the nearest other one: the simplified
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
        """The groups that have points, noise last."""
        found = list(range(1, len(self.centres) + 1))
        return [*found, NOISE] if (self.labels == NOISE).any() else found

    def members(self, number: int) -> NDArray[np.intp]:
        """The points of a group, the nearest to its centre first."""
        rows = np.flatnonzero(self.labels == number)
        return rows[np.argsort(self.distances[rows], kind="stable")]


def check_points(points: Array, most_groups: int) -> None:
    """Refuse points that cannot be grouped, or not into so many groups.

    Raises:
        PolyheadError: fewer than two, all alike, or fewer (different) ones than groups; or they are not finite.
    """
    if not np.isfinite(points).all():
        raise PolyheadError("the model's answers are not finite numbers: its training has failed, train it again")
    if len(points) < 2:
        raise PolyheadError("one image makes no groups; give two or more")
    if np.ptp(points, axis=0).max(initial=0) < ALIKE:
        raise PolyheadError(f"all {len(points):,} images have the same answers: there is nothing to group them by")
    if most_groups > len(points):
        raise PolyheadError(f"`k`: {most_groups} groups need as many images, and there are {len(points)}")
    different = count_different(points)
    if most_groups > different:
        raise PolyheadError(f"`k`: {most_groups} groups are too many: the images have {different} different answers")


def count_different(points: Array) -> int:
    """How many of the points differ."""
    return len(np.unique(np.round(points / ALIKE), axis=0))


def find_groups(points: Array, method: str, k: int | None, settings: Mapping[str, Any], seed: int) -> Labels:
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
        PolyheadError: the method has no such parameter, refuses its value, or cannot take so many points.
    """
    check_size(method, len(points))
    estimator = _build(method, k, default_settings(method, len(points)) | dict(settings), (len(points), seed))
    from threadpoolctl import threadpool_limits

    try:
        # One thread: on so few points more of them mostly wait for each other (measured: up to a hundred times slower
        # on a busy machine), and their sums would differ from machine to machine.
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore", UserWarning)  # of groups not found: what is found is counted and measured
            found = estimator.fit_predict(points)
    except (ValueError, TypeError, OverflowError) as error:
        raise PolyheadError(f"{method}: {' '.join(str(error).split())}") from None
    return number_by_size(found)


def check_size(method: str, count: int) -> None:
    """Refuse more points than a method can take.

    Raises:
        PolyheadError: with the methods that can.
    """
    most = METHODS[method].most
    if most is not None and count > most:
        able = [name for name, other in METHODS.items() if other.most is None or count <= other.most]
        raise PolyheadError(f"{method} takes {most:,} images at most, not {count:,}; use {' or '.join(able)}")


def default_settings(method: str, count: int) -> dict[str, Any]:
    """Parameters that suit answers, which are 1 apart where they differ wholly; scikit-learn's own stand otherwise."""
    few = max(5, count // 100)  # fewer than this are no group that a person wants to be shown
    settings: dict[str, dict[str, Any]] = {
        "kmeans": {"n_init": 10},
        "birch": {"threshold": 0.2},
        "optics": {"min_samples": few},
        "hdbscan": {"min_cluster_size": few},
    }
    return settings.get(method, {})


def _build(method: str, k: int | None, settings: Mapping[str, Any], size_and_seed: tuple[int, int]) -> Any:
    require("clustering", "report")
    from sklearn import cluster

    count, seed = size_and_seed
    classes = {
        "kmeans": cluster.MiniBatchKMeans if count > LARGE else cluster.KMeans,
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
            raise PolyheadError(f"{method}: {name} is given by {'`k`' if name == 'n_clusters' else '`seed`'}")
        if name not in known:
            names = ", ".join(sorted(known - set(fixed)))
            raise PolyheadError(f"{method}: has no parameter {name!r}; it has {names}{nearest(name, known)}")
    if method == "hdbscan":
        settings = {"copy": True, **settings}  # as it will be by itself; said, so that it does not warn
    return classes[method](**settings, **{name: value for name, value in fixed.items() if name in known})


def number_by_size(labels: NDArray[np.integer]) -> Labels:
    """Groups numbered from 1 by their size, those of one size by their first point; below 0 is noise."""
    found, first, sizes = np.unique(labels[labels >= 0], return_index=True, return_counts=True)
    numbers = np.zeros(len(labels), np.intp)
    for number, place in enumerate(np.lexsort((first, -sizes)), 1):
        numbers[labels == found[place]] = number
    return numbers


def place_in_groups(points: Array, labels: Labels) -> Groups:
    """How well points (n, columns) fit the groups that they are in."""
    count = int(labels.max(initial=0))
    if not count:
        nothing = np.zeros(len(points))
        return Groups(labels, np.empty((0, points.shape[1])), nothing, nothing, np.zeros(len(points), np.intp))
    centres = np.stack([points[labels == number].mean(axis=0) for number in range(1, count + 1)])
    away = np.stack([np.linalg.norm(points - centre, axis=1) for centre in centres], axis=1)
    rows, inside = np.arange(len(points)), labels != NOISE
    own = np.where(inside, away[rows, labels - 1], away.min(axis=1))
    away[rows[inside], labels[inside] - 1] = np.inf
    other = away.min(axis=1)
    known = inside & np.isfinite(other)
    larger = np.maximum(own, np.where(known, other, 0))
    fits = np.where(known, (np.where(known, other, 0) - own) / np.maximum(larger, ALIKE), 0.0)
    return Groups(labels, centres, own, fits, np.where(np.isfinite(other), away.argmin(axis=1) + 1, NOISE))


def measure_tightness(points: Array, groups: Groups) -> dict[int, float]:
    """For each group: 1 where all its points are one, 0 where they scatter as the whole does (below, if more).

    One less the root mean square distance to the group's mean, over that of the whole.
    """

    def scatter(rows: Array) -> float:
        return float(np.sqrt(((rows - rows.mean(axis=0)) ** 2).sum(axis=1).mean()))

    whole = scatter(points)
    return {number: 1 - scatter(points[groups.labels == number]) / whole for number in groups.numbers}
