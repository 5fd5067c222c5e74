"""Answers in files: CSV that is gone on with after a stop, and Parquet. Both are there whole, or not at all."""

import csv
import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from polyhead.errors import PolyheadError
from polyhead.files import write_beside
from polyhead.tasks import Answer, Task
from polyhead.use.card import Card
from polyhead.use.records import flat_columns, flat_form, flatten_record

ROW_GROUP = 10_000  # rows of a Parquet file, as many as are in memory at a time
LONGEST_ROW = 2**20  # bytes of a CSV
ROW_END = b"\r\n"


class CsvAnswers:
    """A CSV of answers in the making: `FILE.MODEL.part` beside it, MODEL being the model's digest.

    A row is in the file as soon as it is written, and what a killed process left is gone on with.
    """

    def __init__(self, path: Path, card: Card) -> None:
        self.path = path
        self.part = path.with_name(f"{path.name}.{card.digest}.part")
        self._columns = flat_columns(card.tasks)
        self._failed = 0

    def still_open(self, images: Sequence[Path]) -> list[Path]:
        """Those of the images that have no row yet.

        Raises:
            PolyheadError: what was begun is another model's, or about other images, or damaged.
        """
        for other in sorted(self.path.parent.glob(f"{glob.escape(self.path.name)}.*.part")):
            if other != self.part:
                raise PolyheadError(f"{other}: was begun with another model; delete it, or give another --csv")
        if not self.part.exists():
            return list(images)
        with _telling(self.part):
            _drop_broken_row(self.part)
            done = Counter(self._read_rows())
        left = []
        for image in images:
            if done[str(image)]:
                done[str(image)] -= 1
            else:
                left.append(image)
        if unasked := +done:
            raise PolyheadError(
                f"{self.part}: was begun with other images, such as {next(iter(unasked))}; "
                "delete it, or give another --csv"
            )
        return left

    def write(self, records: Iterable[Answer]) -> int:
        """Add the records' rows and finish the file; how many of all its rows hold an error."""
        with _telling(self.path):
            # Whatever bytes a file's name consists of, they come back when it is gone on with.
            with self.part.open("a", encoding="utf-8", errors="surrogateescape", newline="", buffering=1) as file:
                writer = csv.DictWriter(file, self._columns)
                if not file.tell():
                    writer.writeheader()
                for record in records:
                    self._failed += record["error"] is not None
                    writer.writerow(flatten_record(record))
            os.replace(self.part, self.path)
        return self._failed

    def _read_rows(self) -> Iterator[str]:
        """The image of each row."""
        with self.part.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
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
                raise PolyheadError(f"{self.part}: is damaged; delete it to begin anew") from None


def write_parquet(records: Iterable[Answer], tasks: Mapping[str, Task], path: Path) -> int:
    """Write records as Parquet, with the columns of the CSV, typed; how many of them hold an error.

    Raises:
        PolyheadError: pyarrow is not installed, or the file cannot be written.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise PolyheadError("--parquet needs pyarrow: pip install 'polyhead[parquet]'") from None
    types = {str: pyarrow.string(), float: pyarrow.float64(), bool: pyarrow.bool_()}
    schema = pyarrow.schema({name: types[type(value)] for name, value in flat_form(tasks).items()})
    failed, left = 0, iter(records)
    with write_beside(path) as beside, parquet.ParquetWriter(beside, schema) as writer:
        while group := list(islice(left, ROW_GROUP)):
            failed += sum(record["error"] is not None for record in group)
            rows = [flatten_record(record) for record in group]
            for row in rows:  # Parquet's text is UTF-8, a file's name need not be
                row["image"] = row["image"].encode("utf-8", "backslashreplace").decode()
            writer.write_table(pyarrow.Table.from_pylist(rows, schema))
    return failed


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PolyheadError(f"{path}: cannot be written: {error.strerror or error}") from None


def _drop_broken_row(path: Path) -> None:
    """Cut off what stands after the last row's end."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - LONGEST_ROW))
        tail = file.read()
        end = tail.rfind(ROW_END)
        file.truncate(size - len(tail) + end + len(ROW_END) if end >= 0 else 0)
