"""Backbones of the user's own: what a `builder` returns, or a `keras.Model` that is kept in a file."""

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from polyhead.errors import PolyheadError, shorten
from polyhead.files import write_beside
from polyhead.recipe.network import Backbone
from polyhead.recipe.own_parts import KEPT_BACKBONE
from polyhead.recipe.schema import Recipe
from polyhead.training import backend
from polyhead.training.losses import Tensor
from polyhead.training.own_code import import_part, own_failures

BUILDER, MODEL = "network.backbone.builder", "network.backbone.model"
LIBRARIES = ("keras", "keras_hub")  # whose layers a file may hold; Keras itself imports no others for it
INSTEAD = f"give a function that builds it instead, as {BUILDER}"
Shape = tuple[int, int, int]


def build_own(given: Backbone, shape: Shape, folder: Path) -> keras.Model:
    """The network that a `builder` returns or a file holds, for images (height, width, 3).

    Args:
        folder: what the path of the file is relative to.

    Raises:
        PolyheadError: it cannot be had.
    """
    if given.model is not None:
        return load_backbone(folder / given.model)
    path = given.builder or ""
    build = import_part(path, BUILDER)
    with own_failures(BUILDER, f"calling {path}"):
        return build(input_shape=shape, **given.arguments)


def call_own(model: Any, pixels: Tensor, key: str) -> Tensor:
    """What the user's own network makes of symbolic images: one map of features (n, h, w, c), or vectors (n, c).

    Args:
        model: what was given for one.
        pixels: (n, height, width, 3).
        key: of the recipe, for the message.

    Raises:
        PolyheadError: it is no network, or not one from such images to such a result; what was expected and found.
    """
    if not isinstance(model, keras.Model):
        raise PolyheadError(f"{key}: expected a keras.Model; got {type(model).__name__}")
    taken = getattr(model, "input_shape", None) if model.built else None
    if taken is not None and not _fits(taken, pixels.shape):
        raise PolyheadError(f"{key}: expected a model of images {pixels.shape} (image.size); this one takes {taken}")
    with own_failures(key, "calling the model"):
        found = model(pixels)
    if isinstance(found, list | tuple | dict):
        raise PolyheadError(f"{key}: expected a model of one output; this one has {len(found)}")
    if len(found.shape) not in (2, 4) or found.shape[-1] is None:
        raise PolyheadError(
            f"{key}: expected an output (n, height, width, channels) or (n, channels), the channels known; this one "
            f"is {found.shape}"
        )
    return found


def _fits(taken: Any, shape: tuple[int | None, ...]) -> bool:
    if not isinstance(taken, tuple) or len(taken) != len(shape):  # a list or a dict: several inputs
        return False
    return all(own in (None, side) for own, side in zip(taken, shape, strict=True))


def keep_backbone(recipe: Recipe, given: Any, folder: Path, run: Path) -> Recipe:
    """Keep a network that is handed over, or that the recipe names a file of, in a run's folder; the run's recipe.

    Args:
        given: the network; None for what the recipe says.
        folder: the recipe's, which the path of the file is relative to.

    Raises:
        PolyheadError: it cannot be read, does not fit the images, or is not made of Keras's own layers alone.
    """
    backbone = recipe.network.backbone
    if backbone is None or backbone.model is None:
        return recipe
    key = MODEL if given is None else "backbone"
    if given is None:
        backend.start(recipe.seed, recipe.training.precision)  # before any operation
        given = load_backbone(folder / backbone.model)
    call_own(given, keras.Input((*recipe.image.size, 3)), key)
    (run / KEPT_BACKBONE).parent.mkdir(exist_ok=True)
    with write_beside(run / KEPT_BACKBONE) as beside:
        with own_failures(key, "saving the model"):
            given.save(beside)
        load_backbone(beside, key)
    network = recipe.network.model_copy(update={"backbone": backbone.model_copy(update={"model": KEPT_BACKBONE})})
    return recipe.model_copy(update={"network": network})


def load_backbone(file: Path, key: str = MODEL) -> keras.Model:
    """The network in a `.keras` file of Keras's own layers; no code of any other place is imported or run for it.

    Raises:
        PolyheadError: there is no such file, it is damaged, or it holds other layers.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            config = json.loads(archive.read("config.json"))
    except FileNotFoundError:
        raise PolyheadError(f"{key}: there is no file {file}") from None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise PolyheadError(f"{key}: {file} is no .keras file that can be read: {error}") from None
    check_parts(config, key)
    try:
        with _nothing_registered():
            return keras.saving.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # a file may be damaged in as many ways as there are bytes
        said = " ".join(str(error).split()).partition(". ")[0]
        raise PolyheadError(f"{key}: the model cannot be read from its file: {said}; {INSTEAD}") from error


def check_parts(config: Any, key: str) -> None:
    """Refuse a config, as Keras serializes layers, that would make something else than Keras's own.

    Raises:
        PolyheadError: with its name.
    """
    for part in _list_parts(config):
        module, name = str(part.get("module") or "keras"), shorten(str(part["class_name"]), 60)
        if module.partition(".")[0] not in (*LIBRARIES, "builtins") or name == "Lambda":
            raise PolyheadError(f"{key}: {name} is not one of Keras's own layers and cannot be kept; {INSTEAD}")


@contextmanager
def _nothing_registered() -> Iterator[None]:
    """Read a file as any other process would: without what this one has registered to be read by its name."""
    registered = keras.saving.get_custom_objects()
    before = dict(registered)
    registered.clear()
    try:
        yield
    finally:
        registered.update(before)


def _list_parts(config: Any) -> Iterator[dict[str, Any]]:
    """All that a config says to make: layers, initializers, policies."""
    if isinstance(config, dict) and isinstance(config.get("class_name"), str):
        yield config
    for inner in config.values() if isinstance(config, dict) else config if isinstance(config, list) else ():
        yield from _list_parts(inner)


def list_inner(layer: keras.Layer) -> Iterator[keras.Layer]:
    """A layer's own layers, theirs, and so on; itself not."""
    for inner in getattr(layer, "layers", ()):
        yield inner
        yield from list_inner(inner)
