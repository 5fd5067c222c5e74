"""Two models on the same images: which is better at what, what changed, and when nothing can be said."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import polyhead
from conftest import call
from polyhead.errors import PolyheadError
from polyhead.evaluation.paired import find_paired
from polyhead.model.file import read_model_card
from tiny_model import TASKS, write_tiny_model

COLORS = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200)}


def write_place(folder: Path, images: int) -> Path:
    """Images in folders by colour, each other than the others; and two models, one of which takes red for blue."""
    for number in range(images):
        color = list(COLORS)[number % 3]
        (folder / "data" / color).mkdir(parents=True, exist_ok=True)
        pixel = tuple(value and value - number for value in COLORS[color])
        Image.new("RGB", (16, 16), pixel).save(folder / f"data/{color}/{number}.png")
    task = {"kind": "categorical", "classes": ["red", "green", "blue"]}
    recipe = {
        "name": "colors",
        "data": {"path": str(folder / "data"), "source": {"kind": "folders", "pattern": "{color}"}},
        "image": {"size": [16, 16]},
        "tasks": {"color": task},
    }
    write_tiny_model(folder / "good.onnx", {"recipe": recipe, "tasks": {"color": TASKS["color"]}})
    turned = TASKS["color"].refitted(classes=["blue", "green", "red"])
    write_tiny_model(folder / "bad.onnx", {"recipe": recipe | {"seed": 7}, "tasks": {"color": turned}})
    return folder


def test_a_worse_model_is_told_with_an_interval_and_what_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = write_place(tmp_path, 60)
    [found] = polyhead.compare(place / "good.onnx", place / "bad.onnx", data=place / "data", progress=False)
    [color] = found.differences
    assert color.values == pytest.approx((1, 1 / 3))
    assert (color.n, color.verdict) == (60, "worse")
    assert color.interval
    assert color.interval[0] < -2 / 3 < color.interval[1] < 0
    assert len(found.changed) == 40
    assert found.recipes["seed"][1] == 7
    models = [place / "good.onnx", place / "bad.onnx"]
    assert call("compare", *models, "--data", place / "data", "--csv", place / "changed.csv") == 0
    assert "color: worse by 66.7 points (" in capsys.readouterr().out
    with (place / "changed.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {(row["label"], row["first"], row["second"]) for row in rows} == {
        ("red", "red", "blue"),
        ("blue", "blue", "red"),
    }


def test_a_model_is_not_better_than_itself_and_a_few_images_tell_nothing(tmp_path: Path) -> None:
    place = write_place(tmp_path, 33)
    good = place / "good.onnx"
    [found] = polyhead.compare(good, good, data=place / "data", progress=False)
    assert found.differences[0].verdict == "no clear difference"
    assert "no clear difference (-" in str(found)
    (tmp_path / "few").mkdir()
    few = write_place(tmp_path / "few", 6)
    [found] = polyhead.compare(good, place / "bad.onnx", data=few / "data", progress=False)
    assert "color: too few to say: 6 images" in str(found)


def test_models_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    place = write_place(tmp_path, 6)
    with pytest.raises(PolyheadError, match="two or more"):
        polyhead.compare(place / "good.onnx", progress=False)
    with pytest.raises(PolyheadError, match="say where labelled ones are"):
        polyhead.compare(place / "good.onnx", place / "bad.onnx", progress=False)
    other = TASKS["color"].refitted(classes=["red", "green", "pink"])
    write_tiny_model(
        place / "other.onnx", {"recipe": read_model_card(place / "good.onnx").recipe, "tasks": {"color": other}}
    )
    with pytest.raises(PolyheadError, match="has other labels"):
        polyhead.compare(place / "good.onnx", place / "other.onnx", data=place / "data", progress=False)


@pytest.mark.parametrize(("count", "together"), [(60, 1), (300, 1), (300, 3)])
def test_the_interval_of_a_paired_difference_holds_the_truth(count: int, together: int) -> None:
    rng, held = np.random.default_rng(0), 0
    for _ in range(1000):  # the second is right on 3 % more, and both are wrong by chance on 3 %
        hard = rng.random(count)
        first, second = ((hard < share) ^ (rng.random(count) < 0.03) for share in (0.85, 0.88))
        gains = np.repeat(second.astype(float) - first, together)[:, np.newaxis]
        found = find_paired(gains, np.repeat(np.arange(count), together))
        assert found
        held += found[0] <= 0.03 * 0.94 <= found[1]
    assert 930 <= held <= 970
