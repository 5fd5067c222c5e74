"""The part of a report that shows the network: what the page's template fills in."""

from itertools import groupby
from typing import Any

from polyhead.model.card import Box, Diagram

Context = dict[str, Any]


def describe_network(diagram: Diagram) -> Context:
    """What `templates/network.html` fills in: boxes one below another, and side by side where the network branches."""
    return {
        "flow": _follow(diagram, diagram.boxes[0]),
        "layers": sum(box.layers for box in diagram.boxes),
        "parameters": sum(box.parameters for box in diagram.boxes),
        "features": diagram.features,
        "widths": [box.shape[-1] for box in diagram.boxes if box.name in diagram.features],
    }


def _follow(diagram: Diagram, first: Box) -> Context:
    """The boxes from one to where the network branches: there are `heads`, of a box each, and longer `branches`."""
    chain = [first]
    while len(after := [box for box in diagram.boxes if chain[-1].name in box.inputs]) == 1:
        chain += after
    own = [task for task, name in diagram.heads.items() if name == chain[-1].name]
    flows = [_follow(diagram, box) for box in after]
    flows.sort(key=lambda flow: list(diagram.heads).index(flow["tasks"][0]))
    heads = [flow for flow in flows if flow["task"] and len(flow["frames"]) == 1]
    branches = [flow for flow in flows if flow not in heads]
    if heads and branches:  # the heads are a branch together, beside the others
        together = {"frames": [], "heads": heads, "branches": [], "tasks": [flow["task"] for flow in heads]}
        heads, branches = [], [*branches, together]
    return {
        # The stages of a backbone are in one frame.
        "frames": [[*run] for _, run in groupby(chain, key=lambda box: box.backbone or box.name)],
        "heads": heads,
        "branches": branches,
        "tasks": own + [task for flow in flows for task in flow["tasks"]],
        "task": "".join(own),
    }
