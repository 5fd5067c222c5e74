"""The vectors of a frozen backbone: computed once, instead of at every step."""

import os
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from polyhead.progress import Progress
from polyhead.training.batches import TrainingData
from polyhead.training.processes import leads, wait_for_all

BATCH = 64  # images a call


def precompute(trunk: keras.Model, training_data: TrainingData, path: Path, progress: Progress) -> TrainingData:
    """The same training data with the trunk's vectors, float32 (n, width), instead of images.

    They are written to `path`, row after row, and read from there: they need not fit into memory. The file is
    needed for as long as the training data is. Of several processes each computes all, and the leader writes.

    Args:
        trunk: from float pixels (n, height, width, 3), 0 to 255, to vectors (n, width).
    """
    rows = np.concatenate([training_data.train, training_data.valid])
    advance = progress.track("features", len(rows))
    with path.open("wb") if leads() else open(os.devnull, "wb") as file:
        for at in range(0, len(rows), BATCH):
            pixels = training_data.pixels(rows[at : at + BATCH]).astype(np.float32)
            file.write(np.asarray(trunk.predict_on_batch(pixels), np.float32).tobytes())
            advance(len(pixels))
    wait_for_all("features")
    vectors = np.memmap(path, np.float32, "r", shape=(len(rows), trunk.output_shape[-1]))
    indices = np.zeros(rows.max() + 1, np.intp)
    indices[rows] = np.arange(len(rows))

    def read(wanted: NDArray[np.intp]) -> NDArray[np.float32]:
        return np.asarray(vectors[indices[wanted]])

    return replace(training_data, pixels=read)
