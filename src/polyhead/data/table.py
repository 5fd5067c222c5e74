"""The table that every source is read into, a row per image and a column per task; a data set adds pixels."""

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polyhead.data.corrections import CORRECTED, apply_corrections
from polyhead.data.folds import FOLD, assign_folds
from polyhead.data.images.cache import DecodedImages, ImageSettings, open_images
from polyhead.data.restoring import find_moved
from polyhead.data.sources.columns import COLUMN, find_columns, list_columns
from polyhead.data.sources.fetching import read_and_fetch
from polyhead.data.sources.reading import complete_recipe
from polyhead.data.sources.rows import Rows, data_folder
from polyhead.data.splits import GROUP, read_fixed_splits, split_rows
from polyhead.errors import PolyheadError, shorten, show_text
from polyhead.files import write_beside
from polyhead.progress import SILENT, Progress, warn
from polyhead.recipe.schema import Recipe
from polyhead.recipe.size import check_size
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
            each row, where the recipe has weights;
            `column.NAME` of the source, where the recipe's `groups` name one. Before the rows are split, `split` holds
            what the source says of it, `content` is blank, and `split.group` may be there. Where the recipe names
            corrections, `data.corrected` says what they changed: see `apply_corrections`.
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
    groups = find_columns(recipe.groups, recipe.tasks, list_columns(recipe, data)) if recipe.groups else []
    rows = read_and_fetch(recipe, data, groups, progress)
    fixed, reasons = read_fixed_splits(rows, recipe, data_folder(data))
    reasons = [reason or _refuse_name(path) for path, reason in zip(rows.paths, reasons, strict=True)]
    columns: dict[str, Sequence[str]] = {"path": rows.paths, "split": fixed, "content": [""] * len(rows.paths)}
    mistakes = _list_mistakes(rows, recipe)
    advance = progress.track("Reading labels", len(recipe.tasks))
    for name, task in recipe.tasks.items():
        columns[name], found = _read_labels(task, rows.cells[task.columns(name)])
        mistakes += [(row, name, value, reason) for row, (value, reason) in found.items()]
        advance(1)
    if recipe.data.corrections:
        read = {name: list(columns[name]) for name in recipe.tasks}
        file = data_folder(data) / recipe.data.corrections
        columns[CORRECTED] = apply_corrections(file, recipe.tasks, rows.paths, read)
        columns |= read
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
    columns |= {COLUMN + name: rows.cells[name].str.strip().tolist() for name in groups}
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


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table of images that can all be read.

    Attributes:
        recipe: what was read; with all that its source says of the tasks.
        table: n rows.
        images: the opened images, of these rows and of others.
        rows: (n,) the index of each row's image in `images`.
    """

    recipe: Recipe
    table: Table
    images: DecodedImages
    rows: NDArray[np.intp]

    def pixels(self, table_rows: NDArray[np.intp]) -> NDArray[np.uint8]:
        """The images of k rows of the table: (k, height, width, 3), 0..255."""
        return self.images.read(self.rows[table_rows])

    def rows_of(self, split: str) -> NDArray[np.intp]:
        """The rows of the table that are in a split."""
        return np.flatnonzero((self.table.frame["split"] == split).to_numpy(bool))

    def fit_tasks(self) -> dict[str, Task]:
        """The tasks, having learnt from the training split.

        Raises:
            PolyheadError: it has nothing to learn from.
        """
        recipe, frame, rows = self.recipe, self.table.frame, self.rows_of("train")
        if WEIGHT in frame and not frame[WEIGHT].iloc[rows].astype(float).any():
            column = recipe.data.sample_weight
            raise PolyheadError(f"data.sample_weight: {column} is 0 in every row of the training split")
        return {name: task.fit(name, list(frame[name].iloc[rows])) for name, task in recipe.tasks.items()}


def load_dataset(recipe: Recipe, data: Path, progress: Progress, check: bool = True, folds: int = 0) -> Dataset:
    """Read labels, open the images, leave out what cannot be used, and split the rest.

    Args:
        recipe: says what to read and how to split it.
        data: the folder of the data, or its file of labels.
        progress: is told of the images, and how many were left out.
        check: whether to refuse where more than `data.max_rejected` cannot be used; if not, neither does a split that
            cannot be made stop it: all rows then have a blank one, and the reason is said.
        folds: where it is not 0, there is no validation split: its rows are training rows, and all of these are parted
            into so many folds, whose numbers are a column `data.fold`. The test split is the same as without.

    Raises:
        PolyheadError: the source is not as the recipe says; no image can be used; or, under `check`, too few can, the
            split cannot be made, or the network cannot fit.
    """
    recipe = complete_recipe(recipe, data)
    table = read_table(recipe, data, progress)
    if check:
        check_size(recipe, len(table.frame))  # before images are decoded, which may take long
    images = _open(recipe, table, progress)
    reasons = [images.failures.get(row, "") for row in range(len(table.frame))]
    digests = [digest or "" for digest in images.digests]
    rows = np.flatnonzero([not reason for reason in reasons])
    table = replace(table, frame=table.frame.assign(content=digests)).leave_out(reasons)
    _check_rejected(table, recipe.data.max_rejected if check else 1.0)
    frame, plan = table.frame, recipe
    if folds:
        frame = frame.assign(split=frame["split"].replace("valid", "train"))
        split = recipe.data.split.model_copy(update={"valid": 0.0})
        plan = recipe.model_copy(update={"data": recipe.data.model_copy(update={"split": split})})
    try:
        splits = split_rows(frame, plan)
    except PolyheadError as error:
        if check:
            raise
        warn(f"not split: {error}")
        splits = table.frame.assign(split="", reason="")
    frame = frame.assign(split=splits["split"])
    if folds:
        frame = frame.assign(**{FOLD: assign_folds(frame, recipe, folds)})
    rows = rows[(splits["reason"] == "").to_numpy(bool)]
    table = replace(table, frame=frame).leave_out(list(splits["reason"]))
    whole = _whole_rows(table)
    images_word = "image" if len(table.frame) == 1 else "images"
    progress.say(
        f"{len(table.frame):,} {images_word}; {whole:,} left out, {len(table.rejected) - whole:,} labels blanked"
    )
    return Dataset(recipe, table, images, rows)


def reopen_dataset(recipe: Recipe, table: Table, progress: Progress) -> Dataset:
    """Open the images of a table that was written before.

    Raises:
        PolyheadError: an image is gone, cannot be read or is not the one that it was.
    """
    moved = find_moved(recipe, table.root, table.frame["path"])
    table = replace(table, frame=table.frame.assign(path=table.frame["path"].replace(moved))) if moved else table
    images = _open(recipe, table, progress)
    for row, (path, content) in enumerate(zip(table.frame["path"], table.frame["content"], strict=True)):
        if row in images.failures:
            raise PolyheadError(f"{table.root / path}: {images.failures[row]}; it is in the run's table, put it back")
        if images.digests[row] != content:
            raise PolyheadError(f"{table.root / path}: is not the image that the run began with; put that one back")
    return Dataset(recipe, table, images, np.arange(len(table.frame)))


def _open(recipe: Recipe, table: Table, progress: Progress) -> DecodedImages:
    settings = ImageSettings(recipe.image.size, recipe.image.resize, recipe.image.cache)
    return open_images([table.root / path for path in table.frame["path"]], settings, progress)


def _whole_rows(table: Table) -> int:
    return int((table.rejected["task"] == "").sum())


def _check_rejected(table: Table, limit: float) -> None:
    """Refuse to go on if more than this fraction of the images was left out, or all of them."""
    gone = _whole_rows(table)
    total = gone + len(table.frame)
    if len(table.frame) and gone <= limit * total:
        return
    whole = table.rejected[table.rejected["task"] == ""]
    kinds = whole["reason"].str.split("[:;]", regex=True).str[0]  # behind it stands what differs from row to row
    reasons = []
    for kind, count in Counter(kinds).most_common(3):
        path, reason = whole.loc[kinds == kind, ["path", "reason"]].iloc[0]
        reasons.append(f"{count:,} x {kind} (such as {path}{reason.removeprefix(kind)})")
    words = f"{table.root}: {gone:,} of {total:,} images cannot be used: {'; '.join(reasons)}"
    if not len(table.frame):
        raise PolyheadError(words)
    enough = math.ceil(gone / total * 100) / 100
    raise PolyheadError(
        f"{words}; data.max_rejected allows {limit:g} of them. `explore` lists all; "
        f"data.max_rejected={enough:g} trains without them"
    )
