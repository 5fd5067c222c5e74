"""Images get worse by kind and strength, and a task's metric is followed."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from conftest import COLORS, call
from pages import Page
from polyhead.evaluation.robustness import STRENGTHS, compare_worse, worsen
from polyhead.recipe.loading import load_recipe
from polyhead.tasks import Categorical, Regression, Task
from tiny_model import write_tiny_model

RECIPE = """
name: tiny
data: {source: {kind: csv, file: labels.csv}, path: PLACE}
image: {size: [16, 16]}
tasks: {color: {kind: categorical}, brightness: {kind: regression}}
network: {trunk: {blocks: [{filters: 4}]}}
"""


@pytest.mark.parametrize("kind", STRENGTHS)
def test_images_get_worse_with_strength(kind: str) -> None:
    edges = np.linspace(0, 1, 64) * np.linspace(0, 1, 48)[:, np.newaxis]
    images = np.stack([np.kron(np.eye(6), np.ones((8, 8))), edges[:, :48]])[..., np.newaxis] * [200, 120, 250]
    images = images.astype(np.uint8)
    assert len(STRENGTHS[kind]) == 5
    found = [worsen(images, kind, strength) for strength in STRENGTHS[kind]]
    assert all(one.shape == images.shape and one.dtype == np.uint8 for one in found)
    changes = [np.abs(one.astype(int) - images).mean() for one in found]
    assert 0 < changes[0] < changes[2] < changes[4]


def test_the_main_metric_is_followed_and_an_unlabelled_task_is_left_out() -> None:
    tasks: dict[str, Task] = {
        "color": Categorical().fit("color", ["a", "b"]),
        "none": Categorical().fit("none", ["a", "b"]),
    }
    tasks["age"] = Regression().fit("age", ["1", "3"])
    labels = pd.DataFrame({"color": ["a", "b"], "none": ["", ""], "age": ["1", "3"]})
    right, wrong = np.eye(2), np.eye(2)[::-1]
    good = {"color": right, "none": right, "age": np.array([[1.0], [3.0]])}
    bad = {"color": wrong, "none": right, "age": np.array([[2.0], [5.0]])}
    found = compare_worse(tasks, labels, good, {"blur": [good, bad]})
    assert found["n"] == 2
    color, age = found["tasks"]["color"], found["tasks"]["age"]
    assert (color["metric"], color["blur"]) == ("accuracy", [1, 1, 0])
    assert (age["metric"], age["blur"]) == ("mae", [0, 0, 1.5])
    assert color["intervals"]["blur"][1:] == [[pytest.approx(0.05**0.5), 1], [0, pytest.approx(1 - 0.05**0.5)]]
    assert age["intervals"]["blur"][0] is None  # an error of 0
    assert found["tasks"].get("none", {"blur": [None] * 3})["blur"] == [None] * 3


def test_worse_images_are_asked_about_written_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ["image,color,brightness"]
    for number in range(12):
        color = list(COLORS)[number % 3]
        Image.new("RGB", (16, 16), COLORS[color]).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,{color},{np.mean(COLORS[color]) / 2.55:.2f}")
    (tmp_path / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    (tmp_path / "tiny.yaml").write_text(RECIPE.replace("PLACE", str(tmp_path)), encoding="utf-8")
    values = load_recipe(tmp_path / "tiny.yaml").to_dict()
    write_tiny_model(tmp_path / "model.onnx", {"recipe": values})
    given = ["evaluate", tmp_path / "model.onnx", "--data", tmp_path / "tiny.yaml", "--out", tmp_path / "figures"]
    assert call(*given, "--worse") == 0
    assert "color accuracy 1.000; of worse images (3 of 5): blur 1.000" in capsys.readouterr().out
    found = json.loads((tmp_path / "figures/evaluation.json").read_text(encoding="utf-8"))["all"]["worse"]
    dark = found["tasks"]["brightness"]["dark"]
    assert dark[0] < dark[1] < dark[5]
    assert "When images get worse" in Page(tmp_path / "figures/report/index.html").text
