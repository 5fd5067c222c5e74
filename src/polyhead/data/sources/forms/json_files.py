"""Label files in JSON: records, as most programs write them, or what labelling tools export; and JSON lines."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from polyhead.data.sources.forms.cells import CellRows, find_one, give_records
from polyhead.data.sources.forms.coco import is_coco, list_coco
from polyhead.data.sources.label_studio import is_label_studio, list_labelled
from polyhead.data.sources.text_files import open_lines, read_json
from polyhead.errors import PolyheadError


def read_json_rows(file: Path, table: str | None) -> CellRows:
    """The rows of a JSON file: what COCO or Label Studio export, or records in any form that pandas writes.

    Args:
        table: the key of the records, where there are several lists of them.

    Raises:
        PolyheadError: it is no JSON, or holds no records.
    """
    found = read_json(file)
    if is_coco(found):
        records: Sequence[Mapping[str, Any]] = list_coco(found, file)
    elif is_label_studio(found):
        records = list_labelled(found, file)
    else:
        records = _find_records(found, file, table)
    return give_records(records, file)


def read_json_lines(file: Path, table: str | None) -> CellRows:
    """The rows of a file with a record, in JSON, on each line.

    Raises:
        PolyheadError: a line is no such record.
    """
    return give_records(list(_read_lines(file)), file)


def _read_lines(file: Path) -> Iterator[dict[str, Any]]:
    with open_lines(file) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                words = error if isinstance(error, ValueError) else "is nested too deeply"
                raise PolyheadError(f"{file} line {number}: is not JSON: {words}") from None
            if not isinstance(record, dict):
                raise PolyheadError(
                    f'{file} line {number}: expected a record such as {{"image": ...}}; got {type(record).__name__}'
                )
            yield record


def _find_records(found: Any, file: Path, table: str | None) -> list[Mapping[str, Any]]:
    if isinstance(found, dict):
        lists = {key: value for key, value in found.items() if _is_records(value)}
        if table is not None or lists:
            return list(lists[find_one(list(lists), table, file, "list")])
        if found and all(isinstance(value, list) for value in found.values()):
            return _turn(found, file)
        if found and all(isinstance(value, dict) for value in found.values()):
            return _read_indexed(found)
        if found and not any(isinstance(value, dict) for value in found.values()):
            return [{"image": key, "label": value} for key, value in found.items()]
    elif _is_records(found):
        return list(found)
    raise PolyheadError(
        f'{file}: expected records, such as [{{"image": "1.jpg", "color": "red"}}], or an export of COCO\'s or '
        f"Label Studio's form"
    )


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(record, dict) for record in value)


def _turn(columns: Mapping[str, list[Any]], file: Path) -> list[Mapping[str, Any]]:
    """Records from a list of cells a column."""
    lengths = {len(cells) for cells in columns.values()}
    if len(lengths) > 1:
        raise PolyheadError(f"{file}: expected as many values in each of its lists; there are {sorted(lengths)[:5]}")
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _read_indexed(found: Mapping[str, dict[str, Any]]) -> list[Mapping[str, Any]]:
    """Records from cells by column and row, as pandas writes them; or from a record under each image's name."""
    rows = next(iter(found.values()))
    if all(value.keys() == rows.keys() for value in found.values()) and all(key.isdecimal() for key in rows):
        return [{column: cells[row] for column, cells in found.items()} for row in rows]
    return [{"image": name} | record for name, record in found.items()]
