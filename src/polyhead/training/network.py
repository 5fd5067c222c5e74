"""The network: pixels in, the logits of every task and the feature vector out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

import keras
from keras import layers, ops

from polyhead.recipe.network import SLOWEST, Backbone, Block, DenseLayers, Stack
from polyhead.recipe.schema import Recipe
from polyhead.tasks import Task
from polyhead.training import backend
from polyhead.training.backbones import build_backbone
from polyhead.training.color_histogram import ColorHistogram
from polyhead.training.gray_view import GrayView
from polyhead.training.heads import Head, make_head
from polyhead.training.losses import Tensor
from polyhead.training.own_backbone import list_inner

POOLS = (("average", layers.GlobalAveragePooling2D), ("max", layers.GlobalMaxPooling2D))


class Section(NamedTuple):
    """The layers between two symbolic tensors: one step of the network to whoever looks at it."""

    start: Tensor
    end: Tensor
    backbone: keras.Model | None = None  # if it is that


@dataclass(frozen=True)
class Network:
    """The parts of a network that training and export wire up differently.

    `core` maps float pixels (n, height, width, 3) from 0 to 255 to a dict of the logits of each task, and `features`.
    """

    core: keras.Model
    heads: dict[str, Head]
    sections: Sequence[Section]  # of core, each behind the one that it starts from
    backbone: keras.Model | None = None  # a part of core that stages may leave as it is
    is_own: bool = False  # whether the backbone is the user's own: nothing is known of what is inside
    frozen: tuple[keras.Layer, ...] = ()  # layers of the backbone that are never trained
    trunk: keras.Model | None = None  # core up to the backbone's pooled vectors (n, width), where all tasks read those
    top: keras.Model | None = None  # the rest of core: from those vectors to the logits
    averages_flips: bool = False  # whether what is shipped answers for an image and its mirror image

    @property
    def own_backbone(self) -> keras.Model | None:
        """The backbone, where it is the user's own."""
        return self.backbone if self.is_own else None

    def answering(self) -> keras.Model:
        """The network that is shipped: uint8 images in, activated outputs named after the tasks out, and `features`."""
        images = keras.Input(self.core.input_shape[1:], dtype="uint8", name="images")
        found = self.core(self.views(ops.cast(images, "float32")))
        outputs = {name: head.activate(found[name]) for name, head in self.heads.items()}
        outputs["features"] = found["features"]
        if self.averages_flips:
            outputs = {name: _average_views(values) for name, values in outputs.items()}
        return keras.Model(images, outputs)

    def views(self, pixels: Tensor) -> Tensor:
        """What the shipped network shows `core`: the images (n, height, width, 3), or also their mirror images (2n)."""
        return ops.concatenate([pixels, pixels[:, :, ::-1]], axis=0) if self.averages_flips else pixels


def build_network(
    recipe: Recipe, tasks: Mapping[str, Task], pretrained: bool = False, folder: Path = Path()
) -> Network:
    """The network of a recipe, for tasks that have learnt from the training split.

    Args:
        pretrained: whether to give a backbone the weights that the recipe names; not needed where weights are loaded
            into the whole network afterwards.
        folder: the run's, which a backbone that was handed over is kept in.

    Raises:
        PolyheadError: those weights cannot be had; or the user's own backbone cannot, or does not fit.
    """
    pixels = keras.Input((*recipe.image.size, 3), name="pixels")
    scaled = layers.Rescaling(1 / 255, name="scaled")(pixels)
    momentum = SLOWEST if recipe.network.norm_momentum is None else recipe.network.norm_momentum
    given = recipe.network.backbone
    backbone = build_backbone(given, recipe.image.size, pretrained, folder) if given else None
    sections, vectors, pooled = _add_views(pixels, recipe, backbone, momentum)
    for name, stack in recipe.stacks().items():
        sections += _add_stack(scaled, stack, momentum)
        vectors[name] = sections[-1].end
    heads = {name: make_head(name, task) for name, task in tasks.items()}
    logits = {}
    for name, head in heads.items():
        vector = vectors[recipe.read_vector(name)]
        x = _add_dense(vector, recipe.network.heads.get(name, DenseLayers()), momentum)
        logits[name] = layers.Dense(head.units, dtype="float32")(x)
        sections.append(Section(vector, logits[name]))
    parts = list(vectors.values())
    features = parts[0] if len(parts) == 1 else layers.Concatenate(dtype="float32")(parts)
    core = keras.Model(pixels, logits | {"features": features})
    network = Network(core, heads, sections, averages_flips=recipe.network.average_flips)
    if backbone is None:
        return network
    frozen = tuple(layer for layer in list_inner(backbone) if not layer.trainable)
    is_own = given is not None and given.name is None
    network = replace(network, backbone=backbone, is_own=is_own, frozen=frozen)
    if recipe.stacks():
        return network
    trunk, top = _part(pixels, pooled, logits)
    return replace(network, trunk=trunk, top=top)


def build_exact(recipe: Recipe, tasks: Mapping[str, Task], weights: Path) -> Network:
    """A trained network in double precision, but for its logits, from the weights in the state of a run's folder."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        network = build_network(recipe, tasks, folder=weights.parent.parent)
        network.core.load_weights(weights)
    finally:
        keras.config.set_dtype_policy(policy)
    return network


def _average_views(values: Tensor) -> Tensor:
    """The mean (n, k) of what was found for images and for their mirror images (2n, k)."""
    return ops.mean(ops.reshape(values, (2, -1, values.shape[-1])), axis=0)


def _part(pixels: Tensor, vectors: Sequence[Tensor], logits: Mapping[str, Tensor]) -> tuple[keras.Model, keras.Model]:
    """From pixels to the vectors, as one (n, width), and from that to the logits."""
    if len(vectors) == 1:
        return keras.Model(pixels, vectors[0]), keras.Model(vectors[0], logits)
    ends = [*accumulate(vector.shape[-1] for vector in vectors)]
    whole = keras.Input((ends[-1],))
    top = keras.Model(vectors, logits)(ops.split(whole, ends[:-1], axis=1))
    return keras.Model(pixels, layers.Concatenate(dtype="float32")(vectors)), keras.Model(whole, top)


def _add_views(
    pixels: Tensor, recipe: Recipe, backbone: keras.Model | None, momentum: float
) -> tuple[list[Section], dict[str, Tensor], list[Tensor]]:
    """What tasks without a branch read: sections, the vectors by name, and the pooled vectors behind which heads begin.

    One backbone, with one set of weights, is shown the image and, where a task ignores colours, the image in grey.
    """
    read, given = {recipe.read_vector(name) for name in recipe.tasks}, recipe.network.backbone
    sections: list[Section] = []
    vectors: dict[str, Tensor] = {}
    pooled: list[Tensor] = []
    if given and backbone:
        for name in ("trunk", "gray"):
            if name in read:
                seen = GrayView()(pixels) if name == "gray" else _see(pixels, given)
                found, vector = _add_backbone((pixels, seen), backbone, given, momentum)
                sections += found
                vectors[name] = sections[-1].end
                pooled.append(vector)
    if "histogram" in read:
        vectors["histogram"] = ColorHistogram()(pixels)
        sections.append(Section(pixels, vectors["histogram"]))
        pooled.append(vectors["histogram"])
    return sections, vectors, pooled


def _add_backbone(
    view: tuple[Tensor, Tensor], backbone: keras.Model, given: Backbone, momentum: float
) -> tuple[list[Section], Tensor]:
    """The sections from the pixels, by a view of them, to the vector that heads read; the pooled vector on the way."""
    pixels, seen = view
    found = backbone(seen)
    pooled = _pool(found, given)
    vector = _add_dense(pooled, given.ending, momentum)
    sections = [Section(pixels, seen), Section(seen, found, backbone), Section(found, vector)]
    return [section for section in sections if section.start is not section.end], pooled


def _add_stack(x: Tensor, stack: Stack, momentum: float) -> list[Section]:
    ends = [x]
    if stack.color_mode == "grayscale":
        ends.append(ops.image.rgb_to_grayscale(x))
    for block in stack.blocks:
        ends.append(_add_block(ends[-1], block, momentum))
    x = layers.Flatten()(ends[-1]) if stack.end == "flatten" else layers.GlobalAveragePooling2D()(ends[-1])
    ends.append(_add_dense(x, stack.ending, momentum))
    return [Section(start, end) for start, end in pairwise(ends)]


def _see(pixels: Tensor, given: Backbone) -> Tensor:
    # A backbone takes three channels, whatever they show.
    return ops.repeat(ops.image.rgb_to_grayscale(pixels), 3, axis=-1) if given.color_mode == "grayscale" else pixels


def _pool(x: Tensor, given: Backbone) -> Tensor:
    if len(x.shape) == 2:  # an own backbone's vectors
        return x
    pools = [pool for pooling, pool in POOLS if given.pooling in (pooling, "both")]
    pooled = [pool()(x) for pool in pools]
    return pooled[0] if len(pooled) == 1 else layers.Concatenate()(pooled)


def _add_dense(x: Tensor, given: DenseLayers, momentum: float) -> Tensor:
    for units in given.dense:
        x = layers.Dense(units, activation=given.activation)(x)
        if given.batch_norm:
            x = layers.BatchNormalization(momentum=momentum)(x)
        x = layers.Dropout(given.dropout, seed=backend.dropout_seed())(x)
    if given.dropout and not given.dense:
        x = layers.Dropout(given.dropout, seed=backend.dropout_seed())(x)
    return x


def _add_block(x: Tensor, block: Block, momentum: float) -> Tensor:
    for filters in block.convolutions:
        x = layers.Conv2D(filters, block.kernel, padding="same", activation="relu")(x)
        x = layers.BatchNormalization(momentum=momentum)(x)
    if block.pool > 1:
        x = layers.MaxPooling2D(block.pool)(x)
    return layers.Dropout(block.dropout, seed=backend.dropout_seed())(x) if block.dropout else x
