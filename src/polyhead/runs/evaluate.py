"""Evaluate the shipped file, through the predictor that users run."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from polyhead.data.dataset import Dataset
from polyhead.errors import PolyheadError
from polyhead.evaluation.evaluate import combine, evaluate_split
from polyhead.extras import require
from polyhead.folders import claim_folder, restore_replaced
from polyhead.model.file import read_model_card, write_card
from polyhead.model.predictor import Predictor
from polyhead.progress import SILENT, Progress
from polyhead.report.parts import EvaluatedSplit
from polyhead.run_folder import RunFolder
from polyhead.runs.labelled_data import find_labelled_data
from polyhead.runs.report import report_run

Evaluation = dict[str, Any]


def evaluate(
    model: str | Path,
    *,
    data: str | Path | None = None,
    split: str | None = None,
    overrides: Iterable[str] = (),
    out: str | Path | None = None,
    force: bool = False,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Evaluate a model file on the images of a split of its run, or on every labelled image of other data.

    Args:
        model: a run folder or a model file.
        data: where the run's labelled images are now, if they were moved; or others: see `find_labelled_data`.
        split: train, valid, test or unseen: of the run; or `all`, every image of `data`. If absent: test of the run, or
            all of other images.
        overrides: changes to the recipe by which the labels of other images are read.
        out: a folder to make, for evaluation.json, predictions.csv and the report.

    Returns:
        What evaluation.json holds.
    """
    require("evaluation", "report")
    restore_replaced(Path(model), progress)
    predictor = Predictor(model)
    dataset = find_labelled_data(predictor, data, split, progress, overrides)
    split = split or ("all" if "all" in set(dataset.table.frame["split"]) else "test")
    if not len(dataset.rows_of(split)):
        raise PolyheadError(f"split: there are no {split} images to evaluate")
    with claim_folder(Path(out), "evaluation.json", force, progress) if out else nullcontext() as folder:
        evaluation, outputs = evaluate_splits(predictor, dataset, [split])
        if folder:
            report_run(RunFolder(folder), predictor, dataset, evaluation, outputs)
    return evaluation


def evaluate_splits(
    predictor: Predictor, dataset: Dataset, splits: Sequence[str]
) -> tuple[Evaluation, dict[str, EvaluatedSplit]]:
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


def record_metrics(model: Path, evaluation: Evaluation) -> None:
    """Write into a model file how good it is on the test images, so that it can say so wherever it is used."""
    known = {name: task for name, task in evaluation.get("test", {}).get("tasks", {}).items() if task["n"]}
    figures = {name: _numbers(task) for name, task in known.items()}
    baseline = {name: _numbers(task["baseline"]) for name, task in known.items()}
    card = read_model_card(model)
    write_card(model, card.model_copy(update={"figures": figures, "baseline": baseline}))


def _numbers(found: Mapping[str, Any]) -> dict[str, float]:
    return {key: value for key, value in found.items() if isinstance(value, (int, float))}
