"""The network's part of a recipe: stacks of blocks, pretrained backbones, and what hangs on which."""

import os
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from polyhead.errors import PolyheadError, shorten
from polyhead.fields import Arguments, DottedPath, Fraction, Part, PathText
from polyhead.recipe.backbones import APPLICATIONS, BackboneName

MOST = 1_000_000  # filters or units of a layer: a bound on what is asked, far above what fits (see recipe_size.py)
Filters = Annotated[int, Field(ge=1, le=MOST)]
Units = Annotated[list[Filters], Field(max_length=100)]


def _former_gray(given: Any) -> Any:
    return "grayscale" if given == "gray" else given


ColorMode = Annotated[Literal["rgb", "grayscale"], BeforeValidator(_former_gray)]


class Block(Part):
    """Convolutions, a pool and a dropout."""

    filters: Filters | Annotated[list[Filters], Field(min_length=1, max_length=100)] = Field(
        description="Filters of one convolution, or of several in a row; each with ReLU and batch normalisation."
    )
    kernel: int = Field(default=3, ge=1, le=4096, description="Height and width of a convolution, in pixels.")
    pool: int = Field(
        default=2, ge=1, le=4096, description="Height and width of the maximum pool behind them; 1 for none."
    )
    dropout: Fraction = Field(default=0.0, description="Fraction of values dropped after the pool, in training.")

    @property
    def convolutions(self) -> list[int]:
        """The filters of each convolution in turn."""
        return [self.filters] if isinstance(self.filters, int) else self.filters


class DenseLayers(Part):
    """Layers of a task's own, between the vector that tasks share (or its branch's) and its logits."""

    dense: Units = Field(default=[], description="Units of the dense layers, in order.")
    activation: Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh"] = Field(
        default="relu",
        description="What each dense layer ends in. (What the logits end in is the task's own `activation`.)",
    )
    batch_norm: bool = Field(default=True, description="Whether batch normalisation follows each dense layer.")
    dropout: Fraction = Field(
        default=0.0,
        description="Fraction of values dropped after each dense layer, or before the logits if there is none.",
    )


class Stack(Part):
    """Blocks one after another, and dense layers behind them."""

    FORMER_NAMES: ClassVar = {"view": "color_mode"}

    color_mode: ColorMode = Field(default="rgb", description="Whether it sees colours.")
    blocks: list[Block] = Field(min_length=1, max_length=200, description="The convolutional blocks, in order.")
    end: Literal["flatten", "average"] = Field(
        default="flatten",
        description="`flatten` keeps where things stand; `average` pooling cannot, and so keeps a colour apart from "
        "a shape.",
    )
    dense: Units = Field(
        default=[], description="Units of the dense layers, each with ReLU, batch normalisation and dropout."
    )
    dropout: Fraction = Field(
        default=0.0, description="Fraction of values dropped after each dense layer, or after the end if there is none."
    )

    @property
    def ending(self) -> DenseLayers:
        """Its dense layers."""
        return DenseLayers(dense=self.dense, dropout=self.dropout)

    def smallest(self, size: tuple[int, int]) -> tuple[int, int]:
        """What its pools leave of an image of (height, width)."""
        height, width = size
        for block in self.blocks:
            height, width = height // block.pool, width // block.pool
        return height, width


ADDRESSES = ("hf://", "kaggle://")  # what a preset may be fetched from
SLOWEST, QUICKEST = 0.99, 0.5  # momentum of batch normalisation: Keras's own, and the least that is chosen


class Backbone(Part):
    """A network without its top, pooled to a vector: of `keras.applications`, of KerasHub, or one of your own."""

    FORMER_NAMES: ClassVar = {"view": "color_mode"}

    name: BackboneName | None = Field(
        default=None, description="Its name in `keras.applications`; its own scaling of the input is inside."
    )
    builder: DottedPath | None = Field(
        default=None,
        description="Instead of a name, a function of your own, `package.module:function`. It is called with "
        "`input_shape=(height, width, 3)` and the `arguments`, and returns a `keras.Model` from float pixels, 0 to "
        "255, to a map of features or to a vector. Training imports it: see [own parts](own_parts.md).",
    )
    arguments: Arguments = Field(default={}, description="Keyword arguments for the `builder`.")
    model: PathText | None = Field(
        default=None,
        description="Instead of a name, a `.keras` file of such a model, made of Keras's own layers; its path is "
        "relative to the recipe's folder. The run keeps a copy.",
    )
    preset: PathText | None = Field(
        default=None,
        description="Instead of a name, a preset of KerasHub (extra `hub`): its name, such as `dinov2_small`; an "
        "address, `hf://user/model` or `kaggle://user/model/keras/variant`; or the path of a preset's folder, relative "
        "to the recipe's. Its own scaling of the input is inside. The run keeps what it is built by.",
    )
    weights: PathText | None = Field(
        default=None,
        description="With a `name`: `imagenet` (fetched once, or found in Keras's folder of models; the default), "
        "`none`, or the path of a `.weights.h5` or `.h5` file of this network without its top. With a `preset`: "
        "`none`, or its own if absent.",
    )
    width: float = Field(default=1.0, gt=0, le=10, description="The width multiplier of a MobileNet.")
    color_mode: ColorMode = Field(
        default="rgb",
        description="Whether it sees colours. With `grayscale` it is given three equal channels, so that pretrained "
        "weights remain useful.",
    )
    pooling: Literal["average", "max", "both", "class_token"] = Field(
        default="average",
        description="How the map that it ends in becomes a vector: by each channel's average, its maximum, or `both` "
        "side by side, which makes the vector twice as long (the head of Howard, Gugger 2020, arXiv:2002.04688). A "
        "vision transformer's map is that of its patches; `class_token` takes the token before them instead.",
    )
    frozen_batch_norm: bool = Field(
        default=True,
        description="Whether its batch normalisation keeps the averages that it came with, also when it is trained. "
        "Where it came with none (`weights: none`), they are learnt. If absent, false for a `builder`.",
    )
    norm_momentum: Fraction | None = Field(
        default=None,
        description="How slowly those averages follow the batches where they are learnt. If absent, as Keras built the "
        "network, unless an epoch has few steps and `network.norm_momentum` is absent too: then as that is chosen.",
    )
    lora: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="Rank of low-rank updates (LoRA: Hu et al. 2021, arXiv:2106.09685). Where the backbone is trained, "
        "its own weights then stay as they came, and beside each kernel of a dense layer, a convolution or an "
        "embedding two small factors are trained, whose product is added to it. The model file holds the sum, and "
        "costs the same.",
    )
    dense: Units = Field(
        default=[], description="Units of the dense layers behind it, each with ReLU, batch normalisation and dropout."
    )
    dropout: Fraction = Field(
        default=0.0,
        description="Fraction of values dropped after each dense layer, or after the pooling if there is none.",
    )

    @property
    def ending(self) -> DenseLayers:
        """The dense layers behind it."""
        return DenseLayers(dense=self.dense, dropout=self.dropout)

    @property
    def title(self) -> str:
        """What a reader knows it by."""
        return self.name or self.builder or self.preset or "own model"

    @property
    def smallest(self) -> int:
        """Pixels a side that it takes at least, as far as that is known."""
        return APPLICATIONS[self.name].smallest if self.name else 1

    @property
    def pooled(self) -> int:
        """How long its pooled vector is; of one of your own, only that there are numbers in it."""
        if not self.name:
            return 1
        return int(APPLICATIONS[self.name].channels * min(self.width, 1)) * (2 if self.pooling == "both" else 1)

    @property
    def learns_norms(self) -> bool:
        """Whether its batch normalisation learns its averages, where it is trained."""
        return self.weights == "none" or not self.frozen_batch_norm

    def find_weights(self) -> Path | None:
        """The user's own file of weights, where one is given.

        Raises:
            PolyheadError: it is not there.
        """
        if self.weights in ("imagenet", "none", None):
            return None
        if not os.path.isfile(self.weights):  # which asks without raising, whatever stands there
            raise PolyheadError(
                f"network.backbone.weights: there is no file {shorten(self.weights, 200)}; expected imagenet, none, or "
                "a file's path"
            )
        return Path(self.weights)

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("name") is not None and given.get("weights") is None:
            return given | {"weights": "imagenet"}
        if isinstance(given, dict) and given.get("builder") is not None:
            return {"frozen_batch_norm": False} | given
        return given

    @model_validator(mode="after")
    def _one_network(self) -> Self:
        ways = [key for key in ("name", "builder", "model", "preset") if getattr(self, key) is not None]
        if len(ways) != 1:
            found = " and ".join(ways) or "none of them"
            raise ValueError(f"expected one of name, builder, model, preset; got {found}")
        if self.preset and "://" in self.preset and not self.preset.startswith(ADDRESSES):
            raise ValueError(f"preset: expected a name, a folder, or an address of {' or '.join(ADDRESSES)}")
        if self.pooling == "class_token" and not self.preset:
            raise ValueError(f"pooling: class_token is for a `preset` that is a transformer, not for `{ways[0]}`")
        if self.arguments and not self.builder:
            raise ValueError(f"arguments: are for a `builder`; take them out, or take one instead of `{ways[0]}`")
        if self.weights is not None and not self.name and (self.weights, ways[0]) != ("none", "preset"):
            raise ValueError(f"weights: are for a `name`; what `{ways[0]}` gives has its own")
        return self

    @model_validator(mode="after")
    def _adapts_what_is_trained(self) -> Self:
        if self.lora and self.weights == "none":
            raise ValueError(
                "lora: is for pretrained weights; with `weights: none` it would leave random ones; remove it"
            )
        return self

    @model_validator(mode="after")
    def _has_width(self) -> Self:
        widths = APPLICATIONS[self.name].widths if self.name else ()
        if self.width not in (widths or (1.0,)) and self.weights == "imagenet":
            raise ValueError(
                f"width: {self.name} comes with {', '.join(f'{width:g}' for width in widths)}; got {self.width:g}"
            )
        if self.width != 1 and not widths:
            having = [name for name, row in APPLICATIONS.items() if row.widths]
            raise ValueError(f"width: {self.title} has none; only {', '.join(having)} do")
        return self


class NetworkRecipe(Part):
    """The network between image and heads: one trunk for all tasks, a branch for each, or branches for some of them."""

    backbone: Backbone | None = Field(
        default=None, description="A whole network, shared by all tasks that have no branch; instead of a trunk."
    )
    trunk: Stack | None = Field(default=None, description="One stack, shared by all tasks that have no branch.")
    branches: dict[str, Stack] = Field(default={}, description="A stack for a task alone, by the task's name.")
    heads: dict[str, DenseLayers] = Field(
        default={},
        description="Layers between a task's vector and its logits, by the task's name; none for the others.",
    )
    average_flips: bool = Field(
        default=False,
        description="Whether the model file answers the mean of what the network says of an image and of its mirror "
        "image (test-time augmentation: Krizhevsky et al. 2012), probabilities and features alike. It takes twice the "
        "time to predict, and the time to train stays. Not for labels that tell left from right.",
    )
    norm_momentum: Fraction | None = Field(
        default=None,
        description="How slowly the averages of batch normalisation follow the batches: momentum m averages over about "
        "1 / (1 - m) steps. If absent, 0.99 where an epoch has 200 steps or more, and less where it has fewer, so that "
        "the averages follow within an epoch: 1 - 2 / steps, but no less than 0.5. A run's recipe says what was taken.",
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.trunk and self.backbone:
            raise ValueError("expected `trunk` or `backbone`; got both")
        if not self.shared and not self.branches:
            raise ValueError("expected `backbone`, `trunk` or `branches`")
        return self

    def complete(self, steps: int) -> Self:
        """A copy that says what its batch normalisation takes, where an epoch has so many steps.

        A momentum that is given settles everything; the backbone's own is then as its network has it.
        """
        if self.norm_momentum is not None:
            return self
        momentum = min(SLOWEST, max(QUICKEST, round(1 - 2 / steps, 3)))
        backbone = self.backbone
        if backbone and backbone.learns_norms and backbone.norm_momentum is None and momentum < SLOWEST:
            backbone = backbone.model_copy(update={"norm_momentum": momentum})
        return self.model_copy(update={"norm_momentum": momentum, "backbone": backbone})

    @property
    def shared(self) -> Stack | Backbone | None:
        """What the tasks without a branch stand on."""
        return self.backbone or self.trunk
