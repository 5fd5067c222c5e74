"""Read text files line by line; a file that cannot be read is one clear error that names it."""

import codecs
import csv
import json
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from polyhead.errors import PolyheadError
from polyhead.files import open_regular

LONGEST_LINE = 2**24  # characters: anything longer is not a table, and would fill the memory
LONGEST_JSON = 2**30  # bytes, all of which are in memory at once
LONGEST_CELL = csv.field_size_limit()
OTHER_ENCODINGS = {  # by the byte order mark at the start; the longer ones first
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


@contextmanager
def open_lines(file: Path) -> Iterator[Iterator[str]]:
    """The lines of a UTF-8 text file, with their line endings.

    Raises:
        PolyheadError: it cannot be read, is not UTF-8, or a line is not text.
    """
    try:
        with open_regular(file) as stream:
            start = stream.read(4)
            stream.seek(0)
            for mark, name in OTHER_ENCODINGS.items():
                if start.startswith(mark):
                    raise PolyheadError(f"{file}: is {name} text; save it in UTF-8")
            with TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
                yield _read_lines(text, file)
    except UnicodeDecodeError as error:
        raise PolyheadError(f"{file}: is not UTF-8 text ({error.reason}); save it in UTF-8") from None
    except OSError as error:
        raise PolyheadError(f"{file}: cannot be read: {error.strerror}") from None


def _read_lines(stream: TextIOWrapper, file: Path) -> Iterator[str]:
    number = 0
    while line := stream.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE:
            raise PolyheadError(f"{file} line {number}: is longer than {LONGEST_LINE:,} characters; is it a table?")
        if "\0" in line:
            raise PolyheadError(f"{file} line {number}: holds a NUL, so it is no text in UTF-8; save it as that")
        yield line


def read_json(file: Path) -> Any:
    """What a JSON file holds.

    Raises:
        PolyheadError: it cannot be read, is too large, or is no JSON.
    """
    try:
        with open_regular(file) as stream:
            content = stream.read(LONGEST_JSON + 1)
    except OSError as error:
        raise PolyheadError(f"{file}: cannot be read: {error.strerror}") from None
    if len(content) > LONGEST_JSON:
        raise PolyheadError(f"{file}: has more than {LONGEST_JSON:,} bytes; write a record a line, as .jsonl")
    try:
        return json.loads(content)
    except UnicodeDecodeError as error:
        raise PolyheadError(f"{file}: is not UTF-8 text ({error.reason}); save it in UTF-8") from None
    except ValueError as error:
        raise PolyheadError(f"{file}: is not JSON: {error}") from None
    except RecursionError:
        raise PolyheadError(f"{file}: is nested too deeply") from None


def read_records(file: Path, separator: str = ",") -> Iterator[tuple[int, list[str]]]:
    """The line number and the cells of each row of a CSV file; blank lines are skipped.

    Raises:
        PolyheadError: the file cannot be read, or is not CSV.
    """
    if separator in '"\r\n':
        raise PolyheadError(f"data.source.separator: {separator!r} cannot separate columns; try ',' or ';'")
    start = 1  # the line where the row begins; its last line may be far away
    with open_lines(file) as lines:
        reader = csv.reader(lines, delimiter=separator, strict=True)
        try:
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
                start = reader.line_num + 1
        except csv.Error as error:
            raise PolyheadError(f"{file} line {start}: {_explain(str(error))}") from None


def _explain(words: str) -> str:
    if "field limit" in words:
        return f"is not CSV: a cell is longer than {LONGEST_CELL:,} characters; is a quote opened and never closed?"
    if "end of data" in words:
        return "is not CSV: a quote is opened and never closed"
    return f"is not CSV: {words}"


def read_lines(file: Path, separator: str) -> Generator[tuple[int, list[str]], None, None]:
    """The same for a CSV file with a header, which comes first; short rows are padded with blanks.

    Raises:
        PolyheadError: the file cannot be read, has no row, or a row is broken or too long.
    """
    header: list[str] = []
    rows = 0
    for line, cells in read_records(file, separator):
        if header and len(cells) > len(header):
            raise PolyheadError(
                f"{file} line {line}: {len(cells):,} cells, but there are {len(header):,} columns; "
                f"put text that holds {separator!r} between double quotes"
            )
        rows += bool(header)
        header = header or [name.strip() for name in cells]
        yield line, cells + [""] * (len(header) - len(cells)) if rows else header
    if not rows:
        raise PolyheadError(f"{file}: expected a line of column names and a row for each image; there is no row")


def find_repeated(names: Iterable[str]) -> str | None:
    """A name that occurs twice, if there is one."""
    return next((name for name, count in Counter(names).items() if count > 1), None)
