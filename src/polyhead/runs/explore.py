"""Look at a data set before anything is trained: a page that shows it, and a recipe for it."""

from collections.abc import Iterable
from pathlib import Path

from polyhead.data.dataset import load_dataset
from polyhead.extras import require
from polyhead.folders import claim_folder
from polyhead.progress import SILENT, Progress
from polyhead.recipe.builtin import built_in_names
from polyhead.recipe.loading import load_recipe, recipe_text
from polyhead.report.report import PAGE
from polyhead.runs.report import report_data


def explore(
    recipe: str | Path,
    out: str | Path,
    *,
    data: str | Path | None = None,
    overrides: Iterable[str] = (),
    force: bool = False,
    progress: Progress = SILENT,
) -> Path:
    """Write the page that shows a data set; the page's file."""
    require("exploring a data set", "report")
    loaded = load_recipe(recipe, overrides, data__path=str(Path(data).resolve()) if data else None)
    root = loaded.data_root()
    with claim_folder(Path(out), PAGE, force, progress) as folder:
        report_data(folder, load_dataset(loaded, root, progress, check=False))
    return Path(out) / PAGE


def propose(source: str) -> str:
    """The YAML text of a recipe for a data set, or of a built-in one."""
    from polyhead.data.inspect.proposal import propose_recipe

    if source in built_in_names():
        return recipe_text(source)
    return propose_recipe(Path(source))
