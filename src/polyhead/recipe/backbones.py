"""The backbones of `keras.applications` that a recipe may name."""

import os
from pathlib import Path
from typing import Literal

BackboneName = Literal[
    "MobileNetV2",
    "MobileNetV3Small",
    "MobileNetV3Large",
    "EfficientNetV2B0",
    "EfficientNetV2B1",
    "EfficientNetV2B2",
    "EfficientNetV2B3",
    "EfficientNetV2S",
    "EfficientNetV2M",
    "EfficientNetV2L",
    "ConvNeXtTiny",
    "ConvNeXtSmall",
    "ConvNeXtBase",
    "ConvNeXtLarge",
    "ConvNeXtXLarge",
    "ResNet50V2",
    "ResNet101V2",
    "ResNet152V2",
    "DenseNet121",
    "DenseNet169",
    "DenseNet201",
    "InceptionResNetV2",
    "NASNetMobile",
    "NASNetLarge",
]
WIDTHS = {
    "MobileNetV2": (0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
    "MobileNetV3Small": (0.75, 1.0),
    "MobileNetV3Large": (0.75, 1.0),
}
CHANNELS = {  # of the map that each ends in, at width 1
    "MobileNetV2": 1280,
    "MobileNetV3Small": 576,
    "MobileNetV3Large": 960,
    "EfficientNetV2B0": 1280,
    "EfficientNetV2B1": 1280,
    "EfficientNetV2B2": 1408,
    "EfficientNetV2B3": 1536,
    "EfficientNetV2S": 1280,
    "EfficientNetV2M": 1280,
    "EfficientNetV2L": 1280,
    "ConvNeXtTiny": 768,
    "ConvNeXtSmall": 768,
    "ConvNeXtBase": 1024,
    "ConvNeXtLarge": 1536,
    "ConvNeXtXLarge": 2048,
    "ResNet50V2": 2048,
    "ResNet101V2": 2048,
    "ResNet152V2": 2048,
    "DenseNet121": 1024,
    "DenseNet169": 1664,
    "DenseNet201": 1920,
    "InceptionResNetV2": 1536,
    "NASNetMobile": 1056,
    "NASNetLarge": 4032,
}
SMALLEST = {"InceptionResNetV2": 75}  # pixels a side; 32 for the others
FILES = {  # by name and width, how Keras calls the files of ImageNet's weights of those that are worth a try
    ("MobileNetV2", 0.35): "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5",
    ("MobileNetV2", 1.0): "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
    ("EfficientNetV2B0", 1.0): "efficientnetv2-b0_notop.h5",
    ("EfficientNetV2B3", 1.0): "efficientnetv2-b3_notop.h5",
    ("EfficientNetV2S", 1.0): "efficientnetv2-s_notop.h5",
    ("ConvNeXtTiny", 1.0): "convnext_tiny_notop.h5",
}


def find_weights() -> list[tuple[str, float]]:
    """The networks, by name and width, whose weights lie in Keras's folder of models."""
    folder = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models"
    return [key for key, file in FILES.items() if (folder / file).is_file()]
