"""Groups of any points, such as feature vectors, without a model: the choice among methods and numbers of groups."""

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
    measure_groups,
)
from polyhead.errors import PolyheadError
from polyhead.progress import SILENT, Progress
from polyhead.tasks import Array


@dataclass(frozen=True, eq=False)
class Clustering:
    """The groups of points, and how they were found.

    Attributes:
        groups: the group of each point in `groups.labels` (n,): 0 for noise, others from 1, the largest first.
        method: of `METHODS`.
        k: how many groups were asked for; None for a method that finds the number itself.
        settings: the parameters of scikit-learn's class.
        choice: the trials, and why this one was chosen; None if there was nothing to choose.
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
        k: how many groups, or a range such as "2..12", of which the best silhouette is chosen.
        methods: of kmeans, agglomerative, spectral, birch, dbscan, optics, hdbscan; if empty, K-Means, or all
            where `k` is a range.
        settings: parameters of scikit-learn's class, such as `{"eps": 0.3}`; of one of several methods `dbscan.eps`.
        seed: of all randomness; equal arguments give equal groups.

    Raises:
        PolyheadError: the points cannot be grouped in that way, or an argument is wrong.
    """
    array = np.asarray(points, float)
    if array.ndim != 2:
        raise PolyheadError(f"points: expected an array (n, columns); got one of shape {array.shape}")
    grouping = Grouping(k=k, methods=list(methods), settings=dict(settings or {}), seed=seed)
    return group_points(array, grouping, SILENT)


def group_points(points: Array, grouping: Grouping, progress: Progress) -> Clustering:
    """Group points (n, columns) by the methods and numbers of a grouping.

    Raises:
        PolyheadError: they cannot be grouped in that way.
    """
    check_points(points, grouping.bounds[1] if grouping.k is not None else 2)
    candidates = grouping.list_candidates(len(points), count_different(points))
    for name in candidates:
        check_size(name, len(points))
    settings = grouping.settings_by_method(list(candidates))
    method, ks = next(iter(candidates.items()))
    k, choice = (ks[0] if METHODS[method].takes_k else None), None
    if len(candidates) > 1 or (METHODS[method].takes_k and len(ks) > 1):
        choice = choose_groups(points, candidates, settings, grouping.seed, progress)
        method, k = choice.best.method, choice.best.k
    labels = find_groups(points, method, k, settings.get(method, {}), grouping.seed)
    if not labels.any():
        raise PolyheadError(f"{method}: found only noise; try other `settings` or `methods`")
    used = default_settings(method, len(points)) | settings.get(method, {})
    return Clustering(measure_groups(points, labels), method, k, used, choice)
