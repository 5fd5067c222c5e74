"""Explains an answer: covers one part of the image after another, and measures how the answer changes.

Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, 2014, arXiv:1311.2901.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CELLS = 12  # down and across
REACH = 1  # cells that a cover extends beyond its own on every side

Pixels = NDArray[np.uint8]
Cover = tuple[slice, slice]


def list_covers(size: tuple[int, int]) -> tuple[list[Cover], tuple[int, int]]:
    """The parts of an image of `size` (height, width) to cover, row by row, and their number (down, across)."""
    down, across = (_spans(length) for length in size)
    return [(rows, columns) for rows in down for columns in across], (len(down), len(across))


def cover_each(pixels: Pixels, covers: Sequence[Cover]) -> Pixels:
    """Copies of an image (height, width, 3), each with one part under its mean colour: (n, height, width, 3).

    The mean, since any other colour might not occur in the image.
    """
    copies = np.repeat(pixels[np.newaxis], len(covers), axis=0)
    mean = pixels.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    for copy, cover in zip(copies, covers, strict=True):
        copy[cover] = mean
    return copies


def _spans(length: int) -> list[slice]:
    """One for each cell along a side: the cell and its neighbours."""
    cells = min(CELLS, length)
    edges = np.linspace(0, length, cells + 1).round().astype(int).tolist()
    return [slice(edges[max(cell - REACH, 0)], edges[min(cell + 1 + REACH, cells)]) for cell in range(cells)]
