"""Text becomes labels, what cannot be used is left out and listed, and a written table is read back equal."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from polyhead.data.table import WEIGHT, Dataset, Table, load_dataset, read_csv, read_table, reopen_dataset, write_csv
from polyhead.errors import PolyheadError
from polyhead.progress import SILENT
from polyhead.recipe.loading import check_recipe
from polyhead.recipe.schema import Recipe

TASKS: dict[str, Any] = {
    "age": {"kind": "regression", "minimum": 0},
    "gender": {"kind": "binary", "values": {0: "male", 1: "female"}, "blank": ["?"]},
}


def recipe(tasks: dict[str, Any] = TASKS, **data: Any) -> Recipe:
    raw = {
        "name": "test",
        "data": {"source": {"kind": "csv", "file": "labels.csv"}, "split": {"test": 0, "valid": 0}, **data},
        "image": {"size": [8, 8]},
        "tasks": tasks,
        "network": {"trunk": {"blocks": [{"filters": 4}]}},
    }
    return check_recipe(raw, "test")


def write(root: Path, *rows: str, header: str = "image,age,gender") -> Path:
    """A CSV file of these rows, and an image of its own for each."""
    for shade, row in enumerate(rows):
        Image.new("RGB", (8, 8), (shade, 0, 0)).save(root / row.split(",")[0])
    (root / "labels.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    return root


def listed(table: Table) -> list[tuple[str, ...]]:
    return [tuple(row) for row in table.rejected.itertuples(index=False)]


def labels(table: Table) -> dict[str, tuple[str, str]]:
    return {
        path: (age, sex) for path, age, sex in zip(*(table.frame[c] for c in ("path", "age", "gender")), strict=True)
    }


def test_labels_are_mapped_and_blanks_stay_unknown(tmp_path: Path) -> None:
    table = read_table(recipe(), write(tmp_path, "b.png, 3 ,1", "a.png,,0", "c.png,7,?"), SILENT)
    assert labels(table) == {"a.png": ("", "male"), "b.png": ("3", "female"), "c.png": ("7", "")}
    assert (list(table.frame.columns), listed(table)) == (["path", "split", "content", "age", "gender"], [])


def test_a_text_that_is_no_label_blanks_that_one_label_and_is_listed(tmp_path: Path) -> None:
    table = read_table(recipe(), write(tmp_path, "a.png,-4,1", "b.png,5,2"), SILENT)
    assert labels(table) == {"a.png": ("", "female"), "b.png": ("5", "")}
    assert listed(table) == [
        ("a.png", "age", "-4", "expected a number from 0 to inf; got -4"),
        ("b.png", "gender", "2", "expected 0, 1; got '2'"),
    ]


def test_a_row_goes_when_no_label_remains_and_is_listed_once(tmp_path: Path) -> None:
    table = read_table(recipe(), write(tmp_path, "a.png,x,?", "b.png,,", "c.png,1,1"), SILENT)
    assert list(table.frame["path"]) == ["c.png"]
    assert listed(table) == [
        ("a.png", "", "", "no label remains; age: expected a number; got 'x'"),
        ("b.png", "", "", "has no label"),
    ]


def test_rows_weights_are_numbers_of_0_or_more_and_1_where_blank(tmp_path: Path) -> None:
    rows = ("a.png,5,1,0.5", "b.png,5,1, ", "c.png,5,1,-1", "d.png,5,1,nan", "e.png,5,1,much", "f.png,5,1,0")
    table = read_table(recipe(weight="trust"), write(tmp_path, *rows, header="image,age,gender,trust"), SILENT)
    assert dict(zip(table.frame["path"], table.frame[WEIGHT], strict=True)) == {
        "a.png": "0.5",
        "b.png": "1",
        "f.png": "0",
    }
    assert listed(table) == [
        (path, "", "", f"its weight is not a number from 0 to 1,000,000,000: {text!r}")
        for path, text in (("c.png", "-1"), ("d.png", "nan"), ("e.png", "much"))
    ]
    write_csv(table, tmp_path)
    assert read_csv(tmp_path, tmp_path).frame.equals(table.frame)


def test_a_column_of_weights_that_is_not_there_is_told_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(
        PolyheadError, match=r"data\.sample_weight: 'trust' is not a column of labels\.csv; there are image, age"
    ):
        read_table(recipe(weight="trust"), write(tmp_path, "a.png,5,1"), SILENT)


def test_a_task_of_several_columns_reads_them_together(tmp_path: Path) -> None:
    rows = write(tmp_path, "a.png,1,-1", "b.png,,1", "c.png,2,1", "d.png,0,0", header="image,hat,beard")
    table = read_table(recipe({"looks": {"kind": "multilabel", "from_columns": ["beard", "hat"]}}), rows, SILENT)
    assert dict(zip(table.frame["path"], table.frame["looks"], strict=True)) == {
        "a.png": "hat",
        "b.png": "beard|?hat",
        "d.png": "none",
    }
    assert listed(table)[0][:3] == ("c.png", "", "")


def test_a_written_table_is_read_back_equal(tmp_path: Path) -> None:
    rows = ['"comma, quote "" and\r\nline.png",1,0', "ünïcødé 猫.png,NA,1", "b.png,,1", "c.png,x,?"]
    names = ['comma, quote " and\r\nline.png', "ünïcødé 猫.png", "b.png", "c.png"]
    for shade, name in enumerate(names):
        Image.new("RGB", (8, 8), (shade, 0, 0)).save(tmp_path / name)
    (tmp_path / "labels.csv").write_text("\n".join(["image,age,gender", *rows]), encoding="utf-8")
    table = load_dataset(recipe(max_rejected=1), tmp_path, SILENT).table
    out = tmp_path / "out"
    out.mkdir()
    write_csv(table, out)
    again = read_csv(out, tmp_path / "labels.csv")
    assert (again.root, len(table.frame), len(table.rejected)) == (tmp_path, 3, 2)
    assert again.frame.equals(table.frame)
    assert again.rejected.equals(table.rejected)
    assert sorted(file.name for file in out.iterdir()) == ["rejected.csv", "table.csv"]


def test_names_that_are_no_text_are_left_out_and_listed_as_text(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number}_1.png")
    os.rename(tmp_path / "0_1.png", os.fsencode(tmp_path) + b"/\xff\x1b\n_1.png")
    source = {"kind": "files", "pattern": "{}_{age}"}
    table = read_table(recipe({"age": {"kind": "categorical"}}, source=source), tmp_path, SILENT)
    write_csv(table, tmp_path)
    assert listed(read_csv(tmp_path, tmp_path)) == [(r"\udcff\x1b\n_1.png", "", "", "its name is not UTF-8; rename it")]


@pytest.mark.parametrize("text", [None, "", "a,b\n1,2\n"])
def test_a_table_that_is_none_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "table.csv").write_text(text, encoding="utf-8")
    with pytest.raises(PolyheadError, match=r"table\.csv: (cannot be read|is not a table)"):
        read_csv(tmp_path, tmp_path)


def ten(root: Path, broken: int) -> Path:
    """Ten labelled images, the first of which are cut off in the middle."""
    write(root, *(f"{number}.png,{number},{number % 2}" for number in range(10)))
    for number in range(broken):
        file = root / f"{number}.png"
        file.write_bytes(file.read_bytes()[:40])
    return root


def test_a_truncated_image_is_named_and_left_out(tmp_path: Path) -> None:
    dataset = load_dataset(recipe(max_rejected=0.1), ten(tmp_path, 1), SILENT)
    assert [(path, task) for path, task, _, _ in listed(dataset.table)] == [("0.png", "")]
    assert list(dataset.table.frame["path"]) == [f"{number}.png" for number in range(1, 10)]
    assert dataset.table.frame["content"].str.fullmatch("[0-9a-f]{32}").all()


def test_pixels_belong_to_their_rows(tmp_path: Path) -> None:
    dataset = load_dataset(recipe(max_rejected=0.2), ten(tmp_path, 2), SILENT)
    rows = np.array([7, 0])  # 9.png and 2.png, each as red as its number
    assert dataset.pixels(rows).shape == (2, 8, 8, 3)
    assert dataset.pixels(rows)[:, 0, 0, 0].tolist() == [9, 2]


def test_too_many_unusable_images_refuse_to_train_with_counts_and_reasons(tmp_path: Path) -> None:
    root = ten(tmp_path, 2)
    with (root / "labels.csv").open("a", encoding="utf-8") as file:
        file.write("\ngone.png,1,1\nlost.png,1,1\n3.png,1,1\n")
    with pytest.raises(PolyheadError) as raised:
        load_dataset(recipe(), root, SILENT)
    message = str(raised.value)
    assert "5 of 13 images cannot be used" in message
    assert "2 x no such file (such as gone.png)" in message
    assert "1 x a row before this one is of the same image (such as 3.png)" in message
    assert "data.max_rejected allows 0.05" in message
    assert "data.max_rejected=0.39 trains" in message  # 5/13 is .385
    assert len(load_dataset(recipe(max_rejected=0.39), root, SILENT).table.frame) == 8


def test_why_no_label_remains_is_told_where_training_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.png,x,", "b.png,1,0")
    with pytest.raises(PolyheadError) as raised:
        load_dataset(recipe(), tmp_path, SILENT)
    assert "1 x no label remains (such as a.png; age: expected a number; got 'x')" in str(raised.value)


def test_to_look_at_data_it_need_not_be_fit_to_train(tmp_path: Path) -> None:
    unfit = recipe(split={"test": 0.01})  # of ten images, none
    with pytest.raises(PolyheadError, match=r"data\.split\.test"):
        load_dataset(unfit, ten(tmp_path, 0), SILENT)
    dataset = load_dataset(unfit, ten(tmp_path, 9), SILENT, check=False)
    assert (list(dataset.table.frame["split"]), len(dataset.table.rejected)) == ([""], 9)
    with pytest.raises(PolyheadError, match="10 of 10 images cannot be used"):
        load_dataset(unfit, ten(tmp_path, 10), SILENT, check=False)


def split_dataset(root: Path) -> Dataset:
    return load_dataset(recipe(split={"test": 0.2, "valid": 0.25}), ten(root, 0), SILENT)


def test_rows_of_a_split_are_all_its_rows(tmp_path: Path) -> None:
    dataset = split_dataset(tmp_path)
    rows = [dataset.rows_of(split) for split in ("train", "valid", "test", "unseen")]
    assert [len(part) for part in rows] == [6, 2, 2, 0]
    assert sorted(np.concatenate(rows)) == list(range(10))


def test_a_stored_table_opens_the_same_images_in_the_same_splits(tmp_path: Path) -> None:
    dataset = split_dataset(tmp_path)
    again = reopen_dataset(recipe(), dataset.table, SILENT)
    assert again.table.frame.equals(dataset.table.frame)
    assert np.array_equal(again.pixels(np.arange(10)), dataset.pixels(np.arange(10)))


@pytest.mark.parametrize(
    ("change", "words"), [("swap", "is not the image that the run began with"), ("remove", "No such")]
)
def test_a_stored_table_refuses_images_that_changed(tmp_path: Path, change: str, words: str) -> None:
    table = split_dataset(tmp_path).table
    if change == "swap":
        (tmp_path / "4.png").write_bytes((tmp_path / "5.png").read_bytes())
    else:
        (tmp_path / "4.png").unlink()
    with pytest.raises(PolyheadError, match=rf"4\.png: .*{words}"):
        reopen_dataset(recipe(), table, SILENT)
