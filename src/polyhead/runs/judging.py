"""Between the predictor, the evaluation and the report: judge the shipped file, and write down what came of it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from polyhead.data.dataset import Dataset, load_dataset, reopen_dataset
from polyhead.data.inspect.matching import match_recipe
from polyhead.data.sources.rows import data_folder
from polyhead.data.splits import find_duplicates
from polyhead.data.table import Table, read_csv
from polyhead.errors import PolyheadError
from polyhead.evaluation.evaluate import answers_frame, combine, evaluate_split
from polyhead.files import write_beside, write_text
from polyhead.model.file import write_card
from polyhead.model.predictor import Predictor
from polyhead.progress import Progress
from polyhead.recipe.loading import check_recipe, load_recipe, override_values
from polyhead.recipe.schema import SPLITS, Recipe, SplitRecipe
from polyhead.report.parts import DataPart, EvaluatedSplit, Report, ResultPart, TrainingPart
from polyhead.report.report import write_report
from polyhead.run_folder import RunFolder
from polyhead.tasks import Task
from polyhead.training.divergence import read_divergence
from polyhead.training.history import Row, find_overfitted, kept_epoch

Evaluation = dict[str, Any]


def calibrate(model: Path, dataset: Dataset) -> None:
    """Find on the validation images how far to trust a model file's answers, and write that into the file.

    The graph and its outputs stay what they are, so that doing it again changes nothing; nothing is done without
    validation images.
    """
    rows = dataset.rows_of("valid")
    if not len(rows):
        return
    predictor = Predictor(model)
    outputs = predictor.run_all(lambda places: dataset.pixels(rows[places]), len(rows))
    frame, card = dataset.table.frame.iloc[rows], predictor.card
    tasks = {name: task.calibrate(frame[name].tolist(), outputs[name]) for name, task in card.tasks.items()}
    write_card(model, card.model_copy(update={"tasks": tasks}))


def data_path(recipe: Recipe) -> Path:
    """Where a recipe's data is.

    Raises:
        PolyheadError: it does not say.
    """
    if not recipe.data.path:
        raise PolyheadError(f"{recipe.name}: where is the data? give `data`, or data.path in the recipe")
    return Path(recipe.data.path)


def find_labelled_data(
    predictor: Predictor,
    data: str | Path | None,
    split: str | None,
    progress: Progress,
    overrides: Iterable[str] = (),
) -> Dataset:
    """The labelled images to judge a model file on.

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
    run, overrides = RunFolder(predictor.path.parent), list(overrides)
    table = read_csv(run.path, Path(run.path)) if run.table.exists() else None
    others = bool(overrides) or split == "all" or table is None or not _is_at(table, data)
    if data is not None and others and split in (None, "all"):
        return _label_all(_load_others(predictor, Path(data), overrides, progress))
    if overrides or (data and _is_recipe(data)):
        raise PolyheadError(f"split: other images than the run's have no splits, give `all`; got {split!r}")
    if table is None:
        raise PolyheadError(f"{predictor.path}: a model file alone knows no images; say where labelled ones are")
    recipe = load_recipe(run.recipe, data__path=str(Path(data).resolve()) if data else None)
    dataset = reopen_dataset(recipe, read_csv(run.path, data_path(recipe)), progress)
    return _label_all(dataset) if split == "all" else dataset


def _is_recipe(data: str | Path) -> bool:
    return Path(data).suffix in (".yaml", ".yml")


def _is_at(table: Table, data: str | Path | None) -> bool:
    """Whether a run's images lie in `data`, as far as the first of them shows."""
    return data is None or (data_folder(Path(data)) / table.frame["path"].iloc[0]).exists()


def _label_all(dataset: Dataset) -> Dataset:
    return replace(dataset, table=replace(dataset.table, frame=dataset.table.frame.assign(split="all")))


def _load_others(predictor: Predictor, data: Path, overrides: list[str], progress: Progress) -> Dataset:
    """Every labelled image of other data, for those of the model's tasks that it has labels of."""
    card, described = predictor.card, _is_recipe(data)
    if described:
        recipe = load_recipe(data, overrides)
        root = data_path(recipe)
    else:
        card.check_places(str(predictor.path))
        values = json.loads(json.dumps(card.recipe))  # a copy
        override_values(values, overrides)
        recipe = check_recipe(values, str(predictor.path))
        root = Path(data).resolve()
    everything = recipe.data.model_copy(update={"split": SplitRecipe(test=0, valid=0), "weight": None})
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
        progress.say(f"no labels of {', '.join(missing)}: what the model answers there is not judged")
    dataset = load_dataset(recipe.model_copy(update={"tasks": known}), root, progress, check=False)
    blank = dict.fromkeys((name for name in card.tasks if name not in known), "")
    return replace(dataset, table=replace(dataset.table, frame=dataset.table.frame.assign(**blank)))


def judge(
    predictor: Predictor, dataset: Dataset, splits: Sequence[str]
) -> tuple[Evaluation, dict[str, EvaluatedSplit]]:
    """The figures of `evaluation.json`, and the outputs behind them, for splits that have images."""
    tasks = predictor.card.tasks
    judged = {}
    for split in splits:
        rows = dataset.rows_of(split)

        def pixels(places: Any, rows: Any = rows) -> Any:
            return dataset.pixels(rows[places])

        frame = dataset.table.frame.iloc[rows].reset_index(drop=True)
        judged[split] = EvaluatedSplit(frame, predictor.run_all(pixels, len(rows)), pixels)
    found = {split: evaluate_split(tasks, part.rows, part.outputs) for split, part in judged.items()}
    return combine(found), judged


def record_metrics(model: Path, evaluation: Evaluation) -> None:
    """Write into a model file how good it is on the test images, so that it can say so wherever it is used."""
    judged = {name: task for name, task in evaluation.get("test", {}).get("tasks", {}).items() if task["n"]}
    figures = {name: _numbers(task) for name, task in judged.items()}
    baseline = {name: _numbers(task["baseline"]) for name, task in judged.items()}
    card = Predictor(model).card
    write_card(model, card.model_copy(update={"figures": figures, "baseline": baseline}))


def _numbers(found: Mapping[str, Any]) -> dict[str, float]:
    return {key: value for key, value in found.items() if isinstance(value, (int, float))}


def report_run(
    run: RunFolder, predictor: Predictor, dataset: Dataset, evaluation: Evaluation, judged: dict[str, EvaluatedSplit]
) -> None:
    """Write evaluation.json, predictions.csv and the report into a folder; the report last."""
    tasks, card = predictor.card.tasks, predictor.card
    recipe = check_recipe(card.recipe, str(predictor.path))
    write_text(run.evaluation, json.dumps(evaluation, indent=1, ensure_ascii=False))
    shown = judged.get("test") or next(iter(judged.values()), None)
    if shown:
        with write_beside(run.predictions) as beside:
            answers_frame(list(shown.rows["path"]), tasks, shown.outputs).to_csv(beside, index=False)
    facts = [
        ("images", ", ".join(f"{count:,} {split}" for split, count in card.rows.items())),
        ("image size", f"{recipe.image.size[0]} x {recipe.image.size[1]}"),
        ("parameters", f"{card.parameters:,}"),
        ("seed", str(recipe.seed)),
        ("fingerprint", card.fingerprint),
        ("Polyhead", card.version),
    ]
    detailed = {split: part for split, part in judged.items() if split != "valid" or len(judged) == 1}
    write_report(
        run.report,
        Report(
            title=card.name,
            description=card.description,
            note=card.note,
            facts=facts,
            remarks=[*warn_of_learning(run, evaluation), *_remarks(recipe, dataset, tasks)],
            data=_data_part(dataset, tasks),
            network=card.diagram,
            training=_training_part(run, recipe),
            results=ResultPart(evaluation, tasks, detailed, recipe.data.split.hold_out),
        ),
    )


def report_data(folder: Path, recipe: Recipe, dataset: Dataset) -> Path:
    """Write the page that shows a data set into `folder`; the page's file."""
    tasks: dict[str, Task] = {}
    for name, task in recipe.tasks.items():
        try:
            tasks[name] = task.learn(name, list(dataset.table.frame[name]))
        except PolyheadError:  # it cannot be trained on, and is shown all the same
            tasks[name] = task
    report = Report(
        title=recipe.name, description=recipe.description, note=recipe.note, data=_data_part(dataset, tasks)
    )
    return write_report(folder, report)


def _data_part(dataset: Dataset, tasks: Any) -> DataPart:
    frame = dataset.table.frame
    return DataPart(frame, dataset.table.rejected, tasks, find_duplicates(frame), dataset.pixels)


def _training_part(run: RunFolder, recipe: Recipe) -> TrainingPart | None:
    if not run.history.exists():
        return None
    rows = _read_history(run)
    diverged = read_divergence(run.path)
    notes = [f"{diverged.happened.capitalize()}; it ended there."] if diverged else []
    return TrainingPart(pd.DataFrame(rows), kept_epoch(rows, recipe.keeps == "best"), notes)


def _read_history(run: RunFolder) -> list[Row]:
    """An epoch a row; none where there is no history."""
    if not run.history.exists():
        return []
    try:
        history = pd.read_csv(run.history)
        if not len(history) or "epoch" not in history:
            raise ValueError
    except ValueError:
        raise PolyheadError(f"{run.history}: is damaged; delete it, and the report is made without it") from None
    return [dict(zip(map(str, history), row, strict=True)) for row in history.itertuples(index=False)]


def warn_of_learning(run: RunFolder, evaluation: Evaluation) -> list[str]:
    """What a user should know of how a run learnt, in sentences: see `find_overfitted`."""
    tasks = evaluation.get("valid", {}).get("tasks", {})
    names = find_overfitted(_read_history(run), tasks)
    if not names:
        return []
    return [
        f"On validation images no better than one constant answer, though clearly better on training images: "
        f"{', '.join(names)}. What helps: more images, a pretrained network.backbone, fewer training.epochs, stronger "
        "training.augment, a lower network.norm_momentum where an epoch has few steps."
    ]


def _remarks(recipe: Recipe, dataset: Dataset, tasks: Mapping[str, Task]) -> list[str]:
    remarks = []
    plain = [name for name, task in tasks.items() if task.FOUND and task == task.uncalibrated()]
    if recipe.data.split.valid == "test":
        remarks.append(
            "As published, the test images were also watched during training (as validation); nothing was chosen by "
            "them: the last epoch's weights were kept, and nothing was calibrated."
        )
    elif not recipe.may_choose:
        remarks.append("No image was kept for validation: nothing was chosen by any, and nothing was calibrated.")
    elif plain:
        remarks.append(f"Not calibrated, as no validation image could show how far to trust it: {', '.join(plain)}.")
    if recipe.data.split.hold_out:
        held = "; ".join(" ".join(row.values()) for row in recipe.data.split.hold_out)
        remarks.append(f"Held out of training, and judged apart as unseen: {held}.")
    if recipe.data.weight:
        remarks.append(f"Rows counted in losses as much as {recipe.data.weight} says; all figures count each row once.")
    if "all" in set(np.unique(dataset.table.frame["split"])):
        remarks.append("Every labelled image was judged, whether or not it was one that the model had trained on.")
    return remarks
