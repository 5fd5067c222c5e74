"""What a run's pages and files say: from its history, its data and its evaluation to a report's parts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from polyhead.data.dataset import Dataset
from polyhead.data.splits import find_duplicates
from polyhead.errors import PolyheadError
from polyhead.evaluation.evaluate import answers_frame
from polyhead.files import write_beside, write_text
from polyhead.model.predictor import Predictor
from polyhead.recipe.loading import check_recipe
from polyhead.recipe.schema import Recipe
from polyhead.report.parts import DataPart, EvaluatedSplit, Report, ResultPart, TrainingPart
from polyhead.report.report import write_report
from polyhead.run_folder import RunFolder
from polyhead.tasks import Task
from polyhead.training.history import Row, choose_epoch, find_kept_epoch, find_overfitted, read_divergence


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
            answers_frame(list(shown.rows["path"]), tasks, shown.outputs).to_csv(beside, index=False)
    facts = [
        ("images", ", ".join(f"{count:,} {split}" for split, count in card.rows.items())),
        ("image size", f"{recipe.image.size[0]} x {recipe.image.size[1]}"),
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
            remarks=[*warn_of_overfitting(run, evaluation), *_remark(recipe, dataset, tasks)],
            data=_data_part(dataset, tasks),
            network=card.diagram,
            training=_training_part(run, recipe),
            results=ResultPart(evaluation, tasks, detailed, recipe.data.split.hold_out),
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
    report = Report(
        title=recipe.name, description=recipe.description, note=recipe.note, data=_data_part(dataset, tasks)
    )
    return write_report(folder, report)


def _data_part(dataset: Dataset, tasks: Mapping[str, Task]) -> DataPart:
    frame = dataset.table.frame
    return DataPart(frame, dataset.table.rejected, tasks, find_duplicates(frame), dataset.pixels)


def _training_part(run: RunFolder, recipe: Recipe) -> TrainingPart | None:
    if not run.history.exists():
        return None
    rows = _read_history(run)
    kept = find_kept_epoch(rows) or choose_epoch(rows, recipe.kept_epoch == "best")  # older runs do not say
    diverged = read_divergence(run.path)
    notes = [f"{diverged.happened.capitalize()}; it ended there."] if diverged else []
    return TrainingPart(pd.DataFrame(rows), kept, notes)


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
        remarks.append(f"Held out of training, and judged apart as unseen: {held}.")
    if recipe.data.sample_weight:
        remarks.append(f"Losses weighted rows by {recipe.data.sample_weight}; metrics count each row once.")
    if "all" in set(np.unique(dataset.table.frame["split"])):
        remarks.append("Every labelled image was judged, whether or not it was one that the model had trained on.")
    return remarks
