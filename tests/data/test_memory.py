"""Tables in memory become label files and images: what is in a cell, and what cannot be."""

import csv
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from polyhead.data.images.decode import decode
from polyhead.data.sources.given import read_memory
from polyhead.data.sources.memory import MemoryTable, Wish, tell_cell, write_memory
from polyhead.errors import PolyheadError

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8))


def encode(image: Image.Image, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def read_table(frame: Any) -> MemoryTable:
    table = read_memory(frame)
    assert table is not None
    return table


def write(frame: pd.DataFrame, folder: Path, **columns: str) -> list[dict[str, str]]:
    """The rows of the label file that is written of a frame."""
    table = read_table(frame)
    write_memory(table, folder, Wish(table.find_images(), columns))
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, ""),
        (float("nan"), ""),
        (np.float32("nan"), ""),
        (pd.NA, ""),
        (pd.NaT, ""),
        ("  ", ""),
        ("red", "red"),
        (np.str_("red"), "red"),
        (3, "3"),
        (3.0, "3"),
        (np.int64(3), "3"),
        (np.float32(0.1), "0.1"),
        (-2.5, "-2.5"),
        (True, "true"),
        (np.bool_(False), "false"),
        (["dot", "bar"], "dot|bar"),
        (np.array(["dot", None], object), "dot"),
        ({"b", "a"}, "a|b"),
        ((1, 2.0), "1|2"),
        ([], "none"),
        (pd.Timestamp("2024-05-01"), "2024-05-01 00:00:00"),
    ],
)
def test_a_cell_is_the_text_that_a_file_would_hold(cell: object, text: str) -> None:
    assert tell_cell(cell) == text


def test_every_kind_of_image_is_one_that_reads_as_it_was(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "here.png")
    turned = PICTURE.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    png = encode(PICTURE, "PNG")
    images = [
        *(tmp_path / "here.png", str(tmp_path / "here.png"), png, bytearray(png), {"bytes": png, "path": "x.png"}),
        *({"bytes": None, "path": str(tmp_path / "here.png")}, PICTURE, np.asarray(PICTURE)),
        Image.open(io.BytesIO(encode(turned, "PNG", exif=exif))),
    ]
    rows = write(pd.DataFrame({"photo": images, "color": "red"}), tmp_path / "data", color="|")
    assert [row["color"] for row in rows] == ["red"] * len(images)
    whole = decode(tmp_path / "here.png", (12, 10), "stretch")
    for row in rows:
        assert (decode(tmp_path / "data" / row["photo"], (12, 10), "stretch") == whole).all()
    assert [os.path.isabs(row["photo"]) for row in rows] == [True, True, *[False] * 3, True, *[False] * 3]


def test_a_relative_path_is_that_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (row,) = write(pd.DataFrame({"path": ["a/b.jpg"]}), tmp_path / "data")
    assert row["path"] == str(tmp_path / "a/b.jpg")


def test_broken_bytes_are_written_as_they_are_and_a_blank_names_no_image(tmp_path: Path) -> None:
    frame = pd.DataFrame({"image": [b"\xff\xd8\xffno image", b"", None, float("nan")]})
    rows = write(frame, tmp_path)
    assert [row["image"] for row in rows] == ["images/000000.jpeg", "images/000001.unknown", "", ""]
    assert (tmp_path / "images/000000.jpeg").read_bytes() == b"\xff\xd8\xffno image"


def test_columns_that_nobody_asks_for_are_kept_where_they_are_text(tmp_path: Path) -> None:
    frame = pd.DataFrame({"image": [b""], "mask": [PICTURE], "place": ['a "b"\n, c'], "nul": ["a\0b"]})
    (row,) = write(frame.assign(lines=["x\ry"]), tmp_path)
    assert row == {"image": "images/000000.unknown", "mask": "", "place": 'a "b"\n, c', "nul": "", "lines": "x\ry"}


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (b"red", "row 1, column color: expected text, a number, or a list of them; got bytes"),
        ({"a": 1}, "row 1, column color: expected text, a number, or a list of them; got dict"),
        (PICTURE, "row 1, column color: expected text, a number, or a list of them; got Image"),
        ("a\0b", "row 1, column color: holds a NUL"),
        ("\ud800", "row 1, column color: is no Unicode text"),
        ("x" * 200_000, "row 1, column color: has 200,000 characters"),
        (["a|b"], "row 1, column color: a label of a list may not hold '|'; got 'a|b'"),
    ],
    ids=["bytes", "dict", "image", "NUL", "surrogate", "long", "separator"],
)
def test_a_label_that_is_none_is_named_by_row_and_column(cell: object, words: str, tmp_path: Path) -> None:
    with pytest.raises(PolyheadError) as error:
        write(pd.DataFrame({"image": [b"", b""], "color": ["red", cell]}), tmp_path, color="|")
    assert f"the DataFrame: {words}" in str(error.value)
    assert not (tmp_path / "labels.csv").exists()


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("a\0.png", "row 1, column image: the path holds a NUL"),
        (np.zeros((4, 4, 3)), "row 1, column image: expected an array of uint8"),
        (12, "row 1, column image: expected a path, bytes, a Pillow image or an array; got int"),
        (Image.open(io.BytesIO(encode(PICTURE, "PNG")[:150])), "row 1, column image: truncated"),
    ],
    ids=["NUL", "floats", "number", "truncated"],
)
def test_an_image_that_cannot_be_written_is_named_by_row_and_column(cell: object, words: str, tmp_path: Path) -> None:
    table = MemoryTable("the DataFrame", ["image"], lambda: iter([[b""], [cell]]))
    with pytest.raises(PolyheadError) as error:
        write_memory(table, tmp_path, Wish("image", {}))
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("columns", "named", "found"),
    [
        ({"color": ["red"], "photo": [b"x"]}, None, "photo"),
        ({"color": ["red"], "where": ["a/b.JPG"]}, None, "where"),
        ({"file": ["a.jpg"], "scan": [PICTURE]}, None, "scan"),
        ({"image": [PICTURE], "mask": [PICTURE]}, None, "image"),
        ({"image": [PICTURE], "mask": [PICTURE]}, "mask", "mask"),
        ({"scan": [None, {"bytes": b"x", "path": None}]}, "image", "scan"),
    ],
)
def test_the_column_of_images_is_seen_or_named(columns: dict[str, Any], named: str | None, found: str) -> None:
    assert read_table(pd.DataFrame(columns)).find_images(named) == found


@pytest.mark.parametrize(
    ("columns", "named", "words"),
    [
        ({"color": ["red"]}, None, "no column holds images in the DataFrame (color)"),
        ({"one": [b"x"], "two": [b"x"]}, None, "several columns hold images in the DataFrame (one, two)"),
        ({"one": [b"x"]}, "photo", "'photo' is no column of the DataFrame (one)"),
        ({"{a}": [b"x"]}, None, "without {"),
    ],
)
def test_a_column_of_images_that_cannot_be_told_is_asked_for(
    columns: dict[str, Any], named: str | None, words: str
) -> None:
    with pytest.raises(PolyheadError) as error:
        read_table(pd.DataFrame(columns)).find_images(named, must=True)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (pd.DataFrame({"image": []}), "the DataFrame has no row"),
        (12, "expected a path, a pandas DataFrame or a Hugging Face Dataset; got int"),
        (pd.Series(["a.png"]), "got Series"),
    ],
)
def test_what_is_no_table_is_refused(data: object, words: str) -> None:
    with pytest.raises(PolyheadError, match=words):
        read_memory(data)


@pytest.fixture
def parts() -> Any:
    """Hugging Face's datasets, which is no part of a small install."""
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    return datasets


def make_dataset(datasets: Any, count: int = 3) -> Any:
    features = datasets.Features(
        {
            "picture": datasets.Image(),
            "label": datasets.ClassLabel(names=["cat", "dog"]),
            "marks": datasets.Sequence(datasets.ClassLabel(names=["dot", "bar"])),
        }
    )
    rows = {
        "picture": [{"bytes": encode(PICTURE, "JPEG"), "path": None}] * count,
        "label": [0, -1, 1][:count],
        "marks": [[0, 1], [], None][:count],
    }
    return datasets.Dataset.from_dict(rows, features=features)


def test_a_dataset_gives_its_images_undecoded_and_its_labels_by_name(parts: Any, tmp_path: Path) -> None:
    table = read_table(make_dataset(parts))
    write_memory(table, tmp_path, Wish(table.find_images(), {"label": "|", "marks": "|"}))
    rows = pd.read_csv(tmp_path / "labels.csv", dtype=str, keep_default_na=False)
    assert rows["label"].tolist() == ["cat", "", "dog"]
    assert rows["marks"].tolist() == ["dot|bar", "none", ""]
    assert (tmp_path / rows["picture"][0]).read_bytes() == encode(PICTURE, "JPEG")


def test_the_parts_of_a_dataset_are_splits(parts: Any) -> None:
    whole = parts.DatasetDict({"train": make_dataset(parts), "validation": make_dataset(parts, 1)})
    table = read_table(whole)
    assert table.split == "split"
    assert [row[-1] for row in table.rows()] == ["train"] * 3 + ["valid"]
    with pytest.raises(PolyheadError, match="'unsupervised' is none of train, validation"):
        read_memory(parts.DatasetDict({"unsupervised": make_dataset(parts)}))
    with pytest.raises(PolyheadError, match="streaming=False"):
        read_memory(make_dataset(parts).to_iterable_dataset())
