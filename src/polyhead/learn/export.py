"""From trained weights to `model.onnx`.

Always in a child process on TensorFlow in float32, whatever trained them: exporting from other backends loses names or
makes files that ONNX Runtime refuses, and a backend cannot be changed once Keras is imported.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from polyhead import __version__
from polyhead.errors import PolyheadError
from polyhead.processes import SAFE_IMPORTS, end_with_parent
from polyhead.recipe import Recipe
from polyhead.recipe_file import recipe_values
from polyhead.tasks import AnyTask, Task

if TYPE_CHECKING:
    from polyhead.learn.network import Network


def export_network(
    recipe: Recipe, tasks: Mapping[str, Task], weights: Path, rows: dict[str, int], samples: NDArray[np.uint8]
) -> tuple[Path, float]:
    """Write the ONNX file of trained `weights` beside them, and check it.

    Args:
        rows: images by split, for the card.
        samples: images (n, height, width, 3) that Keras and ONNX Runtime must agree on.

    Returns:
        The file, and the largest difference found, as `agreement.check_agreement` tells it.

    Raises:
        PolyheadError: it could not be written, or Keras and ONNX Runtime differ by more than rounding explains. The
            weights stay where they are.
    """
    folder = weights.parent
    np.save(folder / "samples.npy", samples)
    order: dict[str, Any] = {"recipe": recipe_values(recipe), "rows": rows}
    order["tasks"] = {name: task.model_dump(mode="json") for name, task in tasks.items()}
    (folder / "export.json").write_text(json.dumps(order), encoding="utf-8")
    try:
        said = call_child("polyhead.learn.export", str(folder), weights.name)
    finally:
        for name in ("samples.npy", "export.json"):
            (folder / name).unlink(missing_ok=True)
    return folder / "model.onnx", float(said.splitlines()[-1])


def call_child(module: str, *arguments: str) -> str:
    """Run a module on TensorFlow, on the CPU, in a process of its own; what it prints.

    Raises:
        PolyheadError: it failed; with the last line that it had to say. What else it said is the error's cause.
    """
    environment = {
        **os.environ,
        **SAFE_IMPORTS,
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode < 0:
        raise PolyheadError("exporting failed: its process was killed: most likely the memory is full")
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it does not say why"]
        raise PolyheadError(f"exporting failed: {lines[-1]}") from RuntimeError(done.stderr)
    return done.stdout


def _export(folder: Path, weights: str) -> float:
    """The child's work: build, load, write, compare, describe."""
    from polyhead.learn import backend
    from polyhead.learn.agreement import check_agreement
    from polyhead.learn.diagram import describe_network
    from polyhead.learn.network import build_network
    from polyhead.use.card import Card
    from polyhead.use.model_file import write_card

    order = json.loads((folder / "export.json").read_text(encoding="utf-8"))
    tasks = TypeAdapter(dict[str, AnyTask]).validate_python(order["tasks"])
    recipe = Recipe.model_validate(order["recipe"])
    network = build_network(recipe, tasks)
    network.core.load_weights(folder / weights)
    model = network.answering()
    samples = np.load(folder / "samples.npy")
    model(samples, training=False)  # what builds it
    path = folder / "model.onnx"
    backend.write_onnx(model, path)
    card = Card(
        version=__version__,
        name=recipe.name,
        description=recipe.description,
        note=recipe.note,
        image=recipe.image,
        tasks=tasks,
        recipe=order["recipe"] | {"data": order["recipe"]["data"] | {"path": None}},
        rows=order["rows"],
        parameters=model.count_params(),
        fingerprint=digest_weights(network.core.get_weights()),
        diagram=describe_network(network, recipe),
    )
    write_card(path, card)
    return check_agreement(network, path, samples, lambda: _build_exact(recipe, tasks, folder / weights))


def _build_exact(recipe: Recipe, tasks: Mapping[str, Task], weights: Path) -> "Network":
    """The network in double precision, but for its logits."""
    import keras

    from polyhead.learn.network import build_network

    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        network = build_network(recipe, tasks)
        network.core.load_weights(weights)
    finally:
        keras.config.set_dtype_policy(policy)
    return network


def digest_weights(weights: list[NDArray[np.floating]]) -> str:
    """16 hex digits that differ where weights do."""
    digest = hashlib.blake2b(digest_size=8)
    for array in weights:
        digest.update(array.tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    end_with_parent()
    try:
        print(_export(Path(sys.argv[1]), sys.argv[2]))
    except PolyheadError as error:
        sys.exit(str(error))
