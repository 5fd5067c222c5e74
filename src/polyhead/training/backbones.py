"""Backbones: networks of `keras.applications` without their tops, which scale the input themselves; or own ones."""

import contextlib
import os
import re
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import applications, layers, ops

from polyhead.errors import PolyheadError
from polyhead.recipe.backbones import APPLICATIONS
from polyhead.recipe.network import Backbone
from polyhead.training.own_backbone import build_own, call_own, list_inner
from polyhead.training.presets import build_preset, list_all_layers

FACTORS = "lora_"  # how Keras begins the names of the variables that low-rank updates have
UNUSED = ("mask_token",)  # variables of a pretraining, which no gradient reaches
MEANS, DEVIATIONS = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of ImageNet's pixels


def build_backbone(given: Backbone, size: tuple[int, int], pretrained: bool, folder: Path = Path()) -> keras.Model:
    """A model from float pixels (n, height, width, 3), 0 to 255, to a map of features (n, h, w, channels).

    One of the user's own may give vectors (n, channels) as well.

    Args:
        size: height and width; any that the network can take.
        pretrained: whether to load `given.weights`.
        folder: what the path `given.model` is relative to.

    Raises:
        PolyheadError: the weights are neither here nor to be fetched, or are another network's; or the user's own
            network cannot be had, or does not fit.
    """
    shape = (*size, 3)
    if given.preset is not None:
        return _set_momentum(build_preset(given, size, pretrained, folder), given)
    base = build_own(given, shape, folder) if given.name is None else _make(given, weights=None, input_shape=shape)
    for layer in list_inner(base):
        if isinstance(layer, layers.Normalization):  # as arrays: tensors would become inputs of the ONNX graph
            layer.mean, layer.variance = (ops.convert_to_numpy(value) for value in (layer.mean, layer.variance))
    _set_momentum(base, given)
    if pretrained and given.name and given.weights != "none":
        _load(base, given)
    pixels = keras.Input(shape)
    if given.name is None:
        return keras.Model(pixels, call_own(base, pixels, f"network.backbone: {given.title}"), name="backbone")
    return keras.Model(pixels, base(_scale(given.name, pixels)), name="backbone")


def set_trainable(backbone: keras.Model, given: Backbone, trainable: bool, frozen: Iterable[keras.Layer] = ()) -> None:
    """Train the backbone, or leave it as it is; its batch normalisation as the recipe says.

    Args:
        frozen: the layers that stay as they are in any case.
    """
    # On TensorFlow nothing happens where the value is the same, though a stage before may have left out some weights.
    backbone.trainable = not trainable
    backbone.trainable = trainable
    for layer in () if given.learns_norms else _list_layers(backbone, given):
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
    for layer in frozen:
        layer.trainable = False
    for variable in backbone.trainable_variables:
        if variable.name in UNUSED or (given.lora and not variable.name.startswith(FACTORS)):
            variable.trainable = False


def _set_momentum(base: keras.Model, given: Backbone) -> keras.Model:
    """The network, whose batch normalisation follows as quickly as the recipe says."""
    for layer in _list_layers(base, given):
        if isinstance(layer, layers.BatchNormalization) and given.norm_momentum is not None:
            layer.momentum = given.norm_momentum
    return base


def _list_layers(base: keras.Model, given: Backbone) -> Iterable[keras.Layer]:
    return list_all_layers(base) if given.preset is not None else list_inner(base)


def _make(given: Backbone, **more: Any) -> keras.Model:
    name = given.name or ""
    width = {"alpha": given.width} if APPLICATIONS[name].widths else {}
    return getattr(applications, name)(include_top=False, **width, **more)


def _scale(name: str, pixels: Any) -> Any:
    taken = APPLICATIONS[name].pixels
    if taken == "-1 to 1":
        return layers.Rescaling(1 / 127.5, -1)(pixels)
    if taken == "standardized":
        offsets = [-mean / deviation for mean, deviation in zip(MEANS, DEVIATIONS, strict=True)]
        return layers.Rescaling([1 / deviation for deviation in DEVIATIONS], offsets)(pixels)
    return pixels


def _load(base: keras.Model, given: Backbone) -> None:
    path = given.find_weights()
    if path:
        _load_file(base, given, path)
        return
    # Weights are the same at every size, but Keras keeps them under the name of one: it is asked for that.
    try:
        side = APPLICATIONS[given.name or ""].side
        with contextlib.redirect_stdout(sys.stderr):  # where Keras tells of the fetch
            reference = _make(given, weights="imagenet", input_shape=(side, side, 3))
    except Exception as error:  # a fetch fails in as many ways as there are networks
        folder = Path(os.environ.get("KERAS_HOME", "~/.keras")) / "models"
        address = re.search(r"(https?://\S*/)([^\s/]+\.(?:h5|keras))", str(error))
        if address:
            raise PolyheadError(
                f"network.backbone.weights: {address[2]} cannot be fetched from {address[1]}; put that file into "
                f"{folder}, or give its path as network.backbone.weights"
            ) from None
        raise PolyheadError(
            f"network.backbone.weights: the imagenet weights of {given.name} cannot be loaded ({_first_words(error)}); "
            f"delete its file in {folder}, to have it fetched again, or give a file's path as network.backbone.weights"
        ) from None
    base.set_weights(reference.get_weights())


def _load_file(base: keras.Model, given: Backbone, path: Path) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # weights that Keras would pass over, and go on without
            base.load_weights(path)
    except Exception as error:  # a file may be damaged in as many ways as there are bytes
        reason = "its layers are others" if isinstance(error, UserWarning) else _first_words(error)
        raise PolyheadError(f"network.backbone.weights: {given.weights} does not fit {given.name}: {reason}") from None
    if not all(np.isfinite(weights).all() for weights in base.get_weights()):
        raise PolyheadError(f"network.backbone.weights: {given.weights} holds numbers that are not finite")


def _first_words(error: Exception) -> str:
    """The first sentence of a library's words, or what sort of error it is."""
    return " ".join(str(error).split()).partition(". ")[0] or type(error).__name__
