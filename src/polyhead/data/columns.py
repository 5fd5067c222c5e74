"""Columns of a source that a data set was read without, added to it."""

from collections.abc import Sequence
from dataclasses import replace

from polyhead.data.sources.columns import COLUMN
from polyhead.data.sources.fetching import read_and_fetch
from polyhead.data.table import Dataset


def keep_columns(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """A data set whose frame has these columns of its source, too, each as `column.NAME`: text, blank where unknown.

    Raises:
        PolyheadError: the source cannot be read any more.
    """
    frame = dataset.table.frame
    missing = [name for name in names if COLUMN + name not in frame]
    if not missing:
        return dataset
    rows = read_and_fetch(dataset.recipe, dataset.recipe.data_root(), missing)
    found = {}
    for name in missing:
        cell_of = dict(zip(rows.paths, rows.cells[name].str.strip(), strict=True))
        found[COLUMN + name] = [cell_of.get(path, "") for path in frame["path"]]
    return replace(dataset, table=replace(dataset.table, frame=frame.assign(**found)))
