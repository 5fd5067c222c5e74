"""From a file with one row per image and task to one row per image."""

import sys
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from polyhead.data.sources.rows import Entry, Rejected, RequestedColumns, Rows
from polyhead.errors import shorten


def gather_entries(entries: Iterable[Entry], file: Path, requested: RequestedColumns, rejected: Rejected) -> Rows:
    """Group the entries by image.

    If two entries of an image and column differ, the first one counts and the second is a mistake, as is every entry
    with a reason. A column without an entry is blank.

    Args:
        entries: of requested columns, in the order of the file.
        file: is named in the reasons, with the line.
        rejected: is passed through.
    """
    cells: dict[str, dict[str, str]] = {}
    mistakes: list[Entry] = []
    for entry in entries:
        row = cells.setdefault(entry.path, {})
        reason = entry.reason
        if entry.text and not reason:
            before = row.setdefault(entry.column, sys.intern(entry.text))  # few texts, in many rows
            reason = (
                ""
                if before == entry.text
                else f"a row before this one says {shorten(before, 60)!r}; got {shorten(entry.text, 60)!r}"
            )
        if reason:
            mistakes.append(entry._replace(reason=f"{reason} ({file.name} line {entry.line})"))
    rows = [[row.get(column, "") for column in requested] for row in cells.values()]
    return Rows(list(cells), pd.DataFrame(rows, columns=list(requested), dtype=str), rejected, mistakes)
