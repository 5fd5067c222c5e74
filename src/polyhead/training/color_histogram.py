"""Which colours an image has, and nothing of where: what a task sees that ignores shapes."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from polyhead.training.losses import Tensor
from polyhead.training.masked import PACKAGE

MOST = 64  # pixels a side that are looked at, at most; of larger images every second, third, ... one
DARK = 0.05  # of the full brightness: keeps the hue of what is almost black from being noise


@keras.saving.register_keras_serializable(PACKAGE)
class ColorHistogram(keras.layers.Layer):
    """From pixels (n, height, width, 3), 0 to 255, to a soft histogram (n, bins), its mean square 1; nothing is learnt.

    Axes are brightness, its bins finer where it is dark, and two opponent colours, red against green and blue against
    yellow, relative to the brightness (Swain, Ballard: Color Indexing, 1991). A pixel counts for the bins around it by
    how near it is to them, and the more the nearer it is to the image's centre, by a Gaussian of a quarter of its size.
    Bins are given as square roots, so that a linear layer compares histograms as Hellinger's distance does
    (Arandjelovic, Zisserman 2012).
    """

    def __init__(self, colors: int = 9, brightness: int = 6, **more: Any) -> None:
        super().__init__(**{"dtype": "float32"} | more)  # in halves, few pixels would not count
        self.colors, self.brightness = colors, brightness

    @property
    def bins(self) -> int:
        """How many there are."""
        return self.colors**2 * self.brightness

    def call(self, pixels: Tensor) -> Tensor:
        """The histograms of a batch."""
        steps = [math.ceil(side / MOST) for side in pixels.shape[1:3]]
        seen = pixels[:, :: steps[0], :: steps[1]] / 255
        height, width = seen.shape[1:3]
        red, green, blue = (ops.reshape(seen[..., at], (-1, height * width, 1)) for at in range(3))
        value = ops.maximum(ops.maximum(red, green), blue)
        first = (red - green) / (value + DARK)
        second = (blue - (red + green) / 2) / (value + DARK)
        weights = _spread_weights(height, width)
        first, second = (_share(axis, -1, self.colors) for axis in (first, second))
        colors = ops.expand_dims(first, 3) * ops.expand_dims(second, 2)
        colors = ops.reshape(colors, (-1, height * width, self.colors**2))
        counts = ops.matmul(ops.transpose(colors, (0, 2, 1)), _share(ops.sqrt(value), 0, self.brightness) * weights)
        return ops.sqrt(ops.reshape(counts, (-1, self.bins)) * self.bins)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, int]:
        """A vector an image."""
        return input_shape[0], self.bins

    def get_config(self) -> dict[str, Any]:
        """What it is made of."""
        return {**super().get_config(), "colors": self.colors, "brightness": self.brightness}


def _share(values: Tensor, lowest: float, bins: int) -> Tensor:
    """What values (n, pixels, 1) from `lowest` to 1 count for each bin (n, pixels, bins): 1 in all, for two at most."""
    distance = (values - np.linspace(lowest, 1, bins, dtype="float32")) * ((bins - 1) / (1 - lowest))
    return ops.relu(1 - ops.maximum(distance, -distance))


def _spread_weights(height: int, width: int) -> NDArray[np.float32]:
    """How much each pixel counts (pixels, 1), 1 in all."""
    down, across = ((np.arange(side) - (side - 1) / 2) / (side / 4) for side in (height, width))
    weights = np.exp(-(down[:, np.newaxis] ** 2 + across**2) / 2)
    return np.asarray(weights / weights.sum(), np.float32).reshape(-1, 1)
