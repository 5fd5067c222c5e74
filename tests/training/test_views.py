"""What a task ignores does not reach its head; what others see of one backbone stays one set of weights."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from conftest import TINY_RECIPE
from networks import TRUNK, build
from polyhead.errors import PolyheadError
from polyhead.export.onnx import export_network
from polyhead.recipe.loading import load_recipe
from polyhead.recipe.size import list_layers
from polyhead.training.color_histogram import ColorHistogram
from polyhead.training.diagram import describe_network
from polyhead.training.gray_view import GrayView

LUMA = (0.2989, 0.587, 0.114)  # how bright red, green and blue seem
BACKBONE = "network={backbone: {name: MobileNetV2, width: 0.35, weights: none}}"
IGNORED = ["tasks.color.ignores=shape", "tasks.shape.ignores=color", "tasks.width.ignores=color"]
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype("float32")


def histogram(images: np.ndarray) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ColorHistogram()(images)))


def plain(color: tuple[int, int, int], size: tuple[int, int] = (32, 32)) -> np.ndarray:
    return np.full((1, *size, 3), color, "float32")


def test_a_histogram_of_colours_counts_every_pixel_once() -> None:
    found = histogram(IMAGES)

    assert found.shape == (3, 486)
    np.testing.assert_allclose((found**2).mean(axis=1), 1, rtol=1e-5)


def test_a_histogram_does_not_know_where_colours_stand() -> None:
    turned = [IMAGES[:, ::-1], IMAGES[:, :, ::-1], IMAGES.transpose(0, 2, 1, 3)]

    for images in turned:
        np.testing.assert_allclose(histogram(images), histogram(IMAGES), atol=1e-4)


def test_a_histogram_tells_dark_blue_from_black_and_not_the_size_of_an_image() -> None:
    black, navy, red = (histogram(plain(color)) for color in ((20, 20, 20), (15, 15, 60), (200, 10, 10)))

    assert np.abs(black - navy).max() > 5
    assert np.abs(red - navy).max() > 5
    np.testing.assert_allclose(histogram(plain((200, 10, 10), (300, 140))), red, atol=1e-4)


def test_grey_is_as_bright_as_colours_seem_and_in_training_of_any_tone() -> None:
    keras.utils.set_random_seed(0)
    view = GrayView()
    seen, trained = (ops.convert_to_numpy(view(IMAGES, training=training)) for training in (False, True))

    np.testing.assert_allclose(seen, np.repeat((IMAGES @ np.array(LUMA))[..., None], 3, axis=-1), rtol=1e-4)
    assert (trained.min(), trained.max()) >= (0, 200)
    assert trained.max() <= 255
    many = ops.convert_to_numpy(view(np.repeat(plain((255, 0, 0)), 400, axis=0), training=True))[:, 0, 0, 0]
    assert (many[:, np.newaxis] > [20, 127, 235]).mean(axis=0) == pytest.approx([0.92, 0.5, 0.08], abs=0.12)


def test_a_task_sees_nothing_of_what_it_ignores(tmp_path: Path) -> None:
    *_, network = build(tmp_path, BACKBONE, *IGNORED)
    images = 50 + IMAGES / 2
    redder = images + 80 * np.array([LUMA[1], -LUMA[0], 0], "float32")  # and as bright
    seen, colored, turned = (network.core(some) for some in (images, redder, images[:, ::-1]))

    def differs(task: str, other: dict[str, keras.KerasTensor]) -> bool:
        first, second = (ops.convert_to_numpy(found[task]) for found in (seen, other))
        return bool(np.abs(first - second).max() > 1e-3 * np.abs(first).max())

    assert [task for task in network.heads if not differs(task, colored)] == ["shape", "width"]
    assert [task for task in network.heads if not differs(task, turned)] == ["color"]


def test_views_share_one_backbone(tmp_path: Path) -> None:
    recipe, _, network = build(tmp_path, BACKBONE, *IGNORED)
    *_, alike = build(tmp_path, BACKBONE)
    diagram = describe_network(network, recipe)

    assert network.backbone is not None
    assert network.core.output["features"].shape[1] == 2 * 1280 + 486
    wider = (486 - 1280) * network.heads["color"].units
    assert network.core.count_params() == alike.core.count_params() + wider
    assert sum(box.parameters for box in diagram.boxes) == network.core.count_params()
    assert [diagram.heads[task] for task in recipe.tasks] == [diagram.heads[task] for task in network.heads]
    assert sum("same backbone" in line for box in diagram.boxes for line in box.lines) == 1


@pytest.mark.parametrize("settings", [IGNORED, ["tasks.color.ignores=shape"]], ids=["three views", "two views"])
def test_frozen_vectors_of_all_views_give_the_networks_logits(settings: list[str], tmp_path: Path) -> None:
    *_, network = build(tmp_path, BACKBONE, *settings)
    assert network.trunk is not None
    assert network.top is not None
    whole, parted = network.core(IMAGES), network.top(network.trunk(IMAGES))

    for name in network.heads:
        first, second = (ops.convert_to_numpy(found[name]) for found in (whole, parted))
        np.testing.assert_allclose(first, second, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("on", [BACKBONE, TRUNK], ids=["backbone", "trunk"])
def test_the_file_of_a_network_with_views_agrees_with_it(on: str, tmp_path: Path) -> None:
    recipe, tasks, network = build(tmp_path, on, *(IGNORED if on == BACKBONE else IGNORED[:1]), "image.size=[32, 140]")
    network.core.save_weights(tmp_path / "some.weights.h5")
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 140, 3), np.uint8)

    _, difference = export_network(recipe, tasks, tmp_path / "some.weights.h5", {"train": 3}, images)

    assert difference < 1e-4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["tasks.color.ignores=size"], "tasks.color.ignores: expected color, shape; got 'size'"),
        ([TRUNK, "tasks.color.ignores=color"], "tasks.color.ignores: `color` needs a network.backbone"),
        (
            [BACKBONE, "tasks.color.ignores=color", "network.backbone.color_mode=grayscale"],
            "tasks.color.ignores: no task sees colours",
        ),
        (
            [BACKBONE, "tasks.color.ignores=shape", "network.branches={color: {blocks: [{filters: 4}]}}"],
            "tasks.color.ignores: is for a task without a branch; remove it, or network.branches.color",
        ),
        (
            [TRUNK, *(f"tasks.{task}.ignores=shape" for task in ("color", "shape", "marks", "width", "size"))],
            "network.trunk: every task has a branch of its own or ignores shapes; remove the trunk",
        ),
    ],
)
def test_what_cannot_be_ignored_is_told_with_its_key(settings: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(PolyheadError) as told:
        build(tmp_path, *settings)
    assert message in str(told.value)


def test_a_network_that_is_still_to_be_planned_may_be_asked_to_ignore(tmp_path: Path) -> None:
    text = TINY_RECIPE[: TINY_RECIPE.index("network:")]
    (tmp_path / "open.yaml").write_text(text, encoding="utf-8")

    recipe = load_recipe(tmp_path / "open.yaml", IGNORED)

    assert recipe.network.backbone is None
    assert "tasks.shape" in {part.key for part in list_layers(recipe)}
