"""A recipe's table and the pixels of its rows: what training, evaluation and the report read."""

import math
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyhead.data.images.cache import DecodedImages, ImageSettings, open_images
from polyhead.data.sources.reading import complete_recipe
from polyhead.data.splits import GROUP, split_rows
from polyhead.data.table import Table, read_table
from polyhead.errors import PolyheadError
from polyhead.progress import Progress, warn
from polyhead.recipe.schema import Recipe
from polyhead.recipe.size import check_size


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


def load_dataset(recipe: Recipe, data: Path, progress: Progress, check: bool = True) -> Dataset:
    """Read labels, open the images, leave out what cannot be used, and split the rest.

    Args:
        recipe: says what to read and how to split it.
        data: the folder of the data, or its file of labels.
        progress: is told of the images, and how many were left out.
        check: whether to refuse where more than `data.max_rejected` cannot be used; if not, neither does a split that
            cannot be made stop it: all rows then have a blank one, and the reason is said.

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
    try:
        splits = split_rows(table.frame, recipe)
    except PolyheadError as error:
        if check:
            raise
        warn(f"not split: {error}")
        splits = table.frame.assign(split="", reason="")
    frame = table.frame.assign(split=splits["split"]).drop(columns=GROUP, errors="ignore")
    rows = rows[(splits["reason"] == "").to_numpy(bool)]
    table = replace(table, frame=frame).leave_out(list(splits["reason"]))
    whole = _whole_rows(table)
    progress.say(f"{len(table.frame):,} images; {whole:,} left out, {len(table.rejected) - whole:,} labels blanked")
    return Dataset(recipe, table, images, rows)


def reopen_dataset(recipe: Recipe, table: Table, progress: Progress) -> Dataset:
    """Open the images of a table that was written before.

    Raises:
        PolyheadError: an image is gone, cannot be read or is not the one that it was.
    """
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
