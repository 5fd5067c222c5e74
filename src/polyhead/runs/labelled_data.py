"""Which labelled images a model file is evaluated on: those of its run, or others, whose labels fit its tasks."""

import json
import os
from dataclasses import replace
from pathlib import Path

from polyhead.data.inspect.matching import match_recipe
from polyhead.data.sources.rows import data_folder
from polyhead.data.table import Dataset, Table, load_dataset, read_csv, reopen_dataset
from polyhead.errors import PolyheadError
from polyhead.model.predictor import Predictor
from polyhead.progress import Progress, warn
from polyhead.recipe.loading import check_recipe, load_recipe
from polyhead.recipe.overrides import Changes, override_values
from polyhead.recipe.schema import SPLITS, SplitRecipe
from polyhead.run_folder import RunFolder
from polyhead.runs.tables import TableFiles


def find_labelled_data(
    predictor: Predictor,
    data: str | os.PathLike[str] | TableFiles | None,
    split: str | None,
    progress: Progress,
    overrides: Changes = (),
) -> Dataset:
    """The labelled images to evaluate a model file on.

    Args:
        predictor: the model file; in its run folder, unless other images are given.
        data: where the run's images are now, if they were moved; or other labelled images: a folder, a file of labels,
            or a recipe that says where labels stand. Without a recipe they are looked for where the run's stood, then
            wherever a recipe would be proposed for, and matched with the model's tasks.
        split: which of them are wanted: one of the run's, or `all`, which is then the split of every row. If absent:
            test of a run's own images, all of others.
        overrides: changes to the recipe by which other images' labels are read, such as "data.source.kind=csv".

    Raises:
        PolyheadError: they cannot be found, or there is no such split.
    """
    if split not in (None, *SPLITS, "all"):
        raise PolyheadError(f"split: expected {', '.join(SPLITS)} or all; got {split!r}")
    run = RunFolder(predictor.path.parent)
    table = read_csv(run.path, Path(run.path)) if run.table.exists() else None
    files = data if isinstance(data, TableFiles) else None
    place = data.folder if isinstance(data, TableFiles) else None if data is None else Path(data)
    others = bool(files or overrides) or split == "all" or table is None or not _is_at(run, table, place)
    if place is not None and others and split in (None, "all"):
        return _label_all(_load_others(predictor, place, files, overrides, progress))
    if files or overrides or (place and _is_recipe(place)):
        raise PolyheadError(f"split: other images than the run's have no splits, give `all`; got {split!r}")
    if table is None:
        raise PolyheadError(f"{predictor.path}: a model file alone knows no images; say where labelled ones are")
    recipe = load_recipe(run.recipe, data__path=str(place.resolve()) if place else None)
    dataset = reopen_dataset(recipe, read_csv(run.path, recipe.data_root()), progress)
    return _label_all(dataset) if split == "all" else dataset


def _is_recipe(data: Path) -> bool:
    return data.suffix in (".yaml", ".yml")


def _is_at(run: RunFolder, table: Table, data: Path | None) -> bool:
    """Whether a run's images lie in `data`, as far as the first of them shows."""
    first = table.frame["path"].iloc[0]
    if data is not None and os.path.isabs(first):  # which is there whatever `data` is
        return os.path.realpath(data) == os.path.realpath(load_recipe(run.recipe).data.path or "")
    return data is None or (data_folder(data) / first).exists()


def _label_all(dataset: Dataset) -> Dataset:
    return replace(dataset, table=replace(dataset.table, frame=dataset.table.frame.assign(split="all")))


def _load_others(
    predictor: Predictor, data: Path, files: TableFiles | None, overrides: Changes, progress: Progress
) -> Dataset:
    """Every labelled image of other data, for those of the model's tasks that it has labels of."""
    card, described = predictor.card, _is_recipe(data)
    if described:
        recipe = load_recipe(data, overrides)
        root = recipe.data_root()
    else:
        if not files:  # which take the place of what the recipe names
            card.check_places(str(predictor.path))
        values = json.loads(json.dumps(card.recipe))  # a copy
        if files and isinstance(values.get("data"), dict):
            values["data"]["source"] = files.source
        elif isinstance(values.get("data"), dict) and isinstance(values["data"].get("source"), dict):
            values["data"]["source"].pop("fetch", None)  # a stranger's: what is fetched, the user says
        override_values(values, overrides)
        recipe = check_recipe(values, str(predictor.path))
        root = Path(data).resolve()
    changed = {"split": SplitRecipe(test=0, valid=0), "sample_weight": None}
    changed |= {} if described else {"corrections": None}  # which are of the run's images
    everything = recipe.data.model_copy(update={**changed, "path": str(root)})
    recipe = recipe.model_copy(update={"data": everything, "image": card.image})
    if not described and not overrides:
        recipe, match = match_recipe(recipe, card.tasks, root)
        if match:
            progress.say(match.describe())
    known = {name: task for name, task in recipe.tasks.items() if name in card.tasks}
    if not known:
        raise PolyheadError(
            f"{data}: has none of the model's tasks ({', '.join(card.tasks)}), but {', '.join(recipe.tasks)}"
        )
    if missing := [name for name in card.tasks if name not in known]:
        warn(f"no labels of {', '.join(missing)}: what the model answers there is not evaluated")
    dataset = load_dataset(recipe.model_copy(update={"tasks": known}), root, progress, check=False)
    blank = dict.fromkeys((name for name in card.tasks if name not in known), "")
    return replace(dataset, table=replace(dataset.table, frame=dataset.table.frame.assign(**blank)))
