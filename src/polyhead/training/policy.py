"""RandAugment and TrivialAugment: for each image a few operations drawn from a list, compiled on every backend.

Keras's own RandAugment draws the same operations for a whole batch, computes each of its eleven as often as it draws,
and does not compile on JAX. Here operations that move pixels join the one transform that resamples an image. Of an
image's operations these come first, then the others in the order of COLORS. The papers' list but for equalisation,
which needs a histogram of each image.

Cubuk, Zoph, Shlens, Le: RandAugment: Practical Automated Data Augmentation with a Reduced Search Space, 2020,
arXiv:1909.13719. Müller, Hutter: TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation, 2021,
arXiv:2103.10158.
"""

import math

from keras import ops, random

from polyhead.recipe.augment import Augment
from polyhead.training.affine import around_centre
from polyhead.training.losses import Tensor

MOVES = ("rotation", "shear across", "shear down", "shift across", "shift down")
BLENDS = ("brightness", "saturation", "contrast", "sharpness")
COLORS = (*BLENDS, "posterize", "solarize", "auto contrast")
DRAWN = {"randaugment": 2, "trivialaugment": 1}  # operations an image
# What strength 1 does, as in the papers.
ROTATION = math.radians(30)
SHEAR = 0.3
SHIFT = 0.3  # of height or width
BLEND = 0.9  # how much nearer to the plainer image, or farther from it
BITS = 4  # that are left out of 8


class Policy:
    """What one batch is changed by: the strength (n,) of each operation for each image, 0 where it was not drawn.

    Args:
        given: whose `policy` is not `none`.
        seeds: where random numbers come from.
    """

    def __init__(self, given: Augment, images: Tensor, seeds: random.SeedGenerator) -> None:
        names = ["nothing", *MOVES, *(COLORS if given.policy_colors else ())]
        count = ops.shape(images)[:1]
        lots = random.uniform((*count, len(names)), seed=seeds)
        drawn = ops.cast(lots >= ops.top_k(lots, DRAWN[given.policy])[0][:, -1:], "float32")
        strength = ops.full(count, given.policy_strength, dtype="float32")
        if given.policy == "trivialaugment":
            strength = strength * random.uniform(count, seed=seeds)
        signs = ops.sign(random.uniform(count, -1.0, 1.0, seed=seeds) + 1e-9)
        self.size = (images.shape[1], images.shape[2])
        self.has_colors = given.policy_colors
        self.drawn = {name: drawn[:, at] for at, name in enumerate(names)}
        self.strength, self.signs = strength, signs

    def transforms(self) -> Tensor:
        """Transforms (n, 8) from a point of the changed image to one of the original."""
        turn, across, down, right, below = (self.drawn[name] * self.strength * self.signs for name in MOVES)
        angle = turn * ROTATION
        # At most two are drawn: turn after shear, [cos -sin; sin cos] [1 across; down 1].
        cos, sin, across, down = ops.cos(angle), ops.sin(angle), across * SHEAR, down * SHEAR
        matrix = (cos - sin * down, cos * across - sin, sin + cos * down, sin * across + cos)
        return around_centre(self.size, matrix, (right * SHIFT * self.size[1], below * SHIFT * self.size[0]))

    def change_colors(self, images: Tensor) -> Tensor:
        """Images (n, height, width, 3), from 0 to 255, changed in light and colour."""
        if not self.has_colors:
            return images
        grey = ops.repeat(ops.image.rgb_to_grayscale(images), 3, axis=-1)
        mean = ops.mean(grey, axis=(1, 2), keepdims=True)
        plain = {
            "brightness": 0.0,
            "saturation": grey,
            "contrast": mean,
            "sharpness": ops.average_pool(images, 3, 1, "same"),
        }
        strength = _stretch(self.strength)
        factor = 1 + BLEND * strength * _stretch(self.signs)
        for name in BLENDS:
            images = self._where(name, ops.clip(plain[name] + factor * (images - plain[name]), 0, 255), images)
        step = 2 ** ops.round(BITS * strength)
        images = self._where("posterize", ops.floor(images / step) * step, images)
        images = self._where("solarize", ops.where(images < 256 * (1 - strength), images, 255 - images), images)
        low, high = ops.min(images, axis=(1, 2), keepdims=True), ops.max(images, axis=(1, 2), keepdims=True)
        return self._where("auto contrast", (images - low) * (255 / ops.maximum(high - low, 1.0)), images)

    def _where(self, name: str, changed: Tensor, images: Tensor) -> Tensor:
        return ops.where(_stretch(self.drawn[name]) > 0, changed, images)


def _stretch(values: Tensor) -> Tensor:
    """Values (n,) as (n, 1, 1, 1)."""
    return ops.reshape(values, (-1, 1, 1, 1))
