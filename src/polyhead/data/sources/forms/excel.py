"""Label files that a spreadsheet wrote: the cells of one sheet of an `.xlsx` file."""

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from polyhead.data.sources.forms.cells import CellRows, find_one, name_columns, trim
from polyhead.errors import PolyheadError, require
from polyhead.files import open_regular

MOST_BYTES = 2**30  # of all that the file unpacks to
MOST_CELLS = 200_000_000  # blank ones before the last of a row too
FAULTS = {"#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A"}  # of a formula, in place of a value


def read_excel(file: Path, table: str | None) -> CellRows:
    """The rows of a sheet, whose first row that is not blank names the columns; blank rows are left out.

    Formulas are not computed: their values are those that the spreadsheet kept.

    Args:
        table: the sheet; not needed where there is one alone.

    Raises:
        PolyheadError: it is no such file, has no such sheet, or unpacks to too much.
    """
    with _open(file) as book:
        sheet = book[find_one([sheet.title for sheet in book.worksheets], table, file, "sheet")]
        sheet.reset_dimensions()  # what the file claims they are
        yield from _read_sheet(file, sheet)


def list_sheets(file: Path) -> list[str]:
    """The names of its sheets.

    Raises:
        PolyheadError: see `read_excel`.
    """
    with _open(file) as book:
        return [sheet.title for sheet in book.worksheets]


@contextmanager
def _open(file: Path) -> Iterator[Any]:
    require(f"reading {file.name}", "excel")
    import openpyxl

    try:
        with open_regular(file) as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of styles and extensions that hold no cells
            _check_archive(file, stream)
            yield openpyxl.load_workbook(stream, read_only=True, data_only=True)
    except PolyheadError:
        raise
    except Exception as error:  # openpyxl raises whatever Python does where a part of the file is not as it must be
        words = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise PolyheadError(f"{file}: cannot be read as an Excel file; save it anew ({words})") from None


def _check_archive(file: Path, stream: BinaryIO) -> None:
    try:
        with zipfile.ZipFile(stream) as archive:
            size = sum(part.file_size for part in archive.infolist())
    except zipfile.BadZipFile:
        raise PolyheadError(f"{file}: is no .xlsx file; save it from the spreadsheet as .xlsx or CSV") from None
    if size > MOST_BYTES:
        raise PolyheadError(f"{file}: unpacks to {size:,} bytes, and {MOST_BYTES:,} are the most; save it as CSV")


def _read_sheet(file: Path, sheet: Any) -> CellRows:
    names: list[str] = []
    count = 0
    for number, cells in enumerate(sheet.iter_rows(values_only=True), 1):
        count += len(cells)
        if count > MOST_CELLS:
            raise PolyheadError(f"{file} row {number}: has more than {MOST_CELLS:,} cells by now; is it a table?")
        row = trim([None if cell in FAULTS else cell for cell in cells])
        if row and names:
            yield number, _fill(row, len(names), f"{file} row {number}")
        elif row:
            names = name_columns(row, file)
            yield number, names
    if not names:
        raise PolyheadError(f"{file}: its sheet {sheet.title} is blank")


def _fill(cells: Sequence[object], width: int, where: str) -> Sequence[object]:
    if len(cells) > width:
        raise PolyheadError(f"{where}: {len(cells):,} cells, but {width:,} columns have a name in the first row")
    return [*cells, *[None] * (width - len(cells))]
