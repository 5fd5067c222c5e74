"""What every form of label file gives: rows of cells, and how a cell becomes text."""

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from datetime import datetime, time
from pathlib import Path
from typing import Any, TypeAlias

from polyhead.data.sources.memory import check_text, tell_cell
from polyhead.errors import PolyheadError, list_words, nearest, shorten

# The number of each row, as a person would look for it, and its cells; those of the first are the columns' names.
CellRows: TypeAlias = Generator[tuple[int, Sequence[object]], None, None]
MOST_COLUMNS = 10_000
MOST_ROWS = 50_000_000
MIDNIGHT = time()  # of a date, which a spreadsheet keeps as a point in time
DEEPEST = 4  # keys of a record within one another that become columns of their own
IMAGE_KEYS = {"bytes", "path"}  # of a cell that is an image, as Hugging Face keeps it


def give_records(records: Sequence[Mapping[str, Any]], file: Path, first: int = 1) -> CellRows:
    """Rows of records, each of which has its own keys; a key that a record lacks is blank there.

    Records within records are columns called `outer.inner`.

    Args:
        first: the number of the first record.

    Raises:
        PolyheadError: there are no records, or too many keys.
    """
    flat = [_flatten(record) for record in records]
    columns: dict[str, None] = {}
    for number, record in enumerate(flat, first):
        columns |= dict.fromkeys(record)
        if len(columns) > MOST_COLUMNS:
            raise PolyheadError(f"{file} row {number}: its records have more than {MOST_COLUMNS:,} different keys")
    if not columns:
        raise PolyheadError(f"{file}: expected a record for each image; there is none")
    yield 0, list(columns)
    for number, record in enumerate(flat, first):
        yield number, [record.get(column) for column in columns]


def _flatten(record: Mapping[str, Any], start: str = "", depth: int = 1) -> dict[str, Any]:
    if not any(isinstance(value, dict) for value in record.values()):
        return {f"{start}{key}": value for key, value in record.items()}
    flat: dict[str, Any] = {}
    for key, value in record.items():
        name = f"{start}{key}"
        if isinstance(value, dict) and depth < DEEPEST and not (value and value.keys() <= IMAGE_KEYS):
            flat |= _flatten(value, f"{name}.", depth + 1)
        else:
            flat[name] = value
    return flat


def name_columns(cells: Sequence[object], file: Path) -> list[str]:
    """The names of columns from the cells that hold them, without blank ones at the end.

    Raises:
        PolyheadError: there are none, or too many.
    """
    names = [tell_cell(cell).strip() for cell in trim(cells)]
    if not any(names):
        raise PolyheadError(f"{file}: expected the names of the columns in its first row; it is blank")
    if len(names) > MOST_COLUMNS:
        raise PolyheadError(f"{file}: has {len(names):,} columns; {MOST_COLUMNS:,} are the most")
    return names


def trim(cells: Sequence[object]) -> Sequence[object]:
    """The cells without blank ones at the end."""
    end = len(cells)
    while end and (cells[end - 1] is None or cells[end - 1] == ""):
        end -= 1
    return cells[:end]


def read_text(cell: object) -> str:
    """A cell as the text that a CSV file would hold; a date has no time of day.

    Raises:
        ValueError: it is nothing that a label can be.
    """
    if isinstance(cell, str) and "\0" not in cell:
        return cell
    if isinstance(cell, datetime) and cell.time() == MIDNIGHT:
        return cell.date().isoformat()
    return check_text(tell_cell(cell))


def read_image(cell: object) -> tuple[bytes, str] | None:
    """The bytes of an image that a cell holds, and the name that it had; None if it holds no bytes."""
    if isinstance(cell, str):
        return None
    name = ""
    if isinstance(cell, Mapping):
        path = cell.get("path")
        name, cell = path if isinstance(path, str) else "", cell.get("bytes")
    return (bytes(cell), name) if isinstance(cell, bytes | bytearray | memoryview) and len(cell) else None


def read_path(cell: object) -> str:
    """The path of an image that a cell names; blank if it is nothing of that kind."""
    if isinstance(cell, str) and "\0" not in cell:
        return cell.strip()
    if isinstance(cell, Mapping):
        cell = cell.get("path")
    try:
        return read_text(cell).strip()
    except ValueError:
        return ""


def find_one(names: Sequence[str], wanted: str | None, file: Path, what: str) -> str:
    """The part of a file that `data.source.table` names, or the only one.

    Raises:
        PolyheadError: there is none called so, or one of several must be named.
    """
    if wanted is None and len(names) == 1:
        return names[0]
    counts = Counter(names)
    if wanted is not None and wanted in counts:
        return wanted
    if not names:
        raise PolyheadError(f"{file}: has no {what}")
    if wanted is None:
        raise PolyheadError(f"data.source.table: is missing; {file.name} has the {what}s {list_words(names)}; name one")
    raise PolyheadError(
        f"data.source.table: {shorten(wanted, 60)!r} is no {what} of {file.name}; there are {list_words(names)}"
        f"{nearest(wanted, names)}"
    )
