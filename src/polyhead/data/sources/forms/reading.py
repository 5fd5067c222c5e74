"""Open a label file of any form, by its suffix, as rows of cells."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from polyhead.data.sources.forms.cells import CellRows
from polyhead.data.sources.forms.cvat import read_cvat
from polyhead.data.sources.forms.excel import list_sheets, read_excel
from polyhead.data.sources.forms.json_files import read_json_lines, read_json_rows
from polyhead.data.sources.forms.parquet import read_arrow, read_parquet
from polyhead.data.sources.forms.sqlite import list_sqlite_tables, read_sqlite
from polyhead.data.sources.forms.webdataset import read_shard
from polyhead.data.sources.text_files import read_lines
from polyhead.errors import PolyheadError
from polyhead.files import open_regular

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": ","}
FORMS: dict[str, Callable[[Path, str | None], CellRows]] = {
    ".xlsx": read_excel,
    ".xlsm": read_excel,
    ".json": read_json_rows,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".parquet": read_parquet,
    ".arrow": read_arrow,
    ".feather": read_arrow,
    ".db": read_sqlite,
    ".sqlite": read_sqlite,
    ".sqlite3": read_sqlite,
    ".xml": read_cvat,
    ".tar": read_shard,
}
LABEL_SUFFIXES = (*SEPARATORS, *FORMS)
STARTS = {b"PAR1": "Parquet", b"PK\3\4": "Excel or a zip file", b"SQLite format 3\0": "SQLite", b"ARROW1": "Arrow"}


TABLES: dict[str, Callable[[Path], list[str]]] = {
    **dict.fromkeys((".db", ".sqlite", ".sqlite3"), list_sqlite_tables),
    **dict.fromkeys((".xlsx", ".xlsm"), list_sheets),
}


def list_tables(file: Path) -> list[str | None]:
    """The tables of a label file, each as `open_label_file` takes it; where it is one table itself, None alone.

    Raises:
        PolyheadError: it cannot be read.
    """
    names = TABLES[file.suffix.lower()](file) if file.suffix.lower() in TABLES else []
    return list(names) if len(names) > 1 else [None]


def open_label_file(file: Path, table: str | None = None, separator: str | None = None) -> CellRows:
    """The rows of a label file, its columns' names first.

    Args:
        table: the sheet, table or list of records to read, where the file has several.
        separator: of a CSV file's columns; by its suffix if absent.

    Raises:
        PolyheadError: it cannot be read, or not as what its suffix says.
    """
    suffix = file.suffix.lower()
    if separator is None and suffix in FORMS:
        return FORMS[suffix](file, table)
    if separator is None and suffix not in SEPARATORS:
        raise PolyheadError(
            f"{file}: expected a label file that ends in {', '.join(LABEL_SUFFIXES)}; for a text file with another "
            "suffix say `kind: csv`"
        )
    _check_text(file)
    return read_lines(file, separator or SEPARATORS[suffix])


def _check_text(file: Path) -> None:
    """Tell a file of another form that is read as text by what it is."""
    start = b""
    with suppress(OSError), open_regular(file) as stream:  # which is told where it is read
        start = stream.read(16)
    for mark, form in STARTS.items():
        if start.startswith(mark):
            where = "" if file.suffix.lower() in FORMS else ", and give it the suffix of that form"
            raise PolyheadError(f"{file}: is {form}, not CSV; say `kind: table` in data.source{where}")
