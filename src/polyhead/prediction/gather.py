"""Finds image files: from files, folders, patterns, and label files that list them."""

import glob
import os
import re
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from polyhead.data.images.decode import find_images, looks_like_image
from polyhead.data.images.kept import keep_image
from polyhead.data.sources.addresses import is_address
from polyhead.data.sources.archives import is_archive, unpack_archive
from polyhead.data.sources.forms.cells import read_image, read_path
from polyhead.data.sources.forms.reading import LABEL_SUFFIXES, open_label_file
from polyhead.errors import PolyheadError, list_words

COLUMNS = ("image", "path", "file", "file_name")  # possible names of a label file's column of images
LISTS = tuple(suffix for suffix in LABEL_SUFFIXES if suffix != ".txt")


class Files(NamedTuple):
    """Image files, and a folder that contains all of them."""

    paths: list[Path]
    root: Path


def gather_files(given: Sequence[str | Path]) -> Files:
    """The image files, in the order given; those of a folder are sorted.

    Args:
        given: files; folders, and zip and tar files of folders, for all images in and below them; patterns such as
            `photos/**/*.jpg`; label files (CSV, Excel, JSON, Parquet, ...) with a column `image`, `path`, `file` or
            `file_name`, whose paths are relative to the file's folder.

    Raises:
        PolyheadError: there is no such file, or no image in it.
    """
    found: list[Path] = []
    roots: set[Path] = set()
    for words in given:
        path = Path(words)
        if os.path.isdir(path):
            files = find_images(path)
            roots.add(path)
        elif is_archive(path):
            roots.add(unpack_archive(path))
            files = find_images(unpack_archive(path))
        elif path.suffix.lower() in LISTS and os.path.isfile(path):
            files = _read_list(path)
            roots |= {path.parent, *(file.parent for file in files)}
        elif os.path.lexists(path) or not glob.has_magic(str(words)):
            if not os.path.lexists(path):
                raise PolyheadError(f"{path}: no such file or folder")
            files = [path]
            roots.add(path.parent)
        else:
            files = [Path(name) for name in sorted(_expand(str(words))) if _is_image(name)]
            roots |= {file.parent for file in files}
        if not files:
            there = os.path.lexists(path)
            raise PolyheadError(f"{path}: there is no image in it" if there else f"{path}: matches no image")
        found += files
    return Files(found, Path(os.path.commonpath([os.path.abspath(root) for root in roots])))


def name_images(images: Sequence[str | Path], root: Path) -> list[str]:
    """The images' paths from a folder that contains them, with `/`, as a table of labels names them."""
    return [Path(os.path.abspath(image)).relative_to(root).as_posix() for image in images]


def _expand(pattern: str) -> list[str]:
    try:
        return glob.glob(pattern, recursive=True)
    except (OSError, ValueError, re.error) as error:
        raise PolyheadError(f"{pattern}: is not a valid pattern: {error}") from None


def _is_image(name: str) -> bool:
    return not os.path.isdir(name) and looks_like_image(Path(name))


def _read_list(path: Path) -> list[Path]:
    """The images that a label file of any form names, whether or not they are there."""
    rows = open_label_file(path)
    with closing(rows):
        _, header = next(rows)
        column = next((name for name in COLUMNS if name in header), None)
        if column is None:
            raise PolyheadError(
                f"{path}: expected a column {', '.join(COLUMNS[:-1])} or {COLUMNS[-1]}; "
                f"its columns are {list_words(str(name) for name in header)}"
            )
        place = list(header).index(column)
        return [image for number, cells in rows if (image := _find_listed(cells[place], path, number))]


def _find_listed(cell: object, file: Path, number: int) -> Path | None:
    if held := read_image(cell):
        try:
            return keep_image(*held)
        except ValueError as error:
            raise PolyheadError(f"{file} row {number}: {error}") from None
    text = read_path(cell)
    if is_address(text):
        raise PolyheadError(f"{file} row {number}: {text} is an address; predict reads files: fetch it first")
    return file.parent / text if text else None
