"""What a pretrained backbone sees of some images before anything is trained, for whoever asks."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from polyhead.progress import Progress
from polyhead.training.batches import TrainingData
from polyhead.training.features import BATCH, precompute

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class FeatureRequest:
    """Images whose features are wanted.

    Attributes:
        train: rows of the table to train on.
        valid: rows that watch.
        seconds: that seeing them may take, where the network does not see them anyhow; with less, fewer are given.
        take: is given the rows and their vectors, those to train on and those that watch.
    """

    train: NDArray[np.intp]
    valid: NDArray[np.intp]
    seconds: float
    take: Callable[[tuple[NDArray[np.intp], Vectors], tuple[NDArray[np.intp], Vectors]], None]

    def give_seen(self, seen: TrainingData) -> None:
        """Give what a frozen backbone has seen of all images."""
        train, valid = np.intersect1d(self.train, seen.train), np.intersect1d(self.valid, seen.valid)
        self.take((train, _read(seen, train)), (valid, _read(seen, valid)))

    def look(self, trunk: keras.Model, training_data: TrainingData, path: Path, progress: Progress) -> None:
        """See the images, as many as there is time for, and give that; `path` is a file for as long as it takes."""
        limited = replace(training_data, train=self.train, valid=self.valid)
        if np.isfinite(self.seconds):
            wanted = len(self.train) + len(self.valid)
            fraction = min(1.0, self.seconds / (wanted * _time_image(trunk, limited)))
            train, valid = (rows[: int(fraction * len(rows))] for rows in (self.train, self.valid))
            limited = replace(limited, train=train, valid=valid)
        request = replace(self, train=limited.train, valid=limited.valid)
        if len(limited.train) and len(limited.valid):
            request.give_seen(precompute(trunk, limited, path, progress))
            path.unlink(missing_ok=True)
        else:
            none = np.zeros((0, trunk.output_shape[-1]), np.float32)
            self.take((self.train[:0], none), (self.valid[:0], none))


def _read(seen: TrainingData, rows: NDArray[np.intp]) -> Vectors:
    return np.asarray(seen.pixels(rows), np.float32)


def _time_image(trunk: keras.Model, training_data: TrainingData) -> float:
    """The seconds that the trunk takes to see an image, reading it included, once it is compiled."""
    some = training_data.train[:BATCH]
    trunk.predict_on_batch(training_data.pixels(some).astype(np.float32))
    begun = time.monotonic()
    trunk.predict_on_batch(training_data.pixels(some).astype(np.float32))
    return (time.monotonic() - begun) / len(some)
