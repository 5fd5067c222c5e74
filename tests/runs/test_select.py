"""Which images to label next: uncertain and unlike one another; as a list, a page, and in Label Studio and back."""

import csv
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import polyhead
from conftest import call
from drawn_model import write_model
from polyhead.data.sources.label_studio import read_label_studio
from polyhead.errors import PolyheadError
from polyhead.evaluation.selection import choose_diverse, rate_uncertainty
from polyhead.tasks import Binary, Categorical, FittedCategorical, MultiLabel, Regression

SURE, UNSURE = [(250, 0, 0), (0, 250, 0), (0, 0, 250)], [(130, 120, 0), (0, 120, 130), (120, 0, 130)]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A model, and images of three sure colours and of three between two of them, several of each."""
    write_model(tmp_path / "model.onnx")
    (tmp_path / "images").mkdir()
    for kind, colors in (("sure", SURE), ("unsure", UNSURE)):
        for number, color in enumerate(colors * 4):
            Image.new("RGB", (16, 16), color).save(tmp_path / f"images/{kind} {number}.png")
    return tmp_path


def test_uncertain_images_come_first_and_unlike_ones(place: Path) -> None:
    found = polyhead.select(place / "model.onnx", [place / "images"], 3, tasks=["color"], progress=False)
    assert [selected.task for selected in found.images] == ["color"] * 3
    assert all(selected.image.startswith("unsure") for selected in found.images)
    assert {int(selected.image.split()[1].split(".")[0]) % 3 for selected in found.images} == {0, 1, 2}


def test_all_images_are_put_in_order_where_more_are_asked_for(place: Path) -> None:
    found = polyhead.select(place / "model.onnx", [place / "images"], 1000, progress=False)
    assert len({selected.image for selected in found.images}) == 24
    assert found.images[0].answers["color"].labels


def test_numbers_alone_are_chosen_to_be_unlike(place: Path) -> None:
    found = polyhead.select(place / "model.onnx", [place / "images"], 6, tasks=["light"], progress=False)
    assert {selected.task for selected in found.images} == {""}
    kinds = {(name.split()[0], int(name.split()[1].split(".")[0]) % 3) for name, *_ in found.images}
    assert len(kinds) == 6


def test_the_command_writes_a_list_a_page_and_tasks(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--csv", place / "list.csv", "--gallery", place / "look", "--label-studio", place / "tasks.json"]
    assert call("select", place / "model.onnx", place / "images", "--n", "5", "--task", "color", *options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    with (place / "list.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [f"{row['image']}  {row['task']} {float(row['uncertainty']):.2f}" for row in rows] == lines
    script = (place / "look/gallery/data.js").read_text(encoding="utf-8")
    data = json.loads(script.removeprefix("globalThis.polyheadGallery=").removesuffix(";\n"))
    assert data["names"] == [row["image"] for row in rows]
    assert data["chosenFor"] == [0] * 5
    assert [task["data"]["name"] for task in json.loads((place / "tasks.json").read_text())] == data["names"]


def test_what_cannot_be_read_is_named_and_left_out(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "images/broken.png").write_bytes(b"no image")
    assert call("select", place / "model.onnx", place / "images", "--n", "2") == 1
    assert "broken.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"n": 0}, "expected 1 or more images; got 0"), ({"tasks": ["colour"]}, "no task 'colour'.*color")],
)
def test_wrong_arguments_are_refused(place: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(PolyheadError, match=words):
        polyhead.select(place / "model.onnx", [place / "images"], **changes, progress=False)  # type: ignore[arg-type]


def test_label_studio_there_and_back(place: Path) -> None:
    found = polyhead.select(place / "model.onnx", [place / "images"], 4, progress=False)
    config = found.to_label_studio(place / "tasks.json")
    controls = {
        control.get("name"): control for control in ElementTree.parse(config).getroot() if control.get("toName")
    }
    assert set(controls) == {"color", "marks", "light"}
    tasks = json.loads((place / "tasks.json").read_text(encoding="utf-8"))
    for number, task in enumerate(tasks):
        for result in task["predictions"][0]["result"]:
            choices = {choice.get("value") for choice in controls[result["from_name"]]}
            assert set(result["value"].get("choices", [])) <= choices
        results = task["predictions"][0]["result"]
        task["annotations"] = [{"was_cancelled": False, "result": results if number else []}]
    tasks[1]["annotations"].append({"was_cancelled": True, "result": []})
    mended = [{"from_name": "color", "type": "choices", "value": {"choices": ["green"]}}]
    mended.append({"from_name": "marks", "type": "choices", "value": {"choices": ["bright", "never 1"]}})
    mended.append({"from_name": "light", "type": "number", "value": {"number": 12.5}})
    tasks[3]["annotations"] = [{"result": mended}]
    (place / "export.json").write_text(json.dumps(tasks), encoding="utf-8")
    rows = read_label_studio(place / "export.json")
    names = [selected.image for selected in found.images]
    assert [row.image for row in rows] == [names[1]] * 3 + [names[2]] * 3 + [names[3]] * 3
    assert {row.verdict for row in rows[:6]} == {"right"}
    assert [(row.task, row.label) for row in rows[6:]] == [
        *(("color", "green"), ("marks", "bright|never 1"), ("light", "12.5"))
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ("{}", "expected a list of tasks"),
        ('[{"data": {"image": "x"}}]', "task 1: expected `data` and `annotations`"),
        (
            '[{"data": {"image": "x"}, "annotations": [{"result": [{"value": {"number": "a"}, "from_name": "b"}]}]}]',
            "1:",
        ),
    ],
)
def test_what_is_no_export_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "export.json").write_text(text, encoding="utf-8")
    with pytest.raises(PolyheadError, match=words) as caught:
        read_label_studio(tmp_path / "export.json")
    assert "\n" not in str(caught.value)


def test_an_address_stands_for_an_image_without_a_name(tmp_path: Path) -> None:
    result = {"from_name": "marks", "type": "choices", "value": {"choices": ["none"]}}
    task = {"data": {"image": "/data/local-files/?d=a%20b/1.jpg"}, "annotations": [{"result": [result]}]}
    (tmp_path / "export.json").write_text(json.dumps([task]), encoding="utf-8")
    assert read_label_studio(tmp_path / "export.json") == [("a b/1.jpg", "marks", "wrong", "none")]


def test_uncertainty_is_from_0_to_1_for_every_kind() -> None:
    three = Categorical(fitted=FittedCategorical(classes=["a", "b", "c"], counts=dict.fromkeys("abc", 1)))
    found = rate_uncertainty(three, np.array([[1, 0, 0], [0.5, 0.5, 0], [0.5, 0.25, 0.25]]))
    assert found == pytest.approx([0, 1, 0.75])
    marks = MultiLabel(labels=["a", "b"]).fit("m", ["a", "b"])
    assert rate_uncertainty(marks, np.array([[0, 1], [0.5, 1], [0.9, 0.75]])) == pytest.approx([0, 1, 0.5])
    sold = Binary(labels=["no", "yes"]).fit("s", ["no", "yes"])
    assert rate_uncertainty(sold, np.array([[0.5], [1.0]])) == pytest.approx([1, 0])
    assert rate_uncertainty(Regression().fit("r", ["1", "2"]), np.array([[1.0]])) is None


def test_rows_of_much_weight_far_apart_are_chosen_each_once() -> None:
    points = np.repeat(np.array([[0.0], [10.0], [20.0]]), 5, axis=0)
    chosen = choose_diverse(points, np.ones(15), 3, seed=0)
    assert sorted(points[chosen, 0]) == [0, 10, 20]
    everything = choose_diverse(points, np.zeros(15), 15, seed=0)
    assert sorted(everything) == list(range(15))
