"""Backbones from KerasHub's presets: by name, by address on Kaggle or Hugging Face, or in a folder.

What a run needs of a preset to build its network again, its config and its scaling of pixels, is kept in the run's
folder: neither `resume` nor an export fetches anything. Weights are read from the preset itself, once.
"""

import json
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops, tree

from polyhead.errors import PolyheadError, nearest, require, shorten
from polyhead.files import open_regular, write_text
from polyhead.recipe.network import Backbone
from polyhead.recipe.own_parts import KEPT_PRESET
from polyhead.recipe.schema import Recipe
from polyhead.training import backend
from polyhead.training.losses import Tensor
from polyhead.training.own_backbone import check_parts

KEY = "network.backbone.preset"
CONFIG, CONVERTER = "config.json", "image_converter.json"  # of a preset, as KerasHub names them
LARGEST_CONFIG = 2**20  # bytes
SIZES = ("image_shape", "input_shape", "position_embedding_shape")  # settings of KerasHub's that say an image's size
# KerasHub saves DINOv2's positions as another size's, and not exactly: the layer that has them stays as it came.
FROZEN = ("DINOV2Embedding",)
Description = dict[str, Any]  # of a preset: "backbone", as Keras serializes one; "scale" and "offset" of a pixel


def keep_preset(recipe: Recipe, given: Backbone, folder: Path, run: Path) -> Recipe:
    """Keep what a run needs of its recipe's preset in its folder, and see that it fits the images; the run's recipe.

    Args:
        folder: the recipe's, which the path of a preset's folder is relative to.

    Raises:
        PolyheadError: KerasHub is not installed, the preset cannot be had, or it does not fit the images.
    """
    require(KEY, "hub")
    backend.start(recipe.seed, recipe.training.precision)  # before any operation
    source = _find(given.preset or "", folder)
    described = _describe(source, with_weights=given.weights != "none")
    connect(_make(described, (*recipe.image.size, 3), source), keras.Input((*recipe.image.size, 3)), described, given)
    (run / KEPT_PRESET).parent.mkdir(exist_ok=True)
    write_text(run / KEPT_PRESET, json.dumps(described))
    network = recipe.network.model_copy(update={"backbone": given.model_copy(update={"preset": source})})
    return recipe.model_copy(update={"network": network})


def build_preset(given: Backbone, size: tuple[int, int], pretrained: bool, folder: Path) -> keras.Model:
    """A preset's network from float pixels (n, height, width, 3), 0 to 255, to a map (n, h, w, c) or vectors (n, c).

    Its own scaling of pixels is inside. What gives a sequence of tokens (a vision transformer) gives the map of its
    patches, or, where `pooling` is `class_token`, that token's vectors.

    Args:
        pretrained: whether to read the preset's weights.
        folder: the run's; or what the path of a preset's folder is relative to.

    Raises:
        PolyheadError: KerasHub is not installed, the preset cannot be had, or it does not fit the images.
    """
    require(KEY, "hub")
    shape = (*size, 3)
    kept = (folder / KEPT_PRESET).is_file()
    source = given.preset if kept and given.preset else _find(given.preset or "", folder)
    described = _read_json(folder / KEPT_PRESET) if kept else _describe(source, with_weights=False)
    base = _make(described, shape, source)
    if pretrained and given.weights != "none":
        with _failures(f"reading {source}"):
            _take_weights(base, _load(source, with_weights=True))
    pixels = keras.Input(shape)
    return keras.Model(pixels, connect(base, pixels, described, given), name="backbone")


def connect(base: keras.Model, pixels: Tensor, described: Description, given: Backbone) -> Tensor:
    """What a preset's network makes of symbolic pixels: a map (n, h, w, c), or vectors (n, c).

    Raises:
        PolyheadError: it takes something else than images, or has no class token where that is asked for.
    """
    inputs = tree.flatten(base.input)
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        names = ", ".join(shorten(tensor.name, 40) for tensor in inputs[:5])
        raise PolyheadError(f"{KEY}: expected a backbone for images; {given.preset} takes {names}")
    seen = layers.Rescaling(described["scale"], described["offset"], name="scaled_for_preset")(pixels)
    with _failures(f"calling {given.preset}"):
        found = base(tree.pack_sequence_as(base.input, [seen]))
    if isinstance(found, Mapping):  # the maps of all stages, the deepest last
        found = list(found.values())[-1]
    if len(found.shape) == 3:
        return _as_map(found, base, pixels.shape[1:3], given)
    if given.pooling == "class_token":
        raise PolyheadError(f"{KEY}: {given.preset} has no class token; take another network.backbone.pooling")
    return found


def list_all_layers(base: keras.Layer) -> list[keras.Layer]:
    """All layers of a network, those that its layers are made of among them, as KerasHub's often are."""
    return list(base._flatten_layers(include_self=False))


def _as_map(tokens: Tensor, base: keras.Model, size: tuple[int, int], given: Backbone) -> Tensor:
    """A sequence of tokens (n, t, c) as the map of its patches; or its class token, which stands before them."""
    rows, columns = _grid(base, size)
    before = tokens.shape[1] - rows * columns
    if given.pooling == "class_token":
        if before < 1:
            raise PolyheadError(f"{KEY}: {given.preset} has no class token; take another network.backbone.pooling")
        return tokens[:, 0]
    if before < 0:  # patches that later stages have joined
        before, rows, columns = 0, 1, tokens.shape[1]
    return layers.Reshape((rows, columns, tokens.shape[-1]))(tokens[:, before:])


def _grid(base: keras.Model, size: tuple[int, int]) -> tuple[int, int]:
    """How many rows and columns of patches a network makes of an image."""
    patch = getattr(base, "patch_size", 1)
    height, width = (patch, patch) if isinstance(patch, int) else patch
    return size[0] // height, size[1] // width


def _find(preset: str, folder: Path) -> str:
    """A preset as KerasHub is asked for it: an address, the whole path of a folder, or one of its names."""
    import keras_hub

    if "://" in preset:
        return preset
    if (folder / preset).is_dir():
        return str((folder / preset).resolve())
    names = keras_hub.models.Backbone.presets
    if preset not in names:
        raise PolyheadError(
            f"{KEY}: there is no folder {shorten(preset, 200)}, and KerasHub has no preset of that name"
            f"{nearest(preset, names)}"
        )
    return preset


def _describe(source: str, with_weights: bool) -> Description:
    """What is kept of a preset.

    Args:
        with_weights: whether to see that its weights can be had, too.
    """
    for name in (CONFIG, CONVERTER):
        _check_file(source, name)
    with _failures(f"reading {source}"):
        import keras_hub

        scaling = keras_hub.layers.ImageConverter.from_preset(source).get_config()
        backbone = keras.saving.serialize_keras_object(_load(source, with_weights))
    scale, offset = (_check_scaling(scaling.get(key), plain) for key, plain in (("scale", 1.0), ("offset", 0.0)))
    return {"backbone": json.loads(json.dumps(backbone)), "scale": scale, "offset": offset}


def _check_file(source: str, name: str) -> None:
    """See that a preset's file is there, and makes objects of Keras's and KerasHub's alone."""
    from keras_hub.src.utils.preset_utils import get_file  # what `from_preset` reads it by; there is no public name

    try:
        path = Path(get_file(source, name))
    except FileNotFoundError:
        if name == CONVERTER and "://" not in source:
            raise PolyheadError(
                f"{KEY}: there is no {name} in {source}, which says how pixels are scaled for it; write one with the "
                "`save_to_preset` of keras_hub's ImageConverter for this backbone"
            ) from None
        return  # of another library's: KerasHub makes it of what there is
    except Exception as error:  # fetching fails in as many ways as there are networks
        raise PolyheadError(f"{KEY}: {source} cannot be had: {_first_words(error)}") from None
    check_parts(_read_json(path), KEY)


def _read_json(path: Path) -> Any:
    try:
        with open_regular(path) as file:
            text = file.read(LARGEST_CONFIG + 1)
        if len(text) > LARGEST_CONFIG:
            raise PolyheadError(f"{KEY}: {path} is too large for a preset's config")
        return json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise PolyheadError(f"{KEY}: {path} cannot be read: {_first_words(error)}") from None


def _check_scaling(given: Any, plain: float) -> Any:
    """A factor or a summand of pixels: a number, or one for each channel."""
    numbers = given if isinstance(given, list | tuple) else [plain if given is None else given]
    if len(numbers) not in (1, 3) or not all(isinstance(each, int | float) and math.isfinite(each) for each in numbers):
        raise PolyheadError(f"{KEY}: its image converter scales by {given!r}; expected a number, or three")
    return [float(each) for each in numbers] if len(numbers) == 3 else float(numbers[0])


def _load(source: str, with_weights: bool) -> keras.Model:
    """A preset's backbone for its own size of images; of one for images and text, the part that sees."""
    import keras_hub

    with warnings.catch_warnings():
        for known in ("Skipping nested container", "Layer .*mask attached"):  # without harm: saved twice; not needed
            warnings.filterwarnings("ignore", message=known, category=UserWarning)
        found = keras_hub.models.Backbone.from_preset(source, load_weights=with_weights)
    return getattr(found, "vision_encoder", found)


def _make(described: Description, shape: tuple[int, int, int], source: str) -> keras.Model:
    """The network of a description for images (height, width, 3), with weights to be given."""
    import keras_hub  # noqa: F401  (whose classes Keras finds by their names)

    config = json.loads(json.dumps(described["backbone"]))
    check_parts(config, KEY)
    settings = config["config"]
    for key in ("dtype", "trainable"):  # as this process computes, and as the recipe says
        settings.pop(key, None)
    settings.update({key: shape for key in SIZES if key in settings})
    with _failures(f"building {source} for images of {shape[0]}x{shape[1]} (image.size)"):
        base = keras.saving.deserialize_keras_object(config)
    for layer in list_all_layers(base):
        if type(layer).__name__ in FROZEN:
            layer.trainable = False
        for name, value in list(vars(layer).items()):  # as arrays: tensors would become inputs of the ONNX graph
            if ops.is_tensor(value) and not isinstance(value, keras.Variable):
                setattr(layer, name, ops.convert_to_numpy(value))
    return base


def _take_weights(base: keras.Model, source: keras.Model) -> None:
    """Give a network the weights of the same one for images of another size.

    Positions that were learnt for a grid of patches are interpolated to the other (Dosovitskiy et al. 2021, An Image is
    Worth 16x16 Words, section 3.2).

    Raises:
        ValueError: others have another shape.
    """
    for target, weights in zip(base.weights, source.weights, strict=True):
        values = ops.convert_to_numpy(weights)
        if values.shape != tuple(target.shape) and values.dtype.kind in "iu":
            continue  # numbers of positions, which are as they should be
        if values.shape != tuple(target.shape):
            values = _interpolate(values, target, source, base)
        if not np.isfinite(values).all():
            raise ValueError("its weights hold numbers that are not finite")
        target.assign(values)


def _interpolate(values: Any, target: Any, source: keras.Model, base: keras.Model) -> Any:
    """Positions (..., tokens, width) for another grid; what stands before them, such as the class token's, stays."""
    wanted = _grid(base, base.image_shape[:2])
    before = target.shape[-2] - wanted[0] * wanted[1] if "position" in target.path and values.ndim > 1 else -1
    shapes = [getattr(source, key, None) for key in ("image_shape", "position_embedding_shape")]
    grids = [_grid(source, shape[:2]) for shape in shapes if shape]
    fitting = [grid for grid in grids if values.shape[-2] - grid[0] * grid[1] == before]
    if before < 0 or not fitting:
        raise ValueError(f"its weights are for images of {source.image_shape[0]}x{source.image_shape[1]} alone")
    (height, width), flat = fitting[0], values.reshape(-1, values.shape[-1])
    grid = flat[before:].reshape(1, height, width, -1)
    made = ops.image.resize(grid, wanted, interpolation="bicubic", antialias=True, data_format="channels_last")
    made = ops.convert_to_numpy(made).reshape(-1, values.shape[-1])
    return np.concatenate([flat[:before], made]).reshape(target.shape)


@contextmanager
def _failures(words: str) -> Iterator[None]:
    """Tell in a line what KerasHub or Keras raises; its traceback is the error's cause."""
    try:
        yield
    except PolyheadError:
        raise
    except Exception as error:  # a preset may be damaged, or out of reach, in as many ways as there are
        raise PolyheadError(f"{KEY}: {words} failed: {_first_words(error)}") from error


def _first_words(error: Exception) -> str:
    return " ".join(str(error).split()).partition(". ")[0] or type(error).__name__
