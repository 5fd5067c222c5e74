"""How large a recipe's network is, before anything is built: what cannot fit is refused in one line.

All counts are lower bounds, so that nothing is refused that would work: only the weights of convolutions and dense
layers, and only those values of a step that its backward pass reads again.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from polyhead.errors import PolyheadError, shorten
from polyhead.recipe.network import Stack
from polyhead.recipe.schema import Recipe

LARGEST_FILE = 2**31  # bytes: protobuf, and so ONNX, takes no more
FLOAT = 4  # bytes of a weight
HALF = 2  # bytes of a value under bfloat16
HISTOGRAM = 1  # bins of colours: a lower bound, as all counts are
CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Layers:
    """A part of the network: its key in the recipe, its weights, its values for one image, and how to shrink it."""

    key: str
    weights: int
    values: int
    advice: str


def check_size(recipe: Recipe, images: int) -> None:
    """Refuse a network that is too large for a model file or for this machine.

    Args:
        recipe: with the labels that are known so far.
        images: how many there are; a step has no more.

    Raises:
        PolyheadError: with the largest part and its size.
    """
    parts = list(list_layers(recipe))
    bytes_of = {part.key: FLOAT * part.weights for part in parts}
    total, largest = sum(bytes_of.values()), max(parts, key=lambda part: part.weights)
    if total > LARGEST_FILE:
        raise PolyheadError(
            f"{largest.key}: has {largest.weights:,} weights or more, the network {_format_size(total)} of them, and a "
            f"model file holds {_format_size(LARGEST_FILE)} at most; {largest.advice}"
        )
    memory, step = machine_memory(), min(recipe.training.batch_size, images)
    each = HALF if recipe.training.precision == "bfloat16" else FLOAT
    needed = 2 * total + step * each * sum(part.values for part in parts)  # 2: weights and their gradients
    if memory and needed > memory:
        widest = max(parts, key=lambda part: 2 * bytes_of[part.key] + step * each * part.values)
        raise PolyheadError(
            f"{widest.key}: a training step of {step:,} images needs {_format_size(needed)} of memory or more, most of "
            f"it here; this machine has {_format_size(memory)}; lower training.batch_size or image.size, or "
            f"{widest.advice}"
        )


def list_layers(recipe: Recipe) -> Iterator[Layers]:
    """The parts of a recipe's network, each with its size."""
    network = recipe.network
    yield Layers("image.size", 0, 3 * recipe.image.size[0] * recipe.image.size[1], "make the images smaller")
    vectors: dict[str, int] = {"histogram": HISTOGRAM}
    if network.backbone:
        pooled = network.backbone.pooled
        yield from _list_dense("network.backbone", pooled, network.backbone.dense)
        vectors["trunk"] = vectors["gray"] = (network.backbone.dense or [pooled])[-1]
    for name, stack in recipe.stacks().items():
        blocks, vector = _list_blocks(f"network.{shorten(name, 60)}", stack, recipe.image.size)
        yield from blocks
        yield from _list_dense(f"network.{shorten(name, 60)}", vector, stack.dense)
        vectors[name] = (stack.dense or [vector])[-1]
    for name, task in recipe.tasks.items():
        vector = vectors.get(recipe.read_vector(name)) or vectors["trunk"]  # `gray` waits for a backbone to be planned
        units = network.heads[name].dense if name in network.heads else []
        yield from _list_dense(f"network.heads.{shorten(name, 60)}", vector, units)
        logits = (units or [vector])[-1] * max(1, task.width - 1)  # a kind may take one logit less than its width
        yield Layers(f"tasks.{shorten(name, 60)}", logits, 0, "give it fewer labels")


def _list_blocks(key: str, stack: Stack, size: tuple[int, int]) -> tuple[list[Layers], int]:
    """The blocks of a stack, and the width of the vector after them."""
    (height, width), channels = size, 1 if stack.color_mode == "grayscale" else 3
    parts = []
    for index, block in enumerate(stack.blocks):
        weights = values = 0
        for filters in block.convolutions:
            weights += block.kernel**2 * channels * filters
            values += height * width * filters
            channels = filters
        advice = "take fewer filters" + (" or a smaller kernel" if block.kernel > 3 else "")
        parts.append(Layers(f"{key}.blocks.{index}", weights, values, advice))
        height, width = height // block.pool, width // block.pool
    return parts, channels * (height * width if stack.end == "flatten" else 1)


def _list_dense(key: str, vector: int, units: list[int]) -> Iterator[Layers]:
    for wide, narrow in zip([vector, *units], units, strict=False):
        advice = "take fewer units" + (", or make what comes before them smaller" if wide > narrow else "")
        yield Layers(f"{key}.dense", wide * narrow, narrow, advice)


def machine_memory() -> int | None:
    """The bytes of memory of this machine or of its container; None if the system does not tell."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    try:
        limit = CONTAINER_LIMIT.read_text(encoding="utf-8").strip()
    except OSError:
        return memory
    return min(memory, int(limit)) if limit.isdecimal() else memory


def _format_size(size: int) -> str:
    return f"{size / 1e9:,.1f} GB"
