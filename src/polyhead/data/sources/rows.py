"""What every reader of labels ends in, and what they all need: the data's folder, its files, its images."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from polyhead.errors import PolyheadError, list_words, nearest, shorten

# With pyarrow installed, pandas would keep text in a form that file names which are no Unicode do not go into.
pd.options.mode.string_storage = "python"

Wanted = Mapping[str, str]  # a source's column -> the recipe's key that asks for it
Rejected = list[tuple[str, str]]  # an image's path and the reason
NO_FILE = "no such file"
NO_NAME = "its row names no image"


class Entry(NamedTuple):
    """What one line of a source says of an image in a column, and why it is no label, if it is none."""

    path: str
    column: str
    text: str
    line: int
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Rows:
    """What a source says, in the source's order.

    Attributes:
        paths: n images, each once: relative to the data's folder, with `/` on every system; absolute where the source
            says so and the image lies elsewhere.
        cells: (n, columns) text, one column for each wanted column of the source.
        rejected: images without a row, and why.
        mistakes: entries that are no label in the source's own format, of images that have a row; `cells` is without
            them.
    """

    paths: list[str]
    cells: pd.DataFrame
    rejected: Rejected
    mistakes: Sequence[Entry] = ()


def data_folder(data: Path) -> Path:
    """The folder that images' paths are relative to: `data` itself, or the one around a file of labels.

    Raises:
        PolyheadError: there is no such folder or file.
    """
    if not os.path.exists(data):  # which asks without raising, whatever the path
        raise PolyheadError(f"{data}: there is no such folder or file; check data.path or `data`")
    return data if data.is_dir() else data.parent


def find_label_file(named: str | None, data: Path, usual: Sequence[str] = ()) -> Path:
    """The file of labels that `data.source.file` names; `data` itself, or the first of the usual ones, if it is absent.

    Raises:
        PolyheadError: there is none, or the recipe and `data` name two.
    """
    root = data_folder(data)
    if named is None:
        if not data.is_dir():
            return data
        for name in usual:
            if (root / name).is_file():
                return root / name
        missing = f"there is no {' or '.join(usual)} in {data}" if usual else "is missing"
        raise PolyheadError(f"data.source.file: {missing}; say which file in {data} holds the labels")
    file = root / named
    if not os.path.isfile(file):
        raise PolyheadError(f"data.source.file: there is no file {file}")
    if not data.is_dir() and not file.samefile(data):
        raise PolyheadError(f"data.source.file: is {named}, but the data's path is the file {data}; give one")
    return file


def find_image(image: str, folders: Iterable[str], root: str) -> str | None:
    """The path to keep for an image that a file of labels names, if there is such a file below one of the folders.

    Args:
        folders: absolute and normal paths.
        root: the data's folder, as such a path.
    """
    for folder in folders:
        file = os.path.normpath(os.path.join(folder, image))
        if os.path.isfile(file):
            # A relative path stays relative even where it leaves the root, so that data can be moved as a whole.
            stays = os.path.isabs(image) and not Path(file).is_relative_to(root)
            return Path(file if stays else os.path.relpath(file, root)).as_posix()
    return None


def check_columns(wanted: Wanted, columns: Iterable[str], words: str) -> None:
    """Refuse to go on where a wanted column is not, or is twice, among those of the source.

    Args:
        words: what the columns are, such as "a column of labels.csv".

    Raises:
        PolyheadError: with the key that asks for it, the columns that there are, and the nearest of them.
    """
    counts = Counter(iter(columns))  # of their names, also where they come with counts of their own
    for column, key in wanted.items():
        if counts[column] != 1:
            wrong = "is twice" if column in counts else "is not"
            shown = shorten(column, 60)
            raise PolyheadError(
                f"{key}: {shown!r} {wrong} {words}; there are {list_words(counts)}{nearest(column, counts)}"
            )
