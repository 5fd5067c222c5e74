"""Labelled images that a program holds: rows of cells, written into a folder as a label file that `csv.py` reads.

From there on they are files like any others: checked, cached, resumed and evaluated in the same way.
"""

import csv
import hashlib
import io
import math
import numbers
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from polyhead.data.images.decode import ImageError, from_array, make_upright
from polyhead.data.images.formats import HEAD, USUAL_SUFFIXES, detect_format
from polyhead.data.sources.text_files import LONGEST_CELL
from polyhead.errors import PolyheadError, list_words, shorten
from polyhead.files import find_path_fault, write_beside

LABELS = "labels.csv"  # the file of labels that is written
IMAGES = "images"  # the folder beside it of images that are in memory alone
USUAL = ("image", "images", "img", "picture", "photo", "path", "file", "filename", "file_name", "image_path")
LOOKED_AT = 100  # rows in which a column of images is looked for

ImageCell: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class MemoryTable:
    """Rows of cells that a program holds.

    Attributes:
        what: what it is, for messages, such as "the DataFrame".
        columns: their names.
        rows: gives the rows anew with each call, each as long as `columns`.
        images: the columns that are known to hold images; none where that has to be seen from their cells.
        split: the column that says each row's split, where there is one because the data came in parts.
    """

    what: str
    columns: Sequence[str]
    rows: Callable[[], Iterator[Sequence[object]]]
    images: Sequence[str] = ()
    split: str | None = None

    def find_images(self, named: str | None = None, must: bool = False) -> str:
        """The column of images: the one that is named, or else the one that its cells show.

        Args:
            must: whether it is to be the one that is named.

        Raises:
            PolyheadError: there is none, or one of several must be named.
        """
        if must and named and named not in self.columns:
            wrong, found = f"{shorten(named, 60)!r} is no column of", []
        elif named and named in self.columns:
            wrong, found = "", [named]
        else:
            found = list(self.images) or self._look_for_images()
            found = [next(name for name in USUAL if name in found)] if set(found) & set(USUAL) else found
            wrong = "several columns hold images in" if found else "no column holds images in"
        if len(found) == 1 and "{" not in found[0]:
            return found[0]
        raise PolyheadError(
            f"data.source.image: {wrong} {self.what} ({list_words(self.columns)}); name the column of paths, bytes, "
            "Pillow images or arrays, in a name without {"
        )

    def _look_for_images(self) -> list[str]:
        named: list[str] = []
        held: list[str] = []
        rows = [row for row, _ in zip(self.rows(), range(LOOKED_AT), strict=False)]
        for place, name in enumerate(self.columns):
            cells = [cell for row in rows if not is_blank(cell := row[place])]
            if cells and all(_holds_image(cell) or _names_image(cell) for cell in cells):
                (held if any(map(_holds_image, cells)) else named).append(name)
        return held or named

    def list_images(self, named: str | None = None) -> Iterator[ImageCell | None]:
        """The image of each row, in order; None where there is none."""
        place = list(self.columns).index(self.find_images(named))
        return (_read_image(row[place]) for row in self.rows())


@dataclass(frozen=True)
class Wish:
    """What is wanted of a table in memory.

    Attributes:
        image: the column of images.
        columns: those that the recipe asks for, each with what stands between the labels of one cell.
        by_content: whether equal images are to be one file, since several rows tell of each.
    """

    image: str
    columns: Mapping[str, str]
    by_content: bool = False


def write_memory(table: MemoryTable, folder: Path, wish: Wish) -> None:
    """Write `labels.csv` into a folder, last, and images that are in memory alone into `images/` beside it.

    A path stays one, made absolute. An image's bytes are written as they are, whatever they hold: what is wrong with
    them is found, and said, when they are read, as of any other file. Columns that nobody asks for are kept where
    they are text or numbers.

    Raises:
        PolyheadError: a cell cannot be written; with its row, counted from 0, and its column.
    """
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    with write_beside(folder / LABELS) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")  # for then it quotes both
        writer.writerow(table.columns)
        for number, row in enumerate(table.rows()):
            cells = []
            for name, cell in zip(table.columns, row, strict=True):
                try:
                    cells.append(_write_cell(cell, name, number, folder, wish))
                except (ValueError, ImageError) as error:
                    where = f"{table.what}: row {number}, column {shorten(name, 60)}"
                    raise PolyheadError(f"{where}: {error}") from None
            writer.writerow(cells)


def _write_cell(cell: object, name: str, number: int, folder: Path, wish: Wish) -> str:
    if name == wish.image:
        return check_text(_write_image(cell, number, folder, wish.by_content))
    if name in wish.columns:
        return check_text(tell_cell(cell, wish.columns[name]))
    try:
        return check_text(tell_cell(cell, "|"))
    except ValueError:  # nobody asked for it
        return ""


def tell_cell(cell: object, separator: str = "|") -> str:
    """A cell as the text that a label file would hold; blank where unknown.

    Whole numbers have no point (pandas makes 3 a 3.0 where another row is unknown), truths are `true` and `false`,
    several labels stand with the separator between them, `none` where there is none of them.

    Raises:
        ValueError: it is nothing that a label can be.
    """
    if is_blank(cell):
        return ""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, np.ndarray):
        cell = cell.tolist() if cell.ndim else cell.item()
    if isinstance(cell, set | frozenset):
        cell = sorted(cell, key=str)
    if isinstance(cell, list | tuple):
        labels = [tell_cell(inner, separator).strip() for inner in cell]
        for label in labels:
            if separator in label:
                raise ValueError(f"a label of a list may not hold {separator!r}; got {shorten(label, 60)!r}")
        return separator.join(filter(None, labels)) or "none"
    if isinstance(cell, bool | np.bool_):
        return "true" if cell else "false"
    if isinstance(cell, numbers.Real) and not isinstance(cell, numbers.Integral) and float(cell).is_integer():
        return str(int(float(cell)))
    if isinstance(cell, bytes | bytearray | memoryview | Mapping | Image.Image):
        raise ValueError(f"expected text, a number, or a list of them; got {type(cell).__name__}")
    return str(cell)


def is_blank(cell: object) -> bool:
    """Whether a cell says nothing: None, NaN, pandas's NA and NaT, a blank text."""
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return True
    if isinstance(cell, float | np.floating):
        return math.isnan(cell)
    return type(cell).__name__ in ("NAType", "NaTType")


def check_text(text: str) -> str:
    """The text, if a label file can hold it.

    Raises:
        ValueError: it cannot.
    """
    if "\0" in text:
        raise ValueError("holds a NUL, which no text has")
    if len(text) > LONGEST_CELL:
        raise ValueError(f"has {len(text):,} characters; {LONGEST_CELL:,} are the most")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("is no Unicode text") from None
    return text


def _read_image(cell: object) -> Any:
    """The image in a cell, as a predictor takes it."""
    if is_blank(cell):
        return None
    if isinstance(cell, Mapping):  # how Hugging Face keeps an image that is not decoded
        content = cell.get("bytes")
        return cell.get("path") if is_blank(content) else _read_image(content)
    if isinstance(cell, bytearray | memoryview):
        return bytes(cell)
    return cell


def _write_image(cell: object, number: int, folder: Path, by_content: bool) -> str:
    """The path of the image in a cell, which is written if it is in memory alone; blank where there is none."""
    image = _read_image(cell)
    if image is None:
        return ""
    if isinstance(image, str | os.PathLike):
        path = os.fsdecode(image)
        if fault := find_path_fault(path):
            raise ValueError(f"the path {fault}")
        return os.path.abspath(path)
    if isinstance(image, bytes):
        content, suffix = image, (detect_format(image[:HEAD]) or "unknown").lower().replace(" ", "-")
    else:
        upright = make_upright(from_array(image) if isinstance(image, np.ndarray) else image)
        stream = io.BytesIO()
        upright.save(stream, "PNG", compress_level=1)  # fast: it is read once
        content, suffix = stream.getvalue(), "png"
    name = hashlib.blake2b(content, digest_size=16).hexdigest() if by_content else f"{number:06}"
    path = f"{IMAGES}/{name}.{suffix}"
    (folder / path).write_bytes(content)
    return path


def _holds_image(cell: object) -> bool:
    """Whether a cell holds an image itself."""
    if isinstance(cell, Mapping):
        return bool({"bytes", "path"} & set(cell))
    return isinstance(cell, bytes | bytearray | memoryview | Image.Image) or (
        isinstance(cell, np.ndarray) and cell.ndim in (2, 3)
    )


def _names_image(cell: object) -> bool:
    """Whether a cell is the path of an image, by its suffix."""
    return isinstance(cell, str | os.PathLike) and Path(os.fsdecode(cell)).suffix.lower() in USUAL_SUFFIXES
