"""Columns of a source that are no task, by which images are told apart: a camera, a year, a person."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from polyhead.data.sources.celeba import list_celeba_texts
from polyhead.data.sources.label_file import list_label_columns
from polyhead.errors import PolyheadError
from polyhead.recipe.schema import Recipe, pattern_fields
from polyhead.tasks import Task

COLUMN = "column."  # begins such a column's name in a table; no task's does
CROSSED = "*"
LISTS: dict[str, Callable[[Any, Path], Iterable[str]]] = {
    "files": lambda source, data: pattern_fields(source.pattern),
    "folders": lambda source, data: pattern_fields(source.pattern),
    "csv": list_label_columns,
    "table": list_label_columns,
    "celeba": lambda source, data: list_celeba_texts(source, data)[1],
}


def list_columns(recipe: Recipe, data: Path) -> list[str]:
    """The columns that the recipe's source has, each once; none where its format has no more than labels."""
    listed: list[str] = []
    with suppress(PolyheadError):  # what is wrong with it is told where its labels are read
        if recipe.data.source.kind in LISTS:
            listed += LISTS[recipe.data.source.kind](recipe.data.source, data)
    return [name for name in dict.fromkeys(listed) if name and listed.count(name) == 1]


def split_groups(groups: Sequence[str]) -> list[str]:
    """The names in groups, of which each is one, or two as `gender*race`."""
    return [part.strip() for given in groups for part in given.split(CROSSED)]


def find_columns(groups: Sequence[str], tasks: Mapping[str, Task], columns: Iterable[str]) -> list[str]:
    """Which of the columns are named in groups; a task or a label of one with several comes before a column."""
    labels = {label for task in tasks.values() if task.several for label in task.names}
    named = dict.fromkeys(name for name in split_groups(groups) if name not in tasks and name not in labels)
    there = set(columns)
    return [name for name in named if name in there]


def list_kept(frame: pd.DataFrame) -> list[str]:
    """The columns of the source that a table has."""
    return [str(name).removeprefix(COLUMN) for name in frame if str(name).startswith(COLUMN)]
