"""How deep in a backbone its weights lie: parts from its first layers to its last."""

from collections.abc import Sequence

import keras

from polyhead.training.presets import list_all_layers

PARTS = 12


def part_by_depth(backbone: keras.Model) -> list[list[keras.Variable]]:
    """The weights of a backbone, from the image on, in PARTS parts; fewer where it has fewer kernels.

    Kernels (weights of two axes or more) are counted in the order of the layers, and each part has about as many; a
    bias or a normalisation's weights go with the kernel before them. That asks for no names or blocks, and so holds
    for any network.
    """
    weights = backbone.weights
    kernels = sum(len(weight.shape) > 1 for weight in weights)
    parts: list[list[keras.Variable]] = [[] for _ in range(max(1, min(PARTS, kernels)))]
    seen = 0
    for weight in weights:
        seen += len(weight.shape) > 1
        parts[max(seen - 1, 0) * len(parts) // max(kernels, 1)].append(weight)
    return parts


def train_last(backbone: keras.Model, count: int) -> None:
    """Leave all but the last `count` parts of a backbone that is trained as they are, their batch normalisation too."""
    stays = {id(weight) for part in part_by_depth(backbone)[:-count] for weight in part}
    for layer in list_all_layers(backbone):
        if isinstance(layer, keras.layers.BatchNormalization) and any(id(weight) in stays for weight in layer.weights):
            layer.trainable = False
    for weight in backbone.weights:
        if id(weight) in stays:
            weight.trainable = False


def layer_rates(backbone: keras.Model, decay: float, variables: Sequence[keras.Variable]) -> list[float]:
    """What the learning rate of each variable is multiplied by: layer-wise decay over the depth of a backbone.

    The last part's is `decay`, that of the one before `decay` squared, and so on; 1 for what is not the backbone's.
    Discriminative fine-tuning in Howard, Ruder: Universal Language Model Fine-tuning for Text Classification, 2018,
    arXiv:1801.06146; over the blocks of image networks in Bao et al.: BEiT, 2021, arXiv:2106.08254.
    """
    parts = part_by_depth(backbone)
    rates = {id(weight): decay ** (len(parts) - index) for index, part in enumerate(parts) for weight in part}
    return [rates.get(id(variable), 1.0) for variable in variables]
