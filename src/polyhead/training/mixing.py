"""MixUp and CutMix: an image and its partner become one, whose labels are those of both, each by its share.

Labels themselves are not mixed but the losses of both, sum(share x loss): for cross-entropy that is the loss of the
mixed label, and it also serves numbers, ordered levels, and losses of the user's own. So masks mix too: where a label
of one of the two is unknown, only the other's counts, by its share. The partner is the next image of the batch, which
is shuffled already.
"""

from typing import Any

import keras
from keras import ops, random

from polyhead.recipe.augment import Mix
from polyhead.training.losses import Tensor

SHARES = "mix.shares"  # among a network's logits by task; no task's name has a dot


class MixImages(keras.layers.Layer):
    """Mixes float images (n, height, width, 3) with their partners, other ones at every call.

    Zhang, Cisse, Dauphin, Lopez-Paz: mixup: Beyond Empirical Risk Minimization, 2018, arXiv:1710.09412. Yun, Han, Oh,
    Chun, Choe, Yoo: CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features, 2019,
    arXiv:1905.04899.
    """

    def __init__(self, settings: Mix, seed: int, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.settings = settings
        self.seeds = random.SeedGenerator(seed + 6)  # other numbers than augmentation's

    def call(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The mixed images; and the share of each that is its own, (n, 1), from 0 to 1."""
        given, count = self.settings, ops.shape(images)[:1]
        none = ops.zeros((*count, 1, 1, 1))
        blended = self._draw_shares(count, given.mixup) + none if given.mixup else none
        own = blended + ops.zeros_like(images[..., :1])  # of each pixel
        if given.cutmix:
            kept = self._keep_outside(images, self._draw_shares(count, given.cutmix))
            is_cut = random.uniform((*count, 1, 1, 1), seed=self.seeds) < (0.5 if given.mixup else 1.0)
            own = ops.where(is_cut, kept, own)
        if given.chance < 1:
            own = ops.where(random.uniform((*count, 1, 1, 1), seed=self.seeds) < given.chance, own, 1.0)
        return own * images + (1 - own) * next_of(images), ops.mean(own, axis=(1, 2))

    def _draw_shares(self, count: Any, alpha: float) -> Tensor:
        """Shares (n, 1, 1, 1) from Beta(alpha, alpha)."""
        return random.beta((*count, 1, 1, 1), alpha, alpha, seed=self.seeds)

    def _keep_outside(self, images: Tensor, shares: Tensor) -> Tensor:
        """For each pixel (n, height, width, 1) 0 in a box of an image's proportions and of 1 - share of its area, or of
        as much of that as lies in the image, else 1."""
        inside: Tensor = 1.0
        for axis, length in ((1, images.shape[1]), (2, images.shape[2])):
            at = ops.reshape(ops.arange(length, dtype="float32") + 0.5, [-1 if one == axis else 1 for one in range(4)])
            middle = random.uniform(ops.shape(shares), 0, length, seed=self.seeds)
            half = ops.sqrt(1 - shares) * length / 2
            inside = inside * ops.cast(ops.abs(at - middle) < half, "float32")
        return 1 - inside


def next_of(values: Tensor) -> Tensor:
    """What belongs to each row's partner."""
    return ops.roll(values, -1, axis=0)
