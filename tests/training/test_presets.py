"""Backbones from KerasHub's presets: every family that is promised, at its own size and at another, and what is not.

All but what a recipe says needs KerasHub (the extra `hub`), whose presets are drawn here: nothing is fetched.
"""

import json
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import polyhead
from conftest import TINY_RECIPE, call
from drawn_presets import FAMILIES, SCALES, SIDE, save_preset
from polyhead.errors import PolyheadError
from polyhead.export.onnx import export_network
from polyhead.recipe.loading import load_recipe
from polyhead.recipe.schema import Recipe
from polyhead.training import WEIGHTS
from polyhead.training.backbones import set_trainable
from polyhead.training.batches import TrainingData
from polyhead.training.checkpoint_callback import RunContext
from polyhead.training.fit import train_network
from polyhead.training.network import Network, build_network

# KerasHub's Swin gives its layers masks that they do not take.
pytestmark = pytest.mark.filterwarnings("ignore:Layer .*(mask attached|unbuilt state):UserWarning")
COLORS = ["red", "blue", "green"] * 4
OTHER = SIDE // 2  # pixels: half of a preset's own
PRESET = ["network={backbone: {preset: drawn}}"]
HUB = pytest.mark.skipif(find_spec("keras_hub") is None, reason="needs the extra `hub`")


def make_recipe(folder: Path, *settings: str, side: int = SIDE) -> Recipe:
    (folder / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    plain = ["tasks={color: {kind: categorical}}", "training={epochs: 2, batch_size: 4}", *PRESET]
    return load_recipe(folder / "tiny.yaml", [*plain, f"image.size=[{side}, {side}]", *settings])


def keep(folder: Path, recipe: Recipe) -> Recipe:
    """The recipe of a run in `folder/run`, for a preset in `folder/drawn`."""
    from polyhead.training.presets import keep_preset

    (folder / "run").mkdir(exist_ok=True)
    assert recipe.network.backbone
    return keep_preset(recipe, recipe.network.backbone, folder, folder / "run")


def build(folder: Path, recipe: Recipe, pretrained: bool = True) -> Network:
    return build_network(recipe, {"color": recipe.tasks["color"].fit("color", COLORS)}, pretrained, folder / "run")


def draw_images(side: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (12, side, side, 3), np.uint8)


def read_preset(folder: Path) -> Any:
    import keras_hub

    found = keras_hub.models.Backbone.from_preset(str(folder / "drawn"))
    return getattr(found, "vision_encoder", found)


@HUB
@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"mit"}))
def test_a_preset_of_a_family_is_trained_and_exported_at_another_size_than_its_own(family: str, tmp_path: Path) -> None:
    save_preset(tmp_path / "drawn", family)
    recipe = keep(tmp_path, make_recipe(tmp_path, side=OTHER))
    shutil.rmtree(tmp_path / "drawn")  # as where there is no network: weights are not needed again
    recipe = recipe.override("network.backbone.weights=none")
    images, tasks = draw_images(OTHER), {"color": recipe.tasks["color"].fit("color", COLORS)}
    data = TrainingData(
        lambda rows: images[rows], {"color": tasks["color"].encode(COLORS)}, np.arange(8), np.arange(8, 12)
    )
    before = build(tmp_path, recipe, pretrained=False).core.get_weights()
    train_network(recipe, tasks, data, RunContext(tmp_path / "run"))
    network = build(tmp_path, recipe, pretrained=False)
    network.core.load_weights(tmp_path / "run" / WEIGHTS)
    after = network.core.get_weights()
    assert sum(not np.allclose(one, other) for one, other in zip(before, after, strict=True)) > len(after) / 3
    _, difference = export_network(recipe, tasks, tmp_path / "run" / WEIGHTS, {"train": 8}, images[:3])
    assert difference < 1e-5


@HUB
@pytest.mark.slow
def test_a_transformer_is_adapted_by_low_rank_updates(tmp_path: Path) -> None:
    save_preset(tmp_path / "drawn", "vit")
    recipe = keep(tmp_path, make_recipe(tmp_path, "network.backbone.lora=2"))
    images, tasks = draw_images(SIDE), {"color": recipe.tasks["color"].fit("color", COLORS)}
    data = TrainingData(
        lambda rows: images[rows], {"color": tasks["color"].encode(COLORS)}, np.arange(8), np.arange(8, 12)
    )
    train_network(recipe, tasks, data, RunContext(tmp_path / "run"))
    begun, network = build(tmp_path, recipe).backbone, build(tmp_path, recipe)
    network.core.load_weights(tmp_path / "run" / WEIGHTS)
    ended = network.backbone
    assert begun is not None
    assert ended is not None
    changed = [
        after.name
        for before, after in zip(begun.weights, ended.weights, strict=True)
        if not np.array_equal(ops.convert_to_numpy(before), ops.convert_to_numpy(after))
    ]
    assert len(changed) == 2 * 6 + 2  # of each block query, key, value, their sum, two layers; patches, positions
    _, difference = export_network(recipe, tasks, tmp_path / "run" / WEIGHTS, {"train": 8}, images[:3])
    assert difference < 1e-5


@HUB
@pytest.mark.slow
def test_a_family_that_no_model_file_can_hold_is_refused_before_it_is_trained(shapes: Path, tmp_path: Path) -> None:
    save_preset(tmp_path / "drawn", "mit")
    settings = [*PRESET, f"image.size=[{SIDE}, {SIDE}]"]
    with pytest.raises(PolyheadError, match=r"network\.backbone: no model file may hold such a network"):
        polyhead.train(tmp_path / "tiny.yaml", tmp_path / "run", data=shapes, overrides=settings)
    assert not (tmp_path / "run").exists()


def test_the_guide_has_a_row_for_each_family() -> None:
    guide = (Path(__file__).parents[2] / "docs/guides/own-backbone.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1].lower() for line in guide.splitlines() if line.startswith("| ")]
    for family in FAMILIES:
        name = family.replace("_", "-")
        assert any(name in row for row in rows), family


@HUB
@pytest.mark.parametrize("family", ["vit", "dinov2", "siglip", "hgnetv2"])
def test_a_presets_own_weights_and_scaling_are_inside(family: str, tmp_path: Path) -> None:
    save_preset(tmp_path / "drawn", family, **SCALES)
    network = build(tmp_path, keep(tmp_path, make_recipe(tmp_path)))
    base = read_preset(tmp_path)
    pixels = draw_images(SIDE).astype("float32")
    scaled = pixels * np.array(SCALES["scale"], "float32") + np.array(SCALES["offset"], "float32")
    expected = base(keras.tree.pack_sequence_as(base.input, [scaled]))
    if isinstance(expected, dict):  # a map a stage
        expected = list(expected.values())[-1]
    assert network.backbone is not None
    found = ops.convert_to_numpy(network.backbone(pixels))
    expected = ops.convert_to_numpy(expected)
    if expected.ndim == 3:  # without the tokens that are of no patch
        expected = expected[:, expected.shape[1] - found.shape[1] * found.shape[2] :].reshape(found.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


@HUB
def test_positions_are_interpolated_for_another_size(tmp_path: Path) -> None:
    save_preset(tmp_path / "drawn", "vit")
    base = read_preset(tmp_path)
    (positions,) = (weights for weights in base.weights if "position_embedding" in weights.path)
    ramp = np.zeros(positions.shape, "float32")
    ramp[0] = 7  # the class token's
    ramp[1:, 0] = np.repeat(np.arange(SIDE // 16), SIDE // 16)  # a row's number
    positions.assign(ramp)
    base.save_to_preset(tmp_path / "drawn")
    network = build(tmp_path, keep(tmp_path, make_recipe(tmp_path, side=2 * SIDE)))
    (found,) = (ops.convert_to_numpy(each) for each in network.core.weights if "position_embedding" in each.path)
    rows = found[1:, 0].reshape(2 * SIDE // 16, -1)
    assert found[0] == pytest.approx(7)
    np.testing.assert_allclose(rows, rows[:, :1] * np.ones_like(rows), atol=1e-5)
    np.testing.assert_allclose(rows[2:-2, 0], np.arange(8)[2:-2] / 2 - 0.25, atol=0.05)


@HUB
def test_a_transformers_class_token_can_be_what_the_heads_read(tmp_path: Path) -> None:
    save_preset(tmp_path / "drawn", "dinov2")
    network = build(tmp_path, keep(tmp_path, make_recipe(tmp_path, "network.backbone.pooling=class_token")))
    pixels = draw_images(SIDE).astype("float32")
    assert network.trunk is not None
    base = read_preset(tmp_path)
    expected = ops.convert_to_numpy(base({"images": pixels / 127.5 - 1}))[:, 0]
    np.testing.assert_allclose(ops.convert_to_numpy(network.trunk(pixels)), expected, rtol=1e-3, atol=1e-5)


@HUB
def test_batch_normalisation_inside_of_other_layers_stays_as_it_came(tmp_path: Path) -> None:
    save_preset(tmp_path / "drawn", "hgnetv2")
    recipe = keep(tmp_path, make_recipe(tmp_path))
    network = build(tmp_path, recipe)
    assert network.backbone is not None
    assert recipe.network.backbone is not None
    set_trainable(network.backbone, recipe.network.backbone, True, network.frozen)
    trained = [variable.path for variable in network.backbone.trainable_variables]
    assert any("kernel" in path for path in trained)
    assert not any(path.endswith(("gamma", "beta")) for path in trained)


@HUB
@pytest.mark.slow
def test_a_run_needs_its_preset_no_more_once_it_trains(shapes: Path, tmp_path: Path) -> None:
    save_preset(tmp_path / "drawn", "dinov2")
    settings = [
        "network={backbone: {preset: drawn}, average_flips: true}",
        f"image.size=[{OTHER}, {OTHER}]",
        "training={stages: [{train: heads, epochs: 1}, {epochs: 1}], batch_size: 8}",
    ]
    run = polyhead.train(tmp_path / "tiny.yaml", tmp_path / "run", data=shapes, overrides=settings)
    shutil.rmtree(tmp_path / "drawn")
    for name in ("evaluation.json", "model.onnx"):
        (run.path / name).unlink()
    shutil.rmtree(run.path / "report", ignore_errors=True)
    polyhead.resume(run.path)
    assert (run.path / "model.onnx").exists()
    assert call("export", run.path, "--format", "saved_model") == 0
    assert run.keras_model().count_params()


def edit(folder: Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "drawn" / name
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


@HUB
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: shutil.rmtree(folder / "drawn"), "there is no folder drawn, and KerasHub has no preset of th"),
        (lambda folder: (folder / "drawn/image_converter.json").unlink(), "there is no image_converter.json in "),
        (lambda folder: (folder / "drawn/config.json").write_text("{"), "config.json cannot be read: Expecting"),
        (lambda folder: (folder / "drawn/config.json").write_text(" " * 2**21), "is too large for a preset's config"),
        (lambda folder: (folder / "drawn/model.weights.h5").write_bytes(b"no"), "failed: "),
        (
            lambda folder: edit(folder, "config.json", lambda config: config.update(module="os", class_name="system")),
            "system is not one of Keras's own layers",
        ),
        (
            lambda folder: edit(
                folder,
                "config.json",
                lambda config: config["config"].update(name={"class_name": "Lambda", "config": {}, "module": "keras"}),
            ),
            "Lambda is not one of Keras's own layers",
        ),
        (
            lambda folder: edit(folder, "image_converter.json", lambda made: made["config"].update(scale=[1, 2])),
            "its image converter scales by [1, 2]; expected a number, or three",
        ),
    ],
)
def test_what_is_wrong_with_a_preset_is_told_in_a_line(
    change: Callable[[Path], object], words: str, tmp_path: Path
) -> None:
    save_preset(tmp_path / "drawn", "vit")
    change(tmp_path)
    with pytest.raises(PolyheadError) as error:
        keep(tmp_path, make_recipe(tmp_path))
    assert str(error.value).startswith("network.backbone.preset: ")
    assert words in str(error.value)


@HUB
@pytest.mark.parametrize(
    ("family", "setting", "words"),
    [
        ("vit", "image.size=[40, 64]", "for images of 40x64 (image.size) failed: Input height 40 should be divisible"),
        ("siglip", "image.size=[32, 64]", "for images of 32x64 (image.size) failed: `SigLIPVisionEncoder` expects the"),
        ("siglip", "network.backbone.pooling=class_token", "has no class token; take another network.backbone.pooling"),
        ("swin", "network.backbone.pooling=class_token", "has no class token; take another network.backbone.pooling"),
        ("vit", "network.backbone.preset=vit_base_patch16_22_imagenet", "(did you mean 'vit_base_patch16_224_imagenet"),
    ],
)
def test_a_preset_that_does_not_fit_is_told_in_a_line(family: str, setting: str, words: str, tmp_path: Path) -> None:
    save_preset(tmp_path / "drawn", family)
    with pytest.raises(PolyheadError) as error:
        keep(tmp_path, make_recipe(tmp_path, setting))
    assert str(error.value).startswith("network.backbone.preset: ")
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (
            "network.backbone={preset: a, name: MobileNetV2}",
            "expected one of name, builder, model, preset; got n",
        ),
        ("network.backbone={preset: 'file:///etc'}", "preset: expected a name, a folder, or an address"),
        ("network.backbone={preset: a, weights: imagenet}", "weights: are for a `name`; what `preset` gives has its"),
        ("network.backbone={name: MobileNetV2, pooling: class_token}", "pooling: class_token is for a `preset` that i"),
    ],
)
def test_a_recipe_that_says_no_preset_is_refused(setting: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(PolyheadError) as error:
        make_recipe(tmp_path, setting)
    assert words in str(error.value)


@pytest.mark.skipif(find_spec("keras_hub") is not None, reason="KerasHub is installed")
def test_the_extra_that_presets_need_is_named(shapes: Path, tmp_path: Path) -> None:
    with pytest.raises(PolyheadError) as error:
        polyhead.train(tmp_path / "tiny.yaml", tmp_path / "run", data=shapes, overrides=PRESET)
    assert str(error.value) == "network.backbone.preset needs KerasHub: pip install 'polyhead[hub]'"
    assert not (tmp_path / "run").exists()
