"""Random changes to training images, as one layer inside the compiled training step; then the user's own."""

import math
from typing import Any

import keras
from keras import ops, random

from polyhead.errors import PolyheadError
from polyhead.recipe.training import Augment, OwnLayer
from polyhead.training.losses import Tensor
from polyhead.training.own_code import import_part, own_failures


class RandomChange(keras.layers.Layer):
    """Flips, rotates, shears, zooms and shifts by one affine transform an image, then changes light and colours.

    Keras's own layers for the former resample once each, and run uncompiled on JAX; this resamples once in all, and
    compiles. For colours, blur and erasing, Keras's layers are used.
    Images are float (n, height, width, 3) from 0 to 255.
    """

    def __init__(self, settings: Augment, seed: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settings = settings
        self.seeds = random.SeedGenerator(seed)
        self.changes = _make_layers(settings, seed)
        self.own = [_make_own(layer, index) for index, layer in enumerate(settings.layers)]

    def call(self, images: Tensor) -> Tensor:
        """Other random changes at every call."""
        given = self.settings
        if given.flip != "none" or given.rotation or given.shift or given.zoom or given.shear:
            fill = given.fill
            images = ops.image.affine_transform(images, self._transforms(images), "bilinear", fill_mode=fill)
        if given.contrast:
            images = (images - 127.5) * (1 + self._around(images, given.contrast)[:, None, None, None]) + 127.5
        if given.brightness:
            images = images + 255 * self._around(images, given.brightness)[:, None, None, None]
        images = ops.clip(images, 0, 255)
        for change in self.changes:
            images = change(images, training=True)
        images = ops.clip(images, 0, 255)
        for layer in self.own:
            images = layer(images, training=True)
        return ops.clip(images, 0, 255) if self.own else images

    def _around(self, images: Tensor, most: float) -> Tensor:
        """A number from -most to most for each image."""
        return random.uniform(ops.shape(images)[:1], -most, most, seed=self.seeds)

    def _signs(self, images: Tensor, wanted: bool) -> Tensor:
        """1, or -1 for about half of the images where wanted."""
        return ops.sign(self._around(images, 1.0) + 1e-9) if wanted else ops.ones(ops.shape(images)[:1])

    def _transforms(self, images: Tensor) -> Tensor:
        """Transforms (n, 8) from a point of the changed image to one of the original, around the centre."""
        given = self.settings
        height, width = images.shape[1], images.shape[2]
        angle = self._around(images, math.radians(given.rotation))
        slant = ops.tan(self._around(images, math.radians(given.shear)))
        scale = 1 / (1 + self._around(images, given.zoom))
        across = scale * self._signs(images, given.flip in ("horizontal", "both"))
        down = scale * self._signs(images, given.flip in ("vertical", "both"))
        # Turn after shear after scale: [cos -sin; sin cos] [1 slant; 0 1] [across 0; 0 down].
        a0, a1 = ops.cos(angle) * across, (ops.cos(angle) * slant - ops.sin(angle)) * down
        b0, b1 = ops.sin(angle) * across, (ops.sin(angle) * slant + ops.cos(angle)) * down
        x, y = (width - 1) / 2, (height - 1) / 2
        a2 = x - a0 * x - a1 * y + self._around(images, given.shift) * width
        b2 = y - b0 * x - b1 * y + self._around(images, given.shift) * height
        none = ops.zeros_like(angle)
        return ops.stack([a0, a1, a2, b0, b1, b2, none, none], axis=1)


def _make_own(given: OwnLayer, index: int) -> keras.layers.Layer:
    key = f"training.augment.layers.{index}.builder"
    make = import_part(given.builder, key)
    with own_failures(key, f"calling {given.builder}"):
        layer = make(**given.arguments)
    if not isinstance(layer, keras.layers.Layer):
        raise PolyheadError(f"{key}: expected a keras.layers.Layer; {given.builder} gives {type(layer).__name__}")
    return layer


def check_own_layers(changes: RandomChange, size: tuple[int, int]) -> None:
    """See that the user's own layers give as many images of the same size; and build those that hold weights.

    Args:
        size: height and width.

    Raises:
        PolyheadError: one fails, or does not.
    """
    images = ops.zeros((2, *size, 3))
    for index, layer in enumerate(changes.own):
        key = f"training.augment.layers.{index}.builder"
        with own_failures(key, f"calling {type(layer).__name__} on images"):
            found = ops.shape(layer(images, training=True))
        if tuple(found) != (2, *size, 3):
            raise PolyheadError(f"{key}: expected images {(2, *size, 3)} back, as given; got {tuple(found)}")


def _make_layers(given: Augment, seed: int) -> list[keras.layers.Layer]:
    """Keras's own changes, each for float images from 0 to 255, with random numbers of its own."""
    more, found = keras.layers, []
    if given.saturation:  # to Keras, 0 is grey, a half leaves as it is, 1 is as strong as can be
        found.append(more.RandomSaturation((0.5 - given.saturation / 2, 0.5 + given.saturation / 2), seed=seed + 1))
    if given.hue:
        found.append(more.RandomHue(given.hue, seed=seed + 2))
    if given.grayscale:
        found.append(more.RandomGrayscale(given.grayscale, seed=seed + 3))
    if given.blur:
        found.append(more.RandomGaussianBlur((given.blur, given.blur), kernel_size=5, sigma=1.0, seed=seed + 4))
    if given.erase:
        found.append(more.RandomErasing((given.erase, given.erase), seed=seed + 5))
    return found
