"""Tables as a run reads them."""

from pathlib import Path

from polyhead.data.sources.reading import complete_recipe
from polyhead.data.table import Table, read_table
from polyhead.progress import SILENT
from polyhead.recipe.schema import Recipe


def read_complete(recipe: Recipe, data: Path) -> Table:
    """The table of a recipe, whose open keys its source fills in."""
    return read_table(complete_recipe(recipe, data), data, SILENT)
