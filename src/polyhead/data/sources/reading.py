"""From where labels stand (names of files or folders, a CSV file, a published list) to rows of text."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from polyhead.data.sources.celeba import list_celeba_texts, read_celeba
from polyhead.data.sources.csv import read_csv_rows
from polyhead.data.sources.fashionai import list_fashionai_texts, read_fashionai
from polyhead.data.sources.file_names import read_files, read_folders
from polyhead.data.sources.rows import Rows, Wanted
from polyhead.errors import PolyheadError
from polyhead.recipe.loading import check_recipe, recipe_values
from polyhead.recipe.schema import Recipe

READERS: dict[str, Callable[[Any, Path, Wanted], Rows]] = {
    "files": read_files,
    "folders": read_folders,
    "csv": read_csv_rows,
    "fashionai": read_fashionai,
    "celeba": read_celeba,
}
# For sources whose format says so: the file, and every column with the texts that it can have, where those are fixed.
TEXTS: dict[str, Callable[[Any, Path], tuple[Path, Mapping[str, Sequence[str]]]]] = {
    "fashionai": list_fashionai_texts,
    "celeba": list_celeba_texts,
}


def complete_recipe(recipe: Recipe, data: Path) -> Recipe:
    """The recipe with what it leaves open and the format of its source settles, such as how many classes a task has.

    A complete recipe stays as it is.

    Raises:
        PolyheadError: a task declares more labels, or fewer, than the source has; or the source cannot be read.
    """
    source = recipe.data.source
    if source.kind not in TEXTS:
        return recipe
    file, texts = TEXTS[source.kind](source, data)
    values = recipe_values(recipe)
    for name, task in recipe.tasks.items():
        try:
            values["tasks"][name] |= task.settle(name, texts)
        except ValueError as error:
            raise PolyheadError(f"tasks.{name}: {error} in {file}") from None
    return check_recipe(values, recipe.name)


def read_rows(recipe: Recipe, data: Path) -> Rows:
    """Read what the recipe's source says of the images in `data`, a folder or a file of labels.

    Raises:
        PolyheadError: there is nothing to read, or it lacks a column that the recipe asks for.
    """
    source = recipe.data.source
    rows = READERS[source.kind](source, data, wanted_columns(recipe))
    if not rows.paths and not rows.rejected:
        raise PolyheadError(f"{data}: there is no image in it; check data.path or `data`")
    return rows


def wanted_columns(recipe: Recipe) -> dict[str, str]:
    """The source's columns that the recipe asks for, each with the first key that does."""
    wanted: dict[str, str] = {}
    for name, task in recipe.tasks.items():
        for column in task.columns(name):
            wanted.setdefault(column, f"tasks.{name}")
    for key in ("column", "group"):
        if named := getattr(recipe.data.split, key):
            wanted.setdefault(named, f"data.split.{key}")
    if recipe.data.weight:
        wanted.setdefault(recipe.data.weight, "data.weight")
    return wanted
