"""Images that nearly repeat others, and images unlike all others, by a network's features. Arrays in, rows out.

Memory is bounded: similarities are worked out for some rows at a time.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from polyhead.errors import require
from polyhead.tasks import Array

Images = NDArray[np.uint8]
Rows = NDArray[np.intp]

COMPONENTS = 128  # of the features: more of them cost time, and find the same
CELLS = 2**24  # similarities at a time
CANDIDATES = 5  # nearest images that are compared by their pixels, too
BLOCK = 256  # pairs of images that are compared at a time
FOUND = 0.95  # of slightly altered copies, which a threshold lets be found
COPIED = 200  # images of which copies are made
QUALITY, MARGIN = 60, 0.02  # of the copies: JPEG's quality, and what each side loses
THUMB = 16  # pixels a side
NEIGHBOURS = 10
FEWEST = 30  # images, below which none can be called unlike the others
OUTLIER = 5.0  # robust deviations; 3.5 is usual for normal distances, and these have a long tail
TO_DEVIATION = 1.4826  # times a normal distribution's median absolute deviation is its standard deviation


@dataclass(frozen=True)
class FeatureSpace:
    """Where images lie by their features: directions from the mean, along the leading principal components.

    Attributes:
        mean: (width,) of the features.
        basis: (width, components).
    """

    mean: NDArray[np.float64]
    basis: NDArray[np.float64]

    @classmethod
    def of(cls, features: Array) -> "FeatureSpace":
        """The space of features (n, width), n at least 1."""
        require("comparing images", "report")
        from threadpoolctl import threadpool_limits

        mean = features.mean(axis=0, dtype=float)
        if features.shape[1] <= COMPONENTS:
            return cls(mean, np.eye(features.shape[1]))
        spread = np.zeros((features.shape[1], features.shape[1]))
        size = max(1, CELLS // features.shape[1])
        with threadpool_limits(1), np.errstate(all="ignore"):  # one thread, or sums would differ between machines
            for start in range(0, len(features), size):
                centred = features[start : start + size] - mean
                spread += centred.T @ centred
            _, vectors = np.linalg.eigh(spread)
        return cls(mean, vectors[:, -COMPONENTS:])

    def place(self, features: Array) -> NDArray[np.float32]:
        """Unit vectors (n, components), whose products are cosine similarities, -1 to 1."""
        found = np.empty((len(features), self.basis.shape[1]), np.float32)
        size = max(1, CELLS // features.shape[1])
        for start in range(0, len(features), size):
            with np.errstate(all="ignore"):
                found[start : start + size] = (features[start : start + size] - self.mean) @ self.basis
        return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9), np.float32)


def find_nearest(vectors: NDArray[np.float32], asked: Rows, among: Rows, count: int) -> tuple[Rows, Array]:
    """The most similar rows `among` those given, of each that is `asked`, itself left out.

    Args:
        vectors: (n, width) of length 1.
        asked: (m,) rows.
        among: (k,) rows.
        count: how many of each; k at most.

    Returns:
        Rows (m, count) and their cosine similarities (m, count), the most similar first; -2 of itself, where nothing
        else is left.
    """
    require("comparing images", "report")
    from threadpoolctl import threadpool_limits

    count = min(count, len(among))
    rows, similar = np.zeros((len(asked), count), np.intp), np.zeros((len(asked), count), np.float32)
    others, size = vectors[among].T, max(1, CELLS // max(len(among), 1))
    for start in range(0, len(asked) if count else 0, size):
        part = asked[start : start + size]
        with threadpool_limits(1), np.errstate(all="ignore"):
            found = vectors[part] @ others
        found[part[:, np.newaxis] == among] = -2.0
        top = np.argpartition(-found, count - 1, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(found, top, axis=1), axis=1, kind="stable")
        top = np.take_along_axis(top, order, axis=1)
        rows[start : start + size], similar[start : start + size] = among[top], np.take_along_axis(found, top, axis=1)
    return rows, similar


@dataclass(frozen=True)
class Thresholds:
    """From where on two images count as near repeats: as alike as an image and its slightly altered copy mostly is.

    Attributes:
        features: the least cosine similarity of their features, -1 to 1.
        pixels: the least correlation of their pixels at 16 x 16, -1 to 1.
    """

    features: float
    pixels: float


@dataclass(frozen=True)
class NearRepeat:
    """A row that nearly repeats another, how similar their features are, and how their pixels: -1 to 1.

    Where it is `mirrored`, its mirror image does.
    """

    row: int
    of: int
    similarity: float
    pixels: float
    mirrored: bool = False


def find_thresholds(
    space: FeatureSpace, images: Images, features: Array, embed: Callable[[Images], Array]
) -> Thresholds:
    """What similarity 95 of 100 slightly altered copies have to what they were made of.

    The copies are saved as JPEG of quality 60, and cut by 2 % at each side. So the thresholds are in this network's own
    terms: one that was trained on these images finds them more alike than another.

    Args:
        images: (n, height, width, 3), n at least 1.
        features: theirs, (n, width).
        embed: what gives the features of images.
    """
    features_alike, pixels_alike = [], []
    placed, small = space.place(features), _shrink(images)
    for alter in (_save_small, _cut):
        copies = np.stack([alter(Image.fromarray(image)) for image in images])
        features_alike.append((placed * space.place(embed(copies))).sum(axis=1))
        pixels_alike.append((small * _shrink(copies)).sum(axis=1))
    least = [float(np.quantile(np.concatenate(found), 1 - FOUND)) for found in (features_alike, pixels_alike)]
    return Thresholds(*least)


def find_near_repeats(
    vectors: NDArray[np.float32],
    asked: Rows,
    among: Rows,
    pixels: Callable[[Rows], Images],
    thresholds: Thresholds,
) -> list[NearRepeat]:
    """The rows `asked` that nearly repeat one `among` others: by features, and by pixels as well; likeliest first.

    Features alone would take two products of a kind in the same pose for one.

    Args:
        vectors: (n, width), as `FeatureSpace.place` gives them.
        asked: (m,) rows.
        among: (k,) rows, none of which is asked.
        pixels: the images (n, height, width, 3) of rows.
    """
    rows, similar = find_nearest(vectors, asked, among, CANDIDATES)
    at, place = np.nonzero(similar >= thresholds.features)
    alike = np.zeros(len(at))
    for start in range(0, len(at), BLOCK):
        part = slice(start, start + BLOCK)
        first, second = pixels(asked[at[part]]), pixels(rows[at[part], place[part]])
        alike[part] = (_shrink(first) * _shrink(second)).sum(axis=1)
    best: dict[int, NearRepeat] = {}
    for index, (one, other) in enumerate(zip(at, place, strict=True)):
        row = int(asked[one])
        if alike[index] >= thresholds.pixels and (row not in best or alike[index] > best[row].pixels):
            best[row] = NearRepeat(row, int(rows[one, other]), float(similar[one, other]), float(alike[index]))
    return sorted(best.values(), key=lambda found: (-found.similarity, found.row))


def find_mirrored_repeats(
    vectors: NDArray[np.float32],
    mirrored: NDArray[np.float32],
    rows: tuple[Rows, Rows],
    pixels: Callable[[Rows], Images],
    thresholds: Thresholds,
) -> list[NearRepeat]:
    """The rows whose mirror image, left for right, nearly repeats one of the others; likeliest first.

    Args:
        vectors: (n, width), as `FeatureSpace.place` gives them.
        mirrored: (m, width), those of the mirror images of the rows that are asked.
        rows: those that are asked (m,), and the others (k,).
        pixels: the images (n, height, width, 3) of rows.
    """
    asked, among = rows
    count = len(vectors)

    def show(wanted: Rows) -> Images:  # behind the rows stand the mirror images of those that are asked
        behind = wanted >= count
        images = np.array(pixels(np.where(behind, asked[(wanted - count) * behind], wanted)))
        images[behind] = mirror(images[behind])
        return images

    mirrors = np.arange(count, count + len(asked), dtype=np.intp)
    found = find_near_repeats(np.concatenate([vectors, mirrored]), mirrors, among, show, thresholds)
    return [replace(one, row=int(asked[one.row - count]), mirrored=True) for one in found]


def mirror(images: Images) -> Images:
    """Images (n, height, width, 3) with left for right."""
    return images[:, :, ::-1]


def find_unlike(vectors: NDArray[np.float32]) -> list[tuple[int, float]]:
    """The rows that are unlike all others, and by how many robust deviations; the strangest first.

    How far a row is from its 10 nearest neighbours (1 less their mean cosine similarity; distance to neighbours as in
    Ramaswamy, Rastogi, Shim 2000) is compared with how far rows usually are: its median and median absolute deviation.

    Args:
        vectors: (n, width), as `FeatureSpace.place` gives them.
    """
    rows = np.arange(len(vectors), dtype=np.intp)
    if len(rows) < FEWEST:
        return []
    distances = 1 - find_nearest(vectors, rows, rows, NEIGHBOURS)[1].mean(axis=1, dtype=float)
    middle = np.median(distances)
    deviation = TO_DEVIATION * float(np.median(np.abs(distances - middle)))
    scores = (distances - middle) / max(deviation, 1e-6)
    order: Sequence[int] = np.argsort(-scores, kind="stable").tolist()
    return [(row, float(scores[row])) for row in order if scores[row] > OUTLIER]


def _save_small(image: Image.Image) -> Images:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(file), np.uint8)


def _cut(image: Image.Image) -> Images:
    width, height = image.size
    left, top = MARGIN * width, MARGIN * height
    box = (left, top, width - left, height - top)
    return np.asarray(image.resize(image.size, Image.Resampling.BILINEAR, box), np.uint8)


def _shrink(images: Images) -> NDArray[np.float32]:
    """Images at 16 x 16 without their mean, as unit vectors (n, 768) whose products are correlations."""
    size = (THUMB, THUMB)
    small = [np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX), np.float32) for image in images]
    flat = np.stack(small).reshape(len(images), -1) if small else np.zeros((0, 3 * THUMB**2), np.float32)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6), np.float32)
