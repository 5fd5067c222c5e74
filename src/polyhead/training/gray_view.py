"""The image in grey, in a tone of its own in training: what a task sees that ignores colours."""

from typing import Any

import keras
import numpy as np
from keras import ops

from polyhead.training import backend
from polyhead.training.losses import Tensor
from polyhead.training.masked import PACKAGE

NEGATIVES = 0.5  # of the images in training


@keras.saving.register_keras_serializable(PACKAGE)
class GrayView(keras.layers.Layer):
    """From pixels (n, height, width, 3), 0 to 255, to grey ones of three equal channels, as bright as they seem.

    In training each image's channels are mixed in random parts, and half of the images are negatives: a fixed grey
    still tells black from white, and much of red from yellow.
    """

    def __init__(self, seed: int | None = None, **more: Any) -> None:
        super().__init__(**more)
        self.generator = keras.random.SeedGenerator(backend.dropout_seed() if seed is None else seed)

    def call(self, pixels: Tensor, training: bool | None = None) -> Tensor:
        """The grey images of a batch."""
        if not training:
            return ops.repeat(ops.image.rgb_to_grayscale(pixels), 3, axis=-1)
        drawn = -ops.log(keras.random.uniform((ops.shape(pixels)[0], 3), 1e-6, 1, pixels.dtype, self.generator))
        parts = drawn / ops.sum(drawn, axis=1, keepdims=True)  # evenly from all parts that add up to 1
        gray = ops.sum(pixels * parts[:, np.newaxis, np.newaxis], axis=-1, keepdims=True)
        drawn = keras.random.uniform((ops.shape(pixels)[0], 1, 1, 1), 0, 1, pixels.dtype, self.generator)
        return ops.repeat(ops.where(drawn < NEGATIVES, 255 - gray, gray), 3, axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """That of the pixels."""
        return input_shape
