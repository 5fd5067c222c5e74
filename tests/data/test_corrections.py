"""Labels that a person has judged replace those that were read, of every kind; mistakes name their row."""

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import draw_shapes
from polyhead.data.corrections import CORRECTED
from polyhead.data.table import Table
from polyhead.errors import PolyheadError
from polyhead.recipe.loading import load_recipe
from tables import read_complete

CELLS = ["red,square,dot|bar,12,M", "green,disc,none,8,S", "blue,square,dot,16,L"]


def read(folder: Path, rows: list[str], heads: str = "image,task,verdict,label") -> Table:
    draw_shapes(folder / "shapes", len(CELLS))
    lines = ["image,color,shape,marks,width,size"]
    lines += [f"images/{number:03}.png,{cells}" for number, cells in enumerate(CELLS)]
    (folder / "shapes/labels.csv").write_text("\n".join(lines), encoding="utf-8")
    (folder / "shapes/fixed.csv").write_text("\n".join([heads, *rows]), encoding="utf-8")
    tasks: dict[str, Any] = {
        "color": {"kind": "categorical", "values": {"red": "crimson", "green": "green", "blue": "blue"}},
        "shape": {"kind": "binary", "labels": ["disc", "square"]},
        "marks": {"kind": "multilabel", "labels": ["dot", "bar"]},
        "width": {"kind": "regression"},
        "size": {"kind": "ordinal", "levels": ["S", "M", "L"]},
    }
    source = {"kind": "csv", "file": "labels.csv"}
    recipe = load_recipe({"name": "t", "data": {"source": source, "corrections": "fixed.csv"}, "tasks": tasks})
    return read_complete(recipe, folder / "shapes")


def test_labels_of_every_kind_are_replaced_blanked_or_left(tmp_path: Path) -> None:
    rows = [
        "images/000.png,color,wrong,green",
        "images/000.png,shape,unknown,",
        "images/000.png,marks,wrong,bar|?dot",
        "images/001.png,width,wrong,9.5",
        "images/001.png,size,wrong,L",
        "images/002.png,color,right,",
        "images/002.png,size,wrong,S",
        "images/002.png,size,wrong,M",  # the last one counts
    ]
    frame = read(tmp_path, rows).frame
    names = ["color", "shape", "marks", "width", "size"]
    assert frame[names].to_numpy().tolist() == [
        ["green", "", "?dot|bar", "12", "M"],
        ["green", "disc", "none", "9.5", "L"],
        ["blue", "square", "dot", "16", "M"],
    ]
    judged = json.loads(frame[CORRECTED][2])
    assert judged == {"color": {"was": "blue", "label": "blue"}, "size": {"was": "L", "label": "M"}}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("images/9.png,color,wrong,green", "line 2: there is no image images/9.png"),
        ("images/000.png,colour,wrong,green", "line 2: expected a task of color"),
        ("images/000.png,size,wrong,XL", "line 2: .*XL"),
        ("images/000.png,size,maybe,", "line 2: expected the verdict right, wrong"),
        ("images/000.png,size,,", "line 2: expected the verdict"),
        ("images/000.png", "line 2: expected a task of color"),
        ("images/000.png,size,wrong,M,L", "line 2: 5 cells, but there are 4 columns"),
    ],
)
def test_a_row_that_means_nothing_is_named(tmp_path: Path, row: str, words: str) -> None:
    with pytest.raises(PolyheadError, match=words):
        read(tmp_path, [row])


def test_a_verdict_need_not_be_there_but_the_other_columns(tmp_path: Path) -> None:
    rows = ["images/000.png,size,L,M"]
    assert read(tmp_path, rows, "image,task,label,was").frame["size"][0] == "L"
    with pytest.raises(PolyheadError, match="lacks task"):
        read(tmp_path / "other", rows, "image,job,label,was")


def test_an_answer_found_right_labels_an_image_that_had_no_label(tmp_path: Path) -> None:
    table = read(tmp_path, ["images/000.png,color,wrong,", "images/000.png,color,right,blue"])
    assert table.frame["color"].tolist()[0] == "blue"


def test_an_export_of_label_studio_corrects_too(tmp_path: Path) -> None:
    draw_shapes(tmp_path / "shapes", 1)
    (tmp_path / "shapes/labels.csv").write_text("image,marks\nimages/000.png,dot\n", encoding="utf-8")
    result = {"from_name": "marks", "type": "choices", "value": {"choices": ["bar"]}}
    task = {"data": {"name": "images/000.png"}, "annotations": [{"result": [result]}]}
    (tmp_path / "shapes/export.json").write_text(json.dumps([task]), encoding="utf-8")
    source = {"kind": "csv", "file": "labels.csv"}
    marks = {"kind": "multilabel", "labels": ["dot", "bar"]}
    data = {"source": source, "corrections": "export.json"}
    table = read_complete(load_recipe({"name": "t", "data": data, "tasks": {"marks": marks}}), tmp_path / "shapes")
    assert table.frame["marks"].tolist() == ["bar"]
