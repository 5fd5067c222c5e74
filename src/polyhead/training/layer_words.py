"""Layers in a few words, for a reader who knows what a convolution is."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import keras
from keras import layers

TIMES = "\N{MULTIPLICATION SIGN}"
ACTIVATIONS = {"relu": "ReLU", "relu6": "ReLU6", "gelu": "GELU", "silu": "SiLU"}
KINDS = {
    "Conv2D": "Conv",
    "DepthwiseConv2D": "Depthwise",
    "SeparableConv2D": "Separable",
    "MaxPooling2D": "MaxPool",
    "AveragePooling2D": "AveragePool",
    "GlobalAveragePooling2D": "Mean of the map",
    "GlobalMaxPooling2D": "Maximum of the map",
    "BatchNormalization": "BatchNorm",
    "LayerNormalization": "LayerNorm",
    "RGBToGrayscale": "Seen in grey",
    "Repeat": "As three channels",
    "InputLayer": "Image",
    "Rescaling": "Rescaled",
}


def describe_layer(layer: Any) -> str:
    """One layer with its sizes, such as `Conv 3x3, 64, ReLU` or `Dense 128, ReLU`."""
    if isinstance(layer, layers.Dropout):
        return f"Dropout {layer.rate:g}"
    if isinstance(layer, layers.Dense):
        return _add_activation(f"Dense {layer.units:,}", layer)
    if filters := getattr(layer, "filters", None):
        return _add_activation(f"{name_kind(layer)}, {filters:,}", layer)
    return name_kind(layer)


def _add_activation(words: str, layer: Any) -> str:
    name = layer.activation.__name__
    return words if name == "linear" else f"{words}, {ACTIVATIONS.get(name, name)}"


def name_kind(layer: Any) -> str:
    """What a layer is, and over how many pixels it looks, such as `Conv 3x3`; width and activation left out."""
    if isinstance(layer, keras.Sequential):
        return ", ".join(name_kind(inner) for inner in layer.layers if getattr(inner, "kernel_size", None))
    kind = type(layer).__name__
    window = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    name = "Depthwise" if getattr(layer, "groups", 1) > 1 else KINDS.get(kind, kind)
    return f"{name} {window[0]}{TIMES}{window[1]}" if window else name


def count_repeats(words: Sequence[str]) -> list[str]:
    """The same with what is repeated at once counted: `2 x Conv 3x3`."""
    runs = [(word, len(list(run))) for word, run in groupby(words)]
    return [word if number == 1 else f"{number} {TIMES} {word}" for word, number in runs]
