"""Runs, model files and recipes that an earlier Polyhead made go on working; `before/README.md` says how.

Only commands and public functions stand here, so that no change inside the package needs one here.
"""

import csv
import json
import re
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import pytest

import polyhead
from conftest import call

BEFORE = Path(__file__).parent / "before"
RECIPES = sorted((BEFORE / "recipes").glob("*.yaml"))
SAME = 1e-4  # what probabilities may differ by between machines
NEARLY = 2e-3  # after an epoch of training on another machine


@pytest.fixture
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, entered, that holds `images`, `run`, `half` and `answers.jsonl`."""
    with zipfile.ZipFile(BEFORE / "before.zip") as archive:
        archive.extractall(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def assert_keeps(found: Any, expected: Any, tolerance: float = SAME, where: str = "") -> None:
    """That all of `expected` is in `found`, beside which there may be more keys; numbers nearly."""
    if isinstance(expected, dict):
        assert expected.keys() <= found.keys(), where
        for key, inner in expected.items():
            assert_keeps(found[key], inner, tolerance, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for index, inner in enumerate(expected):
            assert_keeps(found[index], inner, tolerance, f"{where}[{index}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=tolerance, abs=tolerance), where
    else:
        assert found == expected, where


def read_json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def read_answers(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def read_rows(file: Path) -> list[dict[str, Any]]:
    """The rows of a CSV file, numbers as numbers; the seconds that an epoch took left out."""

    def read(cell: str) -> str | float:
        return float(cell) if re.fullmatch(r"-?\d+\.\d+(e-?\d+)?", cell) else cell

    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return [{name: read(cell) for name, cell in row.items() if name != "seconds"} for row in rows]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_key_is_still_one(recipe: Path) -> None:
    assert polyhead.load_recipe(recipe).name == recipe.stem


def test_its_card_is_read(before: Path) -> None:
    card = polyhead.load_model(before / "run" / "model.onnx").card
    assert (card.name, card.description) == ("before", "Drawn discs and squares")
    assert list(card.tasks) == ["color", "shape", "marks", "width", "size"]
    assert card.rows == {"train": 48, "valid": 20, "test": 29, "unseen": 23}
    evaluation = read_json(before / "run" / "evaluation.json")["test"]["tasks"]
    assert card.figures["color"]["accuracy"] == evaluation["color"]["accuracy"]


def test_it_answers_as_it_did(before: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("predict", "run", "images/images", "--json") == 1  # one file is no image
    expected = read_answers((before / "answers.jsonl").read_text(encoding="utf-8"))
    assert_keeps(read_answers(capsys.readouterr().out), expected)
    images = sorted((before / "images" / "images").iterdir())
    records = list(polyhead.load_model("run").predict(images))
    assert_keeps([record["answers"] for record in records], [record["answers"] for record in expected])


@pytest.mark.parametrize("split", ["valid", "test", "unseen"])
def test_it_is_judged_as_it_was(before: Path, split: str) -> None:
    assert call("evaluate", "run", "--data", "images", "--split", split, "--out", "judged") == 0
    expected = read_json(before / "run" / "evaluation.json")
    assert_keeps(read_json(before / "judged" / "evaluation.json")[split], expected[split])
    if split == "test":
        assert_keeps(read_rows(before / "judged" / "predictions.csv"), read_rows(before / "run" / "predictions.csv"))


def test_a_finished_run_without_its_report_gets_one(before: Path) -> None:
    evaluation, predictions = read_json(before / "run" / "evaluation.json"), read_rows(before / "run/predictions.csv")
    assert call("resume", "run", "--data", "images") == 0
    assert (before / "run" / "report" / "index.html").exists()
    assert_keeps(read_json(before / "run" / "evaluation.json"), evaluation)
    assert_keeps(read_rows(before / "run" / "predictions.csv"), predictions)


@pytest.mark.slow
def test_a_killed_run_is_resumed_and_ends_as_one_that_was_not(before: Path) -> None:
    assert call("resume", "half", "--data", "images") == 0
    for name in ("history.csv", "predictions.csv"):
        assert_keeps(read_rows(before / "half" / name), read_rows(before / "run" / name), NEARLY)
    found, expected = (read_json(before / run / "evaluation.json") for run in ("half", "run"))
    assert_keeps(found, expected, NEARLY)


def test_its_images_are_grouped(before: Path) -> None:
    assert call("cluster", "run", "images/images", "--out", "groups", "--task", "color", "--k", "3") == 0
    rows = read_rows(before / "groups" / "clusters.csv")
    assert len(rows) == 120
    assert len({row["group"] for row in rows}) == 3
    assert (before / "groups" / "index.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), [("saved_model", "exported"), ("onnx-int8", "exported.onnx")])
def test_it_is_exported(before: Path, kind: str, name: str) -> None:
    assert call("export", "run", "--format", kind, "--data", "images", "--out", name) == 0
    assert (before / name).exists()
    if name.endswith(".onnx"):
        assert list(polyhead.load_model(name).card.tasks) == ["color", "shape", "marks", "width", "size"]


@pytest.mark.slow
def test_it_is_served(before: Path) -> None:
    expected = read_answers((before / "answers.jsonl").read_text(encoding="utf-8"))
    command = [sys.executable, "-m", "polyhead", "serve", "run", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            told = (re.search(r"http://[^\s/]+", line) for line in server.stderr)
            address = next(found[0] for found in told if found)
            for record in expected[:5]:
                image = (before / record["image"]).read_bytes()
                with urllib.request.urlopen(f"{address}/predict", image, timeout=60) as answer:
                    (found,) = json.load(answer)
                assert_keeps(found["answers"], record["answers"])
        finally:
            server.terminate()
