"""What every reader of labels returns, and what they share: the data's folder, its files, its images."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from polyhead.data.sources.archives import is_archive, unpack_archive
from polyhead.errors import PolyheadError, list_words, nearest, shorten

# With pyarrow installed, pandas would store text in a form that cannot hold file names which are not Unicode.
pd.options.mode.string_storage = "python"

RequestedColumns = Mapping[str, str]  # a source's column -> the recipe's key that asks for it
Rejected = list[tuple[str, str]]  # an image's path and the reason
NO_FILE = "no such file"
NO_NAME = "its row names no image"


class Entry(NamedTuple):
    """The text of one line of a source for an image and a column; `reason` says why it is not a label, if so."""

    path: str
    column: str
    text: str
    line: int
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Rows:
    """What a source contains, in its order.

    Attributes:
        paths: n images, each once: relative to the data's folder, with `/` on every system; absolute if the
            source gives an absolute path outside of that folder.
        cells: (n, columns) text, one column for each requested column.
        rejected: images without a row, and why.
        mistakes: entries of images in `paths` that are not labels in the source's own format; `cells` is blank there.
    """

    paths: list[str]
    cells: pd.DataFrame
    rejected: Rejected
    mistakes: Sequence[Entry] = ()


def data_folder(data: Path) -> Path:
    """The folder that images' paths are relative to: `data` itself, what it unpacks to, or that of a label file.

    Raises:
        PolyheadError: there is no such folder or file, or it cannot be unpacked.
    """
    if not os.path.exists(data):  # unlike `Path.exists`, never raises
        raise PolyheadError(f"{data}: there is no such folder or file; check data.path or `data`")
    if data.is_dir():
        return data
    return unpack_archive(data) if is_archive(data) else data.parent


def is_folder(data: Path) -> bool:
    """Whether the data is a folder, or an archive of one, and not a label file."""
    return data.is_dir() or is_archive(data)


def find_label_file(named: str | None, data: Path, usual: Sequence[str] = ()) -> Path:
    """The file of labels that `data.source.file` names; if absent, `data` itself or the first of the usual names.

    Raises:
        PolyheadError: there is none, or the recipe and `data` name different ones.
    """
    root = data_folder(data)
    if named is None:
        if not is_folder(data):
            return data
        for name in usual:
            if (root / name).is_file():
                return root / name
        missing = f"there is no {' or '.join(usual)} in {data}" if usual else "is missing"
        raise PolyheadError(f"data.source.file: {missing}; say which file in {data} holds the labels")
    file = root / named
    if not os.path.isfile(file):
        raise PolyheadError(f"data.source.file: there is no file {file}")
    if not is_folder(data) and not file.samefile(data):
        raise PolyheadError(f"data.source.file: is {named}, but the data's path is the file {data}; give one")
    return file


def find_image(image: str, folders: Iterable[str], root: str) -> str | None:
    """The path to store for an image that a file of labels names, if it exists below one of the folders.

    Args:
        folders: absolute, normalized paths.
        root: the data's folder, as such a path.
    """
    for folder in folders:
        file = os.path.normpath(os.path.join(folder, image))
        if os.path.isfile(file):
            # A relative path stays relative even if it leaves the root, so that the data can be moved as a whole.
            keep_absolute = os.path.isabs(image) and not Path(file).is_relative_to(root)
            return Path(file if keep_absolute else os.path.relpath(file, root)).as_posix()
    return None


def check_columns(requested: RequestedColumns, available: Iterable[str], kind: str) -> None:
    """Check that each requested column occurs exactly once in the source.

    Args:
        kind: what the columns are, such as "a column of labels.csv".

    Raises:
        PolyheadError: with the recipe's key, the columns that there are, and the nearest match.
    """
    counts = Counter(iter(available))  # `iter`, so that a mapping is counted by its keys
    for column, key in requested.items():
        if counts[column] != 1:
            wrong = "is twice" if column in counts else "is not"
            shown = shorten(column, 60)
            raise PolyheadError(
                f"{key}: {shown!r} {wrong} {kind}; there are {list_words(counts)}{nearest(column, counts)}"
            )
