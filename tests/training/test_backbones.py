"""Pretrained backbones: their scaling is inside, any size is taken, and stages train what they say."""

from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import ops

import polyhead
from conftest import TINY_RECIPE
from polyhead.errors import PolyheadError
from polyhead.export.onnx import export_network
from polyhead.progress import Silent
from polyhead.recipe.loading import load_recipe
from polyhead.recipe.network import Backbone
from polyhead.training import WEIGHTS
from polyhead.training.backbones import build_backbone, set_trainable
from polyhead.training.network import build_network

SMALL = "{name: MobileNetV2, width: 0.35, weights: none}"


def backbone_recipe(folder: Path, *settings: str) -> tuple[Path, list[str]]:
    """A recipe file without a trunk, and settings that stand it on a small backbone."""
    text = TINY_RECIPE[: TINY_RECIPE.index("network:")] + "network: {backbone: " + SMALL + "}\n"
    (folder / "backbone.yaml").write_text(text + "training: {epochs: 2, batch_size: 16}\n", encoding="utf-8")
    return folder / "backbone.yaml", ["image.size=[32, 32]", *settings]


# One of each way to scale pixels, and what it takes to export ConvNeXt, at an odd size; with the module that says how
# they are scaled. All others are built, trained and exported by benchmarks/backbones.py: that takes minutes.
FAMILIES = [
    ("MobileNetV2", "mobilenet_v2", (40, 33)),
    ("MobileNetV3Small", "mobilenet_v3", (40, 33)),
    ("ConvNeXtTiny", "convnext", (40, 33)),
    ("DenseNet121", "densenet", (40, 33)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "module", "size"), FAMILIES)
def test_every_family_scales_pixels_of_any_size_itself_and_its_file_agrees(
    name: str, module: str, size: tuple[int, int], tmp_path: Path
) -> None:
    path, _ = backbone_recipe(tmp_path)
    settings = [f"network.backbone={{name: {name}, weights: none}}", f"image.size={list(size)}"]
    recipe = load_recipe(path, [*settings, "tasks={color: {kind: categorical}}"])
    tasks = {"color": recipe.tasks["color"].fit("color", ["red", "blue"])}
    network = build_network(recipe, tasks, pretrained=True)
    assert network.backbone is not None
    images = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
    pixels = images.astype("float32")
    base = network.backbone.layers[-1]
    expected = ops.convert_to_numpy(base(getattr(keras.applications, module).preprocess_input(pixels.copy())))
    found = ops.convert_to_numpy(network.backbone(pixels))
    largest = float(np.abs(expected).max())
    assert largest > 0
    np.testing.assert_allclose(found, expected, atol=1e-4 * largest)
    inside = {type(layer).__name__ for layer in [*network.backbone.layers, *base.layers]}
    assert inside & {"Rescaling", "Normalization"}
    network.core.save_weights(tmp_path / "some.weights.h5")
    _, difference = export_network(recipe, tasks, tmp_path / "some.weights.h5", {"train": 2}, images)
    assert difference < 1e-4


def test_mobilenet_sees_pixels_from_minus_one_to_one() -> None:
    model = build_backbone(Backbone(name="MobileNetV2", width=0.35, weights="none"), (32, 32), pretrained=False)
    scaled = keras.Model(model.input, model.layers[1].output)
    pixels = np.array([[[[0, 127.5, 255]]]], "float32") * np.ones((1, 32, 32, 1), "float32")
    assert ops.convert_to_numpy(scaled(pixels))[0, 0, 0] == pytest.approx([-1, 0, 1])


def test_frozen_batch_normalisation_stays_as_it_came_while_the_rest_trains() -> None:
    given = Backbone(name="MobileNetV2", width=0.35)
    model = build_backbone(given, (32, 32), pretrained=False)
    set_trainable(model, given, True)
    trained = {variable.path for variable in model.trainable_variables}
    assert any("kernel" in path for path in trained)
    assert not any(path.endswith(("gamma", "beta")) for path in trained)
    set_trainable(model, given, False)
    assert not model.trainable_variables


def test_batch_normalisation_that_came_with_no_averages_learns_them() -> None:
    given = Backbone(name="MobileNetV2", width=0.35, weights="none")
    model = build_backbone(given, (32, 32), pretrained=False)
    set_trainable(model, given, True)
    assert any(variable.path.endswith(("gamma", "beta")) for variable in model.trainable_variables)


def test_weights_of_a_file_are_loaded_and_those_of_another_network_refused(tmp_path: Path) -> None:
    given = Backbone(name="MobileNetV2", width=0.35, weights="none")
    source = build_backbone(given, (32, 32), pretrained=False).layers[-1]
    path = tmp_path / "mine.weights.h5"
    source.save_weights(path)
    loaded = build_backbone(given.model_copy(update={"weights": str(path)}), (64, 64), pretrained=True).layers[-1]
    for one, other in zip(source.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(PolyheadError, match=r"does not fit MobileNetV2"):
        build_backbone(Backbone(name="MobileNetV2", width=0.5, weights=str(path)), (64, 64), pretrained=True)
    with pytest.raises(PolyheadError, match=r"does not fit MobileNetV3Small: its layers are others$"):
        build_backbone(Backbone(name="MobileNetV3Small", weights=str(path)), (64, 64), pretrained=True)


def test_a_file_that_is_no_weights_of_this_network_is_told_in_a_line(tmp_path: Path) -> None:
    given = Backbone(name="MobileNetV2", width=0.35, weights="none")
    source = build_backbone(given, (32, 32), pretrained=False).layers[-1]
    source.save_weights(tmp_path / "whole.weights.h5")
    whole = (tmp_path / "whole.weights.h5").read_bytes()
    files = {
        "empty.weights.h5": b"",
        "text.h5": b"no weights",
        "weights.txt": whole,
        "cut.weights.h5": whole[: len(whole) // 2],
        "odd.weights.h5": whole[:300] + b"\xff" * 400 + whole[700:],
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["layer_names"] = [b"a"]
    source.set_weights([np.full_like(weights, np.nan) for weights in source.get_weights()])
    source.save_weights(tmp_path / "nan.weights.h5")
    for name in [*files, "other.h5", "nan.weights.h5"]:
        with pytest.raises(PolyheadError) as error:
            build_backbone(given.model_copy(update={"weights": str(tmp_path / name)}), (32, 32), pretrained=True)
        assert str(error.value).startswith(f"network.backbone.weights: {tmp_path / name} ")
        assert "not" in str(error.value)


def test_imagenet_weights_that_are_damaged_are_told_with_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from polyhead.training import backbones

    def refuse(*_: object, **__: object) -> None:
        raise OSError("Unable to synchronously open file (file signature not found)")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(backbones, "_make", refuse)
    with pytest.raises(PolyheadError) as error:
        backbones._load(keras.Model(), Backbone(name="MobileNetV2"))
    assert "the imagenet weights of MobileNetV2 cannot be loaded (Unable to" in str(error.value)
    assert f"delete its file in {tmp_path}" in str(error.value)


def test_a_backbones_batch_normalisation_follows_as_quickly_as_its_recipe_says(tmp_path: Path) -> None:
    def momenta(given: Backbone) -> set[float]:
        layers = build_backbone(given, (32, 32), pretrained=False).layers[-1].layers
        return {layer.momentum for layer in layers if isinstance(layer, keras.layers.BatchNormalization)}

    given = Backbone(name="MobileNetV2", width=0.35, weights="none")
    assert momenta(given) == {0.999}
    assert momenta(given.model_copy(update={"norm_momentum": 0.8})) == {0.8}


def test_a_file_of_weights_that_is_not_there_is_told_before_an_image_is_read(tmp_path: Path) -> None:
    path, settings = backbone_recipe(tmp_path, "network.backbone.weights=my.weights.h5")
    with pytest.raises(PolyheadError) as error:
        polyhead.train(path, tmp_path / "run", data=tmp_path / "no such folder", overrides=settings)
    assert str(error.value) == (
        "network.backbone.weights: there is no file my.weights.h5; expected imagenet, none, or a file's path"
    )
    assert not (tmp_path / "run").exists()


def test_weights_that_cannot_be_fetched_are_told_with_their_name_and_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from polyhead.training import backbones

    def refuse(*_: object, **__: object) -> None:
        raise Exception("URL fetch failure on https://storage.example/mobilenet_v2_0.5_224_no_top.h5: None")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(backbones, "_make", refuse)
    with pytest.raises(PolyheadError) as error:
        backbones._load(keras.Model(), Backbone(name="MobileNetV2", width=0.5))
    assert str(error.value).startswith(
        "network.backbone.weights: mobilenet_v2_0.5_224_no_top.h5 cannot be fetched from https://storage.example/; "
        f"put that file into {tmp_path}"
    )


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("network.backbone.name=MobilNetV2", "expected MobileNetV2, MobileNetV3Small"),
        ("network.backbone.name=MobilNetV2", "(did you mean 'MobileNetV2'?)"),
        ("network.backbone={name: ResNet50V2, width: 0.5, weights: none}", "width: ResNet50V2 has none"),
        ("network.backbone={name: MobileNetV2, width: 0.4}", "width: MobileNetV2 comes with 0.35, 0.5"),
        ("image.size=[16, 64]", "image.size: MobileNetV2 takes 32 pixels a side or more; got 16x64"),
        ("network.trunk={blocks: [{filters: 4}]}", "network: expected `trunk` or `backbone`; got both"),
        ("network.heads={colour: {dense: [8]}}", "network.heads: 'colour' is not among the tasks"),
        ("network.heads={color: {activation: rellu}}", "(did you mean 'relu'?)"),
        ("training.stages=[{train: heads}]", "training.stages.0.epochs: is missing"),
        ("training.stages=[{train: none, epochs: 1}]", "training.stages.0.train: expected heads, all; got 'none'"),
        (
            "training.stages=[{train: heads, epochs: 0}]",
            "training.stages.0.epochs: expected greater than or equal to 1",
        ),
        ("training.stages=[{epochs: 1}]", "epochs: is 2, but the stages have 1 in all"),
    ],
)
def test_a_mistake_in_a_backbone_or_a_stage_names_its_key(setting: str, message: str, tmp_path: Path) -> None:
    path, settings = backbone_recipe(tmp_path)
    with pytest.raises(PolyheadError) as error:
        load_recipe(path, [*settings, setting])
    assert message in str(error.value)


def test_a_stage_of_heads_is_refused_where_there_is_no_backbone(tmp_path: Path) -> None:
    with pytest.raises(PolyheadError, match="`train: heads` is for a network with a backbone, and there is none"):
        load_recipe("fashionnet", ["training={stages: [{train: heads, epochs: 1}]}"])


def test_epochs_are_the_stages_and_a_smaller_number_ends_them(tmp_path: Path) -> None:
    stages = "training={stages: [{train: heads, epochs: 2}, {epochs: 3}]}"
    path, settings = backbone_recipe(tmp_path, stages)
    assert load_recipe(path, settings).training.epochs == 5
    assert load_recipe(path, [*settings, "training.epochs=1"]).training.epochs == 1


@pytest.mark.slow
def test_stages_train_what_they_say_and_the_file_agrees(shapes: Path, tmp_path: Path) -> None:
    path, settings = backbone_recipe(
        tmp_path,
        "training.epochs=1",
        "training.stages=[{train: heads, epochs: 1}, {epochs: 1}]",
        "training.keep=last",  # whichever epoch is the better one
    )

    def kernels(run: Path) -> dict[str, np.ndarray]:
        found = {}
        with h5py.File(run / WEIGHTS) as file:
            file.visititems(lambda name, item: found.update({name: item[()]}) if hasattr(item, "shape") else None)
        return found

    heads = polyhead.train(path, tmp_path / "heads", data=shapes, overrides=settings)
    both = polyhead.train(path, tmp_path / "both", data=shapes, overrides=[*settings, "training.epochs=2"])
    first, second = kernels(heads.path), kernels(both.path)
    inner = [name for name in first if first[name].ndim == 4]  # convolutions: all are the backbone's
    assert inner
    assert any(not np.array_equal(first[name], second[name]) for name in inner)
    assert (both / "model.onnx").exists()


LAYERS = ["training={optimizer: adamw, weight_decay: 0.1, layer_decay: 0.8, batch_size: 16}"]


@pytest.mark.slow
@pytest.mark.parametrize(("first", "more"), [("heads", []), ("{last: 4}", LAYERS)], ids=["plain", "layers"])
def test_a_run_of_stages_goes_on_after_a_stop_in_either(
    first: str, more: list[str], shapes: Path, tmp_path: Path
) -> None:
    path, settings = backbone_recipe(
        tmp_path,
        *more,
        "training.epochs=4",
        f"training.stages=[{{train: {first}, epochs: 2}}, {{epochs: 3}}]",  # the last is cut
    )
    whole = polyhead.train(path, tmp_path / "whole", data=shapes, overrides=settings)
    broken = tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt):
        polyhead.train(path, broken, data=shapes, overrides=settings, progress=StopAtEpoch(2))
    for epoch in (3, 4):  # the second stage's beginning, then its middle
        with pytest.raises(KeyboardInterrupt):
            polyhead.resume(broken, progress=StopAtEpoch(epoch))
    polyhead.resume(broken)
    assert (broken / "evaluation.json").read_bytes() == (whole / "evaluation.json").read_bytes()


class StopAtEpoch(Silent):
    """Stops, as Ctrl-C does, when an epoch begins."""

    def __init__(self, epoch: int) -> None:
        self.words = f"epoch {epoch}/"

    def track(self, words: str, total: int) -> Callable[[int], None]:
        if words.startswith(self.words):
            raise KeyboardInterrupt
        return super().track(words, total)
