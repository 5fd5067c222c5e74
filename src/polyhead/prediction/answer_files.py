"""Answers in files: CSV, which can be continued after a stop, and Parquet. Both appear complete, or not at all."""

import csv
import glob
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from polyhead.errors import PolyheadError, require, show_text
from polyhead.files import LONGEST_NAME, write_beside
from polyhead.model.card import Card
from polyhead.model.records import Record, flat_columns, flat_form, flatten_record

ROW_GROUP = 10_000  # rows of a Parquet file that are in memory at a time
LONGEST_ROW = 2**20  # bytes of a CSV
ROW_END = b"\r\n"
DIGEST = 16  # letters of a model's digest


class CsvWriter:
    """Writes answers as CSV: at first to `FILE.MODEL.part` beside it, where MODEL is the model's digest.

    Each row is written at once, and a file that a killed process left is continued. A link stays, and its target is
    replaced. A device or a pipe is written to directly, and cannot be continued.

    Raises:
        PolyheadError: the path is a folder.
    """

    def __init__(self, path: Path, card: Card) -> None:
        self.path = Path(os.path.realpath(path))
        if not path.name or os.path.isdir(path):
            raise PolyheadError(f"{path}: is a folder; name a file in it")
        # /dev/stdout may be a file that others write to as well: it is appended to, not replaced
        is_shared = os.path.abspath(path).startswith(("/dev/", "/proc/"))
        self._direct = os.path.exists(path) and (is_shared or not os.path.isfile(self.path))
        self.path = path if self._direct else self.path
        self._pattern = self._name_part("*")
        self.part = self.path.with_name(self._name_part(card.digest))
        self._columns = flat_columns(card.tasks, card.changeable, rated=bool(card.familiarity))
        self._failed = 0

    def list_remaining(self, images: Sequence[Path]) -> list[Path]:
        """Those of the images that have no row yet.

        Raises:
            PolyheadError: the unfinished file is of another model, of other images, or damaged.
        """
        if self._direct:
            return list(images)
        for other in sorted(self.path.parent.glob(self._pattern)):
            if other != self.part:
                raise PolyheadError(f"{other}: was started with another model; delete it, or give another `csv`")
        if not os.path.lexists(self.part):
            return list(images)
        if not self.part.is_file():
            raise PolyheadError(f"{self.part}: is not a regular file; delete it to start again")
        with _report_failures(self.part):
            _drop_broken_row(self.part)
            done = Counter(self._read_rows())
        remaining = []
        for image in images:
            if done[show_text(str(image))]:
                done[show_text(str(image))] -= 1
            else:
                remaining.append(image)
        if unknown := +done:
            raise PolyheadError(
                f"{self.part}: was started with other images, such as {next(iter(unknown))}; "
                "delete it, or give another `csv`"
            )
        return remaining

    def write(self, records: Iterable[Record]) -> int:
        """Add the records' rows and finish the file; returns how many of all its rows have an error."""
        target = self.path if self._direct else self.part
        with _report_failures(self.path):
            with target.open("a", encoding="utf-8", errors="backslashreplace", newline="", buffering=1) as file:
                writer = csv.DictWriter(file, self._columns)
                if self._direct or not file.tell():
                    writer.writeheader()
                for record in records:
                    self._failed += record.error is not None
                    writer.writerow(flatten_record(record))
            if not self._direct:
                os.replace(self.part, self.path)
        return self._failed

    def _name_part(self, digest: str) -> str:
        """The name of the unfinished file for a model's digest; for `*`, a pattern for all models. Never too long."""
        name = self.path.name
        if len(os.fsencode(name)) + len(".part") + DIGEST + 1 > LONGEST_NAME:
            name = hashlib.blake2b(os.fsencode(name), digest_size=16).hexdigest()
        return f"{glob.escape(name) if digest == '*' else name}.{digest}.part"

    def _read_rows(self) -> Iterator[str]:
        """The image of each row."""
        with self.part.open(encoding="utf-8", errors="backslashreplace", newline="") as file:
            rows = csv.reader(file, strict=True)
            try:
                if next(rows, self._columns) != self._columns:
                    raise csv.Error
                for image, error, *answers in rows:
                    if len(answers) != len(self._columns) - 2:
                        raise csv.Error
                    self._failed += bool(error)
                    yield image
            except (csv.Error, ValueError):
                raise PolyheadError(f"{self.part}: is damaged; delete it to start again") from None


def write_parquet(records: Iterable[Record], card: Card, path: Path) -> int:
    """Write records as Parquet, with the columns of the CSV, typed; returns how many of them have an error.

    Raises:
        PolyheadError: pyarrow is not installed, or the file cannot be written.
    """
    require("writing Parquet", "parquet")
    import pyarrow
    from pyarrow import parquet

    types = {str: pyarrow.string(), float: pyarrow.float64(), bool: pyarrow.bool_()}
    form = flat_form(card.tasks, card.changeable, rated=bool(card.familiarity))
    schema = pyarrow.schema({name: types[type(value)] for name, value in form.items()})
    failed, left = 0, iter(records)
    with write_beside(path) as beside, parquet.ParquetWriter(beside, schema) as writer:
        while group := list(islice(left, ROW_GROUP)):
            failed += sum(record.error is not None for record in group)
            rows = [flatten_record(record) for record in group]
            writer.write_table(pyarrow.Table.from_pylist(rows, schema))
    return failed


@contextmanager
def _report_failures(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PolyheadError(f"{path}: cannot be written: {error.strerror or error}") from None


def _drop_broken_row(path: Path) -> None:
    """Cut off an incomplete last row."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - LONGEST_ROW))
        tail = file.read()
        end = tail.rfind(ROW_END)
        file.truncate(size - len(tail) + end + len(ROW_END) if end >= 0 else 0)
