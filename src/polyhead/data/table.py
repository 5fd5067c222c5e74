"""The table that every source is read into: a row per image, a column per task, and a list of what was left out."""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from polyhead.data.fixed_splits import read_fixed_splits
from polyhead.data.sources.reading import read_rows
from polyhead.data.sources.rows import Rows, data_folder
from polyhead.data.splits import GROUP
from polyhead.errors import PolyheadError, shorten, show_text
from polyhead.files import write_beside
from polyhead.progress import SILENT, Progress
from polyhead.recipe.schema import Recipe
from polyhead.tasks import Task

MAX_WEIGHT = 1_000_000_000  # of a row: weights are summed as 32-bit floats
WEIGHT = "data.weight"  # a column of the frame; no task can have this name
FIXED_COLUMNS = ["path", "split", "content"]
REJECTED_COLUMNS = ["path", "task", "value", "reason"]


@dataclass(frozen=True, eq=False)
class Table:
    """Images and their labels, all text.

    Attributes:
        root: the folder that relative paths start from.
        frame: sorted by path, index 0..n-1: `path`, `split`, `content` (the digest of the file's bytes), then one
            column a task with the labels that `Task.read` gave, blank where unknown; and `data.weight`, a number in
            each row, where the recipe has weights. Before the rows are split, `split` holds what the source says of
            it, `content` is blank, and a last column `split.group` may be there.
        rejected: `path`, `task`, `value`, `reason`; `task` and `value` are blank where the whole row was left out.
            Paths are shown here: what is no Unicode or would break a line is escaped.
    """

    root: Path
    frame: pd.DataFrame
    rejected: pd.DataFrame

    def leave_out(self, reasons: Sequence[str]) -> "Table":
        """A table without the rows that have a reason, which are listed as rejected."""
        listed = pd.DataFrame({"path": self.frame["path"], "task": "", "value": "", "reason": list(reasons)}, dtype=str)
        gone = listed["reason"] != ""
        # Bad labels of a row need no mention once the row itself is left out.
        earlier = self.rejected[(self.rejected["task"] == "") | ~self.rejected["path"].isin(listed["path"][gone])]
        rejected = pd.concat([earlier, listed[gone]]).sort_values(["path", "task"], kind="stable", ignore_index=True)
        rejected["path"] = [show_text(path) for path in rejected["path"]]
        return Table(self.root, self.frame[~gone].reset_index(drop=True), rejected)


def read_table(recipe: Recipe, data: Path, progress: Progress = SILENT) -> Table:
    """Read every image's labels; nothing is split yet and no image opened.

    A text that is not a label is listed, and that label is blank; a row without any label is left out.

    Args:
        recipe: says where labels are and what they mean; see `complete_recipe`.
        data: the folder of the data, or its file of labels.
        progress: is told of every task read.

    Raises:
        PolyheadError: see `read_rows`.
    """
    rows = read_rows(recipe, data)
    fixed, reasons = read_fixed_splits(rows, recipe, data_folder(data))
    reasons = [reason or _refuse_name(path) for path, reason in zip(rows.paths, reasons, strict=True)]
    columns: dict[str, Sequence[str]] = {"path": rows.paths, "split": fixed, "content": [""] * len(rows.paths)}
    mistakes = _list_mistakes(rows, recipe)
    advance = progress.track("Reading labels", len(recipe.tasks))
    for name, task in recipe.tasks.items():
        columns[name], found = _read_labels(task, rows.cells[task.columns(name)])
        mistakes += [(row, name, value, reason) for row, (value, reason) in found.items()]
        advance(1)
    listed = [(path, "", "", reason) for path, reason in rows.rejected]
    listed += [(rows.paths[row], name, value, reason) for row, name, value, reason in mistakes]
    bad: list[list[str]] = [[] for _ in rows.paths]  # a row's labels that are none
    for row, name, _, reason in mistakes:
        bad[row].append(f"{name}: {reason}")
    for row, labels in enumerate(zip(*(columns[name] for name in recipe.tasks), strict=True)):
        if not any(labels) and not reasons[row]:
            reasons[row] = f"no label remains; {'; '.join(bad[row])}" if bad[row] else "has no label"
    if recipe.data.sample_weight:
        columns[WEIGHT] = _read_weights(rows.cells[recipe.data.sample_weight], reasons)
    if recipe.data.split.group:
        columns[GROUP] = [text.strip() for text in rows.cells[recipe.data.split.group]]
    frame = pd.DataFrame(columns, dtype=str).assign(reason=reasons).sort_values("path", ignore_index=True)
    rejected = pd.DataFrame(listed, columns=REJECTED_COLUMNS, dtype=str)
    return Table(data_folder(data), frame.drop(columns="reason"), rejected).leave_out(list(frame["reason"]))


def _refuse_name(path: str) -> str:
    """Why a path cannot be written to the tables and pages of a run; blank if it can."""
    return "its name is not UTF-8; rename it" if re.search("[\ud800-\udfff]", path) else ""


def _list_mistakes(rows: Rows, recipe: Recipe) -> list[tuple[int, str, str, str]]:
    """The source's own mistakes: row, task, text, reason."""
    row_of = {path: row for row, path in enumerate(rows.paths)} if rows.mistakes else {}
    return [
        (row_of[mistake.path], name, mistake.text, mistake.reason)
        for mistake in rows.mistakes
        for name, task in recipe.tasks.items()
        if mistake.column in task.columns(name)
    ]


def _read_labels(task: Task, cells: pd.DataFrame) -> tuple[list[str], dict[int, tuple[str, str]]]:
    """A task's labels; and for each row whose text is no label, that text and the reason."""
    texts = list(cells.itertuples(index=False, name=None))
    labels: dict[tuple[str, ...], str] = {}
    reasons: dict[tuple[str, ...], str] = {}
    for text in dict.fromkeys(texts):  # the same text, the same label: read it once
        try:
            labels[text] = task.read(*text)
        except ValueError as error:
            labels[text], reasons[text] = "", str(error)
    mistakes = {row: (",".join(text), reasons[text]) for row, text in enumerate(texts) if text in reasons}
    return [labels[text] for text in texts], mistakes


def _read_weights(cells: Iterable[str], reasons: list[str]) -> list[str]:
    """Each row's weight as text, 1 where blank; a row whose text is not a weight gets a reason to be left out."""
    texts = [cell.strip() or "1" for cell in cells]
    for row, text in enumerate(texts):
        try:
            valid = 0 <= float(text) <= MAX_WEIGHT
        except ValueError:
            valid = False
        if not valid:
            reasons[row] = reasons[row] or f"its weight is not a number from 0 to {MAX_WEIGHT:,}: {shorten(text, 60)!r}"
    return texts


def write_csv(table: Table, folder: Path) -> None:
    """Write `table.csv` and `rejected.csv` into the folder; each is there whole or not at all."""
    # The table last: where it is, a run that was killed has both.
    for name, frame in (("rejected.csv", table.rejected), ("table.csv", table.frame)):
        with write_beside(folder / name) as beside:
            # A lone \r is written bare by pandas and then taken for a line's end, unless all is in quotes.
            bare = any(frame[column].astype(str).str.contains("\r", regex=False).any() for column in frame)
            quoting: Any = csv.QUOTE_ALL if bare else csv.QUOTE_MINIMAL
            frame.to_csv(beside, index=False, encoding="utf-8", lineterminator="\n", quoting=quoting)


def read_csv(folder: Path, data: Path) -> Table:
    """Read what `write_csv` wrote; `data` is the folder or CSV file that the labels came from.

    Raises:
        PolyheadError: a file is missing or is not what `write_csv` writes.
    """
    frame = _read_frame(folder / "table.csv", FIXED_COLUMNS)
    return Table(data_folder(data), frame, _read_frame(folder / "rejected.csv", REJECTED_COLUMNS))


def _read_frame(file: Path, columns: Iterable[str]) -> pd.DataFrame:
    try:
        frame = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8")
    except OSError as error:
        raise PolyheadError(f"{file}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise PolyheadError(f"{file}: is not a table: {' '.join(str(error).split())}") from None
    missing = set(columns) - set(frame.columns)
    if missing:
        raise PolyheadError(f"{file}: is not a table of images; it lacks {', '.join(sorted(missing))}")
    return frame
