"""The network of a finished run, in Keras."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import keras

from polyhead.errors import PolyheadError
from polyhead.recipe.schema import Recipe
from polyhead.tasks import Task
from polyhead.training import WEIGHTS
from polyhead.training.network import build_network

KerasModel: TypeAlias = keras.Model
KerasCallback: TypeAlias = keras.callbacks.Callback


def load_trained(recipe: Recipe, tasks: Mapping[str, Task], run: Path) -> KerasModel:
    """The network that a run ships, with the weights that were kept.

    Args:
        recipe: the run's.
        tasks: by name, as the training split taught them.
        run: its folder.

    Raises:
        PolyheadError: the file of weights is missing or is not this network's.
    """
    weights = run / WEIGHTS
    if not weights.is_file():
        raise PolyheadError(f"{weights}: is missing; without it there is no Keras model, but model.onnx")
    network = build_network(recipe, tasks, folder=run)
    try:
        network.core.load_weights(weights)
    except (OSError, ValueError, KeyError) as error:
        raise PolyheadError(f"{weights}: cannot be loaded: {' '.join(str(error).split())[:200]}") from None
    return network.answering()
