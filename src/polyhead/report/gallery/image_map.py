"""Two-dimensional maps of images, and their nearest neighbours by features."""

import warnings
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from polyhead.evaluation.features import reduce_features
from polyhead.tasks import Array

NEIGHBOURS = 12  # of each image


def map_points(points: Array, seed: int) -> dict[str, Array]:
    """Points (n, columns) in two dimensions (n, 2), scaled to -1..1: `PCA`, and `UMAP` if umap-learn is installed.

    PCA keeps distances, as far as two dimensions can; UMAP (McInnes, Healy, Melville 2018) shows which
    points are neighbours.
    """
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    size = min(2, *points.shape)
    with threadpool_limits(1):  # as in `clustering.methods.find_groups`
        flat = PCA(size, svd_solver="full").fit_transform(points)
    maps = {"PCA": np.pad(flat, ((0, 0), (0, 2 - size)))}
    if len(points) > NEIGHBOURS and find_spec("umap"):
        import umap

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about using one core because of the seed
            maps["UMAP"] = umap.UMAP(random_state=seed).fit_transform(points)
    return {name: _fill_plane(plane) for name, plane in maps.items()}


def _fill_plane(plane: Array) -> Array:
    middle = (plane.max(axis=0) + plane.min(axis=0)) / 2
    return np.asarray((plane - middle) / (np.abs(plane - middle).max() or 1))


def find_neighbours(features: Array, seed: int) -> NDArray[np.intp]:
    """The images whose feature vectors (n, width) are nearest to each one's, nearest first: (n, up to 12).

    By Euclidean distance along the 50 leading principal components.
    """
    from sklearn.neighbors import NearestNeighbors

    count = min(NEIGHBOURS, len(features) - 1)
    if not count:
        return np.empty((len(features), 0), np.intp)
    search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(reduce_features(features, seed))
    return np.asarray(search.kneighbors(return_distance=False))  # of the points fitted, none is its own neighbour
