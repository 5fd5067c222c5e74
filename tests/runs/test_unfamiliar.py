"""What the validation images show of unfamiliar images is kept in the file, and told of each split."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import polyhead
from conftest import call
from pages import Page
from polyhead.data.table import load_dataset
from polyhead.model.file import read_model_card
from polyhead.progress import SILENT
from polyhead.recipe.loading import load_recipe
from polyhead.runs.calibrate import calibrate
from tiny_model import write_tiny_model

RECIPE = """
name: tiny
data: {source: {kind: csv, file: labels.csv}, path: PLACE, split: {column: split}}
image: {size: [16, 16]}
tasks: {color: {kind: categorical}, brightness: {kind: regression}}
network: {trunk: {blocks: [{filters: 4}]}}
"""


def draw(folder: Path, valid: int) -> Path:
    """Grey images for training and validation; of the ten for testing four are of a strong colour."""
    rng, rows = np.random.default_rng(0), ["image,color,brightness,split"]
    for number, split in enumerate(["train"] * 60 + ["valid"] * valid + ["test"] * 10):
        light, tint = rng.choice([40, 200]), rng.integers(-6, 7, 3)
        color = (250, 20, 20) if split == "test" and number % 10 < 4 else tuple(int(light + one) for one in tint)
        Image.new("RGB", (16, 16), color).save(folder / f"{number}.png")
        rows.append(
            f"{number}.png,{('red', 'green', 'blue')[int(np.argmax(color))]},{np.mean(color) / 2.55:.2f},{split}"
        )
    (folder / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    (folder / "tiny.yaml").write_text(RECIPE.replace("PLACE", str(folder)), encoding="utf-8")
    recipe = load_recipe(folder / "tiny.yaml")
    path = write_tiny_model(folder / "model.onnx", {"recipe": recipe.to_dict()})
    calibrate(path, load_dataset(recipe, folder, SILENT))
    return path


def keep(folder: Path, split: str) -> Path:
    """A recipe for the images of one split alone."""
    lines = (folder / "labels.csv").read_text(encoding="utf-8").splitlines()
    kept = [lines[0], *(line for line in lines if line.endswith(f",{split}"))]
    (folder / "some.csv").write_text("\n".join(kept), encoding="utf-8")
    recipe = (folder / "tiny.yaml").read_text(encoding="utf-8").replace("labels.csv", "some.csv")
    (folder / "some.yaml").write_text(recipe, encoding="utf-8")
    return folder / "some.yaml"


def test_the_share_of_unfamiliar_images_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, out = draw(tmp_path, 40), tmp_path / "figures"
    assert call("evaluate", model, "--data", tmp_path / "tiny.yaml", "--out", out) == 0
    assert "all  unfamiliar 0.0" in capsys.readouterr().out
    evaluation = polyhead.evaluate(model, data=tmp_path / "tiny.yaml", progress=False)
    found = evaluation["all"].unfamiliar
    assert found
    assert found == json.loads((out / "evaluation.json").read_text(encoding="utf-8"))["all"]["unfamiliar"]
    records = list(polyhead.load_model(model).predict([tmp_path / f"{number}.png" for number in range(110)]))
    unfamiliar = [number for number, record in enumerate(records) if record.get("unfamiliar")]
    assert {100, 101, 102, 103} <= set(unfamiliar)
    assert found["share"] == pytest.approx(len(unfamiliar) / 110)
    assert found["n"] == 110
    told: Any = found["interval"]
    low, high = told
    assert low < len(unfamiliar) / 110 < high
    few = polyhead.evaluate(model, data=keep(tmp_path, "test"), progress=False)["all"].unfamiliar
    assert few
    assert few["n"] == 10
    told = few["interval"]
    low, high = told
    assert low < 0.2 < 0.6 < high
    assert found["expected"] == 0.01
    assert "Unfamiliar, that is, unlike the training images:" in Page(out / "report/index.html").text
    header = (out / "predictions.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header.startswith("image,error,unfamiliar,unfamiliarity,color.answer")


def test_too_few_validation_images_tell_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = draw(tmp_path, 20)
    assert read_model_card(model).familiarity is None
    assert call("evaluate", model, "--data", tmp_path / "tiny.yaml") == 0
    assert "unfamiliar" not in capsys.readouterr().out
