"""Low-rank updates of a backbone: its kernels stay as they came, and small factors beside them are trained.

Keras adds the factors' product to a kernel wherever it uses or saves it: the weights that a run keeps are merged, and
what is exported is the plain network (Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models,
arXiv:2106.09685).
"""

from math import prod

import keras

from polyhead.errors import PolyheadError
from polyhead.training.network import Network
from polyhead.training.presets import list_all_layers


def add_factors(network: Network, rank: int) -> None:
    """Give a built network's backbone trainable factors of a rank, where it is below a kernel's.

    Keras offers them for dense layers, convolutions (but depthwise ones) and embeddings.

    Raises:
        PolyheadError: no layer of the backbone takes them.
    """
    if network.backbone is None:
        return
    frozen = {id(inner) for layer in network.frozen for inner in [layer, *list_all_layers(layer)]}
    chosen = [layer for layer in list_all_layers(network.backbone) if id(layer) not in frozen and _takes(layer, rank)]
    if not chosen:
        raise PolyheadError(
            f"network.backbone.lora: none of the backbone's layers takes factors of rank {rank}; take a lower one, or "
            "remove it"
        )
    for layer in chosen:
        layer.enable_lora(rank)


def _takes(layer: keras.Layer, rank: int) -> bool:
    """Whether a layer has a kernel that factors of the rank are smaller than, and Keras has them for it."""
    kernel = getattr(layer, "_kernel", None) if hasattr(layer, "kernel") else getattr(layer, "_embeddings", None)
    if kernel is None or not hasattr(layer, "enable_lora") or getattr(layer, "kernel_constraint", None):
        return False
    *others, last = kernel.shape
    return bool(rank < min(prod(others), last))
