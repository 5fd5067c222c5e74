"""Several model files as one, whose outputs are the averages of theirs.

The networks stand in one graph, each under names of its own, and all read the same images. What is equal in several of
them (a backbone that none of them has trained, the scaling of the images) is there once, and computed once.
"""

import hashlib
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyhead import __version__
from polyhead.errors import PolyheadError
from polyhead.model.card import Card
from polyhead.model.file import read_model_card, write_card
from polyhead.model.predictor import Predictor

TOLERANCE = 1e-5  # of an output's largest value, or of 1: what adding the same floats in another order may cost
IMAGES, FEATURES = "images", "features"


def average_models(models: Sequence[Path], path: Path, card: Card, samples: NDArray[np.uint8]) -> None:
    """Write a model file whose outputs are the means of the models' outputs, which are activated, in the labels' units.

    Its `features` are theirs side by side, since those of different networks have nothing in common that could be
    averaged; features that several networks share are there once.

    Args:
        models: files of two or more models of the same tasks and image size.
        path: of the file to write.
        card: what it says of itself, but for what is found here: of how many networks it is, weights, fingerprint.
        samples: images (n, height, width, 3), on which it must give the means of what the models give.

    Raises:
        PolyheadError: it could not be written, or gives something else than the means.
    """
    import onnx

    graph, spared = _join([onnx.load(str(model)) for model in models])
    onnx.save(graph, str(path))
    cards = [read_model_card(model) for model in models]
    digest = hashlib.blake2b("".join(each.fingerprint for each in cards).encode(), digest_size=8).hexdigest()
    found: dict[str, Any] = {"averages": len(models), "version": __version__, "fingerprint": digest}
    found["parameters"] = max(sum(each.parameters for each in cards) - spared, cards[0].parameters)
    # The first network's features come first, and its validation images were not trained on by it.
    found |= {"diagram": cards[0].diagram, "familiarity": cards[0].familiarity}
    write_card(path, card.model_copy(update=found))
    _check(models, path, samples)


class _Merger:
    """One graph that graphs are added to; nodes and constants that are equal are there once."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.spared = 0  # numbers of constants that were there already
        self._known: dict[Any, list[str]] = {}  # what a node or a constant is made of -> the names of what it gives

    def add(self, graph: Any, prefix: str) -> dict[str, str]:
        """Add a graph; what each of its outputs is called in the whole."""
        names = {"": "", IMAGES: IMAGES}
        for constant in graph.initializer:
            copy = type(constant)()
            copy.CopyFrom(constant)
            copy.ClearField("name")
            found = self._known.setdefault(copy.SerializeToString(), [prefix + constant.name])
            copy.name = names[constant.name] = found[0]
            if copy.name == prefix + constant.name:
                self.constants.append(copy)
            else:
                self.spared += prod(constant.dims)
        for node in graph.node:
            self._add_node(node, prefix, names)
        return {output.name: names[output.name] for output in graph.output}

    def _add_node(self, node: Any, prefix: str, names: dict[str, str]) -> None:
        inputs = [names[name] for name in node.input]
        settings = sorted(setting.SerializeToString() for setting in node.attribute)
        key = (node.op_type, node.domain, *inputs, b"", *settings, len(node.output))
        made = [prefix + name if name else "" for name in node.output]
        found = self._known.setdefault(key, made)
        names.update(zip(node.output, found, strict=True))
        if found is made:
            copy = type(node)()
            copy.CopyFrom(node)
            copy.name = prefix + (node.name or node.output[0])
            copy.input[:], copy.output[:] = inputs, made
            self.nodes.append(copy)


def _join(models: Sequence[Any]) -> tuple[Any, int]:
    """One graph of all, and how many numbers of their weights were in several of them, and so are there once."""
    from onnx import TensorProto, helper

    merger, first = _Merger(), models[0].graph
    made = [merger.add(model.graph, f"network {number}/") for number, model in enumerate(models, 1)]
    share = helper.make_tensor("average/share", TensorProto.FLOAT, [], [1 / len(models)])
    outputs = []
    for output in first.output:
        parts, width = [names[output.name] for names in made], output.type.tensor_type.shape.dim[1].dim_value
        if output.name == FEATURES:
            parts = list(dict.fromkeys(parts))
            width *= len(parts)
            merger.nodes.append(helper.make_node("Concat", parts, [FEATURES], "average/features", axis=1))
        else:
            merger.nodes += _average(output.name, parts, share.name)
        outputs.append(helper.make_tensor_value_info(output.name, TensorProto.FLOAT, ["n", width]))
    graph = helper.make_graph(merger.nodes, "average", [first.input[0]], outputs, [share, *merger.constants])
    settings = {"opset_imports": models[0].opset_import, "ir_version": models[0].ir_version}
    return helper.make_model(graph, **settings), merger.spared


def _average(name: str, parts: Sequence[str], share: str) -> list[Any]:
    """The nodes that give the mean of several outputs under a name."""
    from onnx import helper

    nodes, total = [], parts[0]
    for number, part in enumerate(parts[1:], 2):
        inputs, total = [total, part], f"average/{name}/sum {number}"
        nodes.append(helper.make_node("Add", inputs, [total], total))
    return [*nodes, helper.make_node("Mul", [total, share], [name], f"average/{name}")]


def _check(models: Sequence[Path], path: Path, samples: NDArray[np.uint8]) -> None:
    """See that the file can be opened as any model, and gives the means."""
    found = Predictor(path).run(samples)
    parts = [Predictor(model).run(samples) for model in models]
    for name in found.keys() - {FEATURES}:
        mean = np.mean([part[name].astype(float) for part in parts], axis=0)
        difference = float(np.abs(found[name] - mean).max() / max(1.0, np.abs(mean).max()))
        if not difference <= TOLERANCE:
            raise PolyheadError(
                f"{path}: {name}: is {difference:.1e} off the mean of the {len(models)} networks' answers, more than "
                "rounding explains; they stay as they are: update polyhead, onnx and onnxruntime, and resume the run"
            )
