"""`model.onnx` for OpenVINO, Intel's runtime: its own two files, with the card in them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyhead.model.card import KEY, Card

BATCH = 8  # images of a call


def convert_to_openvino(
    model: Path, card: Card, target: Path, samples: NDArray[np.uint8]
) -> dict[str, NDArray[np.float32]]:
    """Write a folder `target` with model.xml and model.bin, float32 as the original, and run it on images.

    The input and the outputs keep their names; the card is what the file says of itself (`rt_info`) under `polyhead`.

    Args:
        samples: images (n, height, width, 3).

    Returns:
        What it answers for them: (n, width) for each task and for `features`.
    """
    import openvino

    core = openvino.Core()
    made = core.read_model(str(model))
    made.set_rt_info(card.model_dump_json(), KEY)
    target.mkdir()
    openvino.save_model(made, target / "model.xml", compress_to_fp16=False)
    # As written: some processors would otherwise compute in fewer digits than the file has.
    compiled = core.compile_model(target / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = [*card.tasks, "features"]
    parts = [compiled(np.array(samples[at : at + BATCH])) for at in range(0, len(samples), BATCH)]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}
