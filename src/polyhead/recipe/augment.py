"""What is changed in training images: what an image is turned into, and what it is mixed with."""

from typing import Literal, Self

from pydantic import Field, model_validator

from polyhead.fields import Arguments, DottedPath, Fraction, Part


class OwnLayer(Part):
    """A layer of your own."""

    builder: DottedPath = Field(
        description="`package.module:Class`, a class of `keras.layers.Layer`, or a function that returns such a layer. "
        "It is given float images (n, height, width, 3), 0 to 255, and returns as many of the same size. Training "
        "imports it: see [own parts](own_parts.md)."
    )
    arguments: Arguments = Field(default={}, description="Keyword arguments for it.")


class Augment(Part):
    """Random changes to training images, inside the compiled training step."""

    flip: Literal["none", "horizontal", "vertical", "both"] = Field(
        default="none", description="Mirror half of the images."
    )
    crop: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Show a random part of the image in its whole frame: of at least this fraction of its area, such "
        "as 0.5, with proportions changed by 3/4 to 4/3 (Szegedy et al. 2015). 1 shows the whole image. Leave it out "
        "where labels count or measure.",
    )
    rotation: float = Field(default=0.0, ge=0, le=180, description="Rotate by up to so many degrees.")
    shift: Fraction = Field(default=0.0, description="Shift by up to this fraction of height and width.")
    zoom: Fraction = Field(default=0.0, description="Zoom in or out by up to this fraction.")
    shear: float = Field(default=0.0, ge=0, lt=90, description="Shear by up to so many degrees.")
    brightness: Fraction = Field(
        default=0.0, description="Brighten or darken by up to this fraction of full brightness."
    )
    contrast: Fraction = Field(default=0.0, description="Raise or lower the contrast by up to this fraction.")
    saturation: Fraction = Field(
        default=0.0, description="Raise or lower the saturation by up to this fraction of its range."
    )
    hue: Fraction = Field(default=0.0, description="Rotate the hues by up to this fraction of half the colour circle.")
    grayscale: Fraction = Field(default=0.0, description="Turn this fraction of the images grey.")
    blur: Fraction = Field(
        default=0.0, description="Blur this fraction of the images slightly (a Gaussian of 1 pixel)."
    )
    erase: Fraction = Field(
        default=0.0,
        description="Cover a random rectangle of this fraction of the images with noise (Zhong et al. 2017).",
    )
    policy: Literal["none", "randaugment", "trivialaugment"] = Field(
        default="none",
        description="Operations drawn for each image from a list: nothing, rotation, shear, shift, brightness, "
        "saturation, contrast, sharpness, posterize, solarize, auto contrast. `randaugment`: two, of `policy_strength` "
        "(Cubuk et al. 2020); `trivialaugment`: one, of a random strength up to it (Müller, Hutter 2021). No policy "
        "mirrors; `flip` does.",
    )
    policy_strength: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="How strong the policy's operations are; 1 is up to 30 degrees, a shear of 0.3, a shift of 0.3 of "
        "the size, colours and contrast 0.9 lower or higher, 4 of 8 bits left, every pixel inverted.",
    )
    policy_colors: bool = Field(
        default=True,
        description="Whether the policy may change light and colours. `false` where labels are colours: it then only "
        "rotates, shears and shifts.",
    )
    fill: Literal["nearest", "reflect", "constant"] = Field(default="nearest", description="What fills the edges.")
    layers: list[OwnLayer] = Field(
        default=[], max_length=100, description="Layers of your own, one after another behind all other changes."
    )

    @model_validator(mode="after")
    def _policy_agrees(self) -> Self:
        if self.policy == "none" and (self.policy_strength != 0.5 or not self.policy_colors):
            key = "policy_colors" if self.policy_strength == 0.5 else "policy_strength"
            raise ValueError(f"{key} has an effect with `policy: randaugment` or `trivialaugment` only; set that too")
        return self


class Mix(Part):
    """Two training images in one, inside the compiled training step, with the labels of both, each by its share."""

    mixup: float = Field(
        default=0.0,
        ge=0,
        le=10,
        description="Blend an image with another: its share is drawn from Beta(a, a), where a is this number, such as "
        "0.2 (Zhang et al. 2018). 0 blends none.",
    )
    cutmix: float = Field(
        default=0.0,
        ge=0,
        le=10,
        description="Put a box of another image into an image: the share outside it is drawn from Beta(a, a), where a "
        "is this number, such as 1 (Yun et al. 2019). 0 puts none. Where `mixup` is given too, one of both is drawn "
        "for each image.",
    )
    chance: float = Field(default=1.0, gt=0, le=1, description="The fraction of the images that are mixed.")

    @model_validator(mode="after")
    def _chance_agrees(self) -> Self:
        if self.chance < 1 and not self.mixes:
            raise ValueError("chance has an effect with `mixup` or `cutmix` only; give one of these too")
        return self

    @property
    def mixes(self) -> bool:
        """Whether anything is mixed."""
        return self.mixup > 0 or self.cutmix > 0
