"""Feature vectors along their principal components."""

import numpy as np

from polyhead.errors import require
from polyhead.tasks import Array

COMPONENTS = 50  # of a feature vector: the rest is noise and time


def reduce_features(features: Array, seed: int) -> Array:
    """Feature vectors (n, width) along their 50 leading principal components at most (n, components)."""
    require("comparing images", "report")
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    size = min(COMPONENTS, *features.shape)
    with threadpool_limits(1), np.errstate(invalid="ignore"):  # one thread: as in `clustering.methods.find_groups`
        return np.asarray(PCA(size, svd_solver="randomized", random_state=seed).fit_transform(features), float)
