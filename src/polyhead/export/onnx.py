"""From trained weights to `model.onnx`.

Always in a child process on TensorFlow in float32, whatever trained them: exporting from other backends loses names or
makes files that ONNX Runtime refuses, and a backend cannot be changed once Keras is imported.
"""

import hashlib
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from polyhead import __version__
from polyhead.errors import PolyheadError
from polyhead.export.folding import fold_norms
from polyhead.export.graph_names import name_by_order
from polyhead.processes import SAFE_IMPORTS, end_with_parent, search_last
from polyhead.recipe.loading import recipe_values
from polyhead.recipe.own_parts import find_import_folders
from polyhead.recipe.plugins import load_named_plugins
from polyhead.recipe.schema import Recipe
from polyhead.tasks import AnyTask, Task

ORDER, UNTRAINED = "export.json", "untrained.onnx"  # beside the weights, while a child is at work


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
    _write_order(folder, recipe, tasks, rows)
    try:
        said = call_child("polyhead.export.onnx", str(folder), weights.name)
    finally:
        for name in ("samples.npy", ORDER):
            (folder / name).unlink(missing_ok=True)
    return folder / "model.onnx", float(said.splitlines()[-1])


def try_export(recipe: Recipe, tasks: Mapping[str, Task], folder: Path) -> None:
    """See that a model file can hold a network before it is trained: one of the user's own may be made of anything.

    Args:
        folder: `state` of the run.

    Raises:
        PolyheadError: it cannot be built in another process, written, or opened again; with the reason.
    """
    _write_order(folder, recipe, tasks, {})
    try:
        call_child("polyhead.export.onnx", str(folder))
    finally:
        for name in (ORDER, UNTRAINED):
            (folder / name).unlink(missing_ok=True)


def _write_order(folder: Path, recipe: Recipe, tasks: Mapping[str, Task], rows: dict[str, int]) -> None:
    order: dict[str, Any] = {"recipe": recipe_values(recipe), "rows": rows, "folders": find_import_folders(recipe)}
    order["tasks"] = {name: task.model_dump(mode="json") for name, task in tasks.items()}
    (folder / ORDER).write_text(json.dumps(order), encoding="utf-8")


def _read_order(folder: Path) -> tuple[Recipe, dict[str, Task], dict[str, Any]]:
    """The recipe and the tasks of an order, once what they need is loaded; and the order itself."""
    order = json.loads((folder / ORDER).read_text(encoding="utf-8"))
    search_last(order["folders"])
    load_named_plugins(order["recipe"])
    tasks = TypeAdapter(dict[str, AnyTask]).validate_python(order["tasks"])
    return Recipe.model_validate(order["recipe"]), tasks, order


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
    from polyhead.export.agreement import check_agreement
    from polyhead.model.card import Card
    from polyhead.model.file import write_card
    from polyhead.training.diagram import describe_network
    from polyhead.training.network import build_exact, build_network

    recipe, tasks, order = _read_order(folder)
    network = build_network(recipe, tasks, folder=folder.parent)
    network.core.load_weights(folder / weights)
    model = network.answering()
    samples = np.load(folder / "samples.npy")
    model(samples, training=False)  # what builds it
    path = folder / "model.onnx"
    write_onnx(model, path)
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
        rules=[rule.text for rule in recipe.check_rules(tasks)],
        obey_rules=recipe.obey_rules and bool(recipe.check_rules(tasks)),
    )
    write_card(path, card)
    return check_agreement(network, path, samples, lambda: build_exact(recipe, tasks, folder / weights))


def _try(folder: Path) -> str:
    """The child's work for a network that is not trained: build, write, check as any model file is checked."""
    from polyhead.model.file import check_graph
    from polyhead.model.onnx_bytes import InvalidModel, read_graph
    from polyhead.training.network import build_network

    recipe, tasks, _ = _read_order(folder)
    model = build_network(recipe, tasks, folder=folder.parent).answering()
    model(np.zeros((1, *recipe.image.size, 3), np.uint8), training=False)
    write_onnx(model, folder / UNTRAINED)
    try:
        check_graph(read_graph((folder / UNTRAINED).read_bytes()), recipe.image.size)
    except InvalidModel as error:
        raise PolyheadError(f"network.backbone: no model file may hold such a network: {error}") from None
    return "it can be exported"


def digest_weights(weights: list[NDArray[np.floating]]) -> str:
    """16 hex digits that differ where weights do."""
    digest = hashlib.blake2b(digest_size=8)
    for array in weights:
        digest.update(array.tobytes())
    return digest.hexdigest()


def write_onnx(model: Any, path: Path) -> None:
    """Write a model of uint8 `images` and a dict of outputs, which keep their names. TensorFlow only."""
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*np.object.*", category=FutureWarning)
        import tf2onnx

    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8, name="images")]
    function = tf.function(lambda images: model(images, training=False), input_signature=signature, autograph=False)
    tf.config.run_functions_eagerly(True)  # Keras compiles grouped convolutions as functions; in line they are nodes
    try:
        proto, _ = tf2onnx.convert.from_function(
            function, input_signature=signature, opset=17, custom_op_handlers={"Erfc": (_write_erfc, [])}
        )
    finally:
        tf.config.run_functions_eagerly(False)
    fold_norms(proto)
    name_by_order(proto.graph)
    path.write_bytes(proto.SerializeToString())


def _write_erfc(graph: Any, node: Any, *_: Any) -> None:
    """The complement of the error function, which GELU is made of and ONNX has not: 1 - erf."""
    shapes, kinds = node.output_shapes, node.output_dtypes
    graph.remove_node(node.name)
    erf = graph.make_node("Erf", node.input)
    one = graph.make_const(f"{node.name}_one", np.array(1, "float32"))
    graph.make_node("Sub", [one.output[0], erf.output[0]], outputs=node.output, shapes=shapes, dtypes=kinds)


if __name__ == "__main__":
    end_with_parent()
    try:
        folder, *weights = sys.argv[1:]
        sys.stdout.write(f"{_export(Path(folder), *weights) if weights else _try(Path(folder))}\n")
    except PolyheadError as error:
        sys.exit(str(error))
