"""Forty drawn images and their labels, in every form that labels come in."""

import csv
import datetime
import io
import json
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import datasets
import openpyxl
import pandas as pd
from PIL import Image

from polyhead.recipe.loading import check_recipe
from polyhead.recipe.schema import Recipe

Row = dict[str, Any]
DETAILS = [["dot"], ["dot", "bar"], [], ["bar"]]
TASKS: dict[str, dict[str, Any]] = {
    "color": {"kind": "categorical"},
    "striped": {"kind": "binary", "labels": ["false", "true"]},
    "details": {"kind": "multilabel"},
    "count": {"kind": "regression"},
    "length": {"kind": "regression"},
    "made": {"kind": "categorical"},
}
# Forty images: of some, a count is unknown, which must not make the others' 3 a 3.0.
ROWS: list[Row] = [
    {
        "image": f"images/{number:02}.png",
        "color": ("red", "blue")[number % 2],
        "striped": number % 3 == 0,
        "details": DETAILS[number % 4],
        "count": None if number % 5 == 0 else number,
        "length": None if number % 7 == 0 else number + 0.25,
        "made": datetime.date(2026, 1, 1 + number % 4),
    }
    for number in range(40)
]


def as_text(cell: Any) -> str:
    if isinstance(cell, list):
        return "|".join(cell) or "none"
    return "" if cell is None else str(cell).lower() if isinstance(cell, bool) else str(cell)


def texts() -> list[dict[str, str]]:
    return [{name: as_text(cell) for name, cell in row.items()} for row in ROWS]


def plain() -> list[Row]:
    """What JSON can hold."""
    return [row | {"made": str(row["made"])} for row in ROWS]


def write_csv(file: Path, separator: str = ",") -> None:
    file.parent.mkdir(exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(ROWS[0]), delimiter=separator)
        writer.writeheader()
        writer.writerows(texts())


def write_excel(file: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(list(ROWS[0]))
    for row in ROWS:
        sheet.append([as_text(cell) if isinstance(cell, list) else cell for cell in row.values()])
    book.save(file)


def write_sqlite(file: Path) -> None:
    database = sqlite3.connect(file)
    database.execute("CREATE TABLE labels (image, color, striped, details, count INTEGER, length REAL, made)")
    for row in texts():
        database.execute("INSERT INTO labels VALUES (?, ?, ?, ?, NULLIF(?, ''), NULLIF(?, ''), ?)", list(row.values()))
    database.commit()
    database.close()


def write_label_studio(file: Path) -> None:
    tasks = []
    for row in plain():
        results = [
            {"from_name": name, "type": "choices", "value": {"choices": [as_text(row[name])]}}
            for name in ("color", "striped", "made")
        ]
        results.append({"from_name": "details", "type": "choices", "value": {"choices": row["details"]}})
        results += [
            {"from_name": name, "type": "number", "value": {"number": row[name]}}
            for name in ("count", "length")
            if row[name] is not None
        ]
        address = f"/data/local-files/?d={row['image']}"
        tasks.append({"id": 1, "data": {"image": address}, "annotations": [{"result": results}], "predictions": []})
    file.write_text(json.dumps(tasks))


def write_coco(file: Path) -> None:
    categories = [{"id": 7, "name": "blue"}, {"id": 3, "name": "red"}]
    images = [{"id": number, "file_name": row["image"]} for number, row in enumerate(ROWS)]
    annotations = [
        {
            "id": number,
            "image_id": number,
            "category_id": 3 if row["color"] == "red" else 7,
            "bbox": [0, 0, 4, 4],
            "attributes": {name: cell for name, cell in row.items() if name not in ("image", "color")},
        }
        for number, row in enumerate(plain())
    ]
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def write_cvat(file: Path) -> None:
    lines = ["<?xml version='1.0' encoding='utf-8'?>", "<annotations><version>1.1</version><meta/>"]
    for number, row in enumerate(texts()):
        attributes = "".join(
            f'<attribute name="{name}">{escape(text)}</attribute>'
            for name, text in row.items()
            if name not in ("image", "color")
        )
        lines.append(f'<image id="{number}" name="{row["image"]}" width="8" height="8">')
        lines.append(f'<tag label="{row["color"]}" source="manual">{attributes}</tag></image>')
    file.write_text("\n".join([*lines, "</annotations>"]), encoding="utf-8")


def write_parquet(file: Path) -> None:
    frame = pd.DataFrame(plain()).astype({"count": "Int32", "length": "float32"})
    frame.to_parquet(file, index=False)


def rename(file_name: str, write: Callable[[Path], None]) -> Callable[[Path], None]:
    """An image folder of Hugging Face: `metadata.*` beside the images, which it names by `file_name`."""

    def write_metadata(file: Path) -> None:
        write(file)
        if file.suffix == ".csv":
            file.write_text(file.read_text().replace("image,", "file_name,", 1).replace("images/", ""))
        elif file.suffix == ".jsonl":
            file.write_text(file.read_text().replace('"image": "images/', f'"{file_name}": "'))
        else:
            frame = pd.read_parquet(file).rename(columns={"image": file_name})
            frame[file_name] = frame[file_name].str.removeprefix("images/")
            frame.to_parquet(file, index=False)

    return write_metadata


def write_lines(file: Path) -> None:
    file.write_text("\n".join(json.dumps(row) for row in plain()))


def write_json(file: Path) -> None:
    file.write_text(json.dumps(plain()))


def write_parquet_with_images(file: Path) -> None:
    """As Hugging Face's `datasets` writes one: each image is in its cell, with its name."""
    rows = [
        row | {"image": {"bytes": (file.parent / row["image"]).read_bytes(), "path": row["image"]}} for row in plain()
    ]
    pd.DataFrame(rows).astype({"count": "Int64"}).to_parquet(file, index=False)


def write_arrow_with_images(file: Path) -> None:
    """As `datasets.save_to_disk` keeps one."""
    rows = [row | {"image": str(file.parent.parent / row["image"])} for row in plain()]
    made = datasets.Dataset.from_list(rows).cast_column("image", datasets.Image())
    features = made.features.copy()
    features["color"] = datasets.ClassLabel(names=["blue", "red"])
    made = made.map(lambda row: row | {"color": row["color"] == "red"}, features=features, load_from_cache_file=False)
    made.save_to_disk(file.parent)


def write_blobs(file: Path) -> None:
    write_sqlite(file)
    database = sqlite3.connect(file)
    for row in ROWS:
        content = (file.parent / row["image"]).read_bytes()
        database.execute("UPDATE labels SET image = ? WHERE image = ?", (content, row["image"]))
    database.commit()
    database.close()


def write_shard(file: Path) -> None:
    """As WebDataset has it: an image, and its labels under the same name."""
    with tarfile.open(file, "w") as archive:
        for row in plain():
            archive.add(file.parent / row["image"], arcname=row["image"])
            content = json.dumps({name: cell for name, cell in row.items() if name != "image"}).encode()
            member = tarfile.TarInfo(row["image"].replace(".png", ".json"))
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


FILE_NAME = {"image": "file_name"}
CASES: dict[str, tuple[str, Callable[[Path], None], dict[str, Any]]] = {
    "csv": ("labels.csv", write_csv, {}),
    "tsv": ("labels.tsv", lambda file: write_csv(file, "\t"), {}),
    "excel": ("labels.xlsx", write_excel, {}),
    "json": ("labels.json", write_json, {}),
    "json-of-pandas": ("labels.json", lambda file: pd.DataFrame(plain()).to_json(file), {}),
    "json-lines": ("labels.jsonl", write_lines, {}),
    "parquet": ("labels.parquet", write_parquet, {}),
    "feather": ("labels.feather", lambda file: pd.DataFrame(plain()).to_feather(file), {}),
    "sqlite": ("labels.db", write_sqlite, {}),
    "image-folder-csv": ("images/metadata.csv", rename("file_name", write_csv), FILE_NAME),
    "image-folder-lines": ("images/metadata.jsonl", rename("file_name", write_lines), FILE_NAME),
    "image-folder-parquet": ("images/metadata.parquet", rename("file_name", write_parquet), FILE_NAME),
    "label-studio": ("export.json", write_label_studio, {}),
    "coco": ("annotations/instances_default.json", write_coco, {}),
    "cvat": ("annotations.xml", write_cvat, {}),
}
INSIDE: dict[str, tuple[str, Callable[[Path], None]]] = {  # where the images are in the label file
    "parquet": ("labels.parquet", write_parquet_with_images),
    "datasets-on-disk": ("kept/data-00000-of-00001.arrow", write_arrow_with_images),
    "sqlite": ("labels.db", write_blobs),
    "webdataset": ("shard.tar", write_shard),
}
COLUMNS = {"coco": {"color": "category"}, "cvat": {"color": "label"}}  # what they call the first task


def draw(root: Path) -> None:
    (root / "images").mkdir()
    for shade, row in enumerate(ROWS):
        Image.new("RGB", (8, 8), (shade, 0, 0)).save(root / row["image"])


def recipe(form: str, source: dict[str, Any]) -> Recipe:
    columns = COLUMNS.get(form, {})
    tasks = {name: keys | ({"column": columns[name]} if name in columns else {}) for name, keys in TASKS.items()}
    trunk = {"blocks": [{"filters": 4}]}
    return check_recipe({"name": form, "data": {"source": source}, "tasks": tasks, "network": {"trunk": trunk}}, form)
