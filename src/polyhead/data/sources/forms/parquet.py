"""Label files in Apache Parquet or Arrow, by pyarrow; class labels of Hugging Face's `datasets` by their names."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from polyhead.data.sources.forms.cells import IMAGE_KEYS, MOST_COLUMNS, MOST_ROWS, CellRows
from polyhead.errors import PolyheadError, require
from polyhead.files import open_regular

BATCH = 256  # rows that are unpacked at once


def read_parquet(file: Path, table: str | None) -> CellRows:
    """The rows of a Parquet file, read a few at a time.

    Raises:
        PolyheadError: it is broken, or no such file.
    """
    yield from _read(file, _open_parquet)


def read_arrow(file: Path, table: str | None) -> CellRows:
    """The same for a file of Arrow's stream or file format, such as `datasets` keeps.

    Raises:
        PolyheadError: it is broken, or no such file.
    """
    yield from _read(file, _open_arrow)


def _read(file: Path, open_batches: Any) -> CellRows:
    require(f"reading {file.name}", "parquet")
    import pyarrow

    try:
        with open_regular(file) as stream:
            schema, batches = open_batches(stream, file)
            if len(schema.names) > MOST_COLUMNS:
                raise PolyheadError(f"{file}: has {len(schema.names):,} columns; {MOST_COLUMNS:,} are the most")
            yield from _give_rows(schema, batches, file)
    except OSError as error:
        raise PolyheadError(f"{file}: cannot be read: {_tell(error.strerror or error)}") from None
    except (pyarrow.ArrowException, ValueError, OverflowError, MemoryError) as error:
        raise PolyheadError(f"{file}: is broken, or no such file: {_tell(error)}") from None


def _open_parquet(stream: Any, file: Path) -> tuple[Any, Iterator[Any]]:
    from pyarrow.parquet import ParquetFile

    opened = ParquetFile(stream)
    if opened.metadata.num_rows > MOST_ROWS:
        raise PolyheadError(f"{file}: has {opened.metadata.num_rows:,} rows; {MOST_ROWS:,} are the most")
    return opened.schema_arrow, opened.iter_batches(batch_size=BATCH)


def _open_arrow(stream: Any, file: Path) -> tuple[Any, Iterator[Any]]:
    from pyarrow import ipc

    if stream.read(6) == b"ARROW1":
        opened = ipc.open_file(stream)
        return opened.schema, (opened.get_batch(number) for number in range(opened.num_record_batches))
    stream.seek(0)
    opened = ipc.open_stream(stream)
    return opened.schema, iter(opened)


def _give_rows(schema: Any, batches: Iterator[Any], file: Path) -> CellRows:
    """Records within records become columns, but not those that are an image."""
    names = _read_class_names(schema)
    yield 0, [name for field in schema for name in _list_names(field.name.strip(), field.type)]
    number = 0
    for batch in batches:
        batch.validate(full=True)  # of a stranger's file: lengths and offsets that lie would be read beyond memory
        lists = [
            cells
            for field, column in zip(schema, batch.columns, strict=True)
            for cells in _read_column(column, names.get(field.name))
        ]
        for row in zip(*lists, strict=True):
            number += 1
            if number > MOST_ROWS:
                raise PolyheadError(f"{file}: has more than {MOST_ROWS:,} rows")
            yield number, row


def _is_record(kind: Any) -> bool:
    """Whether cells hold columns of their own; those of an image have the keys `bytes` and `path`."""
    import pyarrow

    return bool(pyarrow.types.is_struct(kind)) and {field.name for field in kind} != IMAGE_KEYS


def _list_names(name: str, kind: Any) -> list[str]:
    if not _is_record(kind):
        return [name]
    return [inner for field in kind for inner in _list_names(f"{name}.{field.name}", field.type)]


def _read_column(column: Any, names: list[str] | None) -> list[list[Any]]:
    """Its cells; of records, those of each of their columns."""
    import pyarrow

    kind = column.type
    if _is_record(kind):
        return [cells for inner in column.flatten() for cells in _read_column(inner, None)]
    if pyarrow.types.is_floating(kind) and kind.bit_width < 64:
        # Of a float32 a Python float has more digits than were ever meant: 0.1 would be 0.10000000149011612.
        return [list(column.to_numpy(zero_copy_only=False))]
    cells = column.to_pylist()
    return [list(cells) if names is None else [_name(cell, names) for cell in cells]]


def _name(cell: Any, names: list[str]) -> Any:
    if isinstance(cell, list):
        return [_name(inner, names) for inner in cell]
    if cell is None or cell < 0:  # which is how `datasets` says that it is unknown
        return None
    return names[cell] if cell < len(names) else cell


def _read_class_names(schema: Any) -> dict[str, list[str]]:
    """By column, the names of class labels; `datasets` keeps them in the schema."""
    found: dict[str, list[str]] = {}
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        for column, feature in features.items():
            inner: Any = feature.get("feature", feature) if isinstance(feature, dict) else feature[0]  # of a list
            if inner.get("_type") == "ClassLabel" and all(isinstance(name, str) for name in inner["names"]):
                found[column] = list(inner["names"])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return found  # whatever else stands there
    return found


def _tell(error: object) -> str:
    return " ".join(str(error).split())
