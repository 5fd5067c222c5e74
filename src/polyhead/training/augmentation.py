"""Random changes to training images, as one layer inside the compiled training step; then the user's own."""

import functools
import math
from typing import Any

import keras
from keras import ops, random

from polyhead.errors import PolyheadError
from polyhead.recipe.augment import Augment, OwnLayer
from polyhead.training.affine import apply_both, around_centre
from polyhead.training.losses import Tensor
from polyhead.training.own_code import import_part, own_failures
from polyhead.training.policy import Policy


class RandomChange(keras.layers.Layer):
    """Crops, flips, rotates, shears, zooms and shifts by one affine transform an image, then changes light and colours.

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
        policy = Policy(given, images, self.seeds) if given.policy != "none" else None
        transforms = self._transforms(images, policy)
        if transforms is not None:
            images = ops.image.affine_transform(images, transforms, "bilinear", fill_mode=given.fill)
        if given.contrast:
            images = (images - 127.5) * (1 + self._around(images, given.contrast)[:, None, None, None]) + 127.5
        if given.brightness:
            images = images + 255 * self._around(images, given.brightness)[:, None, None, None]
        images = ops.clip(images, 0, 255)
        if policy is not None:
            images = policy.change_colors(images)
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

    def _transforms(self, images: Tensor, policy: Policy | None) -> Tensor | None:
        """Transforms (n, 8) from a point of the changed image to one of the original; None where nothing moves."""
        given, parts = self.settings, []
        if policy is not None:
            parts.append(policy.transforms())
        if given.flip != "none" or given.rotation or given.shift or given.zoom or given.shear:
            parts.append(self._turns(images))
        if given.crop < 1:
            parts.append(self._crops(images))
        return functools.reduce(apply_both, parts) if parts else None

    def _turns(self, images: Tensor) -> Tensor:
        """Transforms (n, 8) that turn, shear, scale and mirror around the centre, and shift."""
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
        shift = self._around(images, given.shift) * width, self._around(images, given.shift) * height
        return around_centre((height, width), (a0, a1, b0, b1), shift)

    def _crops(self, images: Tensor) -> Tensor:
        """Transforms (n, 8) that show a random part of an image in its whole frame.

        The part's area is uniform from the least to the whole, its proportions (beside the image's own) log-uniform
        from 3/4 to 4/3; where they would not fit into the image, the nearest that do. (torchvision draws again
        instead, which a compiled step cannot.)
        """
        height, width = images.shape[1], images.shape[2]
        area = random.uniform(ops.shape(images)[:1], self.settings.crop, 1.0, seed=self.seeds)
        ratio = ops.clip(ops.exp(self._around(images, math.log(4 / 3))), area, 1 / area)
        across, down = ops.minimum(ops.sqrt(area * ratio), 1.0), ops.minimum(ops.sqrt(area / ratio), 1.0)
        left = (1 - across) * self._around(images, 0.5) * width
        above = (1 - down) * self._around(images, 0.5) * height
        none = ops.zeros_like(across)
        return around_centre((height, width), (across, none, none, down), (left, above))


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
