"""Labels from a label file: one row per image and one column per task; or, in long form, one row per image and task."""

import glob
import os
import re
import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pandas as pd

from polyhead.data.images.kept import keep_image
from polyhead.data.sources.addresses import is_address
from polyhead.data.sources.file_names import compile_pattern
from polyhead.data.sources.forms.cells import read_image, read_path, read_text
from polyhead.data.sources.forms.reading import open_label_file
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
from polyhead.errors import PolyheadError
from polyhead.recipe.schema import CsvSource, LongForm, TableSource, pattern_fields

NOT_FETCHED = "is an address, and data.source.fetch names no host to fetch images from"
LabelSource: TypeAlias = CsvSource | TableSource


class Line(NamedTuple):
    """A row of the file: its number, its cells, the image it names, and the image's path or why there is none."""

    number: int
    cells: Sequence[object]
    image: str
    path: str
    reason: str


@dataclass
class _Cells:
    """Texts of cells; those that cannot be text are noted as mistakes, and blank."""

    mistakes: list[Entry] = field(default_factory=list)

    def read(self, line: Line, column: str, cell: object) -> str:
        try:
            return sys.intern(read_text(cell))  # few texts, in many rows
        except ValueError as error:
            self.mistakes.append(Entry(line.path, column, "", line.number, str(error)))
            return ""


def read_label_file(source: LabelSource, data: Path, requested: RequestedColumns) -> Rows:
    """Labels from a file, or from all files of a pattern, in the form that the source declares."""
    if source.long:
        return _gather_long(source, source.long, data, requested)
    return _read_wide(source, data, requested)


def list_label_columns(source: LabelSource, data: Path) -> list[str]:
    """The names of the file's columns.

    Raises:
        PolyheadError: there is no such file, or it is not of its form.
    """
    header, lines = open_label_files(source, data)
    lines.close()  # which closes the file
    return header


def _read_wide(source: LabelSource, data: Path, requested: RequestedColumns) -> Rows:
    header, lines = _read_images(source, data, requested)
    indices = [header.index(column) for column in requested]
    read = _Cells()
    cells: dict[str, list[str]] = {}
    rejected: Rejected = []
    for line in lines:
        if line.reason:
            rejected.append((line.image, line.reason))
        elif line.path in cells:
            rejected.append((line.path, "a row before this one is of the same image"))
        else:
            cells[line.path] = [
                read.read(line, column, line.cells[index]) for column, index in zip(requested, indices, strict=True)
            ]
    table = pd.DataFrame(list(cells.values()), columns=list(requested), dtype=str)
    return Rows(list(cells), table, rejected, read.mistakes)


def _gather_long(source: LabelSource, long: LongForm, data: Path, requested: RequestedColumns) -> Rows:
    by_task = {column: key for column, key in requested.items() if key.startswith("tasks.")}
    others = {column: key for column, key in requested.items() if column not in by_task}  # the split, the group
    keys = {long.task: "data.source.long.task", long.label: "data.source.long.label"}
    header, found = _read_images(source, data, keys | others)
    read = _Cells()
    task, label = header.index(long.task), header.index(long.label)
    lines = [(line, read.read(line, long.task, line.cells[task]).strip()) for line in found]
    tasks = dict.fromkeys(column for _, column in lines)
    check_columns(by_task, filter(None, tasks), f"a task in the column {long.task} of {name_file(source, data)}")
    entries: list[Entry] = []
    rejected: dict[tuple[str, str], None] = {}  # an image with several rows is listed once
    for line, column in lines:
        if column not in by_task:
            continue
        if line.reason:
            rejected[line.image, line.reason] = None
            continue
        entries.append(Entry(line.path, column, read.read(line, column, line.cells[label]).strip(), line.number))
        for name in others:
            text = read.read(line, name, line.cells[header.index(name)]).strip()
            entries.append(Entry(line.path, name, text, line.number))
    entries += read.mistakes
    rows = gather_entries(entries, Path(name_file(source, data)), requested, list(rejected))
    for mistake in rows.mistakes:
        if mistake.column in others:
            raise PolyheadError(f"{others[mistake.column]}: {mistake.path}: {mistake.reason}")
    return rows


def name_file(source: LabelSource, data: Path) -> str:
    """What the file, or the pattern of files, is called in messages."""
    return Path(source.file).name if source.file else data.name


def _read_images(source: LabelSource, data: Path, columns: RequestedColumns) -> tuple[list[str], Iterator[Line]]:
    """The header, which has the columns and those of the image's path; then each row with its image."""
    header, lines = open_label_files(source, data)
    # Literal text and names of columns in turn: `images/{id}.jpg` is "images/", "id", ".jpg".
    template = re.split("{([^{}]*)}", source.image) if "{" in source.image else ["", source.image, ""]
    requested = dict.fromkeys(template[1::2], "data.source.image") | dict(columns)
    try:
        check_columns(requested, header, f"a column of {name_file(source, data)}")
    except PolyheadError:
        lines.close()  # which closes the file; the traceback would keep it open
        raise
    parts = [header.index(text) if index % 2 else text for index, text in enumerate(template)]
    base = os.path.abspath(data_folder(data))

    folders: dict[Path, Iterable[str]] = {}  # by label file: where its images may be

    def find(number: int, cells: Sequence[object], file: Path) -> Line:
        if len(template) == 3 and not template[0] + template[2] and (held := read_image(cells[int(parts[1])])):
            return _keep(number, cells, *held)
        texts = [read_path(cells[part]) if isinstance(part, int) else part for part in parts]
        image, named = "".join(texts), all(texts[1::2])
        if is_address(image):
            return Line(number, cells, image, image if source.fetch else "", "" if source.fetch else NOT_FETCHED)
        if file not in folders:
            folders[file] = dict.fromkeys((os.path.abspath(file.parent), base))
        path = find_image(image, folders[file], base) if named else None
        return Line(number, cells, image, path or "", "" if path else NO_FILE if named else NO_NAME)

    return header, (find(*line) for line in lines)


def _keep(number: int, cells: Sequence[object], content: bytes, name: str) -> Line:
    """A row whose image is in its cell, and then in a file of its own."""
    try:
        return Line(number, cells, name, keep_image(content, name).as_posix(), "")
    except ValueError as error:
        return Line(number, cells, name or f"row {number}", "", str(error))


def open_label_files(
    source: LabelSource, data: Path
) -> tuple[list[str], Generator[tuple[int, Sequence[object], Path], None, None]]:
    """The names of the first file's columns and of the pattern's fields; then each row: its number, cells and file.

    Raises:
        PolyheadError: there is no such file, or it is not of its form.
    """
    files = _find_files(source, data)
    table = source.table if isinstance(source, TableSource) else None
    separator = source.separator if isinstance(source, CsvSource) else None
    file, fields = files[0]
    rows = open_label_file(file, table, separator)
    _, cells = next(rows)
    header = [str(name) for name in cells]

    def read() -> Generator[tuple[int, Sequence[object], Path], None, None]:
        with closing(rows):
            for number, cells in rows:
                yield number, [*cells, *fields.values()] if fields else cells, file
        for other, found in files[1:]:
            with closing(open_label_file(other, table, separator)) as more:
                _, names = next(more)
                places = [names.index(name) if name in names else None for name in header]
                for number, cells in more:
                    ordered = [None if place is None else cells[place] for place in places]
                    yield number, [*ordered, *found.values()], other

    return [*header, *fields], read()


def _find_files(source: LabelSource, data: Path) -> list[tuple[Path, dict[str, str]]]:
    """The file, or the files that a pattern such as `{split}/metadata.csv` matches, each with its fields."""
    if not source.file or not pattern_fields(source.file) or isinstance(source, CsvSource):
        return [(find_label_file(source.file, data), {})]
    if os.path.isabs(source.file) or ".." in Path(source.file).parts:
        raise PolyheadError(f"data.source.file: a pattern is for files in the data's folder; got {source.file}")
    root, read = data_folder(data), compile_pattern(source.file)
    parts = [glob.escape(part) for part in re.split("{[^{}]*}", source.file)]
    found = []
    for path in sorted(root.glob(re.sub(r"\*+", "*", "*".join(parts)))):  # of two fields side by side, one star
        fields = read(path.relative_to(root).as_posix())
        if fields is not None and path.is_file():
            found.append((path, {name: text for name, text in fields.items() if name}))
    if not found:
        raise PolyheadError(f"data.source.file: no file in {root} is called like {source.file}")
    return found
