"""Prediction on several machines, as a job of Ray Data."""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from polyhead.errors import require
from polyhead.model.predictor import Predictor
from polyhead.model.records import Record
from polyhead.processes import SAFE_IMPORTS, safe_imports

PORTION = 64  # images that a worker gets at a time, and that are repeated if it is lost
SUBMITTED = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # which Ray sets for the program of a submitted job


class Worker:
    """A process on one core, somewhere in the cluster, that opens the model once."""

    def __init__(self, model: str) -> None:
        self._predictor = Predictor(model, cores=1)

    def __call__(self, portion: dict[str, Any]) -> dict[str, list[str]]:
        """Records of images; both as JSON, since file names need not be Unicode, as Ray's tables require."""
        pairs = [json.loads(pair) for pair in portion["image"]]
        records = self._predictor.predict([path for _, path in pairs])
        named = [record | {"image": given} for (given, _), record in zip(pairs, records, strict=True)]
        return {"record": [json.dumps(record) for record in named]}


def start_ray(purpose: str) -> None:
    """Join the cluster of `RAY_ADDRESS`, or start one of this machine, unless this program has joined one.

    Raises:
        MissingExtra: Ray is not installed; the error begins with the purpose.
    """
    require(purpose, "ray")
    import ray

    if ray.is_initialized():
        return
    with TemporaryDirectory() as empty, safe_imports():
        # Workers could import files of the current folder, unless they are given another working folder.
        # (For a submitted job, the cluster has decided that.)
        own = {"working_dir": empty, "env_vars": SAFE_IMPORTS} if SUBMITTED not in os.environ else None
        ray.init(logging_level=logging.ERROR, log_to_driver=False, runtime_env=own)


def predict_on_ray(predictor: Predictor, images: Sequence[Path]) -> Iterator[Record]:
    """The records of `Predictor.answer`, in the order of completion.

    The cluster is that of `RAY_ADDRESS`, or one that this program has joined; otherwise all cores of this machine. All
    machines must find the model and the images under the same paths. The work of a lost worker is repeated by another.

    Raises:
        PolyheadError: Ray is not installed.
    """
    start_ray("predicting on a cluster")
    import ray
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    pairs = [json.dumps([str(path), os.path.abspath(path)]) for path in images]
    data = ray.data.from_items([{"image": pair} for pair in pairs], override_num_blocks=-(-len(pairs) // PORTION))
    workers = min(int(ray.cluster_resources().get("CPU", 1)), -(-len(pairs) // PORTION))
    answered = data.map_batches(
        Worker,
        fn_constructor_args=(os.path.abspath(predictor.path),),
        batch_size=PORTION,
        num_cpus=1,
        concurrency=workers,
    )
    for row in answered.iter_rows():
        yield Record.from_dict(json.loads(row["record"]), predictor.card.tasks)
