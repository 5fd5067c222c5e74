"""`model.onnx` in whole numbers of eight bits: smaller, and faster where a processor has instructions for them."""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from polyhead.model.card import Card
from polyhead.model.file import write_card

BATCH = 8
DENSE = ("MatMul", "Gemm")


def quantize_model(model: Path, card: Card, target: Path, images: NDArray[np.uint8]) -> None:
    """Write `target`, a model file whose convolutions and dense layers compute in whole numbers.

    Statically, by ONNX Runtime: each layer's range is that of its values for images like those to come (Jacob et al.
    2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
    arXiv:1712.05877). Weights have a scale for each channel. The heads stay as they are: they are small, and it is from
    their numbers that answers are read. The new file says of itself what the other does, but for its weights, and the
    figures of its answers: it has none until it is evaluated.

    Args:
        images: (n, height, width, 3).
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Batches(CalibrationDataReader):
        def __init__(self) -> None:
            self._starts = iter(range(0, len(images), BATCH))

        def get_next(self) -> dict[str, Any] | None:
            at = next(self._starts, None)
            return None if at is None else {"images": images[at : at + BATCH]}

    with TemporaryDirectory() as folder, _no_warnings():
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            prepared,
            target,
            Batches(),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_find_ends(onnx.load(prepared).graph, list(card.tasks)),
        )
    digest = hashlib.blake2b(target.read_bytes(), digest_size=8).hexdigest()
    write_card(target, card.model_copy(update={"fingerprint": digest, "figures": {}, "baseline": {}}))


@contextmanager
def _no_warnings() -> Iterator[None]:
    """ONNX Runtime logs what it thinks of single layers; what comes of it is measured."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _find_ends(graph: onnx.GraphProto, tasks: list[str]) -> list[str]:
    """The nodes from the images to the first convolutions, and from the tasks' outputs back to a dense layer each."""
    makers = {name: node for node in graph.node for name in node.output}
    found, open_ends = set(), list(tasks)
    while open_ends:
        node = makers.get(open_ends.pop())
        if node and node.name not in found:
            found.add(node.name)
            open_ends += () if node.op_type in DENSE else node.input
    seen = {"images"}
    for node in graph.node:  # in the order of computation
        if node.op_type != "Conv" and seen.intersection(node.input):
            found.add(node.name)
            seen.update(node.output)
    return sorted(found)
