"""Labels from a CSV file: one row per image and one column per task; or, in long form, one row per image and task."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from polyhead.data.sources.long_form import gather_entries
from polyhead.data.sources.rows import (
    NO_FILE,
    NO_NAME,
    Entry,
    Rejected,
    RequestedColumns,
    Rows,
    check_columns,
    data_folder,
    find_image,
    find_label_file,
)
from polyhead.data.sources.text_files import read_lines
from polyhead.errors import PolyheadError
from polyhead.recipe.schema import CsvSource, LongForm


class Line(NamedTuple):
    """A row of the file: its line number, its cells, the image it names, and the image's path or why there is none."""

    number: int
    cells: list[str]
    image: str
    path: str
    reason: str


def read_csv_rows(source: CsvSource, data: Path, requested: RequestedColumns) -> Rows:
    """Labels from a CSV file, in the form that the source declares."""
    file = find_label_file(source.file, data)
    if source.long:
        return _gather_long(source, source.long, file, data, requested)
    return _read_wide(source, file, data, requested)


def list_csv_columns(source: CsvSource, data: Path) -> list[str]:
    """The names at the head of the file.

    Raises:
        PolyheadError: there is no such file, or it is no CSV.
    """
    lines = read_lines(find_label_file(source.file, data), source.separator)
    header = next(lines)[1]
    lines.close()  # which closes the file
    return header


def _read_wide(source: CsvSource, file: Path, data: Path, requested: RequestedColumns) -> Rows:
    header, lines = _read_images(source, file, data, requested)
    indices = [header.index(column) for column in requested]
    cells: dict[str, list[str]] = {}
    rejected: Rejected = []
    for line in lines:
        if line.reason:
            rejected.append((line.image, line.reason))
        elif line.path in cells:
            rejected.append((line.path, "a row before this one is of the same image"))
        else:
            cells[line.path] = [sys.intern(line.cells[index]) for index in indices]  # few texts, in many rows
    return Rows(list(cells), pd.DataFrame(list(cells.values()), columns=list(requested), dtype=str), rejected)


def _gather_long(source: CsvSource, long: LongForm, file: Path, data: Path, requested: RequestedColumns) -> Rows:
    by_task = {column: key for column, key in requested.items() if key.startswith("tasks.")}
    others = {column: key for column, key in requested.items() if column not in by_task}  # the split, the group
    keys = {long.task: "data.source.long.task", long.label: "data.source.long.label"}
    header, found = _read_images(source, file, data, keys | others)
    task, label = header.index(long.task), header.index(long.label)
    lines = list(found)
    tasks = dict.fromkeys(line.cells[task].strip() for line in lines)
    check_columns(by_task, filter(None, tasks), f"a task in the column {long.task} of {file.name}")
    entries: list[Entry] = []
    rejected: dict[tuple[str, str], None] = {}  # an image with several rows is listed once
    for line in lines:
        column = line.cells[task].strip()
        if column not in by_task:
            continue
        if line.reason:
            rejected[line.image, line.reason] = None
            continue
        entries.append(Entry(line.path, column, line.cells[label].strip(), line.number))
        entries += [Entry(line.path, name, line.cells[header.index(name)].strip(), line.number) for name in others]
    rows = gather_entries(entries, file, requested, list(rejected))
    for mistake in rows.mistakes:
        if mistake.column in others:
            raise PolyheadError(f"{others[mistake.column]}: {mistake.path}: {mistake.reason}")
    return rows


def _read_images(
    source: CsvSource, file: Path, data: Path, columns: RequestedColumns
) -> tuple[list[str], Iterator[Line]]:
    """The header, which has the columns and those of the image's path; then each row with its image."""
    lines = read_lines(file, source.separator)
    _, header = next(lines)
    # Literal text and names of columns in turn: `images/{id}.jpg` is "images/", "id", ".jpg".
    template = re.split("{([^{}]*)}", source.image) if "{" in source.image else ["", source.image, ""]
    requested = dict.fromkeys(template[1::2], "data.source.image") | dict(columns)
    try:
        check_columns(requested, header, f"a column of {file.name}")
    except PolyheadError:
        lines.close()  # which closes the file; the traceback would keep it open
        raise
    parts = [header.index(text) if index % 2 else text for index, text in enumerate(template)]
    base = os.path.abspath(data_folder(data))
    folders = dict.fromkeys((os.path.abspath(file.parent), base))

    def find(number: int, cells: list[str]) -> Line:
        texts = [cells[part].strip() if isinstance(part, int) else part for part in parts]
        image, named = "".join(texts), all(texts[1::2])
        path = find_image(image, folders, base) if named else None
        return Line(number, cells, image, path or "", "" if path else NO_FILE if named else NO_NAME)

    return header, (find(number, cells) for number, cells in lines)
