"""Read the labels of a data set with the reader of its source."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from polyhead.data.sources.celeba import list_celeba_texts, read_celeba
from polyhead.data.sources.fashionai import list_fashionai_texts, read_fashionai
from polyhead.data.sources.file_names import read_files, read_folders
from polyhead.data.sources.label_file import read_label_file
from polyhead.data.sources.rows import RequestedColumns, Rows
from polyhead.errors import PolyheadError
from polyhead.recipe.loading import check_recipe, recipe_values
from polyhead.recipe.schema import Recipe

READERS: dict[str, Callable[[Any, Path, RequestedColumns], Rows]] = {
    "files": read_files,
    "folders": read_folders,
    "csv": read_label_file,
    "table": read_label_file,
    "fashionai": read_fashionai,
    "celeba": read_celeba,
}
# For sources whose format fixes them: the file, and each column with the texts that it can hold.
TEXTS: dict[str, Callable[[Any, Path], tuple[Path, Mapping[str, Sequence[str]]]]] = {
    "fashionai": list_fashionai_texts,
    "celeba": list_celeba_texts,
}


def complete_recipe(recipe: Recipe, data: Path) -> Recipe:
    """The recipe, completed by what its source's format fixes, such as the classes of a task.

    A complete recipe is returned unchanged.

    Raises:
        PolyheadError: a task declares more or fewer labels than the source has, or the source cannot be read.
    """
    source = recipe.data.source
    if source.kind not in TEXTS:
        return recipe
    file, texts = TEXTS[source.kind](source, data)
    values = recipe_values(recipe)
    for name, task in recipe.tasks.items():
        try:
            values["tasks"][name] |= task.complete_from_source(name, texts)
        except ValueError as error:
            raise PolyheadError(f"tasks.{name}: {error} in {file}") from None
    return check_recipe(values, recipe.name)


def read_by_plugin(source: Any, data: Path, requested: RequestedColumns) -> Rows:
    """What a source of an installed package reads, by its method `read(data, requested)`.

    Raises:
        PolyheadError: that is not `Rows` of the requested columns, of different images.
    """
    rows = source.read(data, requested)
    key = f"data.source: {source.kind}"
    if not isinstance(rows, Rows):
        raise PolyheadError(f"{key}: its `read` gives no Rows, but {type(rows).__name__}; update its package")
    missing = [column for column in requested if column not in rows.cells]
    if missing or len(rows.cells) != len(rows.paths) or len(set(rows.paths)) < len(rows.paths):
        fault = f"has no column {missing[0]!r}" if missing else "has no row of its own for each image"
        raise PolyheadError(f"{key}: what its `read` gives {fault}; update its package")
    return rows


def read_rows(recipe: Recipe, data: Path, groups: Sequence[str] = ()) -> Rows:
    """Read the labels in `data`, a folder or a file of labels, as the recipe's source says.

    Args:
        groups: columns to read besides, of those that the source has.

    Raises:
        PolyheadError: there is nothing to read, or a column that the recipe needs is missing.
    """
    source = recipe.data.source
    requested = dict.fromkeys(groups, "groups") | requested_columns(recipe)
    rows = READERS.get(source.kind, read_by_plugin)(source, data, requested)
    if not rows.paths and not rows.rejected:
        raise PolyheadError(f"{data}: there is no image in it; check data.path or `data`")
    return rows


def requested_columns(recipe: Recipe) -> dict[str, str]:
    """The source's columns that the recipe reads, each with the first key that names it."""
    requested: dict[str, str] = {}
    for name, task in recipe.tasks.items():
        for column in task.columns(name):
            requested.setdefault(column, f"tasks.{name}")
    for key in ("column", "group"):
        if named := getattr(recipe.data.split, key):
            requested.setdefault(named, f"data.split.{key}")
    if recipe.data.sample_weight:
        requested.setdefault(recipe.data.sample_weight, "data.sample_weight")
    return requested
