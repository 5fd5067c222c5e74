"""From a file of one row an image and task to one row an image."""

import sys
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from polyhead.data.sources.rows import Entry, Rejected, Rows, Wanted
from polyhead.errors import shorten


def gather_entries(entries: Iterable[Entry], file: Path, wanted: Wanted, rejected: Rejected) -> Rows:
    """Bring the entries of each image together.

    Of two entries of one image and column that differ the first stands, and the second is a mistake; so is an entry
    that has a reason. A column of which an image has no entry is blank.

    Args:
        entries: in the order of the file, of wanted columns.
        file: is named in the reasons, with the line.
        rejected: is passed on.
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
    rows = [[row.get(column, "") for column in wanted] for row in cells.values()]
    return Rows(list(cells), pd.DataFrame(rows, columns=list(wanted), dtype=str), rejected, mistakes)
