"""Pretrained networks of `keras.applications`: each without its top, with its own scaling of the input inside."""

import contextlib
import os
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import keras
from keras import applications, layers, ops

from polyhead.errors import PolyheadError
from polyhead.recipe_network import WIDTHS, Backbone

# What a network was trained on, where it does not scale pixels from 0 to 255 itself.
TO_ONE = re.compile(r"MobileNetV2|ResNet\d+V2|InceptionResNetV2|NASNet")  # -1 to 1
OWN_SIZE = {"InceptionResNetV2": 299, "NASNetLarge": 331}  # height and width; 224 for the others
STANDARD = re.compile(r"DenseNet")  # ImageNet's mean and standard deviation


def build_backbone(given: Backbone, size: tuple[int, int], pretrained: bool) -> keras.Model:
    """A model from float pixels (n, height, width, 3), 0 to 255, to a map of features (n, h, w, channels).

    Args:
        size: height and width; any that the network can take.
        pretrained: whether to load `given.weights`.

    Raises:
        PolyheadError: the weights are neither here nor to be fetched, or are another network's.
    """
    shape = (*size, 3)
    base = _make(given, weights=None, input_shape=shape)
    for layer in base.layers:
        if isinstance(layer, layers.Normalization):  # as arrays: tensors would become inputs of the ONNX graph
            layer.mean, layer.variance = (ops.convert_to_numpy(value) for value in (layer.mean, layer.variance))
    if pretrained and given.weights != "none":
        _load(base, given)
    pixels = keras.Input(shape)
    return keras.Model(pixels, base(_scale(given.name, pixels)), name="backbone")


def set_trainable(backbone: keras.Model, given: Backbone, trainable: bool) -> None:
    """Train the backbone, or leave it as it is; its batch normalisation as the recipe says."""
    backbone.trainable = trainable
    keeps_averages = given.frozen_batch_norm and given.weights != "none"
    for layer in backbone.layers[-1].layers if keeps_averages else ():
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False


def _make(given: Backbone, **more: Any) -> keras.Model:
    width = {"alpha": given.width} if given.name in WIDTHS else {}
    return getattr(applications, given.name)(include_top=False, **width, **more)


def _scale(name: str, pixels: Any) -> Any:
    if TO_ONE.match(name):
        return layers.Rescaling(1 / 127.5, -1)(pixels)
    if STANDARD.match(name):
        means, deviations = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
        offsets = [-mean / deviation for mean, deviation in zip(means, deviations, strict=True)]
        return layers.Rescaling([1 / deviation for deviation in deviations], offsets)(pixels)
    return pixels


def _load(base: keras.Model, given: Backbone) -> None:
    path = given.find_weights()
    if path:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)  # weights that Keras would pass over, and go on without
                base.load_weights(path)
        except (OSError, ValueError, UserWarning) as error:
            reason = "its layers are others" if isinstance(error, UserWarning) else " ".join(str(error).split())
            raise PolyheadError(
                f"network.backbone.weights: {given.weights} does not fit {given.name}: {reason.partition('. ')[0]}"
            ) from None
        return
    # Weights are the same at every size, but Keras keeps them under the name of one: it is asked for that.
    try:
        with contextlib.redirect_stdout(sys.stderr):  # where Keras tells of the fetch
            reference = _make(given, weights="imagenet", input_shape=(*[OWN_SIZE.get(given.name, 224)] * 2, 3))
    except Exception as error:  # a fetch fails in as many ways as there are networks
        address = re.search(r"(https?://\S*/)([^\s/]+\.(?:h5|keras))", str(error))
        if not address:
            raise
        folder = Path(os.environ.get("KERAS_HOME", "~/.keras")) / "models"
        raise PolyheadError(
            f"network.backbone.weights: {address[2]} cannot be fetched from {address[1]}; put that file into {folder}, "
            "or give its path as network.backbone.weights"
        ) from None
    base.set_weights(reference.get_weights())
