"""Evaluate the shipped file, through the predictor that users run."""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyhead.data.dataset import Dataset
from polyhead.errors import PolyheadError
from polyhead.evaluation.evaluate import combine, evaluate_split
from polyhead.evaluation.results import Evaluation
from polyhead.extras import require
from polyhead.folders import claim_folder, restore_replaced
from polyhead.model.file import read_model_card, write_card
from polyhead.model.predictor import Predictor
from polyhead.progress import Progress, show_progress
from polyhead.recipe.loading import load_run_plugins
from polyhead.recipe.overrides import Changes
from polyhead.report.parts import EvaluatedSplit
from polyhead.run_folder import RunFolder
from polyhead.runs.labelled_data import find_labelled_data
from polyhead.runs.report import report_run
from polyhead.runs.tables import locate_data

if TYPE_CHECKING:
    from polyhead.data.sources.given import DataLike


def evaluate(
    model: str | os.PathLike[str],
    *,
    data: "DataLike | None" = None,
    split: str | None = None,
    overrides: Changes = (),
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
        place = held.enter_context(locate_data(data, predictor.card))
        dataset = find_labelled_data(predictor, place, split, shown, overrides)
        split = split or ("all" if "all" in set(dataset.table.frame["split"]) else "test")
        if not len(dataset.rows_of(split)):
            raise PolyheadError(f"split: there are no {split} images to evaluate")
        folder = held.enter_context(claim_folder(Path(out), "evaluation.json", force, shown)) if out else None
        evaluation, outputs = evaluate_splits(predictor, dataset, [split])
        if folder:
            report_run(RunFolder(folder), predictor, dataset, evaluation, outputs)
    return Evaluation(evaluation)


def evaluate_splits(
    predictor: Predictor, dataset: Dataset, splits: Sequence[str]
) -> tuple[dict[str, Any], dict[str, EvaluatedSplit]]:
    """The figures of `evaluation.json`, and the outputs behind them, for splits that have images."""
    tasks = predictor.card.tasks
    evaluated = {}
    for split in splits:
        rows = dataset.rows_of(split)

        def pixels(indices: Any, rows: Any = rows) -> Any:
            return dataset.pixels(rows[indices])

        frame = dataset.table.frame.iloc[rows].reset_index(drop=True)
        evaluated[split] = EvaluatedSplit(frame, predictor.run_all(pixels, len(rows)), pixels)
    found = {split: evaluate_split(tasks, part.rows, part.outputs) for split, part in evaluated.items()}
    return combine(found), evaluated


def calibrate(model: Path, dataset: Dataset) -> None:
    """Find on the validation images how far to trust a model file's answers, and write that into the file.

    The graph and its outputs stay what they are, so that doing it again changes nothing; nothing is done without
    validation images.
    """
    rows = dataset.rows_of("valid")
    if not len(rows):
        return
    predictor = Predictor(model)
    outputs = predictor.run_all(lambda indices: dataset.pixels(rows[indices]), len(rows))
    frame, card = dataset.table.frame.iloc[rows], predictor.card
    tasks = {name: task.calibrate(frame[name].tolist(), outputs[name]) for name, task in card.tasks.items()}
    write_card(model, card.model_copy(update={"tasks": tasks}))


def record_metrics(model: Path, evaluation: Mapping[str, Any]) -> None:
    """Write into a model file how good it is on the test images, so that it can say so wherever it is used."""
    known = {name: task for name, task in evaluation.get("test", {}).get("tasks", {}).items() if task["n"]}
    figures = {name: _numbers(task) for name, task in known.items()}
    baseline = {name: _numbers(task["baseline"]) for name, task in known.items()}
    card = read_model_card(model)
    write_card(model, card.model_copy(update={"figures": figures, "baseline": baseline}))


def _numbers(found: Mapping[str, Any]) -> dict[str, float]:
    return {key: value for key, value in found.items() if isinstance(value, (int, float))}
