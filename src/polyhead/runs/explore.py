"""Look at a data set before anything is trained: a page that shows it, and a recipe for it."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from polyhead.data.table import load_dataset
from polyhead.errors import require
from polyhead.folders import claim_folder
from polyhead.progress import Progress, show_progress
from polyhead.recipe.builtin import built_in_names
from polyhead.recipe.loading import RecipeLike, recipe_text
from polyhead.recipe.overrides import Changes
from polyhead.report.report import PAGE
from polyhead.runs.evaluate import report_data
from polyhead.runs.tables import load_recipe_for

if TYPE_CHECKING:
    from polyhead.data.sources.given import DataLike


def explore(
    recipe: RecipeLike,
    out: str | os.PathLike[str],
    *,
    data: "DataLike | None" = None,
    overrides: Changes = (),
    force: bool = False,
    progress: Progress | bool = True,
) -> Path:
    """Write the page that shows a data set: samples, distributions, missing labels, repeats, unreadable files.

    Args:
        recipe: as for `polyhead.train`.
        out: a folder to make.
        data: as for `polyhead.train`.
        overrides: as for `polyhead.train`.
        force: whether to replace what such a call wrote there before.
        progress: whether to show how far it is, on stderr or in a notebook; or an object that is told.

    Returns:
        The page's file.

    Raises:
        PolyheadError: something given is wrong; nothing is left in `out` then.
    """
    require("exploring a data set", "report")
    with tempfile.TemporaryDirectory(prefix="polyhead-") as place, show_progress(progress) as shown:
        loaded, table = load_recipe_for(recipe, overrides, data, Path(place))
        root = loaded.data_root()
        with claim_folder(Path(out), PAGE, force, shown) as folder:
            if table:
                table.write()
            report_data(folder, load_dataset(loaded, root, shown, check=False))
    return Path(out) / PAGE


def propose(source: str) -> str:
    """The YAML text of a recipe for a data set, or of a built-in one."""
    from polyhead.data.inspect.proposal import propose_recipe

    if source in built_in_names():
        return recipe_text(source)
    return propose_recipe(Path(source))
