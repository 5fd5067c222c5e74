"""Labels from CelebA's list of attributes, as text or as CSV."""

import os
import sys
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from polyhead.data.images.decode import find_images
from polyhead.data.sources.rows import (
    NO_FILE,
    Rejected,
    RequestedColumns,
    Rows,
    check_columns,
    data_folder,
    find_label_file,
)
from polyhead.data.sources.text_files import find_repeated, open_lines, read_records
from polyhead.errors import PolyheadError, shorten
from polyhead.recipe.schema import CelebaSource

FILES = ("list_attr_celeba.txt", "list_attr_celeba.csv")


def read_celeba(source: CelebaSource, data: Path, requested: RequestedColumns) -> Rows:
    """The attributes of each image as the list has them: `1` or `-1`.

    Images that are in the list but not in the folder are rejected, and so are those only in the folder.
    """
    file, known = find_label_file(source.file, data, FILES), _find_images(source, data_folder(data))
    lines = _read_list(file)
    names = next(lines)
    try:
        check_columns(requested, _choose(source, names, file), f"an attribute of {file.name}")
    except PolyheadError:
        lines.close()  # which closes the file; the traceback would keep it open
        raise
    indices = [names.index(column) + 1 for column in requested]
    cells: dict[str, list[str]] = {}
    rejected: Rejected = []
    for line in lines:
        path = known.get(line[0], "")
        if not path:
            rejected.append(((PurePosixPath(source.images) / line[0]).as_posix(), NO_FILE))
        elif path in cells:
            rejected.append((path, "a row before this one is of the same image"))
        else:
            cells[path] = [sys.intern(line[index]) for index in indices]  # few texts, in many rows
    unlisted = dict.fromkeys(path for path in known.values() if path not in cells)
    rejected += [(path, f"is not in {file.name}") for path in unlisted]
    return Rows(list(cells), pd.DataFrame(list(cells.values()), columns=list(requested), dtype=str), rejected)


def list_celeba_texts(source: CelebaSource, data: Path) -> tuple[Path, dict[str, Sequence[str]]]:
    """The list, and the attributes that the source keeps; their texts are up to the task."""
    file = find_label_file(source.file, data, FILES)
    return file, dict.fromkeys(_choose(source, next(_read_list(file)), file), ())


def _choose(source: CelebaSource, names: Sequence[str], file: Path) -> list[str]:
    for key in ("keep", "drop"):
        check_columns(dict.fromkeys(getattr(source, key), f"data.source.{key}"), names, f"an attribute of {file.name}")
    drop, keep = set(source.drop), set(source.keep)
    return [name for name in names if name not in drop and (not keep or name in keep)]


def _find_images(source: CelebaSource, root: Path) -> dict[str, str]:
    """The paths of the folder's images from the root, by their path in the folder and by unique file names."""
    folder = root / source.images
    if not os.path.isdir(folder):
        raise PolyheadError(f"data.source.images: there is no folder {folder}")
    inside = [path.as_posix().removeprefix(f"{folder.as_posix()}/") for path in find_images(folder)]
    start = "" if folder == root else f"{PurePosixPath(source.images)}/"
    paths = {path: f"{start}{path}" for path in inside}
    name_counts = Counter(path.rpartition("/")[2] for path in inside)
    return {name: paths[path] for path in inside if name_counts[name := path.rpartition("/")[2]] == 1} | paths


def _read_list(file: Path) -> Generator[list[str], None, None]:
    """The names of the attributes; then, for each image, its name and its values.

    Raises:
        PolyheadError: the number of names, values or rows is not what the list says.
    """
    rows = _read_csv(file) if file.suffix.lower() == ".csv" else _read_text(file)
    number, names = next(rows)
    twice = find_repeated(names)
    if not names or twice is not None:
        fault = "expected the names of the attributes"
        if twice is not None:
            fault = f"the attribute {shorten(twice, 60)!r} is named twice"
        raise PolyheadError(f"{file} line {number}: {fault}")
    yield names
    for number, cells in rows:
        if len(cells) != len(names) + 1:
            raise PolyheadError(
                f"{file} line {number}: expected an image and {len(names)} values, one per attribute; got "
                f"{len(cells) - 1} values"
            )
        yield cells


def _read_csv(file: Path) -> Iterator[tuple[int, list[str]]]:
    rows = read_records(file)
    for number, cells in rows:
        yield number, [cell.strip() for cell in cells[1:]]
        break
    else:
        raise PolyheadError(f"{file}: expected a line of the attributes' names; the file is empty")
    for number, cells in rows:
        yield number, [cells[0].strip(), *cells[1:]]


def _read_text(file: Path) -> Iterator[tuple[int, list[str]]]:
    with open_lines(file) as lines:
        count = next(lines, "").strip()
        if not (count.isdecimal() and len(count) < 20):
            raise PolyheadError(f"{file} line 1: expected the number of images; got {shorten(count, 60)!r}")
        yield 2, next(lines, "").split()
        rows = 0
        for number, line in enumerate(lines, 3):
            if cells := line.split():
                rows += 1
                yield number, cells
    if rows != int(count):
        raise PolyheadError(
            f"{file} line 1: says {int(count):,} images, but {rows:,} rows follow; get the whole file or mend the line"
        )
