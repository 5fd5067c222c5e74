"""From a run's weights to the files of TensorFlow's own runtimes: SavedModel, and LiteRT for phones and small boards.

In a child process, as `export.py` says. Both files are made from the network, and so it needs the run's weights; the
outputs keep the names that `model.onnx` has, and the card goes along as `polyhead.json`.
"""

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from polyhead.errors import PolyheadError
from polyhead.export.onnx import call_child, digest_weights
from polyhead.model.card import CARD_FILE, Card
from polyhead.processes import end_with_parent, search_last
from polyhead.recipe.loading import check_recipe, load_recipe, recipe_values
from polyhead.recipe.own_parts import find_import_folders
from polyhead.recipe.plugins import load_named_plugins
from polyhead.recipe.schema import Recipe

Format = Literal["litert", "saved_model"]
Run = Callable[[NDArray[np.uint8]], dict[str, NDArray[np.float32]]]  # images to outputs, by name
BATCH = 8  # images of a call: few enough for any network in any memory


def convert_network(
    card: Card, weights: Path, kind: Format, target: Path, samples: NDArray[np.uint8]
) -> dict[str, NDArray[np.float32]]:
    """Write `target`, a file or a folder, from trained weights, and run it on images.

    Args:
        card: of the model file that was made from these weights.
        samples: images (n, height, width, 3).

    Returns:
        What it answers for them: (n, width) for each task and for `features`.

    Raises:
        PolyheadError: these weights are missing or others than the card's; or so is the run's recipe, where it names a
            backbone of the user's own.
    """
    if not weights.exists():
        raise PolyheadError(f"{weights}: no such file; {kind} is made from a run's weights, so give its run folder")
    folder, recipe = target.parent, find_network_recipe(card, weights.parent.parent)
    np.save(folder / "samples.npy", samples)
    (folder / "card.json").write_text(card.model_dump_json(), encoding="utf-8")
    order = {"recipe": recipe_values(recipe), "folders": find_import_folders(recipe)}
    (folder / "export.json").write_text(json.dumps(order), encoding="utf-8")
    said = call_child("polyhead.export.tensorflow", kind, str(target), str(weights))
    if said.splitlines()[-1] != card.fingerprint:
        raise PolyheadError(f"{weights}: are other weights than those of the model file: was the run trained again?")
    with np.load(folder / "outputs.npz") as outputs:
        return dict(zip([*card.tasks, "features"], outputs.values(), strict=True))


def find_network_recipe(card: Card, run: Path) -> Recipe:
    """The recipe to build a model file's network by: its own; but where that names code, the one in the run's folder.

    A model file may be anybody's: no code is imported that it alone names.

    Raises:
        PolyheadError: the run's recipe is missing, or names another network.
    """
    recipe = check_recipe(card.recipe, "the recipe in the model file")
    if recipe.network.backbone is None or recipe.network.backbone.name is not None:
        return recipe
    own = load_recipe(run / "recipe.yaml")
    if (own.network, own.image.size) != (recipe.network, recipe.image.size):
        raise PolyheadError(
            f"{run / 'recipe.yaml'}: describes another network than the model file; the user's own backbone is built "
            "by that recipe alone, so put the run's recipe back"
        )
    return own


def _convert(kind: Format, target: Path, weights: Path) -> str:
    """The child's work: build, load, write, run; a digest of the weights."""
    from polyhead.training.network import build_network

    folder = target.parent
    text = (folder / "card.json").read_text(encoding="utf-8")
    order = json.loads((folder / "export.json").read_text(encoding="utf-8"))
    search_last(order["folders"])
    load_named_plugins(order["recipe"])
    card = Card.model_validate_json(text)
    network = build_network(Recipe.model_validate(order["recipe"]), card.tasks, folder=weights.parent.parent)
    network.core.load_weights(weights)
    model = network.answering()
    if kind == "litert":
        run = write_litert(model, target)
        with zipfile.ZipFile(target, "a") as archive:  # as LiteRT's own metadata keeps files: behind the model
            archive.writestr(CARD_FILE, text)
    else:
        run = write_saved_model(model, target)
        extra = target / "assets.extra"  # the place that SavedModel has for what is its users' own
        extra.mkdir()
        (extra / CARD_FILE).write_text(text, encoding="utf-8")
    samples = np.load(folder / "samples.npy", mmap_mode="r")
    parts = [run(np.array(samples[at : at + BATCH])) for at in range(0, len(samples), BATCH)]
    names = [*card.tasks, "features"]
    np.savez(folder / "outputs.npz", *(np.concatenate([part[name] for part in parts]) for name in names))
    return digest_weights(network.core.get_weights())


def write_saved_model(model: Any, path: Path) -> Run:
    """Write such a model as a SavedModel, for TensorFlow Serving and what else reads it; how to run what was written.

    Its signature `serving_default` takes any number of `images`, and gives outputs by their names. TensorFlow only.
    """
    import tensorflow as tf

    model.export(path, format="tf_saved_model", verbose=False)
    loaded = tf.saved_model.load(str(path))
    serve = loaded.signatures["serving_default"]

    def run(images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        return {name: value.numpy() for name, value in serve(images=tf.constant(images)).items()}

    return run


def write_litert(model: Any, path: Path) -> Run:
    """Write such a model as a .tflite file of LiteRT's own operations alone; how to run what was written.

    Its signature is that of `write_saved_model`. TensorFlow only.
    """
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    operations = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    model.export(path, format="litert", verbose=False, target_spec=operations)
    serve = Interpreter(str(path)).get_signature_runner("serving_default")
    return lambda images: serve(images=images)


if __name__ == "__main__":
    end_with_parent()
    try:
        sys.stdout.write(
            _convert("litert" if sys.argv[1] == "litert" else "saved_model", Path(sys.argv[2]), Path(sys.argv[3]))
        )
    except PolyheadError as error:
        sys.exit(str(error))
