"""One set in every form that labels come in: equal tables; and what is broken is one line."""

import json
import re
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import openpyxl
import pandas as pd
import pytest
from ruamel.yaml import YAML

from drawn_labels import (
    CASES,
    COLUMNS,
    INSIDE,
    ROWS,
    TASKS,
    draw,
    plain,
    recipe,
    write_csv,
    write_excel,
    write_shard,
    write_sqlite,
)
from polyhead.data.images.cache import clear_caches
from polyhead.data.images.kept import clear_kept
from polyhead.data.inspect.proposal import propose_recipe
from polyhead.data.sources.columns import list_columns
from polyhead.data.sources.reading import read_rows
from polyhead.data.table import Table, load_dataset, read_table, reopen_dataset
from polyhead.errors import PolyheadError, require
from polyhead.progress import SILENT
from polyhead.recipe.loading import check_recipe


def expected(root: Path) -> Table:
    write_csv(root / "expected.csv")
    return read_table(recipe("csv", {"kind": "csv", "file": "expected.csv"}), root, SILENT)


@pytest.mark.parametrize("form", CASES)
def test_one_set_in_every_form_gives_equal_tables(tmp_path: Path, form: str) -> None:
    draw(tmp_path)
    wanted = expected(tmp_path)
    name, write, keys = CASES[form]
    (tmp_path / name).parent.mkdir(exist_ok=True)
    write(tmp_path / name)
    source = {"kind": "table", "file": name} | keys
    found = read_table(recipe(form, source), tmp_path, SILENT)
    assert len(found.frame) == 40
    pd.testing.assert_frame_equal(found.frame, wanted.frame)
    assert found.rejected.equals(wanted.rejected)
    assert {"length", "details"} <= set(list_columns(recipe(form, source), tmp_path))


@pytest.mark.parametrize("form", CASES)
def test_a_recipe_is_proposed_for_every_form(tmp_path: Path, form: str) -> None:
    draw(tmp_path)
    name, write, _ = CASES[form]
    (tmp_path / name).parent.mkdir(exist_ok=True)
    write(tmp_path / name)
    proposed = [propose_recipe(tmp_path)]
    if "/" not in name:
        proposed.append(propose_recipe(tmp_path / name))
    for text in proposed:
        read = check_recipe(YAML(typ="safe", pure=True).load(text), "proposal")
        kinds = {task.column or name: task.kind for name, task in read.tasks.items()}
        color = COLUMNS.get(form, {}).get("color", "color")
        assert {name: kinds.get(name) for name in (color, "striped", "details", "length")} == {
            color: "binary",
            "striped": "binary",
            "details": "multilabel",
            "length": "regression",
        }
        assert len(read_rows(read, tmp_path).paths) == 40


def zip_bomb(file: Path) -> None:
    """A file that says that it unpacks to more than a gigabyte."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("xl/workbook.xml", "x")
        archive.filelist[0].file_size = 2**30 + 1


def endless_view(file: Path) -> None:
    database = sqlite3.connect(file)
    database.execute(
        "CREATE VIEW labels AS WITH RECURSIVE n(image) AS (SELECT 1 UNION ALL SELECT image + 1 FROM n) "
        "SELECT image, image AS color FROM n WHERE image < 0"
    )
    database.commit()
    database.close()


def two_tables(file: Path) -> None:
    write_sqlite(file)
    database = sqlite3.connect(file)
    database.execute("CREATE TABLE makers (name)")
    database.commit()
    database.close()


def write(content: str | bytes) -> Callable[[Path], None]:
    def write_content(file: Path) -> None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    return write_content


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("POLYHEAD_CACHE", str(folder))
    return folder


@pytest.mark.parametrize("form", INSIDE)
def test_images_inside_a_label_file_give_an_equal_table(tmp_path: Path, cache: Path, form: str) -> None:
    draw(tmp_path)
    wanted = by_content(expected(tmp_path))
    name, write = INSIDE[form]
    (tmp_path / name).parent.mkdir(exist_ok=True)
    write(tmp_path / name)
    (tmp_path / "expected.csv").unlink()
    shutil.rmtree(tmp_path / "images")
    read = recipe(form, {"kind": "table", "file": name})
    table = read_table(read, tmp_path, SILENT)
    assert by_content(table) == wanted
    assert table.rejected.empty
    assert all(Path(path).is_relative_to(cache / "files") for path in table.frame["path"])
    proposed = check_recipe(YAML(typ="safe", pure=True).load(propose_recipe(tmp_path)), "proposal")
    assert {"color", "striped", "details", "length"} <= set(proposed.tasks)
    assert len(read_rows(proposed, tmp_path).paths) == 40


def test_a_dataset_of_the_hub_is_read_as_it_is_downloaded(tmp_path: Path, cache: Path) -> None:
    draw(tmp_path)
    (tmp_path / "data").mkdir()
    classes = datasets.ClassLabel(names=["red", "blue"])
    features = datasets.Features({"image": datasets.Image(), "label": classes, "length": datasets.Value("float32")})
    for part, start, end in (("train", 0, 16), ("train", 16, 30), ("test", 30, 40)):
        rows = [
            {
                "image": {"bytes": (tmp_path / row["image"]).read_bytes(), "path": row["image"]},
                "label": number % 2,
                "length": row["length"],
            }
            for number, row in list(enumerate(ROWS))[start:end]
        ]
        name = f"{part}-{start // 16 if part == 'train' else 0:05}-of-{2 if part == 'train' else 1:05}.parquet"
        datasets.Dataset.from_list(rows, features=features).to_parquet(tmp_path / "data" / name)
    shutil.rmtree(tmp_path / "images")
    read = check_recipe(YAML(typ="safe", pure=True).load(propose_recipe(tmp_path)), "proposal")
    assert read.data.source.model_dump(exclude_defaults=True) == {"file": "data/{split}-{}-of-{}.parquet"}
    assert {name: task.kind for name, task in read.tasks.items()} == {"label": "binary", "length": "regression"}
    table = read_table(read, tmp_path, SILENT)
    assert table.frame["split"].value_counts().to_dict() == {"train": 30, "test": 10}
    assert set(table.frame["label"]) == {"red", "blue"}


def by_content(table: Table) -> dict[bytes, list[str]]:
    return {(table.root / row["path"]).read_bytes(): [row[name] for name in TASKS] for _, row in table.frame.iterrows()}


def test_kept_images_come_back_after_the_cache_was_cleared(tmp_path: Path, cache: Path) -> None:
    draw(tmp_path)
    write_shard(tmp_path / "shard.tar")
    read = recipe("shard", {"kind": "table", "file": "shard.tar"})
    read = read.model_copy(update={"data": read.data.model_copy(update={"path": str(tmp_path)})})
    dataset = load_dataset(read, tmp_path, SILENT)
    assert clear_kept(cache) > 0
    assert clear_caches(cache) > 0
    again = reopen_dataset(read, dataset.table, SILENT)
    assert (again.pixels(np.arange(40)) == dataset.pixels(np.arange(40))).all()


ENTITY = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">]><annotations><image name="&a;"/></annotations>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotations><image name="&a;"/></annotations>'
COCO_OF_NOTHING = {"images": [{"id": 1}], "annotations": [{"image_id": 2, "category_id": 1}], "categories": []}


@pytest.mark.parametrize(
    ("name", "make", "told"),
    [
        ("labels.xlsx", write("no zip"), "is no .xlsx file; save it"),
        ("labels.xlsx", write(b"PK\3\4" + bytes(100)), "is no .xlsx file; save it"),
        ("labels.xlsx", zip_bomb, "unpacks to 1,073,741,825 bytes"),
        ("labels.json", write("{"), "is not JSON: "),
        ("labels.json", write("[" * 100_000), "is nested too deeply"),
        ("labels.json", write("3"), "expected records, such as"),
        ("labels.json", write(b"\xff\xfe\xfd"), "is not UTF-8 text"),
        ("labels.json", write('{"image": ["a.png"], "color": []}'), "expected as many values in each of its lists"),
        ("labels.json", write('{"a": [{"image": 1}], "b": [{"image": 1}]}'), "name one"),
        ("labels.json", write(json.dumps(COCO_OF_NOTHING)), "annotation 1 is of the image 2, which is not in it"),
        ("labels.json", write('[{"data": {}, "annotations": []}]'), "task 1: expected `data` and `annotations`"),
        ("labels.json", write(json.dumps([{f"c{n}": 1 for n in range(10_001)}])), "more than 10,000 different keys"),
        ("labels.jsonl", write('{"image": 1}\n[1]'), "line 2: expected a record such as"),
        ("labels.jsonl", write('{"image": 1}\n{'), "line 2: is not JSON"),
        ("labels.jsonl", write(""), "expected a record for each image; there is none"),
        ("labels.parquet", write("PAR1, or not"), "is broken, or no such file"),
        ("labels.arrow", write("ARROW1, or not"), "is broken, or no such file"),
        ("labels.db", write("no database"), "is no SQLite database"),
        ("labels.db", write(b"SQLite format 3\0" + bytes(200)), "cannot be read as an SQLite database"),
        ("labels.db", endless_view, "a query in it takes too long"),
        ("labels.db", two_tables, "data.source.table: is missing; labels.db has the tables labels, makers; name one"),
        ("labels.xml", write(ENTITY), "declares a document type"),
        ("labels.xml", write(OUTSIDE), "declares a document type"),
        ("labels.xml", write("<a><b></a>"), "is no XML that CVAT exports: mismatched tag"),
        ("labels.xml", write("<a/>"), "it has no image"),
        ("labels.tar", write("no archive"), "cannot be read as a tar file"),
        ("labels.docx", write("x"), "expected a label file that ends in .csv"),
    ],
)
def test_what_is_broken_is_one_line(tmp_path: Path, name: str, make: Callable[[Path], None], told: str) -> None:
    make(tmp_path / name)
    with pytest.raises(PolyheadError, match=re.escape(told)) as caught:
        read_rows(recipe("broken", {"kind": "table", "file": name}), tmp_path)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_a_file_of_another_form_is_told_by_what_it_is(tmp_path: Path) -> None:
    write_sqlite(tmp_path / "labels.csv")
    with pytest.raises(PolyheadError, match=r"labels.csv: is SQLite, not CSV; say `kind: table`.*suffix of that form"):
        read_rows(recipe("csv", {"kind": "csv", "file": "labels.csv"}), tmp_path)


def test_a_database_is_left_as_it_was_and_not_read_past_what_is_in_it(tmp_path: Path) -> None:
    draw(tmp_path)
    write_sqlite(tmp_path / "labels.db")
    before = (tmp_path / "labels.db").read_bytes()
    read = recipe("sqlite", {"kind": "table", "file": "labels.db"})
    assert len(read_rows(read, tmp_path).paths) == 40
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "labels.db"]
    assert (tmp_path / "labels.db").read_bytes() == before
    (tmp_path / "labels.db-wal").write_bytes(b"newer rows")
    with pytest.raises(PolyheadError, match=r"stands in labels\.db-wal alone; close the program"):
        read_rows(read, tmp_path)


def test_a_cell_that_is_no_label_is_a_mistake_of_its_row(tmp_path: Path) -> None:
    draw(tmp_path)
    rows = [row | {"color": ["a|b"]} if number == 3 else row for number, row in enumerate(plain())]
    (tmp_path / "labels.json").write_text(json.dumps(rows))
    table = read_table(recipe("json", {"kind": "table", "file": "labels.json"}), tmp_path, SILENT)
    assert len(table.frame) == 40
    assert table.rejected[["path", "task", "reason"]].to_numpy().tolist() == [
        ["images/03.png", "color", "a label of a list may not hold '|'; got 'a|b'"]
    ]


def test_a_file_for_each_split_is_one_source(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        draw(tmp_path / split)
        (tmp_path / split / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in plain()))
    read = check_recipe(YAML(typ="safe", pure=True).load(propose_recipe(tmp_path)), "proposal")
    assert read.data.source.model_dump(exclude_defaults=True) == {"file": "{split}/metadata.jsonl"}
    assert read.data.split.column == "split"
    table = read_table(read, tmp_path, SILENT)
    assert table.frame.groupby("split").size().to_dict() == {"test": 40, "train": 40}


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("/etc/{x}.csv", "data.source.file: a pattern is for files in the data's folder; got /etc/{x}.csv"),
        ("../{x}.csv", "data.source.file: a pattern is for files in the data's folder"),
        ("{x}/{y}.csv", "is called like {x}/{y}.csv"),
        ("{x}{y}.csv", "is called like {x}{y}.csv"),
        ("{x}**[a].csv", "is called like"),
        ("{x.csv", "data.source.file: there is no file"),
    ],
)
def test_a_pattern_that_finds_nothing_is_one_line(tmp_path: Path, pattern: str, told: str) -> None:
    with pytest.raises(PolyheadError, match=re.escape(told)):
        read_rows(recipe("pattern", {"kind": "table", "file": pattern}), tmp_path)


def test_a_missing_library_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_excel(tmp_path / "labels.xlsx")
    monkeypatch.setattr("polyhead.errors.find_spec", lambda name: None)
    require.cache_clear()
    try:
        with pytest.raises(PolyheadError, match=r"reading labels.xlsx needs openpyxl: pip install 'polyhead\[excel\]'"):
            read_rows(recipe("excel", {"kind": "table", "file": "labels.xlsx"}), tmp_path)
    finally:
        require.cache_clear()


def test_the_sheet_with_labels_is_found(tmp_path: Path) -> None:
    draw(tmp_path)
    write_excel(tmp_path / "labels.xlsx")
    book = openpyxl.load_workbook(tmp_path / "labels.xlsx")
    book.create_sheet("notes", 0).append(["who", "what"])
    book.save(tmp_path / "labels.xlsx")
    read = check_recipe(YAML(typ="safe", pure=True).load(propose_recipe(tmp_path)), "proposal")
    assert read.data.source.model_dump(exclude_defaults=True) == {"file": "labels.xlsx", "table": "Sheet"}


def test_class_labels_of_hugging_face_have_their_names(tmp_path: Path) -> None:
    draw(tmp_path)
    features = datasets.Features(
        {"image": datasets.Value("string"), "color": datasets.ClassLabel(names=["red", "blue"])}
    )
    rows = datasets.Dataset.from_list([{"image": row["image"], "color": number % 2} for number, row in enumerate(ROWS)])
    rows.cast(features).to_parquet(tmp_path / "labels.parquet")
    read = recipe("parquet", {"kind": "table", "file": "labels.parquet"})
    read = read.model_copy(update={"tasks": {"color": read.tasks["color"]}})
    assert read_rows(read, tmp_path).cells["color"].tolist() == [row["color"] for row in ROWS]
