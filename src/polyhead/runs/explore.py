"""Look at a data set before anything is trained: a page that shows it, and a recipe for it."""

import importlib.util
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from polyhead.data.inspect.proposal import propose_recipe
from polyhead.data.table import load_dataset
from polyhead.errors import PolyheadError, require
from polyhead.folders import claim_folder
from polyhead.progress import Progress, show_progress
from polyhead.recipe.builtin import built_in_names, read_text
from polyhead.recipe.loading import RecipeLike, check_recipe, write_yaml
from polyhead.recipe.overrides import Changes
from polyhead.recipe.plan import USUAL_MINUTES
from polyhead.recipe.schema import Quality
from polyhead.recipe.yaml import read_yaml
from polyhead.report.report import PAGE
from polyhead.runs.evaluate import report_data
from polyhead.runs.plan import load_unplanned, plan_recipe
from polyhead.runs.tables import load_recipe_for
from polyhead.training import choose_backend
from polyhead.training.time_limit import TimeLimit

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


def propose(
    source: str | os.PathLike[str],
    quality: Quality | None = None,
    minutes: float | None = None,
    *,
    progress: Progress | bool = True,
) -> str:
    """The YAML text of the recipe that training would plan for labelled images; or that of a built-in recipe.

    Args:
        source: a folder of labelled images, a file of labels, or a built-in recipe's name.
        quality: `fast`, `good` or `best`.
        minutes: that a run of it may take.
        progress: whether to show how far it is, on stderr or in a notebook; or an object that is told.

    Raises:
        PolyheadError: no labels are found; or planning fails.
    """
    name = os.fspath(source)
    if name in built_in_names():
        if quality or minutes:
            raise PolyheadError(
                f"{name}: is a built-in recipe, in which nothing is planned; take `quality` and `minutes` out"
            )
        return read_text(name)
    begun, draft = time.monotonic(), propose_recipe(Path(source), Path.cwd())
    for key, value in {"quality": quality, "minutes": minutes}.items():
        draft += f"{key}: {value}\n" if value is not None else ""
    recipe = check_recipe(read_yaml(draft, name), name)
    unasked = getattr(recipe.data.source, "fetch", None)  # nothing is fetched before a person has seen from where
    if unasked or importlib.util.find_spec("keras") is None:
        return f"{draft}# `network`, `image` and `training` are planned when it trains.\n"
    choose_backend()
    root = recipe.data_root()
    with show_progress(progress) as shown:
        dataset = load_unplanned(recipe, root, shown)
        limit = TimeLimit(minutes or USUAL_MINUTES[quality or "good"], started=begun)
        planned = plan_recipe(dataset, dataset.fit_tasks(), limit, shown)
    return f"{draft}{planned.comments}{write_yaml(planned.values)}"
