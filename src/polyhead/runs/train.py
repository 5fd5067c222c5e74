"""From a recipe to a finished run: train, export, calibrate, evaluate, report; and the same after an interruption."""

import itertools
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from polyhead.data.table import Dataset, load_dataset, read_csv, reopen_dataset, write_csv
from polyhead.errors import PolyheadError, require
from polyhead.evaluation.results import Evaluation
from polyhead.files import write_text
from polyhead.folders import clear_beside
from polyhead.model.predictor import Predictor
from polyhead.progress import Progress, show_progress, warn
from polyhead.recipe.loading import RecipeLike, load_recipe, write_recipe
from polyhead.recipe.overrides import Changes
from polyhead.recipe.own_parts import find_recipe_folder, hand_over
from polyhead.recipe.plan import USUAL_MINUTES
from polyhead.recipe.schema import SPLITS, Quality, Recipe
from polyhead.run_folder import RunFolder
from polyhead.runs.calibrate import FAMILIAR_ROWS, calibrate
from polyhead.runs.claims import claim_run, open_run
from polyhead.runs.evaluate import (
    evaluate_splits,
    keep_groups,
    record_metrics,
    report_run,
    warn_of_overfitting,
)
from polyhead.runs.folds import (
    FoldsRun,
    check_folds,
    finish_folds,
    note_folds,
    read_fold_count,
    read_tasks,
    select_fold,
)
from polyhead.runs.learning_curve import read_learning_curve, request_features
from polyhead.runs.plan import check_quality, load_unplanned, plan_recipe
from polyhead.runs.remarks import remark_on_data, remark_on_rules
from polyhead.runs.run import Run
from polyhead.runs.tables import load_recipe_for
from polyhead.runs.teaching import ask_teacher, check_teacher
from polyhead.runs.together import together
from polyhead.tasks import Task
from polyhead.training import WEIGHTS, choose_backend
from polyhead.training.history import read_divergence
from polyhead.training.own_code import import_own_code
from polyhead.training.processes import GROUP, Engine, order_training
from polyhead.training.time_limit import TimeLimit

if TYPE_CHECKING:
    from polyhead.data.sources.given import DataLike
    from polyhead.training.checkpoint_callback import RunContext
    from polyhead.training.trained import KerasCallback, KerasModel

DEMO_IMAGES = 3000
SAMPLES = 32  # training images that Keras and ONNX Runtime are compared on


@together
def train(
    recipe: RecipeLike,
    out: str | os.PathLike[str],
    *,
    data: "DataLike | None" = None,
    quality: Quality | None = None,
    minutes: float | None = None,
    overrides: Changes = (),
    seed: int | None = None,
    force: bool = False,
    folds: int | None = None,
    backbone: "KerasModel | None" = None,
    callbacks: "Sequence[KerasCallback]" = (),
    engine: Engine = "process",
    progress: Progress | bool = True,
) -> Run:
    """Train a recipe on a data set; the run folder then holds the model, its evaluation and the report.

    Args:
        recipe: a built-in recipe's name, a YAML file, a dict of the same keys, or a `Recipe`; or a folder of labelled
            images or a file of labels: a recipe is then proposed for it. What it leaves out of `network`, `image` and
            `training` is planned, where `network` is among that or a quality is asked for: by trying pretrained
            networks on some of the images, and by timing a step.
        out: the run folder to make.
        data: a folder, a file of labels; or a table that takes the place of one: a DataFrame with a column of paths,
            bytes, Pillow images or uint8 arrays, or a Hugging Face Dataset (of a DatasetDict the parts are the
            splits). What is in memory alone is written into the run's folder `data`. The recipe's own, if absent.
        quality: `fast`, `good` or `best`: what is planned; see the recipe's key.
        minutes: how long the run may take; see the recipe's key.
        overrides: changes to the recipe: `["training.epochs=5"]`, or `{"training.epochs": 5}`.
        seed: another seed than the recipe's.
        force: whether to replace a run that is there.
        folds: train so many networks, 2 to 100, each without one part of the training and validation images, which is
            its validation split; the model averages them. It takes so many times as long, and so does an answer.
        backbone: a `keras.Model` in place of the recipe's backbone or trunk, from float pixels (n, height, width, 3), 0
            to 255, to a map of features (n, h, w, channels) or vectors (n, channels); of Keras's own layers. Training
            starts from its weights, and leaves the object itself as it is.
        callbacks: of Keras's, which see the training as one `fit`; what one of them raises comes through, and the run
            can then be resumed. With `folds` they see each of them.
        engine: how several processes that make the same call find each other, to train one network on JAX: `process`,
            by Keras's variables KERAS_DISTRIBUTION_... in the environment, and alone without them; `slurm`, as SLURM
            tells it. The first one does all else.
        progress: whether to show how far it is, on stderr or in a notebook; or an object that is told.

    Raises:
        PolyheadError: something given is wrong; or, once it trains, something is in the way (a full disk): then it can
            be resumed. Nothing is left of a run that has not begun to train, and one that was there is as it was.
    """
    begun = time.monotonic()
    choose_backend()
    changes = overrides if backbone is None else hand_over(overrides)
    asked = {"seed": seed, "quality": quality, "minutes": minutes}
    loaded, table = load_recipe_for(recipe, changes, data, Path(out) / "data", asked)
    check_quality(loaded, quality)
    fold_count = check_folds(folds, loaded)
    _check_devices(loaded)
    _check_trackers(loaded)
    if loaded.network.backbone:
        loaded.network.backbone.find_weights()
    check_teacher(loaded)
    loaded.data_root()  # or else it fails here, before anything is made
    with show_progress(progress) as shown:
        import_own_code(loaded, shown)
        with claim_run(Path(out), force, shown) as run:
            if loaded.network.backbone and loaded.network.backbone.model:
                from polyhead.training.own_backbone import keep_backbone

                loaded = keep_backbone(loaded, backbone, find_recipe_folder(recipe), run.path)
            elif loaded.network.backbone and loaded.network.backbone.preset:
                from polyhead.training.presets import keep_preset

                loaded = keep_preset(loaded, loaded.network.backbone, find_recipe_folder(recipe), run.path)
            if fold_count:
                note_folds(run, fold_count)
            write_text(run.recipe, write_recipe(loaded))
            if table:
                table.write()
            _finish(run, _begin(run, loaded, shown), shown, callbacks, _limit(loaded, begun))
    return Run(out)


@together
def resume(
    run: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    callbacks: "Sequence[KerasCallback]" = (),
    engine: Engine = "process",
    progress: Progress | bool = True,
) -> Run:
    """Resume an interrupted run; a finished one stays as it is.

    Args:
        run: its folder.
        data: where the data is now, if it was moved.
        callbacks: see `train`; they are not kept in the run.
        engine: see `train`.
        progress: whether to show how far it is, on stderr or in a notebook; or an object that is told.

    Raises:
        PolyheadError: it is no run folder, another process trains it, its images are not those that it began with, or
            what it is to go on from is damaged.
    """
    begun = time.monotonic()
    choose_backend(Path(run))
    with show_progress(progress) as shown, open_run(Path(run), shown) as folder:
        recipe = load_recipe(folder.recipe, data__path=_absolute(data))
        root = recipe.data_root()
        if folder.is_whole:
            clear_beside(folder.report)
            shown.say(f"{run}: is finished")
            return Run(run)
        _check_devices(recipe)
        _check_trackers(recipe)
        import_own_code(recipe, shown)
        if folder.table.exists() or folder.has_trained:  # what has trained goes on with the same images
            _check_table(folder)
            dataset = reopen_dataset(recipe, read_csv(folder.path, root), shown)
        else:
            dataset = _begin(folder, recipe, shown)
        _finish(folder, dataset, shown, callbacks, _limit(recipe, begun))
    return Run(run)


def demo(out: str | os.PathLike[str], *, force: bool = False, progress: Progress | bool = True) -> Run:
    """Draw garments into `out/data`, and train the recipe `demo` on them: `out` is the run folder."""
    from polyhead.data.drawn.synthetic import draw_garments

    choose_backend()
    with show_progress(progress) as shown, claim_run(Path(out), force, shown) as run:
        recipe = load_recipe("demo", data__path=str((run.path / "data").resolve()))
        write_text(run.recipe, write_recipe(recipe))
        draw_garments(run.path / "data", DEMO_IMAGES, seed=0, progress=shown)
        _finish(run, _begin(run, recipe, shown), shown)
    return Run(out)


def _absolute(data: str | os.PathLike[str] | None) -> str | None:
    return str(Path(data).resolve()) if data else None


def _check_devices(recipe: Recipe) -> None:
    """Before any image is read; without Keras, where there is nothing to ask it."""
    if recipe.training.devices == "all" or GROUP.count > 1:
        from polyhead.training.backend import check_devices

        check_devices(recipe.training)


def _check_trackers(recipe: Recipe) -> None:
    for name in recipe.training.log:
        require(f"`training.log: [{name}]`", name)


def _begin(run: RunFolder, recipe: Recipe, progress: Progress) -> Dataset:
    """Read and split the data, and write down what came of it."""
    load = load_dataset if recipe.is_complete else load_unplanned
    dataset = load(recipe, recipe.data_root(), progress, folds=read_fold_count(run))
    remark_on_data(dataset, progress)
    write_csv(dataset.table, run.path)
    write_text(run.table_digest, run.digest_table())
    return dataset


def _check_table(run: RunFolder) -> None:
    """See that a run goes on with the images, splits and labels that it began with."""
    if run.table_digest.exists() and run.table_digest.read_bytes() != run.digest_table().encode():
        raise PolyheadError(f"{run.table}: is missing, damaged or changed; train again with `force` to replace the run")


def _limit(recipe: Recipe, begun: float) -> TimeLimit | None:
    return TimeLimit(recipe.minutes, started=begun) if recipe.minutes else None


def _finish(
    run: RunFolder,
    dataset: Dataset,
    progress: Progress,
    callbacks: "Sequence[KerasCallback]" = (),
    limit: TimeLimit | None = None,
) -> None:
    """Plan, and make the run whole, followed by the recipe's trackers; what is there already stays."""
    tasks, folds = read_tasks(run) or dataset.fit_tasks(), read_fold_count(run)
    dataset = keep_groups(dataset, dataset.recipe.groups, tasks)
    remark_on_rules(dataset, tasks, progress)
    if limit:
        limit.answers = sum(len(dataset.rows_of(split)) for split in ("valid", "valid", "test", "unseen"))
        limit.answers += min(FAMILIAR_ROWS, len(dataset.rows_of("train")))
    if not dataset.recipe.is_complete:
        dataset = _plan(run, dataset, tasks, limit, progress)
    from polyhead.training.checkpoint_callback import RunContext
    from polyhead.training.tracking import follow_run

    with follow_run(run, dataset.recipe) as log:
        if folds:
            complete = replace(dataset, recipe=complete_network(run, select_fold(dataset, 1)))
            finish = partial(_finish_fold, progress, callbacks, folds)
            finish_folds(FoldsRun(run, complete, tasks, folds), finish, progress)
        else:
            _finish_network(run, dataset, tasks, RunContext(run.path, progress, [*callbacks, log], limit))
        log.finish(_list_figures(run), [run.recipe, run.model, run.evaluation, run.report])


def _list_figures(run: RunFolder) -> dict[str, float]:
    """The main figures of a finished run by split, task and metric: `test/color.accuracy`."""
    return {
        f"{split}/{name}.{metric}": float(value)
        for split, found in Evaluation.load(run.evaluation).splits.items()
        for name, task in found.tasks.items()
        for metric, value in task.metrics.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


def _finish_network(run: RunFolder, dataset: Dataset, tasks: Mapping[str, Task], context: "RunContext") -> None:
    """Train one network until it is done, export, calibrate, evaluate the file, report."""
    _warn_of_untrained(dataset, tasks)
    dataset = replace(dataset, recipe=complete_network(run, dataset))
    if not run.model.exists():
        wanted = request_features(run, dataset, tasks, context.progress)
        _train_and_export(run, dataset, tasks, replace(context, features=wanted))
    context.progress.say("evaluating the model file")
    predictor = Predictor(run.model)
    splits = [split for split in SPLITS[1:] if len(dataset.rows_of(split))]
    evaluation, outputs = evaluate_splits(predictor, dataset, splits, dataset.recipe.groups)
    if "valid" in evaluation and (curve := read_learning_curve(run)):
        evaluation["valid"]["learning_curve"] = curve
    for warning in warn_of_overfitting(run, evaluation):
        warn(warning)
    record_metrics(run.model, evaluation)
    report_run(run, predictor, dataset, evaluation, outputs)


def _finish_fold(
    progress: Progress, callbacks: "Sequence[KerasCallback]", folds: int, fold: RunFolder, dataset: Dataset
) -> None:
    """The same for a fold of a run of folds, in its part of the minutes."""
    _check_table(fold)
    minutes = dataset.recipe.minutes
    _finish(fold, dataset, progress, callbacks, TimeLimit(minutes / folds) if minutes else None)


def _plan(
    run: RunFolder, dataset: Dataset, tasks: Mapping[str, Task], limit: TimeLimit | None, progress: Progress
) -> Dataset:
    """Plan what the recipe leaves out, write it down, and open the images as it wants them."""
    folds, usual = read_fold_count(run), USUAL_MINUTES[dataset.recipe.quality or "good"]
    limit = limit or TimeLimit(usual)
    if folds:
        limit = replace(limit, minutes=limit.minutes / folds)
    planned = plan_recipe(select_fold(dataset, 1) if folds else dataset, tasks, limit, progress)
    write_text(run.recipe, planned.comments + write_recipe(planned.recipe))
    return reopen_dataset(planned.recipe, dataset.table, progress)


def complete_network(run: RunFolder, dataset: Dataset) -> Recipe:
    """Write into the run's recipe what the data said of the tasks, and what follows from how many images train."""
    recipe = dataset.recipe
    steps = math.ceil(len(dataset.rows_of("train")) / recipe.training.batch_size)
    complete = recipe.model_copy(update={"network": recipe.network.complete(steps)})
    if complete != load_recipe(run.recipe, data__path=recipe.data.path):
        lines = run.recipe.read_text(encoding="utf-8").splitlines(keepends=True)
        comments = itertools.takewhile(lambda line: line.startswith("#"), lines)  # what was planned
        write_text(run.recipe, "".join(comments) + write_recipe(complete))
    return complete


def _train_and_export(run: RunFolder, dataset: Dataset, tasks: Mapping[str, Task], context: "RunContext") -> None:
    from polyhead.export.agreement import TOLERANCE
    from polyhead.export.onnx import export_network, try_export
    from polyhead.training.batches import TrainingData
    from polyhead.training.fit import train_network

    recipe, progress = dataset.recipe, context.progress
    if recipe.network.backbone and recipe.network.backbone.name is None and not run.has_trained:
        progress.say("trying whether the network can be exported")
        try_export(recipe, tasks, run.state)
    taught = ask_teacher(run, dataset, tasks, progress)
    order_training(run.path, recipe.data.path)
    train_network(recipe, tasks, replace(TrainingData.from_dataset(dataset, tasks), taught=taught), context)
    _note_divergence(run)
    progress.say("writing model.onnx")
    counts = {split: len(dataset.rows_of(split)) for split in SPLITS if len(dataset.rows_of(split))}
    samples = dataset.pixels(dataset.rows_of("train")[:SAMPLES])
    model, difference = export_network(recipe, tasks, run.path / WEIGHTS, counts, samples)
    rounding = "" if difference <= TOLERANCE else "; both are as near to the same network in double precision"
    progress.say(f"Keras and ONNX Runtime differ by {difference:.1e} at most{rounding}")
    if recipe.has_validation:
        progress.say("calibrating it on the validation images")
        calibrate(model, dataset)
    model.replace(run.model)  # last, so that it is there with all that belongs in it, or not at all


def _note_divergence(run: RunFolder) -> None:
    """Say in the run's recipe, too, where its training ended."""
    diverged, text = read_divergence(run.path), run.recipe.read_text(encoding="utf-8")
    if diverged and diverged.happened not in text:
        write_text(run.recipe, f"{text}# {diverged.happened}; it ended there\n")


def _warn_of_untrained(dataset: Dataset, tasks: Mapping[str, Task]) -> None:
    frame = dataset.table.frame
    for name, task in tasks.items():
        untrained = set(task.distribution(list(frame[name]))) - set(
            task.distribution(list(frame[name][frame.split == "train"]))
        )
        if untrained:
            words = ", ".join(sorted(untrained))
            warn(f"{name}: no training image is labelled {words}; where it is the truth, the answer is missed")
