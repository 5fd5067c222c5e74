"""Data that a program hands over: a path as it is, a table in memory written as files, from which all goes on."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyhead.data.inspect.proposal import propose_values
from polyhead.data.sources.archives import ARCHIVES
from polyhead.data.sources.columns import find_columns
from polyhead.data.sources.forms.reading import LABEL_SUFFIXES
from polyhead.data.sources.given import read_memory
from polyhead.data.sources.memory import LABELS, MemoryTable, Wish, write_memory
from polyhead.data.sources.reading import requested_columns
from polyhead.data.sources.rows import check_columns
from polyhead.errors import PolyheadError
from polyhead.model.card import Card
from polyhead.recipe.builtin import built_in_names
from polyhead.recipe.loading import RecipeLike, check_recipe, load_recipe, read_values
from polyhead.recipe.overrides import Changes
from polyhead.recipe.schema import CsvSource, Recipe
from polyhead.tasks import Task

if TYPE_CHECKING:
    from polyhead.data.sources.given import DataLike


@dataclass(frozen=True)
class TableFiles:
    """A table in memory, and the folder that its files are to be in.

    Attributes:
        source: what `data.source` says of them in a recipe.
    """

    table: MemoryTable
    folder: Path
    source: dict[str, Any]
    wish: Wish

    def write(self) -> None:
        """Write the label file and the images that are in memory alone."""
        write_memory(self.table, self.folder, self.wish)


def load_recipe_for(
    recipe: RecipeLike,
    overrides: Changes,
    data: "DataLike | None",
    folder: Path,
    asked: Mapping[str, object] | None = None,
) -> tuple[Recipe, TableFiles | None]:
    """The recipe with the place of its data; and, where that is a table in memory, the files to write there first.

    Args:
        recipe: or a folder of labelled images, or a file of labels: a recipe is proposed for it.
        folder: where they are to be.
        asked: values for keys at the top of the recipe; None where nothing is asked.

    Raises:
        PolyheadError: the recipe is wrong, or asks for a column that the table has not.
    """
    if isinstance(recipe, str | os.PathLike) and is_data(recipe):
        if data is not None:
            raise PolyheadError(f"{recipe}: is the data already; give a recipe, or take `data` out")
        recipe = propose_values(Path(recipe))
    table = None if data is None else read_memory(data)
    if table is None:
        path = os.path.realpath(data) if isinstance(data, str | os.PathLike) and os.fspath(data) else None
        return load_recipe(recipe, overrides, data__path=path, **(asked or {})), None
    raw, where = read_values(recipe, overrides)
    given = raw.setdefault("data", {})
    raw |= {name: value for name, value in (asked or {}).items() if value is not None}
    if not isinstance(given, dict):
        check_recipe(raw, where)
    old = given.get("source")
    source = _describe_source(table, old if isinstance(old, dict) else {}, must=True)
    raw["data"] = {**given, "path": os.path.abspath(folder), "source": source}
    if table.split:
        split = given.get("split") or {}
        if isinstance(split, dict) and not split.get("column") and not split.get("file"):
            raw["data"]["split"] = {**split, "column": table.split}
    loaded = check_recipe(raw, where)
    check_columns(_list_requested(loaded), table.columns, f"a column of {table.what}")
    wanted = [*_list_requested(loaded), *find_columns(loaded.groups, loaded.tasks, table.columns)]
    return loaded, TableFiles(table, folder, source, _wish(source, loaded.tasks, wanted))


def is_data(recipe: str | os.PathLike[str]) -> bool:
    """Whether what is given as a recipe is a folder of images or a file of labels, and no recipe, run or model."""
    if os.fspath(recipe) in built_in_names():
        return False
    if os.path.isdir(recipe):
        return not os.path.exists(os.path.join(recipe, "recipe.yaml"))
    return os.path.isfile(recipe) and os.fspath(recipe).lower().endswith((*LABEL_SUFFIXES, *ARCHIVES))


@contextmanager
def locate_data(data: "DataLike | None", card: Card, columns: Sequence[str] = ()) -> Iterator[Path | TableFiles | None]:
    """Where the labelled images are to be read, while the block lasts: a table in memory as files, for so long.

    Args:
        card: of the model that is to answer; the column of images is that of its recipe, if it is there.
        columns: others that are wanted, if they are there.

    Raises:
        PolyheadError: it is no table, or one of several parts.
    """
    table = None if data is None else read_memory(data)
    if table is None:
        yield Path(data) if isinstance(data, str | os.PathLike) else None
        return
    if table.split:
        raise PolyheadError("data: expected one part of the DatasetDict, such as dataset['test']")
    with tempfile.TemporaryDirectory(prefix="polyhead-") as folder:
        old = card.recipe.get("data")
        source = old.get("source") if isinstance(old, dict) else None
        found = _describe_source(table, source if isinstance(source, dict) else {}, must=False)
        asked = [column for name, task in card.tasks.items() for column in task.columns(name)]
        asked += [column for column in columns if column in table.columns and column not in asked]
        files = TableFiles(table, Path(folder), found, _wish(found, card.tasks, asked))
        files.write()
        yield files


def _describe_source(table: MemoryTable, old: Mapping[str, Any], must: bool) -> dict[str, Any]:
    """`data.source` for the files of a table, in place of an old one."""
    is_file = old.get("kind") in ("csv", "table")
    named = old.get("image") if is_file else None
    named = named if isinstance(named, str) and "{" not in named else None
    image = table.find_images(named, must=must and named != CsvSource.model_fields["image"].default)
    kept = {"long": old["long"]} if is_file and old.get("long") else {}
    return {"kind": "csv", "file": LABELS, "image": image, **kept}


def _list_requested(recipe: Recipe) -> dict[str, str]:
    """The table's columns that the recipe asks for, each with the first key that does."""
    requested, source = requested_columns(recipe), recipe.data.source
    if isinstance(source, CsvSource) and source.long:
        plain = {column: key for column, key in requested.items() if not key.startswith("tasks.")}
        return plain | {source.long.task: "data.source.long.task", source.long.label: "data.source.long.label"}
    return requested


def _wish(source: Mapping[str, Any], tasks: Mapping[str, Task], columns: list[str]) -> Wish:
    separators = {column: task.cell_separator for name, task in tasks.items() for column in task.columns(name)}
    return Wish(source["image"], {name: separators.get(name, "|") for name in columns}, by_content="long" in source)


__all__ = ["TableFiles", "load_recipe_for", "locate_data"]
