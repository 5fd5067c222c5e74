"""Shortcuts: what tells a label without the picture is found, and chance is not."""

from pathlib import Path

import numpy as np
from PIL import Image

from polyhead.data.inspect.shortcuts import describe_shortcut, find_shortcuts, read_attributes
from polyhead.tasks import Binary, Categorical, MultiLabel, Regression

N = 400


def draw(seed: int) -> tuple[np.random.Generator, list[str]]:
    rng = np.random.default_rng(seed)
    return rng, [("hat", "shoe")[index] for index in rng.integers(0, 2, N)]


def test_an_attribute_that_tells_a_label_is_found_with_its_gain() -> None:
    rng, labels = draw(0)
    sizes = rng.normal(100, 10, N) + np.array([40 * (label == "hat") for label in labels])
    formats = np.array(["PNG" if label == "hat" and rng.random() < 0.5 else "JPEG" for label in labels], object)
    found = find_shortcuts({"kind": Categorical()}, {"kind": labels}, {"file size": sizes, "file format": formats})
    assert [one.attribute for one in found] == ["file size", "file format"]
    first = found[0]
    assert (first.task, first.label, first.images) == ("kind", "", N)
    assert first.found > 0.9
    assert 0.4 < first.baseline < 0.6
    assert first.low < first.found - first.baseline < first.high
    assert describe_shortcut(first).startswith("file size alone tells kind of 9")


def test_chance_is_no_shortcut() -> None:
    for seed in range(20):
        rng, labels = draw(seed)
        folders = np.array([f"folder{index}" for index in rng.integers(0, 20, N)], object)
        attributes = {"image width": rng.integers(50, 500, N).astype(float), "folder": folders}
        numbers = [str(number) for number in rng.normal(0, 1, N)]
        tasks = {"kind": Binary(), "size": Regression()}
        assert find_shortcuts(tasks, {"kind": labels, "size": numbers}, attributes, seed) == []


def test_a_folder_that_names_the_label_is_where_it_is_from() -> None:
    _, labels = draw(1)
    named = np.array([f"photos/{label.upper()}_2024" for label in labels], object)
    cameras = np.array([f"camera{label == 'hat'}" for label in labels], object)
    tasks = {"kind": Categorical()}
    assert find_shortcuts(tasks, {"kind": labels}, {"folder": named}) == []
    assert [one.attribute for one in find_shortcuts(tasks, {"kind": labels}, {"folder": cameras})] == ["folder"]


def test_brightness_tells_of_numbers_and_of_labels_that_are_no_colors() -> None:
    rng, labels = draw(2)
    bright = rng.normal(0, 1, N) + np.array([4.0 * (label == "hat") for label in labels])
    colors = [{"hat": "white", "shoe": "black"}[label] for label in labels]
    ages = [str(number) for number in bright + rng.normal(0, 1, N)]
    tasks = {"kind": Categorical(), "tone": Categorical(), "age": Regression()}
    found = find_shortcuts(tasks, {"kind": labels, "tone": colors, "age": ages}, {"brightness": bright})
    assert {one.task for one in found} == {"kind", "age"}
    age = next(one for one in found if one.task == "age")
    assert age.low > 0.5
    assert "explains" in describe_shortcut(age)


def test_each_label_of_several_is_asked_for_and_blank_ones_are_left_out() -> None:
    rng, labels = draw(3)
    pockets = rng.random(N) < 0.5
    sizes = np.array([200.0 if label == "hat" else 100.0 for label in labels])
    texts = [
        "|".join(["belt"] * (label == "hat") + ["pocket"] * bool(pocket)) or "none"
        for label, pocket in zip(labels, pockets, strict=True)
    ]
    known = ["", *texts[1:]]
    task = MultiLabel(labels=["belt", "pocket"]).fit("details", known)
    found = find_shortcuts({"details": task}, {"details": known}, {"file size": sizes})
    assert [(one.task, one.label, one.images) for one in found] == [("details", "belt", N - 1)]
    assert describe_shortcut(found[0]).startswith("file size alone tells details belt of 100.0 %")


def test_too_few_images_say_nothing() -> None:
    labels = ["hat", "shoe"] * 20
    sizes = np.array([1.0, 2.0] * 20)
    assert find_shortcuts({"kind": Categorical()}, {"kind": labels}, {"file size": sizes}) == []


def test_attributes_are_read_from_files_and_missing_ones_are_unknown(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.new("RGB", (30, 20), (255, 255, 255)).save(tmp_path / "a/one.png")
    Image.new("RGB", (10, 20)).save(tmp_path / "two.jpg")
    pixels = np.stack([np.full((4, 4, 3), value, np.uint8) for value in (255, 0, 0)])
    found = read_attributes(tmp_path, ["a/one.png", "two.jpg", "gone.png"], lambda rows: pixels[rows])
    assert found["image width"][:2].tolist() == [30, 10]
    assert found["aspect ratio"][:2].tolist() == [1.5, 0.5]
    assert found["file format"].tolist() == ["PNG", "JPEG", ""]
    assert found["folder"].tolist() == ["a", ".", "."]
    assert found["brightness"].tolist() == [255, 0, 0]
    assert np.isnan(found["file size"][2])
