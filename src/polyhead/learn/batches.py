"""What `fit` reads: batches whose content is a function of the seed, the epoch and the step alone."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Pixels = Callable[[NDArray[np.intp]], NDArray[np.uint8]]


class Batches(keras.utils.PyDataset):
    """Endless shuffled batches, from step `start` of all steps on; `steps` make an epoch, the last may be smaller.

    Endless, and counted through, because Keras fetches ahead: a data set that were told of a new epoch would be told
    at no certain moment.

    Args:
        pixels: gives uint8 images (n, height, width, 3) for n rows.
        targets: float32 (rows, width) by task, for all rows of the table.
        rows: the table's rows to train on.
    """

    def __init__(
        self, pixels: Pixels, targets: dict[str, NDArray[np.float32]], rows: NDArray[np.intp], size: int, seed: int
    ) -> None:
        super().__init__()
        self.pixels, self.targets, self.rows = pixels, targets, rows
        self.size, self.seed, self.start = size, seed, 0
        self.steps = -(-len(rows) // size)
        self._order: tuple[int, NDArray[np.intp]] = (-1, rows)

    @property
    def num_batches(self) -> None:
        """Without end."""

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Images and targets of step `start + index`."""
        epoch, step = divmod(self.start + index, self.steps)
        if self._order[0] != epoch:
            self._order = (epoch, np.random.default_rng((self.seed, epoch)).permutation(self.rows))
        return _batch(self, self._order[1][step * self.size : (step + 1) * self.size])


class OneEpoch(keras.utils.PyDataset):
    """All rows once, in order."""

    def __init__(
        self, pixels: Pixels, targets: dict[str, NDArray[np.float32]], rows: NDArray[np.intp], size: int
    ) -> None:
        super().__init__()
        self.pixels, self.targets, self.rows, self.size = pixels, targets, rows, size

    def __len__(self) -> int:
        return -(-len(self.rows) // self.size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Images and targets of one batch."""
        return _batch(self, self.rows[index * self.size : (index + 1) * self.size])


def _batch(data: Batches | OneEpoch, rows: NDArray[np.intp]) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    return data.pixels(rows), {name: targets[rows] for name, targets in data.targets.items()}
