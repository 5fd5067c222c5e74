"""A run of folds: the training rows in k parts, k networks that each leave one out, and one model of them all.

The run's own folder holds the rows with their folds, the answers that each row was given by the network that has not
seen it, and the model that averages the networks; `folds/1` to `folds/k` are runs like any others.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from polyhead import __version__
from polyhead.data.folds import FOLD
from polyhead.data.table import Dataset
from polyhead.errors import PolyheadError
from polyhead.evaluation.evaluate import answers_frame, evaluate_split
from polyhead.evaluation.folds import summarize_folds
from polyhead.evaluation.intervals import add_intervals
from polyhead.evaluation.rules import measure_rules
from polyhead.files import write_beside, write_text
from polyhead.model.card import Card
from polyhead.model.file import read_model_card
from polyhead.model.predictor import Predictor
from polyhead.model.reference import Reference, count_answers
from polyhead.progress import Progress
from polyhead.recipe.loading import recipe_values
from polyhead.recipe.schema import Recipe
from polyhead.report.parts import EvaluatedSplit
from polyhead.run_folder import RunFolder, lock_run
from polyhead.runs.claims import copy_backbone, fill_run
from polyhead.runs.evaluate import evaluate_splits, record_metrics, report_run
from polyhead.tasks import AnyTask, Array, Task

MOST = 100
SAMPLES = 32  # images on which the averaging model is compared with its networks
OUT_OF_FOLD = "out_of_fold"  # what the evaluation calls the rows that are trained on, each by the network that was not


@dataclass(frozen=True)
class FoldsRun:
    """The run's folder, all its rows, and the tasks as all its training rows teach them.

    Attributes:
        count: of the folds.
    """

    run: RunFolder
    dataset: Dataset
    tasks: Mapping[str, Task]
    count: int


def check_folds(folds: int | None, recipe: Recipe) -> int:
    """How many folds are asked for; 0 for none.

    Raises:
        PolyheadError: it is no number that makes sense, or the recipe watches its test images.
    """
    if folds is None:
        return 0
    if isinstance(folds, bool) or not isinstance(folds, int) or not 2 <= folds <= MOST:
        raise PolyheadError(f"`folds`: expected a whole number from 2 to {MOST}; got {folds!r}")
    if recipe.data.split.valid == "test":
        raise PolyheadError(
            "`folds`: data.split.valid is `test`, so that training watches the test images; set it to a fraction, or "
            "to 0 for folds that choose nothing"
        )
    return folds


def note_folds(run: RunFolder, count: int) -> None:
    """Remember in a run's folder that it is one of folds."""
    write_text(run.fold_count, json.dumps(count))


def read_fold_count(run: RunFolder) -> int:
    """Of how many folds a run is; 0 for one without.

    Raises:
        PolyheadError: that cannot be read.
    """
    if not run.fold_count.exists():
        return 0
    try:
        count = int(json.loads(run.fold_count.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        count = 0
    if not 2 <= count <= MOST:
        raise PolyheadError(f"{run.fold_count}: is damaged; train again with `force` to replace the run")
    return count


def read_tasks(run: RunFolder) -> dict[str, Task] | None:
    """The tasks of a fold's run, as the labels of all folds teach them; None for a run that is none.

    Their labels and scales must be the same in all folds, or the networks' answers could not be averaged.

    Raises:
        PolyheadError: they cannot be read.
    """
    if not run.fitted_tasks.exists():
        return None
    try:
        text = run.fitted_tasks.read_bytes()
        return TypeAdapter(dict[str, AnyTask]).validate_json(text)
    except (OSError, ValidationError):
        raise PolyheadError(f"{run.fitted_tasks}: is damaged; train again with `force` to replace the run") from None


def select_fold(dataset: Dataset, number: int) -> Dataset:
    """The rows of a run of folds as a fold's run has them: the fold is its validation split."""
    frame = dataset.table.frame
    split = frame["split"].mask(frame[FOLD] == str(number), "valid")
    table = replace(dataset.table, frame=frame.assign(split=split).drop(columns=FOLD))
    return replace(dataset, table=table)


def finish_folds(whole: FoldsRun, finish: Callable[[RunFolder, Dataset], None], progress: Progress) -> None:
    """Train what is not trained of the folds, average their networks, evaluate, report.

    Args:
        finish: makes a fold's run whole, wherever it was stopped.
    """
    for number in range(1, whole.count + 1):
        fold, part = whole.run.fold(number), select_fold(whole.dataset, number)
        if not fold.recipe.exists():
            _begin_fold(whole, fold, part)
        if not fold.is_whole:
            progress.say(f"fold {number} of {whole.count}")
            with lock_run(fold):
                finish(fold, part)
    progress.say("evaluating each fold by the network that has not seen it")
    outputs = answer_out_of_fold(whole)
    if not whole.run.model.exists():
        progress.say(f"writing model.onnx, the mean of {whole.count} networks")
        _write_average(whole, outputs)
    _evaluate(whole, outputs)


def _begin_fold(whole: FoldsRun, fold: RunFolder, part: Dataset) -> None:
    """Make a fold's run folder."""
    fold.state.mkdir(parents=True, exist_ok=True)
    copy_backbone(whole.run.path, fold.path)
    tasks = {name: task.model_dump(mode="json") for name, task in whole.tasks.items()}
    write_text(fold.fitted_tasks, json.dumps(tasks))
    fill_run(fold, part)


def _find_rows(dataset: Dataset, number: int) -> Any:
    return np.flatnonzero((dataset.table.frame[FOLD] == str(number)).to_numpy(bool))


def answer_out_of_fold(whole: FoldsRun) -> dict[str, Array]:
    """The outputs (n, width) by task for the n training rows, each by the network of its own fold."""
    dataset = whole.dataset
    train = dataset.rows_of("train")
    outputs: dict[str, Array] = {name: np.zeros((len(train), task.width)) for name, task in whole.tasks.items()}
    for number in range(1, whole.count + 1):
        rows = _find_rows(dataset, number)

        def pixels(indices: Any, rows: Any = rows) -> Any:
            return dataset.pixels(rows[indices])

        found = Predictor(whole.run.fold(number).model).run_all(pixels, len(rows))
        for name in outputs:
            outputs[name][np.searchsorted(train, rows)] = found[name]
    return outputs


def _write_average(whole: FoldsRun, outputs: Mapping[str, Array]) -> None:
    """Write model.onnx, calibrated by what each row was answered by the network that has not seen it.

    There is no row that no network has seen. scikit-learn's CalibratedClassifierCV(ensemble=False) does the same. The
    mean of several is a little less sure than one of them, so what is found errs on the side of caution.
    """
    from polyhead.export.averaging import average_models

    run, dataset, recipe = whole.run, whole.dataset, whole.dataset.recipe
    train = dataset.rows_of("train")
    labels, tasks = dataset.table.frame.iloc[train], dict(whole.tasks)
    if recipe.has_validation:
        tasks = {name: task.calibrate(labels[name].tolist(), outputs[name]) for name, task in tasks.items()}
    values, rules = recipe_values(recipe), recipe.check_rules(tasks)
    card = Card(
        version=__version__,
        name=recipe.name,
        description=recipe.description,
        note=recipe.note,
        image=recipe.image,
        tasks=tasks,
        recipe=values | {"data": values["data"] | {"path": None}},
        rows={split: len(rows) for split in ("train", "test", "unseen") if len(rows := dataset.rows_of(split))},
        parameters=0,
        fingerprint="0" * 16,
        rules=[rule.text for rule in rules],
        obey_rules=recipe.obey_rules and bool(rules),
        reference=_find_reference(whole, tasks, outputs) if recipe.has_validation else None,
    )
    made = run.state / "model.onnx"
    models = [run.fold(number).model for number in range(1, whole.count + 1)]
    average_models(models, made, card, dataset.pixels(train[:SAMPLES]))
    made.replace(run.model)  # last, so that it is there with all that belongs in it, or not at all


def _find_reference(whole: FoldsRun, tasks: Mapping[str, Task], outputs: Mapping[str, Array]) -> Reference | None:
    """That of the first fold's rows, by the first network, whose features come first; its answers as `tasks` say."""
    first = read_model_card(whole.run.fold(1).model).reference
    mine = np.isin(whole.dataset.rows_of("train"), _find_rows(whole.dataset, 1))
    counted = {name: count_answers(task, outputs[name][mine]) for name, task in tasks.items()}
    return first and first.model_copy(update={"tasks": counted})


def _evaluate(whole: FoldsRun, outputs: Mapping[str, Array]) -> None:
    """Judge the averaging model on test, each fold by its own network, and write down what came of both."""
    run, dataset = whole.run, whole.dataset
    predictor, train = Predictor(run.model), dataset.rows_of("train")
    tasks, rows = predictor.card.tasks, dataset.table.frame.iloc[train].reset_index(drop=True)
    splits = [split for split in ("test", "unseen") if len(dataset.rows_of(split))]
    evaluation, evaluated = evaluate_splits(predictor, dataset, splits, dataset.recipe.groups)
    agreed = predictor.obey(outputs)
    outputs = agreed.outputs
    evaluation[OUT_OF_FOLD] = evaluate_split(tasks, rows, outputs)
    add_intervals(evaluation[OUT_OF_FOLD], tasks, rows, outputs)
    if rules := predictor.card.resolved_rules:
        evaluation[OUT_OF_FOLD]["rules"] = measure_rules(rules, tasks, rows, agreed)
    evaluated[OUT_OF_FOLD] = EvaluatedSplit(rows, outputs, lambda indices: dataset.pixels(train[indices]), agreed)
    evaluation["folds"] = summarize_folds([_read(run.fold(number)) for number in range(1, whole.count + 1)])
    with write_beside(run.out_of_fold) as beside:
        answers_frame(rows["path"].tolist(), tasks, agreed).to_csv(beside, index=False)
    record_metrics(run.model, evaluation)
    report_run(run, predictor, dataset, evaluation, evaluated)


def _read(fold: RunFolder) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(fold.evaluation.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise PolyheadError(
            f"{fold.evaluation}: is missing or damaged; delete {fold.report}, and resume the run"
        ) from None
    return found
