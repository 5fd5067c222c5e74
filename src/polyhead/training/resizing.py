"""Networks at other image sizes, of the same weights: what a stage of a smaller `size` trains through."""

from collections.abc import Mapping
from pathlib import Path

import keras

from polyhead.errors import PolyheadError
from polyhead.recipe.schema import Recipe
from polyhead.tasks import Task
from polyhead.training.lora import add_factors
from polyhead.training.network import Network, build_network

Size = tuple[int, int]


def build_smaller(network: Network, recipe: Recipe, tasks: Mapping[str, Task], folder: Path) -> dict[Size, keras.Model]:
    """For each size at which a stage trains: `core` of a network for images of that size, with the weights of this one.

    Args:
        folder: the run's, which a backbone that was handed over is kept in.

    Raises:
        PolyheadError: the user's own backbone cannot take a size, or has other weights for it.
    """
    found = {}
    for index, stage in enumerate(recipe.training.stages):
        if stage.size is None or stage.size == recipe.image.size or stage.size in found:
            continue
        image = recipe.image.model_copy(update={"size": stage.size})
        smaller = build_network(recipe.model_copy(update={"image": image}), tasks, folder=folder)
        if recipe.network.backbone and recipe.network.backbone.lora:
            add_factors(smaller, recipe.network.backbone.lora)
        try:
            found[stage.size] = share_weights(smaller.core, network.core)
        except ValueError as error:
            reason = " ".join(str(error).split()).partition(". ")[0]
            raise PolyheadError(
                f"training.stages.{index}.size: the network cannot be trained at this size: {reason}"
            ) from None
    return found


def share_weights(smaller: keras.Model, whole: keras.Model) -> keras.Model:
    """A network like `smaller`, with the weights and random seeds of `whole`: of the same layers, for another size.

    What holds none, such as padding, stays that of `smaller`: `keras.applications` pad by the size.

    Raises:
        ValueError: the layers are others, or cannot be called at this size.
    """
    mates = {id(layer): mate for layer, mate in zip(smaller.layers, whole.layers, strict=True)}

    def pick(layer: keras.Operation) -> keras.Operation:
        mate = mates.get(id(layer), layer)
        if isinstance(layer, keras.Function | keras.Sequential):
            return share_weights(layer, mate)
        if not isinstance(layer, keras.Layer) or not layer.variables:
            return layer
        shapes = [weight.shape for weight in layer.weights]
        if type(mate) is not type(layer) or [weight.shape for weight in mate.weights] != shapes:
            raise ValueError(f"the layer {layer.name} has other weights at that size")
        return mate

    return keras.models.clone_model(smaller, clone_function=pick)
