"""The part of a report that shows the network: what the page's template fills in."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from polyhead.model.diagram import Box, Diagram
from polyhead.report.words import TIMES, show_count

Context = dict[str, Any]


def describe_network(diagram: Diagram) -> Context:
    """What `templates/network.html` fills in: boxes one below another, and side by side where ways part."""
    widths = [box.shape[-1] for box in diagram.boxes if box.name in diagram.features]
    return {
        "way": _follow(diagram, diagram.boxes[0]),
        "layers": show_count(sum(box.layers for box in diagram.boxes)),
        "parameters": show_count(sum(box.parameters for box in diagram.boxes)),
        "features": show_count(sum(widths)),
        "widths": [str(width) for width in widths],
    }


def _follow(diagram: Diagram, first: Box) -> Context:
    """The boxes from one to where the ways part; there are the `heads` that are a way by themselves, and `lanes`."""
    chain = [first]
    while len(after := _readers(diagram, chain[-1])) == 1:
        chain += after
    tasks = [task for task, name in diagram.heads.items() if name == chain[-1].name]
    ways = [_follow(diagram, box) for box in after]
    order = list(diagram.heads)
    ways.sort(key=lambda way: min(order.index(task) for task in way["tasks"]))
    found: Context = {
        "frames": [_frame(diagram, list(run)) for _, run in groupby(chain, key=lambda box: box.backbone or box.name)],
        "tasks": tasks + [task for way in ways for task in way["tasks"]],
        "heads": [way for way in ways if way["is_head"]],
        "lanes": [way for way in ways if not way["is_head"]],
        "is_head": bool(tasks) and len(chain) == 1,
    }
    if found["heads"] and found["lanes"]:  # the heads share a lane beside the others
        alone = {"frames": [], "lanes": [], "heads": found["heads"]}
        found["lanes"].append(alone | {"tasks": [task for way in found["heads"] for task in way["tasks"]]})
        found["heads"] = []
    return found


def _readers(diagram: Diagram, box: Box) -> list[Box]:
    return [other for other in diagram.boxes if box.name in other.inputs]


def _frame(diagram: Diagram, boxes: Sequence[Box]) -> Context:
    """A box alone; or the stages of a backbone, under its name."""
    tasks = {name: task for task, name in diagram.heads.items()}
    return {
        "name": boxes[0].backbone,
        "layers": show_count(sum(box.layers for box in boxes)),
        "parameters": show_count(sum(box.parameters for box in boxes)),
        "boxes": [
            {
                "lines": box.lines,
                "shape": f" {TIMES} ".join(map(str, box.shape)),
                "parameters": show_count(box.parameters) if box.parameters else "",
                "task": tasks.get(box.name, ""),
                "features": box.name in diagram.features,
            }
            for box in boxes
        ],
    }
