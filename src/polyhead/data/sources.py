"""From where labels stand (names of files, names of folders, a CSV file) to rows of text. Knows no task's meaning."""

import csv
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from polyhead.data.images import find_images
from polyhead.errors import PolyheadError
from polyhead.recipe import CsvSource, FilesSource, FoldersSource, Recipe, nearest, pattern_fields

Wanted = Mapping[str, str]  # a source's column -> the recipe's key that asks for it
Rejected = list[tuple[str, str]]  # an image's path and the reason


@dataclass(frozen=True, eq=False)
class Rows:
    """What a source says, in the source's order.

    Attributes:
        paths: n images, each once: relative to the data's folder, with `/` on every system; absolute where the source
            says so and the image lies elsewhere.
        cells: (n, columns) text, one column for each wanted column of the source.
        rejected: images without a row, and why.
    """

    paths: list[str]
    cells: pd.DataFrame
    rejected: Rejected


def read_rows(recipe: Recipe, data: Path) -> Rows:
    """Read what the recipe's source says of the images in `data`, a folder or a CSV file.

    Raises:
        PolyheadError: there is nothing to read, or it lacks a column that the recipe asks for.
    """
    source = recipe.data.source
    rows = READERS[source.kind](source, data, wanted_columns(recipe))
    if not rows.paths and not rows.rejected:
        raise PolyheadError(f"{data}: there is no image in it; check data.path or --data")
    return rows


def data_folder(data: Path) -> Path:
    """The folder that images' paths are relative to: `data` itself, or the one around a CSV file.

    Raises:
        PolyheadError: there is no such folder or file.
    """
    if not data.exists():
        raise PolyheadError(f"{data}: there is no such folder or file; check data.path or --data")
    return data if data.is_dir() else data.parent


def wanted_columns(recipe: Recipe) -> dict[str, str]:
    """The source's columns that the recipe asks for, each with the first key that does."""
    wanted: dict[str, str] = {}
    for name, task in recipe.tasks.items():
        for column in task.columns(name):
            wanted.setdefault(column, f"tasks.{name}")
    for key in ("column", "group"):
        if named := getattr(recipe.data.split, key):
            wanted.setdefault(named, f"data.split.{key}")
    if recipe.data.weight:
        wanted.setdefault(recipe.data.weight, "data.weight")
    return wanted


def read_files(source: FilesSource, data: Path, wanted: Wanted) -> Rows:
    """Labels from the names of image files, each without its last suffix."""
    return _read_names(data, source, wanted, lambda path: path.stem)


def read_folders(source: FoldersSource, data: Path, wanted: Wanted) -> Rows:
    """Labels from the names of as many folders above each image as the pattern has levels."""
    levels = source.pattern.count("/") + 1
    return _read_names(data, source, wanted, lambda path: "/".join(path.parent.parts[-levels:]))


def _read_names(
    data: Path, source: FilesSource | FoldersSource, wanted: Wanted, name_of: Callable[[PurePath], str]
) -> Rows:
    if data_folder(data) != data:
        raise PolyheadError(f"{data}: is a file; this recipe's labels stand in names, so give the folder of the images")
    _check_columns(wanted, pattern_fields(source.pattern), "a field of data.source.pattern")
    read = _compile(source.pattern)
    paths: list[str] = []
    cells: list[list[str]] = []
    rejected: Rejected = []
    for path in (found.relative_to(data) for found in find_images(data)):
        text = path.as_posix()
        fields = read(name_of(path))
        if not _is_unicode(text):
            rejected.append((text.encode(errors="replace").decode(), "its name is not UTF-8; rename it"))
        elif fields is None:
            rejected.append((text, f"the name of its {source.kind[:-1]} is not like {source.pattern}"))
        else:
            paths.append(text)
            cells.append([fields[column] for column in wanted])
    return Rows(paths, pd.DataFrame(cells, columns=list(wanted), dtype=str), rejected)


def _compile(pattern: str) -> Callable[[str], dict[str, str] | None]:
    """A function from a name to the fields of the pattern in it, if it is like the pattern."""
    import parse

    # `parse` allows few letters in a field's name, so fields go by their place.
    names = re.findall(r"{([^{}]*)}", pattern)
    parser = parse.compile(re.sub(r"{[^{}]*}", "{}", pattern), case_sensitive=True)

    def read(name: str) -> dict[str, str] | None:
        found = parser.parse(name)
        return dict(zip(names, found.fixed, strict=True)) if found else None

    return read


def read_csv_rows(source: CsvSource, data: Path, wanted: Wanted) -> Rows:
    """Labels from a CSV file: one row an image."""
    file, root = find_csv(source, data), data_folder(data)
    lines = read_lines(file, source.separator)
    header = next(lines)
    # Literal text and names of columns in turn: `images/{id}.jpg` is "images/", "id", ".jpg".
    template = re.split("{([^{}]*)}", source.image) if "{" in source.image else ["", source.image, ""]
    _check_columns(
        dict.fromkeys(template[1::2], "data.source.image") | dict(wanted), header, f"a column of {file.name}"
    )
    parts = [header.index(text) if place % 2 else text for place, text in enumerate(template)]
    places = [header.index(column) for column in wanted]
    base = os.path.abspath(root)
    folders = dict.fromkeys((os.path.abspath(file.parent), base))
    cells: dict[str, list[str]] = {}
    rejected: Rejected = []
    for line in lines:
        texts = [line[part].strip() if isinstance(part, int) else part for part in parts]
        path = _find_image("".join(texts), folders, base) if all(texts[1::2]) else None
        if path is None:
            rejected.append(("".join(texts), "no such file" if all(texts[1::2]) else "its row names no image"))
        elif path in cells:
            rejected.append((path, "a row before this one is of the same image"))
        else:
            cells[path] = [sys.intern(line[place]) for place in places]  # few texts, in many rows
    return Rows(list(cells), pd.DataFrame(list(cells.values()), columns=list(wanted), dtype=str), rejected)


def find_csv(source: CsvSource, data: Path) -> Path:
    """The CSV file that the source means.

    Raises:
        PolyheadError: there is none, or the recipe and `data` name two.
    """
    root = data_folder(data)
    if source.file is None:
        if data.is_dir():
            raise PolyheadError(f"data.source.file: is missing; say which CSV file in {data} holds the labels")
        return data
    file = root / source.file
    if not file.is_file():
        raise PolyheadError(f"data.source.file: there is no file {file}")
    if not data.is_dir() and not file.samefile(data):
        raise PolyheadError(f"data.source.file: is {source.file}, but the data's path is the file {data}; give one")
    return file


def read_lines(file: Path, separator: str) -> Iterator[list[str]]:
    """The cells of a CSV file's header, then of each row; a row that stops early is filled up with blanks.

    Raises:
        PolyheadError: the file cannot be read, has no row, or a row is broken or too long.
    """
    if separator in '"\r\n':
        raise PolyheadError(f"data.source.separator: {separator!r} cannot separate columns; try ',' or ';'")
    header: list[str] = []
    rows = 0
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, delimiter=separator, strict=True)
            for cells in filter(None, reader):
                if header and len(cells) > len(header):
                    raise PolyheadError(
                        f"{file} line {reader.line_num}: {len(cells)} cells, but there are {len(header)} columns; "
                        f"put text that holds {separator!r} between double quotes"
                    )
                rows += bool(header)
                header = header or [name.strip() for name in cells]
                yield cells + [""] * (len(header) - len(cells)) if rows else header
    except csv.Error as error:
        raise PolyheadError(f"{file} line {reader.line_num}: is not CSV: {error}") from None
    except UnicodeDecodeError as error:
        raise PolyheadError(f"{file}: is not UTF-8 text ({error.reason}); save it as CSV in UTF-8") from None
    except OSError as error:
        raise PolyheadError(f"{file}: cannot be read: {error.strerror}") from None
    if not rows:
        raise PolyheadError(f"{file}: expected a line of column names and a row for each image; there is no row")


def _find_image(image: str, folders: Iterable[str], root: str) -> str | None:
    """The path to keep for an image that a CSV file names, if there is such a file below one of the folders."""
    for folder in folders:
        file = os.path.normpath(os.path.join(folder, image))
        if os.path.isfile(file):
            # A relative path stays relative even where it leaves the root, so that data can be moved as a whole.
            stays = os.path.isabs(image) and not Path(file).is_relative_to(root)
            return Path(file if stays else os.path.relpath(file, root)).as_posix()
    return None


def _check_columns(wanted: Wanted, columns: Iterable[str], words: str) -> None:
    columns = list(columns)
    for column, key in wanted.items():
        if columns.count(column) != 1:
            names = ", ".join(columns[:50]) + (" and more" if len(columns) > 50 else "")
            wrong = "is twice" if column in columns else "is not"
            raise PolyheadError(f"{key}: {column!r} {wrong} {words}; there are {names}{nearest(column, columns)}")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


READERS: dict[str, Callable[[Any, Path, Wanted], Rows]] = {
    "files": read_files,
    "folders": read_folders,
    "csv": read_csv_rows,
}
