"""What a network computes for images: its outputs, and the values of every layer on the way."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from polyhead.training.network import Network


def run_network(network: Network, images: NDArray[np.uint8]) -> dict[str, NDArray[np.floating]]:
    """What a network answers: each task's outputs, and `features`."""
    outputs = network.answering()(images, training=False)
    return {name: keras.ops.convert_to_numpy(values) for name, values in outputs.items()}


def list_layers(model: keras.Model, whole: keras.Model | None = None) -> list[keras.Layer]:
    """The layers of a model, and of the models in it, in order; `whole`, a model in it, counts as one layer."""
    layers = []
    for layer in model.layers:
        layers += list_layers(layer, whole) if isinstance(layer, keras.Model) and layer is not whole else [layer]
    return layers


def run_layers(network: Network, images: NDArray[np.uint8]) -> list[tuple[str, NDArray[np.floating]]]:
    """Every layer's name and values, in the order of computation."""
    made: list[tuple[str, NDArray[np.floating]]] = []

    def watch(layer: keras.Layer) -> None:
        call = layer.call

        def watched(*given: Any, **more: Any) -> Any:
            values = call(*given, **more)
            made.append((layer.name, keras.ops.convert_to_numpy(values)))
            return values

        layer.call = watched

    for layer in list_layers(network.core, network.own_backbone):
        if not isinstance(layer, keras.layers.InputLayer):
            watch(layer)
    network.core(network.views(keras.ops.convert_to_tensor(images.astype(np.float32))), training=False)
    return made
