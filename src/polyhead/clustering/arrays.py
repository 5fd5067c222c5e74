"""Groups of any points, such as feature vectors: the choice among methods and numbers of groups, without a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from polyhead.clustering.choice import Choice, choose_groups
from polyhead.clustering.grouping import Grouping
from polyhead.clustering.methods import (
    METHODS,
    Groups,
    check_points,
    check_size,
    count_different,
    default_settings,
    find_groups,
    place_in_groups,
)
from polyhead.errors import PolyheadError
from polyhead.progress import SILENT, Progress
from polyhead.tasks import Array


@dataclass(frozen=True, eq=False)
class Clustering:
    """How points were grouped.

    Attributes:
        groups: where each point belongs: `groups.labels` (n,), 0 for noise, from 1 the largest group first.
        method: of `METHODS`.
        k: how many groups it was to make; None for a method that finds a number of its own.
        settings: the parameters of scikit-learn's class.
        choice: what was tried and why this was chosen; None where nothing was left to choose.
    """

    groups: Groups
    method: str
    k: int | None
    settings: Mapping[str, object]
    choice: Choice | None


def cluster_arrays(
    points: ArrayLike,
    *,
    k: int | str | None = None,
    methods: Sequence[str] = (),
    settings: Mapping[str, object] | None = None,
    seed: int = 0,
) -> Clustering:
    """Group points whose Euclidean distances mean something.

    Args:
        points: (n, columns), finite numbers.
        k: how many groups, or a range such as "2..12"; the range is tried, and the best silhouette chosen.
        methods: of kmeans, agglomerative, spectral, birch, dbscan, optics, hdbscan; K-Means if absent, or all with a
            range of `k`.
        settings: parameters of scikit-learn's class, such as `{"eps": 0.3}`; of one of several methods `dbscan.eps`.
        seed: of whatever is random; equal arguments give equal groups.

    Raises:
        PolyheadError: the points cannot be grouped so, or an argument is wrong.
    """
    array = np.asarray(points, float)
    if array.ndim != 2:
        raise PolyheadError(f"points: expected an array (n, columns); got one of shape {array.shape}")
    grouping = Grouping(k=k, methods=list(methods), settings=dict(settings or {}), seed=seed)
    return group_points(array, grouping, SILENT)


def group_points(points: Array, grouping: Grouping, progress: Progress) -> Clustering:
    """Group points (n, columns) by the methods and numbers of a grouping.

    Raises:
        PolyheadError: they cannot be grouped so.
    """
    check_points(points, grouping.bounds[1] if grouping.k is not None else 2)
    asked = grouping.tried(len(points), count_different(points))
    for name in asked:
        check_size(name, len(points))
    settings = grouping.settings_of(list(asked))
    method, ks = next(iter(asked.items()))
    k, choice = (ks[0] if METHODS[method].counts else None), None
    if len(asked) > 1 or (METHODS[method].counts and len(ks) > 1):
        choice = choose_groups(points, asked, settings, grouping.seed, progress)
        method, k = choice.best.method, choice.best.k
    labels = find_groups(points, method, k, settings.get(method, {}), grouping.seed)
    if not labels.any():
        raise PolyheadError(f"{method}: all images are noise to it; try other `settings`, or other `methods`")
    used = default_settings(method, len(points)) | settings.get(method, {})
    return Clustering(place_in_groups(points, labels), method, k, used, choice)
