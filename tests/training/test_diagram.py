"""The diagram of a network: blocks and stages, never every layer, and nothing of the network left out."""

from pathlib import Path

import pytest

from conftest import TINY_RECIPE
from polyhead.model.card import Box, Diagram
from polyhead.recipe.loading import load_recipe
from polyhead.recipe.schema import Recipe
from polyhead.report.report import Report, write_report
from polyhead.report.sections.network import describe_network as draw_network
from polyhead.training.diagram import describe_network
from polyhead.training.network import Network, build_network

LABELS = {
    "category": ["dress", "jeans", "shirt", "shoes"],
    "color": ["black", "blue", "red"],
    "shape": ["disc", "square"],
    "marks": ["dot|bar"],
    "width": ["1", "3"],
    "size": ["S", "M", "L"],
}
TIMES = "\N{MULTIPLICATION SIGN}"


def build(recipe: Recipe) -> tuple[Network, Diagram]:
    network = build_network(recipe, {name: task.fit(name, LABELS[name]) for name, task in recipe.tasks.items()})
    return network, describe_network(network, recipe)


def on_backbone(folder: Path, backbone: str, *more: str) -> Recipe:
    text = TINY_RECIPE[: TINY_RECIPE.index("network:")] + "network: {backbone: {" + backbone + ", weights: none}}\n"
    (folder / "backbone.yaml").write_text(text, encoding="utf-8")
    return load_recipe(folder / "backbone.yaml", ["image.size=[64, 48]", *more])


def lines_up_to(diagram: Diagram, task: str) -> list[tuple[list[str], list[int]]]:
    """What a task's way is made of, from the image to its head."""
    by_name = {box.name: box for box in diagram.boxes}
    way = [by_name[diagram.heads[task]]]
    while way[0].inputs:
        (before,) = way[0].inputs
        way.insert(0, by_name[before])
    return [([line.replace(TIMES, "x") for line in box.lines], box.shape) for box in way]


def test_branches_are_shown_block_by_block_with_the_shapes_that_they_give_on() -> None:
    _, diagram = build(load_recipe("fashionnet"))

    assert lines_up_to(diagram, "category") == [
        (["Image"], [96, 96, 3]),
        (["Grayscale"], [96, 96, 1]),
        (["Conv 3x3, 32, ReLU, BatchNorm", "MaxPool 3x3", "Dropout 0.25"], [32, 32, 32]),
        (["2 x Conv 3x3, 64, ReLU, BatchNorm", "MaxPool 2x2", "Dropout 0.25"], [16, 16, 64]),
        (["2 x Conv 3x3, 128, ReLU, BatchNorm", "MaxPool 2x2", "Dropout 0.25"], [8, 8, 128]),
        (["Flatten", "Dense 256, ReLU, BatchNorm", "Dropout 0.5"], [256]),
        (["Dense 4, softmax"], [4]),
    ]
    assert [box.shape for box in diagram.boxes if box.name in diagram.features] == [[256], [128]]


def test_a_backbone_is_shown_stage_by_stage_and_what_repeats_is_counted(tmp_path: Path) -> None:
    _, diagram = build(on_backbone(tmp_path, "name: MobileNetV2, width: 0.35, view: gray, dense: [16], dropout: 0.2"))
    unit = "Conv 1x1, Depthwise 3x3, Conv 1x1"

    assert lines_up_to(diagram, "size") == [
        (["Image"], [64, 48, 3]),
        (["Grayscale", "As three channels"], [64, 48, 3]),
        (["Conv 3x3", "Depthwise 3x3, Conv 1x1"], [32, 24, 8]),
        ([f"2 x ({unit})"], [16, 12, 8]),
        ([f"3 x ({unit})"], [8, 6, 16]),
        ([f"7 x ({unit})"], [4, 3, 32]),
        ([f"4 x ({unit})", "Conv 1x1"], [2, 2, 1280]),
        (["Global average pooling", "Dense 16, ReLU, BatchNorm", "Dropout 0.2"], [16]),
        (["Dense 2, CORN"], [2]),
    ]
    assert {box.backbone for box in diagram.boxes} == {"", "MobileNetV2"}
    assert [box.shape for box in diagram.boxes if box.name in diagram.features] == [[16]]


@pytest.mark.parametrize(
    ("name", "repeated"),
    [
        ("MobileNetV3Small", "5 x (Conv 1x1, Depthwise 5x5, Squeeze-and-excitation, Conv 1x1)"),
        *(
            pytest.param(name, repeated, marks=pytest.mark.slow)
            for name, repeated in [
                ("EfficientNetV2B0", "2 x (Conv 3x3, Conv 1x1)"),
                ("ConvNeXtTiny", "9 x (Depthwise 7x7, 2 x Dense)"),
                ("ResNet152V2", "34 x (Conv 1x1, Conv 3x3, Conv 1x1)"),
                ("DenseNet121", "24 x (Conv 1x1, Conv 3x3)"),
                ("InceptionResNetV2", "63 x Conv 1x1, 20 x Conv 1x7, 20 x Conv 7x1"),
                ("NASNetMobile", "26 x Separable 3x3, 20 x Separable 5x5"),
            ]
        ),
    ],
)
def test_no_family_needs_more_than_a_few_boxes(name: str, repeated: str, tmp_path: Path) -> None:
    network, diagram = build(on_backbone(tmp_path, f"name: {name}", "image.size=[96, 96]"))
    stages = [box for box in diagram.boxes if box.backbone]

    assert len(stages) <= 6
    assert any(line.replace(TIMES, "x").startswith(repeated) for box in stages for line in box.lines)
    assert sum(box.parameters for box in diagram.boxes) == network.core.count_params()


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["network.branches={color: {view: gray, blocks: [{filters: 4, pool: 1}], end: average}}"],
        ["network={backbone: {name: MobileNetV2, width: 0.35, weights: none}}", "image.size=[32, 32]"],
    ],
)
def test_every_parameter_is_in_one_box_and_every_box_stands_behind_those_it_reads(
    settings: list[str], tmp_path: Path
) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    recipe = load_recipe(tmp_path / "tiny.yaml", settings)

    network, diagram = build(recipe)

    assert sum(box.parameters for box in diagram.boxes) == network.core.count_params()
    names = [box.name for box in diagram.boxes]
    for place, box in enumerate(diagram.boxes):
        assert set(box.inputs) <= set(names[:place])
    assert list(diagram.heads) == list(recipe.tasks)


def box(name: str, *inputs: str, backbone: str = "") -> Box:
    return Box(
        name=name, lines=[f"<{name}>"], shape=[8, 1], layers=1, parameters=1000, inputs=list(inputs), backbone=backbone
    )


PARTED = Diagram(
    boxes=[
        box("image"),
        box("first", "image", backbone="Net"),
        box("second", "first", backbone="Net"),
        box("gray", "image"),
        box("b", "second"),
        box("a", "second"),
        box("c", "gray"),
    ],
    heads={"a": "a", "b": "b", "c": "c"},
    features=["second", "gray"],
)


def test_branches_are_drawn_in_the_order_of_their_tasks() -> None:
    flow = draw_network(PARTED)["flow"]

    assert [branch["tasks"] for branch in flow["branches"]] == [["a", "b"], ["c"]]
    shared, alone = flow["branches"]
    assert [[box.name for box in boxes] for boxes in shared["frames"]] == [["first", "second"]]
    assert [head["task"] for head in shared["heads"]] == ["a", "b"]
    assert [[box.name for box in boxes] for boxes in alone["frames"]] == [["gray"], ["c"]]


def test_the_page_draws_every_box_as_text(tmp_path: Path) -> None:
    page = write_report(tmp_path / "report", Report("net", network=PARTED)).read_text(encoding="utf-8")

    assert all(page.count(f"&lt;{box.name}&gt;") == 1 for box in PARTED.boxes)
    assert "7 layers, 7,000 parameters" in page
    assert "2 layers, 2,000 parameters" in page
