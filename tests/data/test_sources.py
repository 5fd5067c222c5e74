"""Labels are read alike from names of files, names of folders and CSV files, and what cannot be read is named."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from polyhead.data.sources.reading import read_rows
from polyhead.data.sources.rows import Rows
from polyhead.data.sources.text_files import read_lines
from polyhead.data.table import read_table
from polyhead.errors import PolyheadError
from polyhead.progress import SILENT
from polyhead.recipe.loading import check_recipe
from polyhead.recipe.schema import Recipe
from polyhead.tasks import KINDS

NAMES = ["red_dress", "red_shirt", "blue_dress", "blue_shirt", "unknown_dress"] * 2  # ten images


def recipe(source: dict[str, Any], *tasks: str, split: dict[str, Any] | None = None) -> Recipe:
    raw = {
        "name": "test",
        "data": {"source": source, "split": split or {}},
        "tasks": {name: {"kind": "categorical", "blank": ["unknown"]} for name in tasks},
        "network": {"trunk": {"blocks": [{"filters": 4}]}},
    }
    return check_recipe(raw, "test")


def draw(root: Path, *paths: str) -> None:
    for shade, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (shade, 0, 0)).save(root / path)


def read_csv_text(root: Path, text: str, **source: Any) -> Rows:
    (root / "labels.csv").write_text(text, encoding="utf-8")
    return read_rows(recipe({"kind": "csv", "file": "labels.csv", **source}, "color"), root)


def test_the_same_ten_images_in_three_layouts_give_equal_tables(tmp_path: Path) -> None:
    paths = [f"{name}/{name}_{number}.png" for number, name in enumerate(NAMES)]
    draw(tmp_path, *paths)
    rows = [f"{path},{','.join(name.split('_'))}" for path, name in zip(paths, NAMES, strict=True)]
    (tmp_path / "labels.csv").write_text("\n".join(["image,color,category", *reversed(rows)]), encoding="utf-8")
    sources = [
        {"kind": "files", "pattern": "{color}_{category}_{}"},
        {"kind": "folders", "pattern": "{color}_{category}"},
        {"kind": "csv", "file": "labels.csv"},
    ]
    first, *others = (read_table(recipe(source, "color", "category"), tmp_path, SILENT) for source in sources)
    expected = [(path, "" if "unknown" in path else path.split("_")[0]) for path in sorted(paths)]
    assert list(zip(first.frame["path"], first.frame["color"], strict=True)) == expected
    for other in others:
        assert other.frame.equals(first.frame)
        assert other.rejected.equals(first.rejected)


def test_a_name_that_lacks_a_field_is_left_out_with_the_reason(tmp_path: Path) -> None:
    draw(tmp_path, "26_0_1_20170116174525125.jpg.chip.jpg", "61_1_20170109142408075.jpg.chip.jpg")
    rows = read_rows(
        recipe({"kind": "files", "pattern": "{age}_{gender}_{race}_{}"}, "age", "gender", "race"), tmp_path
    )
    assert rows.paths == ["26_0_1_20170116174525125.jpg.chip.jpg"]
    assert rows.cells.to_dict("records") == [{"age": "26", "gender": "0", "race": "1"}]
    assert rows.rejected == [
        ("61_1_20170109142408075.jpg.chip.jpg", "the name of its file is not like {age}_{gender}_{race}_{}")
    ]


def test_two_levels_of_folders_are_read_however_deep_they_lie(tmp_path: Path) -> None:
    draw(tmp_path, "here/dress/dark red/1.png", "dress/blue/2.png", "dress/3.png", "4.png")
    rows = read_rows(recipe({"kind": "folders", "pattern": "{category}/{color}"}, "color", "category"), tmp_path)
    assert dict(zip(rows.paths, rows.cells["color"], strict=True)) == {
        "here/dress/dark red/1.png": "dark red",
        "dress/blue/2.png": "blue",
    }
    assert [path for path, _ in rows.rejected] == ["4.png", "dress/3.png"]


def test_a_field_may_have_any_name(tmp_path: Path) -> None:
    draw(tmp_path, "red-1.png")
    rows = read_rows(recipe({"kind": "files", "pattern": "{the color!}-{}"}, "the color!"), tmp_path)
    assert list(rows.cells["the color!"]) == ["red"]


@pytest.mark.parametrize(
    ("image", "cell", "path"),
    [
        ("image", "a.png", "sheets/a.png"),  # beside the CSV file
        ("image", "photos/b.png", "photos/b.png"),  # from the root
        ("image", "../photos/b.png", "photos/b.png"),
        ("../photos/{image}.png", "b", "photos/b.png"),
        ("image", " a.png ", "sheets/a.png"),
    ],
)
def test_paths_in_a_csv_start_from_its_folder_or_the_root(tmp_path: Path, image: str, cell: str, path: str) -> None:
    draw(tmp_path, "sheets/a.png", "photos/b.png")
    (tmp_path / "sheets" / "labels.csv").write_text(f"image,color\n{cell},red\n", encoding="utf-8")
    rows = read_rows(recipe({"kind": "csv", "file": "sheets/labels.csv", "image": image}, "color"), tmp_path)
    assert (rows.paths, rows.rejected) == ([path], [])


def test_absolute_paths_in_a_csv_stay_absolute_only_outside_the_root(tmp_path: Path) -> None:
    draw(tmp_path, "data/in.png", "elsewhere/out.png")
    text = f"image,color\n{tmp_path}/data/in.png,red\n{tmp_path}/elsewhere/out.png,blue\n"
    assert read_csv_text(tmp_path / "data", text).paths == ["in.png", f"{tmp_path}/elsewhere/out.png"]


def test_rows_without_an_image_and_second_rows_of_one_are_left_out(tmp_path: Path) -> None:
    draw(tmp_path, "a.png", "not in the file.png")
    rows = read_csv_text(tmp_path, "image,color\na.png,red\nb.png,red\n,red\n./a.png,blue\n")
    assert (rows.paths, list(rows.cells["color"])) == (["a.png"], ["red"])
    assert rows.rejected == [
        ("b.png", "no such file"),
        ("", "its row names no image"),
        ("a.png", "a row before this one is of the same image"),
    ]


@pytest.mark.parametrize("cell", ["NA", "007", "1.0", "None", "nan", "true", "1e3", "señal", "a, b"])
def test_cells_of_a_csv_stay_the_text_that_they_are(tmp_path: Path, cell: str) -> None:
    draw(tmp_path, "a.png")
    assert list(read_csv_text(tmp_path, f'\ufeffimage,color\r\na.png,"{cell}"\r\n').cells["color"]) == [cell]


def test_a_csv_may_use_another_separator_and_stop_a_row_early(tmp_path: Path) -> None:
    draw(tmp_path, "a.png", "b.png")
    rows = read_csv_text(tmp_path, "image; color\na.png;red\n\nb.png\n", separator=";")
    assert list(rows.cells["color"]) == ["red", ""]


def test_the_data_may_be_the_csv_file_itself(tmp_path: Path) -> None:
    draw(tmp_path, "a.png")
    file = tmp_path / "labels.csv"
    file.write_text("image,color\na.png,red\n", encoding="utf-8")
    for source in ({"kind": "csv"}, {"kind": "csv", "file": "labels.csv"}):
        table = read_table(recipe(source, "color"), file, SILENT)
        assert (table.root, list(table.frame["path"])) == (tmp_path, ["a.png"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "image,colour\na.png,red\n",
            "tasks.color: 'color' is not a column of labels.csv; there are image, colour (did",
        ),
        ("picture,color\na.png,red\n", "data.source.image: 'image' is not a column of labels.csv; there are picture,"),
        ("image,color,color\na.png,red,red\n", "tasks.color: 'color' is twice a column of labels.csv"),
        ("image,color\na.png,red\na.png,dark, red\n", "labels.csv line 3: 3 cells, but there are 2 columns"),
        ('image,color\na.png,"red\n', "labels.csv line 2: is not CSV"),
        ("image,color\n", "labels.csv: expected a line of column names and a row for each image"),
        ("", "labels.csv: expected a line of column names"),
    ],
)
def test_a_bad_csv_is_one_line_that_names_file_and_row(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(PolyheadError) as raised:
        read_csv_text(tmp_path, text)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


LONG = {"kind": "csv", "file": "labels.csv", "long": {}}


def test_rows_of_one_image_and_task_each_come_together(tmp_path: Path) -> None:
    draw(tmp_path, "a.png", "b.png", "c.png")
    text = "task,image,label\ncolor,a.png,red\nsize,a.png,L\ncategory, b.png ,dress\ncategory,a.png,\ncolor,c.png,\n"
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    table = read_table(recipe(LONG, "color", "category"), tmp_path, SILENT)
    assert table.frame[["path", "color", "category"]].to_numpy().tolist() == [
        ["a.png", "red", ""],
        ["b.png", "", "dress"],
    ]
    assert table.rejected[["path", "reason"]].to_numpy().tolist() == [["c.png", "has no label"]]


def test_the_columns_of_a_long_csv_may_have_any_name(tmp_path: Path) -> None:
    draw(tmp_path, "pictures/1.png")
    (tmp_path / "labels.csv").write_text("id;what;value;part\n1;color;red;7\n", encoding="utf-8")
    long = LONG | {"image": "pictures/{id}.png", "separator": ";", "long": {"task": "what", "label": "value"}}
    rows = read_rows(recipe(long, "color", split={"column": "part"}), tmp_path)
    assert (rows.paths, rows.cells.to_dict("records")) == (["pictures/1.png"], [{"color": "red", "part": "7"}])


def test_of_two_rows_that_differ_the_first_stands_and_the_second_is_listed(tmp_path: Path) -> None:
    draw(tmp_path, "a.png")
    rows = ["a.png,color,red", "a.png,color,blue", "./a.png,color,red", "b.png,color,red", "b.png,color,red"]
    (tmp_path / "labels.csv").write_text("\n".join(["image,task,label", *rows]), encoding="utf-8")
    table = read_table(recipe(LONG, "color"), tmp_path, SILENT)
    assert list(table.frame["color"]) == ["red"]
    assert table.rejected.to_numpy().tolist() == [
        ["a.png", "color", "blue", "a row before this one says 'red'; got 'blue' (labels.csv line 3)"],
        ["b.png", "", "", "no such file"],
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "image,task,label,part\na.png,colour,red,0\n",
            "tasks.color: 'color' is not a task in the column task of labels.csv; there are colour (did you mean",
        ),
        ("image,name,label\na.png,color,red\n", "data.source.long.task: 'task' is not a column of labels.csv"),
        ("image,task,class\na.png,color,red\n", "data.source.long.label: 'label' is not a column of labels.csv"),
        ("image,task,label\na.png,color,red\n", "data.split.column: 'part' is not a column of labels.csv"),
        (
            "image,task,label,part\na.png,color,red,train\na.png,category,dress,test\n",
            "data.split.column: a.png: a row before this one says 'train'; got 'test' (labels.csv line 3)",
        ),
    ],
)
def test_a_bad_long_csv_is_one_clear_line(tmp_path: Path, text: str, words: str) -> None:
    draw(tmp_path, "a.png")
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    tasks = ("color", "category") if "category" in text else ("color",)
    with pytest.raises(PolyheadError) as raised:
        read_rows(recipe(LONG, *tasks, split={"column": "part"}), tmp_path)
    assert words in str(raised.value)


def test_a_csv_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes("image,color\na.png,señal\n".encode("latin-1"))
    with pytest.raises(PolyheadError, match=r"labels\.csv: is not UTF-8 text"):
        read_rows(recipe({"kind": "csv"}, "color"), tmp_path / "labels.csv")


@pytest.mark.parametrize(
    ("source", "data", "words"),
    [
        ({"kind": "files", "pattern": "{color}"}, "gone", "gone: there is no such folder or file"),
        ({"kind": "files", "pattern": "{color}"}, "empty", "empty: there is no image in it"),
        ({"kind": "folders", "pattern": "{color}"}, "empty", "empty: there is no image in it"),
        (
            {"kind": "files", "pattern": "{color}"},
            "labels.csv",
            "labels.csv: is a file; this recipe reads labels from names",
        ),
        ({"kind": "csv"}, "empty", "data.source.file: is missing"),
        ({"kind": "csv", "file": "other.csv"}, "empty", "data.source.file: there is no file"),
        ({"kind": "csv", "file": "labels.csv"}, "second.csv", "data.source.file: is labels.csv, but"),
        ({"kind": "csv", "file": "labels.csv", "separator": '"'}, ".", "data.source.separator: '\"' cannot separate"),
    ],
)
def test_data_that_is_not_there_is_one_clear_line(tmp_path: Path, source: Any, data: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("labels.csv", "second.csv"):
        (tmp_path / name).write_text("image,color\na.png,red\n", encoding="utf-8")
    with pytest.raises(PolyheadError) as raised:
        read_rows(recipe(source, "color"), tmp_path / data)
    assert words in str(raised.value)


def test_a_group_that_the_pattern_lacks_is_named(tmp_path: Path) -> None:
    draw(tmp_path, "red_1.png")
    with pytest.raises(PolyheadError, match=r"data\.split\.group: 'person' is not a field of data\.source\.pattern"):
        read_rows(recipe({"kind": "files", "pattern": "{color}_{}"}, "color", split={"group": "person"}), tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("image,color\na.png,red\n".encode("utf-16"), "labels.csv: is UTF-16 text; save it in UTF-8"),
        (b"image,color\na.png,r\0d\n", "labels.csv line 2: holds a NUL"),
        (b'image,color\na.png,"red\nb.png,red\n', "line 2: is not CSV: a quote is opened and never closed"),
        (('image,color\na.png,"' + "x" * 200_000).encode(), "line 2: is not CSV: a cell is longer than 131,072"),
        (("image,color\na.png," + "x" * 2**24).encode(), "line 2: is longer than 16,777,216 characters"),
        (b"image,color,color\na.png,red,red\n", "tasks.color: 'color' is twice a column of labels.csv"),
    ],
)
def test_a_file_that_is_no_csv_is_told_with_its_line(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    trunk = {"blocks": [{"filters": 4}]}
    values = {"name": "x", "data": {"source": {"kind": "csv", "file": "labels.csv"}}, "network": {"trunk": trunk}}
    recipe = check_recipe(values | {"tasks": {"color": {"kind": "categorical"}}}, "recipe")
    with pytest.raises(PolyheadError) as error:
        read_table(recipe, tmp_path, SILENT)
    assert words in str(error.value)


def test_a_pipe_is_no_file_of_labels(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "labels.csv")
    with pytest.raises(PolyheadError, match="cannot be read: is not a regular file"):
        list(read_lines(tmp_path / "labels.csv", ","))


@pytest.mark.parametrize(
    ("task", "text", "words"),
    [
        ({"kind": "regression"}, "1e300", "expected a number that 32 bits can hold, 3.4e+38 at most; got 1e300"),
        ({"kind": "categorical"}, "a\x1b[2J", "a name may not hold a control character"),
        ({"kind": "categorical"}, "x" * 5000, "a name has 200 characters at most"),
    ],
)
def test_what_no_answer_could_say_is_no_label(task: dict[str, str], text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        KINDS[task["kind"]].model_validate(task).read(text)
