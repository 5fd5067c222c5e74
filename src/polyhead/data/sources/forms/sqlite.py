"""Labels in an SQLite database: the rows of one of its tables or views, which nothing is written to."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from polyhead.data.sources.forms.cells import CellRows, find_one, name_columns
from polyhead.errors import PolyheadError
from polyhead.files import open_regular

LONGEST_VALUE = 2**28  # bytes of one value
MOST_STEPS = 20_000  # of a thousand instructions each, from one row to the next: no query of a label file needs more
START = b"SQLite format 3\0"


def read_sqlite(file: Path, table: str | None) -> CellRows:
    """The rows of a table or view.

    The file is opened so that nothing in it is written, and what its schema says may not run functions that reach
    beyond it (https://www.sqlite.org/security.html).

    Args:
        table: its name; not needed where there is one alone.

    Raises:
        PolyheadError: it is broken, or no such file; has no such table; or is being written.
    """
    _check_file(file)
    try:
        with _open(file) as database:
            steps = _Steps(database)
            chosen = find_one(_list_names(database), table, file, "table")
            quoted = chosen.replace('"', '""')
            rows = database.execute(f'SELECT * FROM "{quoted}"')
            yield 0, name_columns([column[0] for column in rows.description], file)
            for number, row in enumerate(rows, 1):
                steps.start_anew()
                yield number, row
    except (sqlite3.Error, UnicodeDecodeError) as error:
        reason = "a query in it takes too long" if "interrupted" in str(error) else " ".join(str(error).split())
        raise PolyheadError(f"{file}: cannot be read as an SQLite database: {reason}") from None


def list_sqlite_tables(file: Path) -> list[str]:
    """The names of its tables and views.

    Raises:
        PolyheadError: see `read_sqlite`.
    """
    _check_file(file)
    try:
        with _open(file) as database:
            return _list_names(database)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise PolyheadError(f"{file}: cannot be read as an SQLite database: {' '.join(str(error).split())}") from None


def _list_names(database: sqlite3.Connection) -> list[str]:
    found = database.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY rowid")
    return [name for (name,) in found if isinstance(name, str) and not name.startswith("sqlite_")]


def _check_file(file: Path) -> None:
    try:
        with open_regular(file) as stream:
            start = stream.read(len(START))
    except OSError as error:
        raise PolyheadError(f"{file}: cannot be read: {error.strerror}") from None
    if start != START:
        raise PolyheadError(f"{file}: is no SQLite database; save the labels as CSV")
    log = file.with_name(f"{file.name}-wal")
    if log.is_file() and os.path.getsize(log):
        raise PolyheadError(
            f"{file}: what was last written to it stands in {log.name} alone; close the program that writes it, or "
            "copy it with sqlite3's `.backup`"
        )


@contextmanager
def _open(file: Path) -> Iterator[sqlite3.Connection]:
    address = f"{Path(os.path.abspath(file)).as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(address, uri=True)) as database:
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
        database.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        for line in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0", "query_only = ON"):
            database.execute(f"PRAGMA {line}")
        yield database


class _Steps:
    """Ends a query that runs on and on without a row, as a view can that is made to."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._left = MOST_STEPS
        database.set_progress_handler(self._count, 1000)

    def start_anew(self) -> None:
        self._left = MOST_STEPS

    def _count(self) -> int:
        self._left -= 1
        return int(self._left < 0)
