"""An overview of a built network as plain data; `model/card.py` defines its form."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, chain, groupby
from typing import Any

import keras
from keras import layers

from polyhead.model.card import Box, Diagram
from polyhead.recipe.schema import Recipe
from polyhead.training.layer_values import list_layers
from polyhead.training.network import Network

SAME_SIZE = 0.75  # a map that is lower than this fraction of a stage's first one begins the next stage
SPELT = 6  # layers that are named one after another; more are counted by their kinds
# What a backbone of keras.applications repeats, by the names of its layers, such as `block_3_expand`.
UNIT = re.compile(r"(conv\d+_block\d+|block\d+[a-z]|block_\d+|\w+_stage_\d+_block_\d+|expanded_conv(_\d+)?)_")
Unit = tuple[str, list[keras.Layer]]
IDLE = (layers.InputLayer, layers.Rescaling, layers.Normalization, layers.ZeroPadding2D, layers.Cropping2D)
CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D, layers.Dense)
SQUEEZE = "Squeeze-and-excitation"
WORKING = (*CONVOLUTIONS, layers.MaxPooling2D, layers.AveragePooling2D)
TIMES = "\N{MULTIPLICATION SIGN}"
ACTIVATIONS = {"relu": "ReLU", "relu6": "ReLU6", "gelu": "GELU", "silu": "SiLU"}
KINDS = {
    "Conv2D": "Conv",
    "DepthwiseConv2D": "Depthwise",
    "SeparableConv2D": "Separable",
    "MaxPooling2D": "MaxPool",
    "AveragePooling2D": "AveragePool",
    "GlobalAveragePooling2D": "Global average pooling",
    "GlobalMaxPooling2D": "Global max pooling",
    "BatchNormalization": "BatchNorm",
    "Concatenate": "Side by side",
    "RGBToGrayscale": "Grayscale",
    "Repeat": "As three channels",
}


def describe_network(network: Network, recipe: Recipe) -> Diagram:
    """The boxes of a network: the recipe's own layers block by block, a backbone stage by stage, a head a task."""
    boxes = [Box(name="image", lines=["Image"], shape=[*recipe.image.size, 3], layers=1, parameters=0, inputs=[])]
    tasks = {id(network.core.output[name]): name for name in network.heads}
    title = recipe.network.backbone.title if recipe.network.backbone else ""
    makers: dict[int, str] = {}  # the box that makes a tensor; what none makes is the image
    for start, end, backbone in network.sections:
        before = makers.get(id(start), "image")
        head = network.heads[tasks[id(end)]].output if id(end) in tasks else ""
        if backbone is None:
            drawn = [_draw_layers(keras.Model(start, end), head)]
        else:
            drawn = [_draw_whole(backbone, end.shape)] if network.is_own else _draw_backbone(backbone)
        for fields in drawn:
            boxes.append(Box(name=f"box {len(boxes)}", inputs=[before], backbone=title if backbone else "", **fields))
            before = boxes[-1].name
        makers[id(end)] = before
    read = {id(section.start) for section in network.sections if id(section.end) in tasks}
    features = [makers[id(section.end)] for section in network.sections if id(section.end) in read]
    return Diagram(boxes=boxes, heads={name: makers[end] for end, name in tasks.items()}, features=features)


def _draw_layers(model: keras.Model, head: str) -> dict[str, Any]:
    """A line for each layer; batch normalization is added to the line before, and a head's activation to the last."""
    lines: list[str] = []
    found = [operation for operation in model.operations if not isinstance(operation, layers.InputLayer)]
    for operation in found:
        if isinstance(operation, layers.BatchNormalization) and lines:
            lines[-1] += ", BatchNorm"
        elif not isinstance(operation, layers.Dropout) or operation.rate:
            lines.append(_describe_layer(operation))
    if head:
        lines[-1] += f", {head}"
    shape = list(model.outputs[0].shape[1:])
    return {"lines": _count_repeats(lines), "shape": shape, "layers": len(found), "parameters": model.count_params()}


def _draw_whole(backbone: keras.Model, shape: Sequence[int]) -> dict[str, Any]:
    """A box for the user's own backbone: nothing is known of what is inside."""
    count = len(list_layers(backbone))
    lines = [f"{count:,} layers"]
    return {"lines": lines, "shape": list(shape[1:]), "layers": count, "parameters": backbone.count_params()}


def _draw_backbone(backbone: keras.Model) -> list[dict[str, Any]]:
    """A box a stage: the units, and layers between them, that give maps of one size."""
    units = _find_units(list_layers(backbone))
    heights = [_height(part[-1]) for _, part in units]
    # A branch may look at the whole map: what counts is the largest map that is still to come.
    sizes = [*accumulate(reversed(heights), max)][::-1]
    starts = [0]
    for at, size in enumerate(sizes):
        if size < SAME_SIZE * sizes[starts[-1]]:
            starts.append(at)
    stages = [_draw_stage(units[start:end]) for start, end in zip(starts, [*starts[1:], None], strict=True)]
    stages[-1]["shape"] = list(backbone.outputs[0].shape[1:])
    return stages


def _find_units(found: Sequence[keras.Layer]) -> list[Unit]:
    """What a backbone repeats, by the names of its layers; any other layer by itself, without a name."""
    units: list[Unit] = []
    for layer in found:
        match, before = UNIT.match(layer.name), units[-1][0] if units else ""
        name = match[1] if match else "" if isinstance(layer, (*CONVOLUTIONS, *IDLE)) else before
        if name and name == before:
            units[-1][1].append(layer)
        else:
            units.append((name, [layer]))
    return units


def _draw_stage(units: Sequence[Unit]) -> dict[str, Any]:
    lines: list[str] = []
    maps: list[Sequence[int]] = [(0, 0, 0)]
    for is_unit, run in groupby(units, key=lambda unit: bool(unit[0])):
        parts = [part for _, part in run]
        parts = parts if is_unit else [[*chain(*parts)]]
        words = [f"({word})" if is_unit and ", " in word else word for word in map(_spell, parts) if word]
        lines += _count_repeats(words)
        maps = [layer.output.shape[1:] for layer in parts[-1] if _height(layer)] or maps
    found = [layer for _, part in units for layer in part]
    # Layers without names are in no particular order: the widest map is the one that joins the others.
    shape = maps[-1] if units and units[-1][0] else max(maps, key=lambda shape: shape[-1])
    return {
        "lines": [line[1:-1] if line.startswith("(") else line for line in lines],
        "shape": list(shape),
        "layers": len(found),
        "parameters": sum(layer.count_params() for layer in found),
    }


def _spell(found: Sequence[keras.Layer]) -> str:
    """The layers that do the work, one after another; many of them counted."""
    highest = max(map(_height, found))
    working = [layer for layer in found if isinstance(layer, WORKING)]
    words = [SQUEEZE if _height(layer) <= 1 < highest else _name_kind(layer) for layer in working]
    words = [word for at, word in enumerate(words) if word != SQUEEZE or words[at - 1] != SQUEEZE]  # it has two
    if len(words) > SPELT:
        words = [word for word, number in Counter(words).most_common() for _ in range(number)]
    return ", ".join(_count_repeats(words))


def _height(layer: keras.Layer) -> int:
    """Of the map that a layer makes; 0 where it makes none, or only gets the image ready."""
    shape: tuple[int, ...] = getattr(getattr(layer, "output", None), "shape", ())
    return shape[1] if len(shape) > 3 and not isinstance(layer, IDLE) else 0


def _describe_layer(layer: Any) -> str:
    """One layer with its sizes, such as `Conv 3x3, 64, ReLU` or `Dense 128, ReLU`."""
    if isinstance(layer, layers.Dropout):
        return f"Dropout {layer.rate:g}"
    width = getattr(layer, "units", None) or getattr(layer, "filters", None)
    if not width:
        return _name_kind(layer)
    name = layer.activation.__name__
    words = f"Dense {width:,}" if isinstance(layer, layers.Dense) else f"{_name_kind(layer)}, {width:,}"
    return words if name == "linear" else f"{words}, {ACTIVATIONS.get(name, name)}"


def _name_kind(layer: Any) -> str:
    """What a layer is, and over how many pixels it looks, such as `Conv 3x3`; width and activation left out."""
    kind = type(layer).__name__
    window = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    name = "Depthwise" if getattr(layer, "groups", 1) > 1 else KINDS.get(kind, kind)
    return f"{name} {window[0]}{TIMES}{window[1]}" if window else name


def _count_repeats(words: Sequence[str]) -> list[str]:
    """The same with what is repeated at once counted: `2 x Conv 3x3`."""
    runs = [(word, len(list(run))) for word, run in groupby(words)]
    return [word if number == 1 else f"{number} {TIMES} {word}" for word, number in runs]
