"""Text files line by line; a file that cannot be read is one clear error, with its name."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from polyhead.errors import PolyheadError


@contextmanager
def open_text(file: Path) -> Iterator[TextIO]:
    """Open a UTF-8 text file; its lines keep the ends that they have.

    Raises:
        PolyheadError: it cannot be read, or is not UTF-8.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            yield stream
    except UnicodeDecodeError as error:
        raise PolyheadError(f"{file}: is not UTF-8 text ({error.reason}); save it in UTF-8") from None
    except OSError as error:
        raise PolyheadError(f"{file}: cannot be read: {error.strerror}") from None


def read_records(file: Path, separator: str = ",") -> Iterator[tuple[int, list[str]]]:
    """The number of the line and the cells of each row of a CSV file; blank lines are passed over.

    Raises:
        PolyheadError: the file cannot be read, or is not CSV.
    """
    if separator in '"\r\n':
        raise PolyheadError(f"data.source.separator: {separator!r} cannot separate columns; try ',' or ';'")
    with open_text(file) as stream:
        reader = csv.reader(stream, delimiter=separator, strict=True)
        try:
            for cells in filter(None, reader):
                yield reader.line_num, cells
        except csv.Error as error:
            raise PolyheadError(f"{file} line {reader.line_num}: is not CSV: {error}") from None


def read_lines(file: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The same for a CSV file with a header, which comes first; a row that stops early is filled up with blanks.

    Raises:
        PolyheadError: the file cannot be read, has no row, or a row is broken or too long.
    """
    header: list[str] = []
    rows = 0
    for line, cells in read_records(file, separator):
        if header and len(cells) > len(header):
            raise PolyheadError(
                f"{file} line {line}: {len(cells)} cells, but there are {len(header)} columns; "
                f"put text that holds {separator!r} between double quotes"
            )
        rows += bool(header)
        header = header or [name.strip() for name in cells]
        yield line, cells + [""] * (len(header) - len(cells)) if rows else header
    if not rows:
        raise PolyheadError(f"{file}: expected a line of column names and a row for each image; there is no row")
