"""Whether an exported graph computes what the network does; and where it does not, whether rounding explains it.

Two programs add the same floats in another order, and so differ in the last digits: the more, the more layers there are
and the larger the numbers. What is to blame is told by the same network in twice the digits: where the graph is as near
to that as the network in floats is, both are right.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyhead.errors import PolyheadError
from polyhead.training.layer_values import run_layers, run_network
from polyhead.training.network import Network

TOLERANCE = 1e-4  # of an output's largest value, or of 1
AS_NEAR = 8  # times as far from the exact network as Keras is: still a matter of rounding
DIGITS = 1e-6  # what a single step of floats rounds by, and more
TRIED = 4  # images on which the layer is looked for where a difference begins
Outputs = Mapping[str, NDArray[np.floating]]


def check_agreement(network: Network, path: Path, images: NDArray[np.uint8], exact: Callable[[], Network]) -> float:
    """How far the graph in a model file is from the network that it was made of, on images (n, height, width, 3).

    Args:
        exact: makes the same network in double precision; it is asked for only where there is a difference.

    Returns:
        The largest difference of any output, of that output's largest value over the images, or of 1 if that is less.

    Raises:
        PolyheadError: the network's own outputs are no numbers; or the difference is above TOLERANCE, and rounding
            does not explain it: with the output, and the layer at which it begins.
    """
    expected = run_network(network, images)
    for name, values in expected.items():
        if not np.isfinite(values).all():
            raise PolyheadError(
                f"the trained network gives no number for {name}: training has diverged; train again with a lower "
                "training.learning_rate"
            )
    found = run_graph(path, images, list(expected))
    differences = compare(expected, found)
    worst = max(differences, key=lambda name: differences[name])
    if not differences[worst] <= TOLERANCE:
        reference = run_network(exact(), images)
        ours, theirs = compare(reference, expected), compare(reference, found)
        far = {name for name in differences if theirs[name] > AS_NEAR * max(ours[name], DIGITS)}
        wrong = [name for name, difference in differences.items() if difference > TOLERANCE and name in far]
        if wrong:
            raise PolyheadError(
                f"{wrong[0]}: Keras and ONNX Runtime differ by {differences[wrong[0]]:.1e} of its largest value, more "
                f"than rounding explains; it begins at {find_layer(network, path, images[:TRIED])}. The weights are "
                "kept: change that layer in the recipe and train again, or update polyhead, tf2onnx and onnxruntime "
                "and resume the run"
            )
    return differences[worst]


def compare(expected: Outputs, found: Outputs) -> dict[str, float]:
    """How far each output is from what is expected, of the largest value expected of it, or of 1."""
    return {name: _distance(values, found[name]) for name, values in expected.items()}


def _distance(expected: NDArray[np.floating], found: NDArray[np.floating]) -> float:
    if expected.shape != found.shape or not np.isfinite(found).all():
        return float("inf")
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    return float(np.abs(expected.astype(float) - found).max(initial=0) / scale)


def run_graph(path: Path, images: NDArray[np.uint8], names: list[str]) -> dict[str, NDArray[np.floating]]:
    """The same of a model file."""
    from polyhead.model.file import open_model

    session, _ = open_model(path)
    return dict(zip(names, session.run(names, {"images": images}), strict=True))


def find_layer(network: Network, path: Path, images: NDArray[np.uint8]) -> str:
    """The first layer whose values the graph does not have, and behind which it has none: in words.

    The graph's values have names and an order of axes of their own, and some layers are joined there. So a layer counts
    as right where any value of the graph consists of the same numbers.
    """
    inner = [np.sort(values, axis=None) for values in _run_inside(path, images)]
    steps = run_layers(network, images)
    right = [any(_same(np.sort(values, axis=None), other) for other in inner) for _, values in steps]
    last = max((place for place, there in enumerate(right) if there), default=-1)
    return f"the layer {steps[last + 1][0]}" if last + 1 < len(steps) else "what follows the last layer"


def _same(expected: NDArray[np.floating], found: NDArray[np.floating]) -> bool:
    return expected.shape == found.shape and _distance(expected, found) <= TOLERANCE


def _run_inside(path: Path, images: NDArray[np.uint8]) -> list[NDArray[np.floating]]:
    """All fractions that a graph computes on the way."""
    import onnx
    import onnxruntime

    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    there = {output.name for output in model.graph.output}
    model.graph.output.extend(
        value
        for value in model.graph.value_info
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT and value.name not in there
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: list[NDArray[np.floating]] = session.run(None, {"images": images})
    return found
