"""What a plan chooses among: sizes like the images', networks that are at hand, changes that leave every label true."""

from pathlib import Path
from typing import Any

import pytest

from polyhead.recipe.loading import check_recipe
from polyhead.recipe.plan import (
    Candidate,
    choose_augment,
    choose_epochs,
    choose_sizes,
    find_weights,
    is_color,
    list_candidates,
    merge,
    models_folder,
    plan_fine_tuning,
    plan_from_scratch,
    plan_heads,
    plan_network,
    plan_stack,
)
from polyhead.recipe.schema import Quality
from polyhead.tasks import KINDS, Task

CANDIDATE = Candidate("MobileNetV2", 0.35, (96, 96), 1e7)
SOURCE = {"source": {"kind": "csv", "file": "labels.csv"}}


def make(kind: str = "categorical", labels: str = "a b", **keys: Any) -> Task:
    """A task that has learnt these labels."""
    return KINDS[kind].model_validate({"kind": kind, **keys}).fit("x", labels.split())


@pytest.mark.parametrize(
    ("height", "width", "quality", "sizes"),
    [
        (160, 120, "good", [(160, 128), (96, 80)]),
        (80, 60, "good", [(128, 96), (64, 48)]),
        (32, 32, "good", [(96, 96)]),
        (3000, 4000, "good", [(128, 160), (80, 96)]),
        (3000, 4000, "fast", [(96, 128)]),
        (3000, 4000, "best", [(176, 224), (128, 160)]),
        (1000, 100, "fast", [(128, 64)]),
    ],
)
def test_sizes_have_the_images_proportions(
    height: int, width: int, quality: Quality, sizes: list[tuple[int, int]]
) -> None:
    assert choose_sizes((height, width), quality, accelerator=False) == sizes


def test_networks_at_hand_are_tried_the_cheapest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert find_weights() == []
    models_folder().mkdir()
    for name in ("mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5", "efficientnetv2-b0_notop.h5"):
        (models_folder() / name).touch()
    candidates = list_candidates(find_weights(), [(128, 128), (64, 64)])
    assert [candidate.title for candidate in candidates] == [
        "MobileNetV2 1 at 64x64",
        "EfficientNetV2B0 at 64x64",
        "MobileNetV2 1 at 128x128",
        "EfficientNetV2B0 at 128x128",
    ]


@pytest.mark.parametrize(
    ("tasks", "left_out"),
    [
        ({"category": make()}, set()),
        ({"side": make(labels="left right")}, {"flip"}),
        ({"ear": make(labels="left_ear rightEar none")}, {"flip"}),
        ({"left shoe": make("binary", "no yes")}, {"flip"}),
        ({"digit": make(labels="0 1 2 3 4 5 6 7 8 9")}, {"flip"}),
        ({"race": make(labels="0 1 2 3 4")}, set()),
        ({"baseColour": make()}, {"brightness", "contrast"}),
        ({"label1": make(labels="red black blue")}, {"brightness", "contrast"}),
        ({"kind": make(labels="red_wine bread butter milk")}, set()),
        ({"length": make("regression", "1 2", unit="cm")}, {"zoom"}),
        ({"label2": make("regression", "1 2")}, {"zoom"}),
        ({"age": make("regression", "1 2")}, set()),
        ({"size": make("ordinal", "S M L", levels=["S", "M", "L"])}, {"zoom"}),
    ],
)
def test_no_change_makes_a_label_wrong(tasks: dict[str, Task], left_out: set[str]) -> None:
    augment, reasons = choose_augment(tasks)
    assert {"flip", "brightness", "contrast", "zoom"} - augment.keys() == left_out
    assert all(any(name in reason for reason in reasons) for name in tasks if left_out)


def test_half_of_the_labels_are_colors_or_the_name_says_so() -> None:
    assert is_color("tint", make(labels="red green other"))
    assert is_color("hairColor", make(labels="a b c"))
    assert not is_color("fruit", make(labels="orange apple pear plum"))


def test_epochs_fit_the_time_and_are_never_none() -> None:
    assert choose_epochs(100, 10, "good") == 10
    assert choose_epochs(-5, 10, "good") == 1
    assert choose_epochs(1e6, 10, "good") == choose_epochs(1e7, 10, "good")


NETWORK = {"network": plan_network(CANDIDATE, {}, "good")}
FLIP = {"flip": "horizontal"}


@pytest.mark.parametrize(
    "planned",
    [
        NETWORK | plan_heads((96, 96), 100, 0.1),
        NETWORK | plan_fine_tuning((96, 96), 100, 7, FLIP, "good"),
        NETWORK | plan_fine_tuning((96, 96), 100_000, 40, {}, "good"),
        {"network": plan_network(CANDIDATE, FLIP, "best")} | plan_fine_tuning((96, 96), 1000, 20, FLIP, "best"),
        NETWORK | plan_fine_tuning((96, 96), 1000, 2, {}, "best"),
        {"network": plan_stack((64, 64))} | plan_from_scratch((64, 64), 1000, 7, {}),
    ],
)
def test_what_is_planned_is_a_complete_recipe(planned: dict[str, Any]) -> None:
    draft = {"name": "x", "data": SOURCE, "tasks": {"a": {"kind": "categorical"}}}
    assert not check_recipe(draft, "x").is_complete
    assert check_recipe(merge(planned, draft), "x").is_complete
    around = draft | {"network": planned["network"]}
    assert check_recipe(around, "x").is_complete  # by the keys' defaults
    assert not check_recipe(around | {"quality": "good"}, "x").is_complete
    assert check_recipe(merge(planned, around | {"quality": "good"}), "x").is_complete


def test_what_the_recipe_says_is_not_planned() -> None:
    planned = NETWORK | plan_fine_tuning((96, 96), 1000, 7, FLIP, "good")
    given = {"training": {"epochs": 2, "batch_size": 8, "augment": {"flip": "none"}}, "image": {"resize": "fit"}}
    merged = merge(planned, given)
    assert merged["training"]["stages"][-1]["epochs"] == 2
    assert merged["training"]["stages"][0] == planned["training"]["stages"][0]
    assert merged["training"]["batch_size"] == 8
    assert merged["training"]["augment"] == {"flip": "none"}
    assert merged["image"] == {"size": [96, 96], "resize": "fit"}
