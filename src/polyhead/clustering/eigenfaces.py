"""What the images of a group have in common: their mean, and the leading components of their differences from it.

Turk and Pentland's eigenfaces (1991), of any images. The principal components are found in batches (Ross, Lim, Lin,
Yang 2008, by scikit-learn), so that memory does not grow with the number of images.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyhead.report.parts import Pixels
from polyhead.tasks import Array

SINGLE_BATCH = 256  # images: up to that, one batch, which is exact
BATCH = 96  # images, where there are more: the cost of a batch grows with its square
SHOWN = 4  # components
KEPT = 24  # components from batch to batch: what is dropped could add up to a leading one later


@dataclass(frozen=True, eq=False)
class Eigenface:
    """The mean of n images and the leading components of their differences.

    Attributes:
        mean: (height, width, 3), from 0 to 1.
        components: (k, height, width, 3), each of length 1; its largest absolute value is positive.
        variances: (k,) the fraction of the variance that each explains.
    """

    mean: Array
    components: Array
    variances: Array


def find_eigenface(pixels: Pixels, rows: NDArray[np.intp]) -> Eigenface:
    """The eigenface of the images `rows`, one or more; up to four components, and fewer than there are images.

    Exact for up to 256 images; of more, the components beyond the first 24 are dropped after each batch.
    """
    from sklearn.decomposition import IncrementalPCA
    from threadpoolctl import threadpool_limits

    shape = pixels(rows[:1]).shape[1:]
    kept = min(KEPT, len(rows), int(np.prod(shape)))
    analysis = IncrementalPCA(kept)
    # One thread, as in `methods.find_groups`; and no warning about images without any variance, or about a single one.
    with threadpool_limits(1), np.errstate(invalid="ignore", divide="ignore"):
        for batch in _split_batches(rows):
            flat = pixels(batch).reshape(len(batch), -1).astype(np.float32) / 255
            analysis.partial_fit(flat, check_input=False)
    shown = min(SHOWN, len(rows) - 1, kept)
    components = analysis.components_[:shown]
    largest = np.abs(components).argmax(axis=1)
    signs = np.sign(components[np.arange(shown), largest])
    return Eigenface(
        mean=analysis.mean_.reshape(shape),
        components=(components * signs[:, None]).reshape(shown, *shape),
        variances=np.nan_to_num(analysis.explained_variance_ratio_[:shown]),
    )


def _split_batches(rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """All rows in one batch, or in batches of nearly equal size."""
    return [rows] if len(rows) <= SINGLE_BATCH else np.array_split(rows, -(-len(rows) // BATCH))


def draw_component(component: Array) -> NDArray[np.uint8]:
    """A component as a picture: grey where it is 0, lighter where it is positive, darker where it is negative."""
    return (127.5 + 127.5 * component / (np.abs(component).max() or 1)).round().astype(np.uint8)
