"""A recipe's rules on their whole way: checked before training, in the model file, in answers, figures and pages."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import polyhead
from conftest import call
from drawn_model import SIZE, write_model
from pages import Page
from polyhead.errors import PolyheadError
from polyhead.model.card import read_card
from polyhead.model.file import read_model_card, write_card

RULES = ["bright excludes red", "dark excludes blue"]


def make(path: Path, obey: bool, rules: list[str] | None = None) -> Path:
    model = write_model(path)
    card = read_model_card(model).model_copy(update={"rules": RULES if rules is None else rules, "obey_rules": obey})
    write_card(model, card)
    return model


def draw(red: int, green: int, blue: int) -> Any:
    return np.broadcast_to(np.array([red, green, blue], np.uint8), (SIZE, SIZE, 3))


# Bright and red, barely bright; green; dark and blue, surely blue.
IMAGES = [draw(255, 65, 65), draw(0, 255, 0), draw(0, 0, 255)]


@pytest.mark.parametrize("obey", [False, True])
def test_answers_break_rules_only_where_they_need_not_obey(tmp_path: Path, obey: bool) -> None:
    model = polyhead.load_model(make(tmp_path / "model.onnx", obey))
    answers = [record["answers"] for record in model.predict(IMAGES)]
    said = [(one["color"]["answer"], one["marks"]["answer"]) for one in answers]
    before = [("red", ["bright"]), ("green", ["dark"]), ("blue", ["dark"])]
    assert said == ([("red", []), before[1], ("blue", [])] if obey else before)
    told = [one["marks"].get("before_rules") for one in answers]
    assert told == ([["bright"], None, ["dark"]] if obey else [None] * 3)
    assert [one["marks"].get("by_rules") for one in answers] == ([[RULES[0]], None, [RULES[1]]] if obey else [None] * 3)
    assert not any("before_rules" in one["color"] for one in answers)
    table = model.predict_table(IMAGES)
    assert list(table.get("marks.before_rules", [])) == (
        ["bright", pytest.approx(float("nan"), nan_ok=True), "dark"] if obey else []
    )


def test_answers_in_files_say_what_rules_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    for number, image in enumerate(IMAGES):
        Image.fromarray(np.ascontiguousarray(image)).save(tmp_path / f"{number}.png")
    files = [tmp_path / f"{number}.png" for number in range(3)]
    model = make(tmp_path / "model.onnx", obey=True)
    assert call("predict", model, *files, "--csv", tmp_path / "a.csv") == 0
    assert "rules changed the answers to 2 images" in capsys.readouterr().err
    with (tmp_path / "a.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["marks.before_rules"] for row in rows] == ["bright", "", "dark"]
    assert [row["marks.by_rules"] for row in rows] == [json.dumps([RULES[0]]), "", json.dumps([RULES[1]])]
    assert call("predict", model, files[0]) == 0
    assert "by rules instead of bright)" in capsys.readouterr().out
    make(model, obey=False)
    assert call("predict", model, *files, "--json") == 0
    assert "bright excludes red: broken by the answers to 1 image" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rules": ["bright excludes blau"]}, r"rules: `bright excludes blau`: 'blau' is not a label"),
        ({"rules": ["bright excludes"] * 2}, "a label is missing"),
        ({"rules": ["bright"] * 300}, "rules: List should have at most 200 items"),
        ({"rules": ["bright excludes " + "x" * 5000]}, "a rule has 2,000 characters at most"),
        ({"rules": [], "obey_rules": True}, "obey_rules: there are no `rules` to obey"),
        ({"rules": ["bright requires red", "bright requires blue"]}, "contradict each other"),
    ],
)
def test_what_a_model_file_says_of_rules_is_checked(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    card = json.loads(read_model_card(make(tmp_path / "model.onnx", False)).model_dump_json()) | values
    with pytest.raises(PolyheadError, match=message):
        read_card(json.dumps(card).encode(), "model.onnx")


def test_a_run_counts_what_breaks_its_rules_and_obeys_them(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, run = shapes.parent / "tiny.yaml", tmp_path / "run"
    rules = "rules=[dot excludes bar, red requires disc or bar]"
    given = ["--data", shapes, "--set", "training.epochs=1"]
    assert call("train", recipe, *given, "--out", run, "--set", "rules=[dots excludes bar]") == 2
    assert "rules: `dots excludes bar`: 'dots' is not" in capsys.readouterr().err
    assert call("train", recipe, *given, "--out", run, "--set", "rules=[dot excludes rot]") == 2
    assert "'rot' is not a label of any task" in capsys.readouterr().err  # colours are known once labels are read
    assert not run.exists()
    assert call("train", recipe, *given, "--out", run, "--set", rules, "--set", "obey_rules=true") == 0
    said = capsys.readouterr()
    assert "dot excludes bar: broken by " in said.err
    assert "test  answers obey the rules; changed: " in said.out
    found = json.loads((run / "evaluation.json").read_text())["test"]["rules"]
    assert [one["rule"] for one in found["labels"]] == ["dot excludes bar", "red requires disc or bar"]
    assert [one["broken"] for one in found["answers"]] == [0, 0]
    assert found["labels"][0]["broken"] > 0
    assert set(found["without"]["tasks"]) == {"color", "shape", "marks", "width", "size"}
    assert set(found["changed"]) == {"color", "shape", "marks"}
    page = Page(run / "report/index.html")
    assert "Images whose labels break a rule" in page.text
    frame = polyhead.load_run(run).predictions
    assert {"marks.before_rules", "color.before_rules"} <= set(frame)
    assert (frame["marks.before_rules"].notna()).sum() == found["changed"]["marks"]
    audit = polyhead.audit(run, tmp_path / "audit", progress=False)
    assert audit["rules"][0]["broken"] > 0
    assert 'id="rules"' in (tmp_path / "audit/index.html").read_text()
    assert polyhead.compare(run, run, progress=False)[0].changed == []


def test_exploring_data_shows_what_breaks_rules(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["explore", shapes.parent / "tiny.yaml", "--data", shapes, "--out", tmp_path / "page"]
    assert call(*given, "--set", "rules=[dot excludes reed]") == 2
    assert "'reed' is not a label of any task" in capsys.readouterr().err
    assert call(*given, "--set", "rules=[dot excludes bar]") == 0
    assert "Images whose labels break a rule" in Page(tmp_path / "page/index.html").text
