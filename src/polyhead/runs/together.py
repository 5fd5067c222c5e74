"""Training by several processes: the first one does what a single one would, the others take part in its training."""

import functools
import inspect
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec

from polyhead.data.table import read_csv, reopen_dataset
from polyhead.errors import PolyheadError
from polyhead.progress import LOGGER, SILENT
from polyhead.recipe.loading import load_recipe
from polyhead.run_folder import RunFolder
from polyhead.runs.folds import read_tasks
from polyhead.runs.run import Run
from polyhead.runs.teaching import ask_teacher
from polyhead.training import choose_backend
from polyhead.training.own_code import import_own_code
from polyhead.training.processes import GROUP, Order, follow, join_processes, lead, leads, next_training

Given = ParamSpec("Given")


def together(function: Callable[Given, Run]) -> Callable[Given, Run]:
    """Make a function that trains the run folder `out` or `run` one that several processes may call.

    Its argument `engine` says how they find each other. Only the leader does the function's work.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: Given.args, **kwargs: Given.kwargs) -> Run:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        asked = given.arguments
        folder: str | os.PathLike[str] = asked["out"] if "out" in asked else asked["run"]
        join_processes(asked["engine"])
        if not leads():
            _follow()
            return Run(folder)
        with lead(folder):
            if GROUP.count > 1 and asked["callbacks"]:
                raise PolyheadError("callbacks: see one process only; train with one, or without them")
            return function(*args, **kwargs)

    return call


def _follow() -> None:
    """Take part in each training that the leader begins, until there is no more."""
    LOGGER.setLevel(logging.ERROR)  # the leader warns
    with follow():
        choose_backend()
        while order := next_training():
            _take_part(order)


def _take_part(order: Order) -> None:
    from polyhead.training.batches import TrainingData
    from polyhead.training.checkpoint_callback import RunContext
    from polyhead.training.fit import train_network

    run = RunFolder(Path(order.run))
    recipe = load_recipe(run.recipe, data__path=order.data)
    import_own_code(recipe, SILENT)
    dataset = reopen_dataset(recipe, read_csv(run.path, recipe.data_root()), SILENT, check=False)
    tasks = read_tasks(run) or dataset.fit_tasks()
    taught = ask_teacher(run, dataset, tasks, SILENT)
    data = replace(TrainingData.from_dataset(dataset, tasks), taught=taught)
    train_network(recipe, tasks, data, RunContext(run.path, SILENT))
