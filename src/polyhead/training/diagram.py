"""What a built network looks like from afar, as plain data: `model/diagram.py` says what that holds."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from keras import layers

from polyhead.model.diagram import Box, Diagram
from polyhead.recipe.schema import Recipe
from polyhead.training.graph import Graph, Step
from polyhead.training.layer_words import count_repeats, describe_layer
from polyhead.training.network import Network
from polyhead.training.own_backbone import list_inner
from polyhead.training.stages import find_stages


@dataclass
class Group:
    """Steps that become one box; `stage` is what a backbone's stage is made of, in words."""

    places: list[int]
    stage: list[str] = field(default_factory=list)


def describe_network(network: Network, recipe: Recipe) -> Diagram:
    """The boxes of a network: its own layers block by block, a backbone stage by stage, a head for each task."""
    graph = Graph(network.core, network.own_backbone)
    logits = {graph.place(network.core.output[name]): name for name in network.heads}
    features = graph.place(network.core.output["features"])
    joined = graph.steps[features].inputs
    parts = joined if len(joined) > 1 else [features]
    groups = _group(graph, network, set(logits), {features} if len(joined) > 1 else set())
    holders = {place: number for number, group in enumerate(groups) for place in group.places}
    boxes = []
    for number, group in enumerate(groups):
        steps = [graph.steps[place] for place in group.places]
        before = sorted({holders[place] for step in steps for place in step.inputs} - {number})
        task = logits.get(group.places[-1], "")
        boxes.append(
            Box(
                name=_name(number),
                lines=group.stage or _describe(steps, network.heads[task].output if task else ""),
                shape=list(steps[-1].shape),
                layers=sum(_count_layers(step) for step in steps),
                parameters=sum(step.parameters for step in steps),
                # A stage of a backbone may look back farther, but stands on the one before.
                inputs=[_name(place) for place in (before[-1:] if group.stage else before)],
                backbone=recipe.network.backbone.title if group.stage and recipe.network.backbone else "",
            )
        )
    heads = {name: _name(holders[graph.place(network.core.output[name])]) for name in network.heads}
    return Diagram(boxes=boxes, heads=heads, features=[_name(holders[place]) for place in parts])


def _name(number: int) -> str:
    return f"box {number + 1}"


def _group(graph: Graph, network: Network, heads: set[int], left_out: set[int]) -> list[Group]:
    """All steps but those left out, each in one group; a group stands behind those that it reads."""
    staged = [place for place, step in enumerate(graph.steps) if step.model and step.model is network.backbone]
    readers = graph.readers(left_out)
    groups: list[Group] = []
    holders: dict[int, Group] = {}
    for place, step in enumerate(graph.steps):
        if place in left_out or place in holders:
            continue
        if place in staged:
            stages = find_stages(graph.within(staged))
            found = [Group([staged[inner] for inner in inners], lines) for inners, lines in stages]
        elif step.operation is network.own_backbone:
            found = [Group([place], [f"{_count_layers(step):,} layers"])]
        else:
            group = holders[step.inputs[0]] if len(step.inputs) == 1 and readers[step.inputs[0]] == 1 else None
            if group and not group.stage and place not in heads and not _begins(step, graph.at(group.places)):
                group.places.append(place)
                holders[place] = group
                continue
            found = [Group([place])]
        groups += found
        holders |= {inner: group for group in found for inner in group.places}
    return groups


def _count_layers(step: Step) -> int:
    """One; of a whole model, its own layers that hold no others."""
    inner = list(list_inner(step.operation))
    return sum(not list(list_inner(layer)) for layer in inner) or 1


def _begins(step: Step, before: Sequence[Step]) -> bool:
    """Whether a step that reads the last one of a group is the first of the next block instead."""
    last = before[-1]
    if len(step.shape) != len(last.shape):  # flattened, or pooled to a vector
        return True
    if isinstance(step.operation, layers.Dense):
        return any(isinstance(other.operation, layers.Dense) for other in before)
    if not step.parameters:
        return step.shape[-1] != last.shape[-1] and isinstance(before[0].operation, layers.Layer)  # seen in grey
    return len(step.shape) == 3 and (last.height < before[0].height or not any(other.parameters for other in before))


def _describe(steps: Sequence[Step], output: str) -> list[str]:
    """A line a layer; batch normalisation stands in that of the layer before, and `output` at the end."""
    lines: list[str] = []
    for step in steps:
        if isinstance(step.operation, layers.BatchNormalization) and lines:
            lines[-1] += ", BatchNorm"
        elif not isinstance(step.operation, layers.Dropout) or step.operation.rate:
            lines.append(describe_layer(step.operation))
    if output:
        lines[-1] += f", {output}"
    return count_repeats(lines)
