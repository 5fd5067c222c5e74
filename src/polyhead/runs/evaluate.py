"""Evaluate the shipped file, through the predictor that users run; write down, and report, what came of it."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from polyhead.data.columns import keep_columns
from polyhead.data.corrections import CORRECTED, read_judged
from polyhead.data.sources.columns import find_columns, list_columns, list_kept, split_groups
from polyhead.data.splits import find_duplicates
from polyhead.data.table import Dataset
from polyhead.errors import PolyheadError, require
from polyhead.evaluation.evaluate import answers_frame, combine, evaluate_split
from polyhead.evaluation.groups import check_groups, measure_groups, name_groups
from polyhead.evaluation.intervals import add_intervals
from polyhead.evaluation.results import Evaluation
from polyhead.evaluation.rules import count_in_labels, measure_rules
from polyhead.evaluation.unfamiliar import measure_unfamiliar
from polyhead.files import write_beside, write_text
from polyhead.folders import claim_folder, restore_replaced
from polyhead.model.file import read_model_card, write_card
from polyhead.model.predictor import Predictor
from polyhead.progress import Progress, show_progress, warn
from polyhead.recipe.loading import check_recipe, load_run_plugins
from polyhead.recipe.overrides import Changes
from polyhead.recipe.schema import Recipe
from polyhead.report.parts import DataPart, EvaluatedSplit, Report, ResultPart, TrainingPart
from polyhead.report.report import write_report
from polyhead.report.words import count_images, show_percent
from polyhead.run_folder import RunFolder
from polyhead.runs.image_audit import audit_files
from polyhead.runs.labelled_data import find_labelled_data
from polyhead.runs.learning_curve import read_learning_curve
from polyhead.runs.robustness import measure_worse
from polyhead.runs.tables import locate_data
from polyhead.tasks import Task
from polyhead.tasks.rules import Rule
from polyhead.training.history import (
    Row,
    choose_epoch,
    find_gains,
    find_kept_epochs,
    find_overfitted,
    read_divergence,
)

if TYPE_CHECKING:
    from polyhead.data.sources.given import DataLike


def evaluate(
    model: str | os.PathLike[str],
    *,
    data: "DataLike | None" = None,
    split: str | None = None,
    overrides: Changes = (),
    by: Sequence[str] = (),
    worse: bool = False,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    progress: Progress | bool = True,
) -> Evaluation:
    """Evaluate a model file on the images of a split of its run, or on every labelled image of other data.

    Args:
        model: a run folder or a model file.
        data: where the run's labelled images are now, if they were moved; or others: a folder, a file of labels, a
            recipe that says where labels stand, a DataFrame, a Hugging Face Dataset. Without a recipe, labels are
            looked for where the run's stood, then wherever they can be seen, and matched with the model's tasks.
        split: train, valid, test or unseen: of the run; or `all`, every image of `data`. If absent: test of the run, or
            all of other images.
        overrides: changes to the recipe by which the labels of other images are read, such as
            `["data.source.kind=csv"]` or `{"data.source.kind": "csv"}`.
        by: groups of images to tell the figures of apart; see the recipe's key `groups`, which it is added to.
        worse: whether to ask about blurred, compressed, dark, small and turned images as well; see
            `evaluation.robustness`.
        out: a folder to make, for evaluation.json, predictions.csv and the report.
        force: whether to replace what such a call wrote there before.
        progress: whether to show how far it is, on stderr or in a notebook; or an object that is told.

    Raises:
        PolyheadError: something given is wrong, there are no such images, or the model is damaged.
    """
    require("evaluation", "report")
    with show_progress(progress) as shown, ExitStack() as held:
        restore_replaced(Path(model), shown)
        load_run_plugins(model)
        predictor = Predictor(model)
        place = held.enter_context(locate_data(data, predictor.card, split_groups(by)))
        dataset = find_labelled_data(predictor, place, split, shown, overrides)
        split = split or ("all" if "all" in set(dataset.table.frame["split"]) else "test")
        if not len(dataset.rows_of(split)):
            raise PolyheadError(f"split: there are no {split} images to evaluate")
        folder = held.enter_context(claim_folder(Path(out), "evaluation.json", force, shown)) if out else None
        recipe = check_recipe(predictor.card.recipe, str(model))
        groups = _choose_groups(dataset, recipe, by, predictor.card.tasks)
        dataset = keep_groups(dataset, groups, predictor.card.tasks)
        evaluation, outputs = evaluate_splits(predictor, dataset, [split], groups)
        if split == "valid" and data is None and (curve := read_learning_curve(RunFolder(Path(model)))):
            evaluation[split]["learning_curve"] = curve
        if worse:
            evaluation[split]["worse"] = measure_worse(predictor, outputs[split], shown)
        if folder:
            report_run(RunFolder(folder), predictor, dataset, evaluation, outputs)
    return Evaluation(evaluation)


def keep_groups(dataset: Dataset, groups: Sequence[str], tasks: Mapping[str, Task]) -> Dataset:
    """A data set with the columns of its source that groups are by.

    Args:
        tasks: by name, as the training split taught them.

    Raises:
        PolyheadError: one of the groups is no task, no label of one with several and no column.
    """
    columns = _list_columns(dataset) if groups else []
    check_groups(groups, tasks, columns)
    return keep_columns(dataset, find_columns(groups, tasks, columns))


def _list_columns(dataset: Dataset) -> list[str]:
    """The columns of its source, those that are kept first."""
    found = list_kept(dataset.table.frame)
    found += list_columns(dataset.recipe, dataset.recipe.data_root()) if dataset.recipe.data.path else []
    return list(dict.fromkeys(found))


def _choose_groups(dataset: Dataset, recipe: Recipe, by: Sequence[str], tasks: Mapping[str, Task]) -> list[str]:
    """The recipe's groups, but for those by a column that these images lack; and the ones that are asked for."""
    there, columns = [], _list_columns(dataset) if recipe.groups else []
    for group in recipe.groups:
        try:
            check_groups([group], tasks, columns)
            there.append(group)
        except PolyheadError as error:
            warn(str(error))
    return list(dict.fromkeys([*there, *by]))


def evaluate_splits(
    predictor: Predictor, dataset: Dataset, splits: Sequence[str], groups: Sequence[str] = ()
) -> tuple[dict[str, Any], dict[str, EvaluatedSplit]]:
    """The figures of `evaluation.json`, of groups of images too, and the outputs behind them, for splits of images."""
    tasks = predictor.card.tasks
    evaluated, named = {}, name_groups(dataset.table.frame, groups, tasks)
    for split in splits:
        rows = dataset.rows_of(split)

        def pixels(indices: Any, rows: Any = rows) -> Any:
            return dataset.pixels(rows[indices])

        frame = named.iloc[rows].reset_index(drop=True)
        agreed = predictor.obey(predictor.run_all(pixels, len(rows)))
        evaluated[split] = EvaluatedSplit(frame, agreed.outputs, pixels, agreed)
    rules = predictor.card.resolved_rules
    found = {split: evaluate_split(tasks, part.rows, part.outputs) for split, part in evaluated.items()}
    for split, part in evaluated.items():
        add_intervals(found[split], tasks, part.rows, part.outputs)
        if predictor.card.familiarity:
            features = part.outputs["features"]
            found[split]["unfamiliar"] = measure_unfamiliar(predictor.card.familiarity, part.rows, features)
        if groups and split != "valid":
            found[split]["groups"] = measure_groups(groups, tasks, part.rows, part.outputs)
        if rules and part.agreed:
            found[split]["rules"] = measure_rules(rules, tasks, part.rows, part.agreed)
    return combine(found), evaluated


def record_metrics(model: Path, evaluation: Mapping[str, Any]) -> None:
    """Write into a model file how good it is on the test images, so that it can say so wherever it is used."""
    known = {name: task for name, task in evaluation.get("test", {}).get("tasks", {}).items() if task["n"]}
    figures = {name: _numbers(task) for name, task in known.items()}
    baseline = {name: _numbers(task["baseline"]) for name, task in known.items()}
    card = read_model_card(model)
    write_card(model, card.model_copy(update={"figures": figures, "baseline": baseline}))


def _numbers(found: Mapping[str, Any]) -> dict[str, float]:
    return {key: value for key, value in found.items() if isinstance(value, (int, float))}


def report_run(
    run: RunFolder,
    predictor: Predictor,
    dataset: Dataset,
    evaluation: Mapping[str, Any],
    outputs: Mapping[str, EvaluatedSplit],
) -> None:
    """Write evaluation.json, predictions.csv and the report into a folder; the report last."""
    tasks, card = predictor.card.tasks, predictor.card
    recipe = check_recipe(card.recipe, str(predictor.path))
    write_text(run.evaluation, json.dumps(evaluation, indent=1, ensure_ascii=False))
    shown = outputs.get("test") or next(iter(outputs.values()), None)
    if shown:
        with write_beside(run.predictions) as beside:
            found = answers_frame(list(shown.rows["path"]), tasks, shown.agreed or shown.outputs, card.familiarity)
            found.to_csv(beside, index=False)
    facts = [
        ("images", ", ".join(f"{count:,} {split}" for split, count in card.rows.items())),
        ("image size", f"{recipe.image.size[0]} x {recipe.image.size[1]}"),
        *([("networks", f"{card.averages}, averaged")] if card.averages else []),
        ("parameters", f"{card.parameters:,}"),
        ("seed", str(recipe.seed)),
        ("fingerprint", card.fingerprint),
        ("Polyhead", card.version),
    ]
    detailed = {split: part for split, part in outputs.items() if split != "valid" or len(outputs) == 1}
    write_report(
        run.report,
        Report(
            title=card.name,
            description=card.description,
            note=card.note,
            facts=facts,
            remarks=[
                *warn_of_overfitting(run, evaluation),
                *_remark_unfamiliar(evaluation),
                *_remark(recipe, dataset, tasks),
            ],
            data=_data_part(dataset, tasks, predictor.card.resolved_rules),
            network=card.diagram,
            training=_training_part(run, recipe),
            results=ResultPart(evaluation, tasks, detailed, recipe.data.split.hold_out, card.familiarity),
        ),
    )


def report_data(folder: Path, dataset: Dataset) -> Path:
    """Write the page that shows a data set into `folder`; the page's file."""
    recipe, tasks = dataset.recipe, dict(dataset.recipe.tasks)
    for name, task in recipe.tasks.items():
        try:
            tasks[name] = task.fit(name, list(dataset.table.frame[name]))
        except PolyheadError:  # it cannot be trained on, and is shown all the same
            continue
    shortcuts = [found["words"] for found in audit_files(dataset, tasks)]
    try:
        rules = recipe.check_rules(tasks)
    except ValueError as error:
        raise PolyheadError(str(error)) from None
    part = replace(_data_part(dataset, tasks, rules), shortcuts=shortcuts)
    return write_report(folder, Report(title=recipe.name, description=recipe.description, note=recipe.note, data=part))


def _data_part(dataset: Dataset, tasks: Mapping[str, Task], rules: Sequence[Rule]) -> DataPart:
    frame = dataset.table.frame
    broken = count_in_labels(rules, tasks, frame)
    return DataPart(frame, dataset.table.rejected, tasks, find_duplicates(frame), dataset.pixels, rules=broken)


def _training_part(run: RunFolder, recipe: Recipe) -> TrainingPart | None:
    if not run.history.exists():
        return None
    rows = _read_history(run)
    epochs = find_kept_epochs(rows)  # older runs do not say
    kept = epochs[0] if len(epochs) == 1 else choose_epoch(rows, recipe.kept_epoch != "last")
    diverged = read_divergence(run.path)
    notes = [f"{diverged.happened.capitalize()}; it ended there."] if diverged else []
    if len(epochs) > 1:
        notes.append(f"The weights of epochs {', '.join(map(str, epochs))} were averaged, and the average kept.")
    if gains := find_gains(recipe, rows, kept):
        words = "; ".join(gain.describe() for gain in gains)
        notes.append(f"Fine-tuning against heads on the backbone's frozen features, on validation images: {words}.")
    return TrainingPart(pd.DataFrame(rows), kept if len(epochs) < 2 else None, notes, read_learning_curve(run))


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


def warn_of_overfitting(run: RunFolder, evaluation: Mapping[str, Any]) -> list[str]:
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


def _remark_unfamiliar(evaluation: Mapping[str, Any]) -> list[str]:
    """Of each split, how many of its images are unlike those that the model was trained on."""
    told = {split: found.get("unfamiliar") for split, found in evaluation.items() if split != "valid"}
    shares = [
        f"{show_percent(one['share'])} ({' to '.join(f'{100 * end:.1f}' for end in one['interval'])}) of "
        f"{count_images(one['n'], split)}"
        for split, one in told.items()
        if one
    ]
    if not shares:
        return []
    expected = next(show_percent(one["expected"]) for one in told.values() if one)
    return [
        f"Unfamiliar, that is, unlike the training images: {'; '.join(shares)}. Of images like those of validation it "
        f"would be {expected}. Trust the answers to unfamiliar images less."
    ]


def _remark(recipe: Recipe, dataset: Dataset, tasks: Mapping[str, Task]) -> list[str]:
    remarks = []
    plain = [name for name, task in tasks.items() if task.has_probabilities and task == task.uncalibrated()]
    if recipe.data.split.valid == "test":
        remarks.append(
            "As published, the test images were also watched during training (as validation); nothing was chosen by "
            "them: the last epoch's weights were kept, and nothing was calibrated."
        )
    elif not recipe.has_validation:
        remarks.append("No image was kept for validation: nothing was chosen by any, and nothing was calibrated.")
    elif plain:
        remarks.append(f"Not calibrated, as no validation image could show how far to trust it: {', '.join(plain)}.")
    if recipe.data.split.hold_out:
        held = "; ".join(" ".join(row.values()) for row in recipe.data.split.hold_out)
        remarks.append(f"Held out of training, and evaluated apart as unseen: {held}.")
    if recipe.data.sample_weight:
        remarks.append(f"Losses weight rows by {recipe.data.sample_weight}; metrics count each row once.")
    if CORRECTED in dataset.table.frame:
        judged = [one for row in read_judged(dataset.table.frame[CORRECTED].tolist()) for one in row.values()]
        changed = sum(one["was"] != one["label"] for one in judged)
        remarks.append(
            f"A person has judged {len(judged):,} labels (data.corrections); {changed:,} were changed. The column "
            f"{CORRECTED} of a run's table.csv lists them."
        )
    if "all" in set(np.unique(dataset.table.frame["split"])):
        remarks.append("Every labelled image was evaluated, whether or not the model had trained on it.")
    return remarks
