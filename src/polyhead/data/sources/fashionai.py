"""Labels from FashionAI's `label.csv`: no header, one row per image and attribute, one letter per class."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

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
from polyhead.data.sources.text_files import read_records
from polyhead.errors import PolyheadError, shorten
from polyhead.recipe.schema import FashionaiSource

FILES = ("Annotations/label.csv", "label.csv")  # where the published data set has it, and beside the folder of images


class Line(NamedTuple):
    """A row of the file."""

    number: int
    image: str
    attribute: str
    letters: str


def read_fashionai(source: FashionaiSource, data: Path, requested: RequestedColumns) -> Rows:
    """The index of the letter `y`, from 0, as the text of each image and attribute.

    A row with other letters, with no `y` or two, or of another length than most rows of its attribute is a mistake.
    Rows of attributes that are not requested are ignored.
    """
    file, root = find_label_file(source.file, data, FILES), os.path.abspath(data_folder(data))
    lines, rejected = _read_file(file)
    classes = _count_classes(lines)
    check_columns(requested, classes, f"an attribute of {file.name}")
    # The published data set names its images relative to the folder above the file's.
    folders = dict.fromkeys((os.path.abspath(file.parent), os.path.abspath(file.parent.parent), root))
    entries = []
    missing: dict[tuple[str, str], None] = {}  # an image with several rows is listed once
    for line in lines:
        if line.attribute not in requested:
            continue
        path = find_image(line.image, folders, root) if line.image else None
        if path is None:
            missing[line.image, NO_FILE if line.image else NO_NAME] = None
            continue
        text, reason = _read_letters(line.letters, classes[line.attribute])
        entries.append(Entry(path, line.attribute, text, line.number, reason))
    return gather_entries(entries, file, requested, rejected + list(missing))


def list_fashionai_texts(source: FashionaiSource, data: Path) -> tuple[Path, dict[str, Sequence[str]]]:
    """The file, and for each of its attributes the texts that it can have: the indices of its classes."""
    file = find_label_file(source.file, data, FILES)
    lines, _ = _read_file(file)
    return file, {name: [str(index) for index in range(count)] for name, count in _count_classes(lines).items()}


def is_fashionai(file: Path) -> bool:
    """Whether the first row of a file looks like FashionAI's."""
    try:
        _, cells = next(read_records(file))
    except (PolyheadError, StopIteration):
        return False
    return len(cells) == 3 and not _find_fault(cells[2].strip())


def _read_file(file: Path) -> tuple[list[Line], Rejected]:
    lines: list[Line] = []
    rejected: Rejected = []
    for number, cells in read_records(file):
        if len(cells) > 3:
            reason = f"expected an image, an attribute and letters; got {len(cells)} cells ({file.name} line {number})"
            rejected.append((cells[0].strip(), reason))
        else:
            image, attribute, letters = (cell.strip() for cell in [*cells, "", ""][:3])
            lines.append(Line(number, image, attribute, letters))
    if not lines:
        raise PolyheadError(f"{file}: expected rows such as Images/collar/1.jpg,collar,nnynn; there is none")
    return lines, rejected


def _count_classes(lines: Sequence[Line]) -> dict[str, int]:
    """How many letters most of the valid rows of each attribute have; 0 if none is valid."""
    lengths: dict[str, Counter[int]] = {}
    for line in lines:
        found = lengths.setdefault(line.attribute, Counter())
        if not _find_fault(line.letters):
            found[len(line.letters)] += 1
    return {name: found.most_common(1)[0][0] if found else 0 for name, found in lengths.items()}


def _find_fault(letters: str) -> str:
    if not letters or set(letters) - set("ynm"):
        return f"expected letters y, n and m; got {shorten(letters, 60)!r}"
    return "" if letters.count("y") == 1 else f"expected one y; got {shorten(letters, 60)!r}"


def _read_letters(letters: str, classes: int) -> tuple[str, str]:
    """The index of the `y` as text (`m`, maybe, counts as no); or the letters and what is wrong with them."""
    fault = _find_fault(letters)
    if not fault and len(letters) != classes:
        fault = f"expected {classes} letters, as in the other rows of its attribute; got {shorten(letters, 60)!r}"
    return letters if fault else str(letters.index("y")), fault
