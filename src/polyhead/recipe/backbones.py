"""The backbones of `keras.applications` that a recipe may name: a row each."""

from typing import TYPE_CHECKING, Literal, NamedTuple

Pixels = Literal["as they are", "-1 to 1", "standardized"]
MOBILE_V2, MOBILE_V3 = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4), (0.75, 1.0)


class Application(NamedTuple):
    """What is known of a network before it is built.

    Attributes:
        channels: of the map that it ends in, at width 1.
        pixels: what it was trained on, and is not made of pixels from 0 to 255 inside it; `standardized` is by
            ImageNet's mean and standard deviation.
        widths: those that it has weights for; none where it has no width multiplier.
        side: pixels of the square images that its weights go by.
        smallest: pixels a side that it takes at least.
    """

    channels: int
    pixels: Pixels = "as they are"
    widths: tuple[float, ...] = ()
    side: int = 224
    smallest: int = 32


APPLICATIONS = {
    "MobileNetV2": Application(1280, "-1 to 1", MOBILE_V2),
    "MobileNetV3Small": Application(576, widths=MOBILE_V3),
    "MobileNetV3Large": Application(960, widths=MOBILE_V3),
    "EfficientNetV2B0": Application(1280),
    "EfficientNetV2B1": Application(1280),
    "EfficientNetV2B2": Application(1408),
    "EfficientNetV2B3": Application(1536),
    "EfficientNetV2S": Application(1280),
    "EfficientNetV2M": Application(1280),
    "EfficientNetV2L": Application(1280),
    "ConvNeXtTiny": Application(768),
    "ConvNeXtSmall": Application(768),
    "ConvNeXtBase": Application(1024),
    "ConvNeXtLarge": Application(1536),
    "ConvNeXtXLarge": Application(2048),
    "ResNet50V2": Application(2048, "-1 to 1"),
    "ResNet101V2": Application(2048, "-1 to 1"),
    "ResNet152V2": Application(2048, "-1 to 1"),
    "DenseNet121": Application(1024, "standardized"),
    "DenseNet169": Application(1664, "standardized"),
    "DenseNet201": Application(1920, "standardized"),
    "InceptionResNetV2": Application(1536, "-1 to 1", side=299, smallest=75),
    "NASNetMobile": Application(1056, "-1 to 1"),
    "NASNetLarge": Application(4032, "-1 to 1", side=331),
}
if TYPE_CHECKING:
    BackboneName = str
else:
    BackboneName = Literal[tuple(APPLICATIONS)]
