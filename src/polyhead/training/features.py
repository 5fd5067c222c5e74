"""The vectors of a backbone that a stage leaves as it is: computed once, instead of at every step."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from polyhead.progress import Progress
from polyhead.training.batches import TrainingData

BATCH = 64  # images a call


def precompute(trunk: keras.Model, training_data: TrainingData, path: Path, progress: Progress) -> TrainingData:
    """A training_data that gives the trunk's vectors, float32 (n, width), in the images' place.

    They are written to `path`, row after row, and read from there: they need not fit into memory. The file is of use
    while the training_data is, and no longer.

    Args:
        trunk: from float pixels (n, height, width, 3), 0 to 255, to vectors (n, width).
    """
    rows = np.concatenate([training_data.train, training_data.valid])
    advance = progress.track("features", len(rows))
    with path.open("wb") as file:
        for at in range(0, len(rows), BATCH):
            pixels = training_data.pixels(rows[at : at + BATCH]).astype(np.float32)
            file.write(np.asarray(trunk.predict_on_batch(pixels), np.float32).tobytes())
            advance(len(pixels))
    vectors = np.memmap(path, np.float32, "r", shape=(len(rows), trunk.output_shape[-1]))
    places = np.zeros(rows.max() + 1, np.intp)
    places[rows] = np.arange(len(rows))

    def read(wanted: NDArray[np.intp]) -> NDArray[np.float32]:
        return np.asarray(vectors[places[wanted]])

    return replace(training_data, pixels=read)
