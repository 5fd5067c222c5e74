"""The order of things: what each command does, room after room. The rooms know nothing of it."""

import math
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyhead.data.dataset import Dataset, load_dataset, reopen_dataset
from polyhead.data.sources.reading import complete_recipe
from polyhead.data.table import WEIGHT, read_csv, write_csv
from polyhead.errors import PolyheadError, show_text
from polyhead.extras import require
from polyhead.files import write_text
from polyhead.folders import claim_folder, claim_run, clear_beside, open_run, restore_replaced
from polyhead.model.predictor import Predictor
from polyhead.progress import SILENT, Progress
from polyhead.recipe.builtin import built_in_names
from polyhead.recipe.loading import load_recipe, recipe_text, write_recipe
from polyhead.recipe.schema import SPLITS, Recipe
from polyhead.report.report import PAGE
from polyhead.run_folder import RunFolder
from polyhead.runs.judging import (
    calibrate,
    data_path,
    find_labelled_data,
    judge,
    record_metrics,
    report_data,
    report_run,
    warn_of_learning,
)
from polyhead.tasks import Task
from polyhead.training import WEIGHTS, choose_backend
from polyhead.training.divergence import read_divergence

if TYPE_CHECKING:
    from polyhead.server.limits import Limits

DEMO_IMAGES = 3000
EXAMPLES = 8  # images that the served page offers to try
SAMPLES = 32  # training images that Keras and ONNX Runtime are compared on


def train(
    recipe: str | Path,
    out: str | Path,
    *,
    data: str | Path | None = None,
    overrides: Iterable[str] = (),
    seed: int | None = None,
    force: bool = False,
    progress: Progress = SILENT,
) -> Path:
    """Train a recipe on a data set; the run folder then holds the model, its evaluation and the report.

    Args:
        recipe: a built-in recipe's name, or a YAML file.
        out: the run folder to make.
        data: the folder (or file of labels) of the data; the recipe's own, if absent.
        overrides: changes to the recipe, such as "training.epochs=5".
        seed: another seed than the recipe's.
        force: whether to replace a run that is there.

    Raises:
        PolyheadError: something given is wrong; or, once it trains, something is in the way (a full disk): then it can
            be resumed. Nothing is left of a run that has not begun to train, and one that was there is as it was.
    """
    choose_backend()
    path = str(Path(data).resolve()) if data else None
    loaded = load_recipe(recipe, overrides, data__path=path, seed=seed)
    _check_devices(loaded)
    if loaded.network.backbone:
        loaded.network.backbone.find_weights()
    root = data_path(loaded)
    loaded = complete_recipe(loaded, root)
    with claim_run(Path(out), force, progress) as run:
        write_text(run.recipe, write_recipe(loaded))
        dataset, tasks = _begin(run, loaded, progress)
        _go_on(run, loaded, dataset, tasks, progress)
    return run.path


def resume(run: str | Path, *, data: str | Path | None = None, progress: Progress = SILENT) -> Path:
    """Go on with a run where it was stopped; nothing is done to one that is finished.

    Args:
        data: where the data is now, if it was moved.

    Raises:
        PolyheadError: it is no run folder, another process trains it, its images are not those that it began with, or
            what it is to go on from is damaged.
    """
    choose_backend()
    with open_run(Path(run), progress) as folder:
        recipe = load_recipe(folder.recipe, data__path=str(Path(data).resolve()) if data else None)
        root = data_path(recipe)
        if folder.is_whole:
            clear_beside(folder.report)
            progress.say(f"{run}: is finished")
            return folder.path
        _check_devices(recipe)
        if folder.table.exists() or folder.has_trained:  # what has trained goes on with the same images
            _check_table(folder)
            dataset = reopen_dataset(recipe, read_csv(folder.path, root), progress)
            tasks = _learn_tasks(recipe, dataset)
        else:
            dataset, tasks = _begin(folder, recipe, progress)
        _go_on(folder, recipe, dataset, tasks, progress)
    return folder.path


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
    """Judge a model file on the images of a split of its run, or on every labelled image of other data.

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
        raise PolyheadError(f"split: there are no {split} images to judge")
    with claim_folder(Path(out), "evaluation.json", force, progress) if out else nullcontext() as folder:
        evaluation, judged = judge(predictor, dataset, [split])
        if folder:
            report_run(RunFolder(folder), predictor, dataset, evaluation, judged)
    return evaluation


def serve(
    model: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    allow_hosts: Iterable[str] = (),
    limits: "Limits | None" = None,
    progress: Progress = SILENT,
) -> None:
    """Answer for images over HTTP, with a page, until SIGTERM or Ctrl-C.

    Args:
        model: a run folder, some of whose test images the page then offers to try; or a model file.
        host: where to listen; the default is this machine alone.
        port: 0 takes one that is free.
        allow_hosts: other names that it answers to than where it listens, localhost and addresses; `*` for any.
        limits: what a request may ask for; the defaults of `Limits`, if absent.

    Raises:
        PolyheadError: the model cannot be opened, the address cannot be had, or a limit or a name is none.
    """
    from polyhead.server.app import create_app
    from polyhead.server.browsers import name_hosts
    from polyhead.server.limits import Limits
    from polyhead.server.listening import listen

    limits = limits or Limits()
    hosts = name_hosts(host, allow_hosts)
    restore_replaced(Path(model), progress)
    predictor = Predictor(model)
    examples = RunFolder(Path(model)).find_examples(EXAMPLES) if Path(model).is_dir() else []
    app = create_app(predictor, limits, examples, hosts)
    name = show_text(predictor.card.name)
    listen(app, (host, port), limits, lambda url: progress.say(f"{name} answers at {url}"))


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
    root = data_path(loaded)
    loaded = complete_recipe(loaded, root)
    with claim_folder(Path(out), PAGE, force, progress) as folder:
        dataset = load_dataset(loaded, root, progress, check=False)
        report_data(folder, loaded, dataset)
    return Path(out) / PAGE


def demo(out: str | Path, *, force: bool = False, progress: Progress = SILENT) -> Path:
    """Draw garments into `out/data`, and train the recipe `demo` on them: `out` is the run folder."""
    from polyhead.data.drawn.synthetic import draw_garments

    choose_backend()
    with claim_run(Path(out), force, progress) as run:
        recipe = load_recipe("demo", data__path=str((run.path / "data").resolve()))
        write_text(run.recipe, write_recipe(recipe))
        draw_garments(run.path / "data", DEMO_IMAGES, seed=0, progress=progress)
        dataset, tasks = _begin(run, recipe, progress)
        _go_on(run, recipe, dataset, tasks, progress)
    return run.path


def propose(source: str) -> str:
    """The YAML text of a recipe for a data set, or of a built-in one."""
    from polyhead.data.inspect.proposal import propose_recipe

    if source in built_in_names():
        return recipe_text(source)
    return propose_recipe(Path(source))


def _check_devices(recipe: Recipe) -> None:
    """Before any image is read; without Keras, where there is nothing to ask it."""
    if recipe.training.devices == "all":
        from polyhead.training.devices import check_devices

        check_devices(recipe.training)


def _begin(run: RunFolder, recipe: Recipe, progress: Progress) -> tuple[Dataset, dict[str, Task]]:
    """Read and split the data, and write down what came of it."""
    dataset = load_dataset(recipe, data_path(recipe), progress)
    tasks = _learn_tasks(recipe, dataset)
    write_csv(dataset.table, run.path)
    write_text(run.table_digest, run.digest_table())
    return dataset, tasks


def _check_table(run: RunFolder) -> None:
    """See that a run goes on with the images, splits and labels that it began with."""
    if run.table_digest.exists() and run.table_digest.read_bytes() != run.digest_table().encode():
        raise PolyheadError(f"{run.table}: is missing, damaged or changed; train again with `force` to replace the run")


def _learn_tasks(recipe: Recipe, dataset: Dataset) -> dict[str, Task]:
    rows = dataset.rows_of("train")
    frame = dataset.table.frame
    if WEIGHT in frame and not frame[WEIGHT].iloc[rows].astype(float).any():
        raise PolyheadError(f"data.weight: {recipe.data.weight} is 0 in every row of the training split")
    return {name: task.learn(name, list(frame[name].iloc[rows])) for name, task in recipe.tasks.items()}


def _go_on(run: RunFolder, recipe: Recipe, dataset: Dataset, tasks: Mapping[str, Task], progress: Progress) -> None:
    """Train until it is done, export, calibrate, judge the file, report; each step's result stands until the next."""
    _warn_of_unlearnt(dataset, tasks, progress)
    recipe = _settle_network(run, recipe, dataset)
    if not run.model.exists():
        _train_and_export(run, recipe, dataset, tasks, progress)
    progress.say("judging the model file")
    predictor = Predictor(run.model)
    splits = [split for split in SPLITS[1:] if len(dataset.rows_of(split))]
    evaluation, judged = judge(predictor, dataset, splits)
    for warning in warn_of_learning(run, evaluation):
        progress.say(warning)
    record_metrics(run.model, evaluation)
    report_run(run, predictor, dataset, evaluation, judged)


def _settle_network(run: RunFolder, recipe: Recipe, dataset: Dataset) -> Recipe:
    """Write into the run's recipe what it leaves to the number of training images."""
    steps = math.ceil(len(dataset.rows_of("train")) / recipe.training.batch_size)
    settled = recipe.model_copy(update={"network": recipe.network.settle(steps)})
    if settled != recipe:
        write_text(run.recipe, write_recipe(settled))
    return settled


def _train_and_export(
    run: RunFolder, recipe: Recipe, dataset: Dataset, tasks: Mapping[str, Task], progress: Progress
) -> None:
    from polyhead.export.agreement import TOLERANCE
    from polyhead.export.onnx import export_network
    from polyhead.training.batches import TrainingData
    from polyhead.training.checkpoint_callback import RunContext
    from polyhead.training.fit import train_network

    frame, rows, plan = dataset.table.frame, dataset.rows_of("train"), recipe.training
    labels = {name: list(frame[name]) for name in tasks}
    targets = {name: task.encode(labels[name]) for name, task in tasks.items()}
    valid = dataset.rows_of("test" if recipe.data.split.valid == "test" else "valid")
    weights = frame[WEIGHT].to_numpy("float32") if WEIGHT in frame else None
    shown = [plan.sampler_task] if plan.sampler_task else list(tasks) if plan.sampler == "balanced" else []
    strata = {name: tasks[name].strata(labels[name]) for name in shown}
    training_data = TrainingData(dataset.pixels, targets, rows, valid, weights, strata)
    train_network(recipe, tasks, training_data, RunContext(run.path, progress))
    _note_divergence(run)
    progress.say("writing model.onnx")
    counts = {split: len(dataset.rows_of(split)) for split in SPLITS if len(dataset.rows_of(split))}
    model, difference = export_network(recipe, tasks, run.path / WEIGHTS, counts, dataset.pixels(rows[:SAMPLES]))
    rounding = "" if difference <= TOLERANCE else "; both are as near to the same network in double precision"
    progress.say(f"Keras and ONNX Runtime differ by {difference:.1e} at most{rounding}")
    if recipe.may_choose:
        progress.say("calibrating it on the validation images")
        calibrate(model, dataset)
    model.replace(run.model)  # last, so that it is there with all that belongs in it, or not at all


def _note_divergence(run: RunFolder) -> None:
    """Say in the run's recipe, too, where its training ended."""
    diverged, text = read_divergence(run.path), run.recipe.read_text(encoding="utf-8")
    if diverged and diverged.happened not in text:
        write_text(run.recipe, f"{text}# {diverged.happened}; it ended there\n")


def _warn_of_unlearnt(dataset: Dataset, tasks: Mapping[str, Task], progress: Progress) -> None:
    frame = dataset.table.frame
    for name, task in tasks.items():
        unlearnt = set(task.distribution(list(frame[name]))) - set(
            task.distribution(list(frame[name][frame.split == "train"]))
        )
        if unlearnt:
            words = ", ".join(sorted(unlearnt))
            progress.say(f"{name}: no training image is labelled {words}; where it is the truth, the answer is missed")
