"""An overview of a built network as plain data; `model/card.py` defines its form."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, groupby
from operator import itemgetter
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
Drawn = tuple[list[str], Sequence[int], Sequence[Any]]  # what becomes a box: its lines, its output's shape, its layers
IDLE = (layers.InputLayer, layers.Rescaling, layers.Normalization, layers.ZeroPadding2D, layers.Cropping2D)
CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D, layers.Dense)
SQUEEZE = "Squeeze-and-excitation"
WORKING = (*CONVOLUTIONS, layers.MaxPooling2D, layers.AveragePooling2D)
TIMES = "\N{MULTIPLICATION SIGN}"
ACTIVATIONS = {"relu": "ReLU", "relu6": "ReLU6", "gelu": "GELU", "silu": "SiLU"}
KINDS = {"RGBToGrayscale": "Grayscale", "Repeat": "As three channels", "Concatenate": "Side by side"}


def describe_network(network: Network, recipe: Recipe) -> Diagram:
    """The boxes of a network: the recipe's own layers block by block, a backbone stage by stage, a head a task."""
    boxes = [Box(name="image", lines=["Image"], shape=[*recipe.image.size, 3], layers=1, parameters=0, inputs=[])]
    tasks = {id(network.core.output[name]): name for name in network.heads}
    makers: dict[int, str] = {}  # the box that makes a tensor; what none makes is the image
    for start, end, backbone in network.sections:
        before = makers.get(id(start), "image")
        head = network.heads[tasks[id(end)]].output if id(end) in tasks else ""
        again = any(box.backbone for box in boxes)
        drawn = _draw_backbone(backbone, network.is_own, again) if backbone else [_draw(keras.Model(start, end), head)]
        for lines, shape, found in drawn:
            origin = recipe.network.backbone.title if backbone and found and recipe.network.backbone else ""
            count = sum(layer.count_params() for layer in found if isinstance(layer, keras.Layer))
            sizes = {"shape": [*shape], "layers": len(found), "parameters": count}
            boxes.append(Box(name=f"box {len(boxes)}", lines=lines, **sizes, inputs=[before], backbone=origin))
            before = boxes[-1].name
        makers[id(end)] = before
    read = {id(section.start) for section in network.sections if id(section.end) in tasks}
    features = [makers[id(section.end)] for section in network.sections if id(section.end) in read]
    return Diagram(boxes=boxes, heads={name: makers[end] for end, name in tasks.items()}, features=features)


def _draw(model: keras.Model, head: str) -> Drawn:
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
    return _count_repeats(lines), model.outputs[0].shape[1:], found


def _draw_backbone(backbone: keras.Model, is_own: bool, again: bool) -> list[Drawn]:
    """A box a stage: the units, and layers between them, that give maps of one size; of an own one, one box."""
    found, end = list_layers(backbone), backbone.outputs[0].shape[1:]
    if again:  # it is shown another view of the image
        return [(["The same backbone, with the same weights"], end, [])]
    if is_own:  # nothing is known of what is inside
        return [([f"{len(found):,} layers"], end, found)]
    units = _find_units(found)
    # A branch may look at the whole map: what counts is the largest map that is still to come.
    sizes = [*accumulate((_height(part[-1]) for _, part in reversed(units)), max)][::-1]
    firsts: Iterable[int] = accumulate(sizes, lambda first, size: size if size < SAME_SIZE * first else first)
    stages = groupby(zip(firsts, units, strict=True), key=itemgetter(0))
    drawn = [_draw_stage([unit for _, unit in stage]) for _, stage in stages]
    return [*drawn[:-1], (drawn[-1][0], end, drawn[-1][2])]


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


def _draw_stage(units: Sequence[Unit]) -> Drawn:
    lines: list[str] = []
    maps: list[Sequence[int]] = [(0, 0, 0)]
    for is_unit, run in groupby(units, key=lambda unit: bool(unit[0])):
        parts = [part for _, part in run]
        parts = parts if is_unit else [[*chain(*parts)]]
        lines += _count_repeats([word for word in map(_spell, parts) if word], "({})")
        maps = [layer.output.shape[1:] for layer in parts[-1] if _height(layer)] or maps
    # Layers without names are in no particular order: the widest map is the one that joins the others.
    shape = maps[-1] if units[-1][0] else max(maps, key=lambda shape: shape[-1])
    return lines, shape, [layer for _, part in units for layer in part]


def _spell(found: Sequence[keras.Layer]) -> str:
    """The layers that do the work, one after another; many of them counted."""
    high = max(map(_height, found))
    words = [SQUEEZE if _height(one) <= 1 < high else _name_kind(one) for one in found if isinstance(one, WORKING)]
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
    kind = type(layer).__name__.removesuffix("2D")
    window = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if not window:  # GlobalAveragePooling in words
        return KINDS.get(kind) or re.sub("(?<=[a-z])(?=[A-Z])", " ", kind).capitalize()
    name = "Depthwise" if getattr(layer, "groups", 1) > 1 else re.sub("(?<=.)Conv$|ing$", "", kind)
    return f"{name} {window[0]}{TIMES}{window[1]}"


def _count_repeats(words: Sequence[str], several: str = "{}") -> list[str]:
    """The same with what is repeated at once counted: `2 x Conv 3x3`; `several` is how a list of layers is put then."""
    runs = [(word, len(list(run))) for word, run in groupby(words)]
    names = [several.format(word) if ", " in word and number > 1 else word for word, number in runs]
    return [f"{number} {TIMES} {name}" if number > 1 else name for name, (_, number) in zip(names, runs, strict=True)]
