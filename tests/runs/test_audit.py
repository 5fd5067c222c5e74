"""An audit: wrong labels of a run are found by answers that have not learnt from them, and shown."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import polyhead
from conftest import COLORS, call
from pages import Page
from polyhead.data.table import load_dataset, write_csv
from polyhead.progress import SILENT
from polyhead.recipe.loading import load_recipe
from tiny_model import write_tiny_model

RECIPE = """
name: colours
data: {source: {kind: csv, file: labels.csv}, path: PLACE}
image: {size: [16, 16]}
tasks:
  color: {kind: categorical}
  brightness: {kind: regression, unit: "%"}
network: {trunk: {blocks: [{filters: 4}]}}
"""
WRONG, BLANK, OFF = 7, 8, 9


@pytest.fixture
def colors(tmp_path: Path) -> Path:
    """A model, and 60 plain images; of one the colour is wrong, of one unknown, of one the brightness."""
    rng = np.random.default_rng(0)
    rows = ["image,color,brightness"]
    for number in range(60):
        color = list(COLORS)[number % 3]
        pixels = np.clip(np.array(COLORS[color]) + rng.integers(-30, 30), 0, 255).astype(np.uint8)
        picture = np.broadcast_to(pixels, (16, 16, 3))
        Image.fromarray(np.ascontiguousarray(picture)).save(tmp_path / f"{number:02}.png")
        label = {WRONG: "blue", BLANK: ""}.get(number, color)
        brightness = picture.mean() / 2.55 + rng.normal(0, 0.2) + 50 * (number == OFF)
        rows.append(f"{number:02}.png,{label},{brightness:.3f}")
    (tmp_path / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    (tmp_path / "colors.yaml").write_text(RECIPE.replace("PLACE", str(tmp_path)), encoding="utf-8")
    recipe: dict[str, Any] = load_recipe(tmp_path / "colors.yaml").to_dict()
    write_tiny_model(tmp_path / "model.onnx", {"recipe": {**recipe, "data": {**recipe["data"], "path": None}}})
    return tmp_path


def test_a_wrong_label_is_found_shown_and_listed(colors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["audit", colors / "model.onnx", "--data", colors / "colors.yaml", "--out", colors / "audit"]
    assert call(*given) == 0
    assert "color: 1 suspect;" in capsys.readouterr().out
    found: dict[str, Any] = json.loads((colors / "audit/audit.json").read_text(encoding="utf-8"))
    assert found["tasks"]["color"]["known"] == 59
    assert found["answers"].startswith("Each image was judged by linear models")
    with (colors / "audit/suspects.csv").open(encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    first = next(row for row in rows if row["task"] == "color")
    assert (first["image"], first["label"], first["suggested"], first["rank"]) == ("07.png", "blue", "green", "1")
    assert next(row for row in rows if row["task"] == "brightness")["image"] == "09.png"
    page = Page(colors / "audit/index.html")
    assert "07.png" in page.text
    assert "suspects.html" in page.values("href")
    data = (colors / "audit/gallery/data.js").read_text(encoding="utf-8")
    assert json.loads(data.removeprefix("globalThis.polyheadGallery=").rstrip(";\n"))["names"][0] == "07.png"
    assert data.count('"suspect":') == 2  # tasks
    assert all((colors / "audit" / file).exists() for file in page.values("src"))


def test_an_audit_replaces_nothing_unasked_and_tells_the_same_in_python(colors: Path) -> None:
    found = polyhead.audit(colors / "model.onnx", colors / "audit", data=colors / "colors.yaml", progress=False)
    assert found["tasks"]["color"]["suspects"] == 1
    assert {row["image"] for row in found["suspects"] if row["task"] == "color"} == {"07.png"}
    with pytest.raises(polyhead.PolyheadError, match="force"):
        polyhead.audit(colors / "model.onnx", colors / "audit", data=colors / "colors.yaml", progress=False)


def test_what_a_person_has_judged_is_applied_told_and_no_suspect_again(colors: Path) -> None:
    rows = ["image,task,verdict,label", "07.png,color,right,", "09.png,brightness,unknown,", "10.png,color,wrong,red"]
    (colors / "fixed.csv").write_text("\n".join(rows), encoding="utf-8")
    recipe = colors / "colors.yaml"
    text = recipe.read_text(encoding="utf-8").replace("path:", "corrections: fixed.csv, path:")
    recipe.write_text(text, encoding="utf-8")
    found = polyhead.audit(colors / "model.onnx", data=recipe, progress=False)
    assert [(row["image"], row["task"]) for row in found["suspects"] if row["task"] == "color"] == []
    assert "09.png" not in {row["image"] for row in found["suspects"]}
    assert found["tasks"]["brightness"]["known"] == 59
    polyhead.evaluate(colors / "model.onnx", data=recipe, out=colors / "figures", progress=False)
    assert "judged 3 labels (data.corrections); 2 were changed" in Page(colors / "figures/report/index.html").text


@pytest.fixture
def misleading(tmp_path: Path) -> Path:
    """240 drawn patterns with given splits: test images nearly repeat training images, the format tells the label."""
    rng = np.random.default_rng(0)
    rows = ["image,color,brightness,split"]
    for number in range(240):
        color = list(COLORS)[number % 3]
        split = "test" if number >= 200 else "train"
        pixels = np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((4, 4, 1)))
        if number in (200, 201, 202):
            pixels = np.asarray(Image.open(tmp_path / f"{number - 200:03}.png"), float) + 2
            pixels = pixels[:, ::-1] if number == 202 else pixels
        suffix = "bmp" if color == "red" and number < 200 else "png"
        picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        picture.save(tmp_path / f"{number:03}.{suffix}")
        if number < 2 and suffix == "bmp":
            picture.save(tmp_path / f"{number:03}.png")
        rows.append(f"{number:03}.{suffix},{color},{pixels.mean() / 2.55:.2f},{split}")
    (tmp_path / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    split = "split: {column: split, valid: 0}"
    text = RECIPE.replace("path: PLACE", f"path: {tmp_path}, {split}")
    (tmp_path / "colors.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "run").mkdir()
    recipe: dict[str, Any] = load_recipe(tmp_path / "colors.yaml").to_dict()
    write_tiny_model(tmp_path / "run/model.onnx", {"recipe": recipe})
    dataset = load_dataset(load_recipe(tmp_path / "colors.yaml"), tmp_path, SILENT)
    write_csv(dataset.table, tmp_path / "run")
    (tmp_path / "run/recipe.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def test_near_repeats_across_splits_and_shortcuts_are_told_and_shown(
    misleading: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("audit", misleading / "run", "--out", misleading / "audit") == 0
    screen = capsys.readouterr().out
    assert (
        "near repeats of training images: 3 of test\nof these, mirror images of a training image: 1 of test\n" in screen
    )
    assert "shortcut? file format alone tells color of" in screen
    found: dict[str, Any] = json.loads((misleading / "audit/audit.json").read_text(encoding="utf-8"))
    near = found["near_repeats"]
    assert {(one["image"], one["split"], one["of"], one["mirrored"]) for one in near["images"]} == {
        ("200.png", "test", "000.bmp", False),
        ("201.png", "test", "001.png", False),
        ("202.png", "test", "002.png", True),
    }
    assert (near["counts"], near["mirrored"]) == ({"test": 3}, {"test": 1})
    assert (near["figures"]["test"]["n"], near["figures"]["test"]["without"]) == (40, 37)
    whole, without = near["figures"]["test"]["tasks"]["color"]["accuracy"]
    assert round(whole * 40) - round(without * 37) in (0, 1, 2, 3)
    assert {one["attribute"] for one in found["shortcuts"] if one["task"] == "color"} <= {"file format", "file size"}
    page = Page(misleading / "audit/index.html")
    for path in ("200.png", "000.bmp"):
        assert path in page.text
    assert "37 of 40 test images nearly repeat no training image" in page.text
    assert "Mirror images of a training image, left for right, are among them: 1 of test." in page.text
    assert "as its mirror image" in page.text
    assert "file format alone tells color" in page.text
    assert all((misleading / "audit" / file).exists() for file in page.values("src"))
