"""Answers of many machines: `predict` as a job of Ray Data."""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from polyhead.extras import require
from polyhead.model.predictor import Predictor
from polyhead.model.records import Record
from polyhead.processes import SAFE_IMPORTS, safe_imports

PORTION = 64  # images that a worker is handed at a time: what is done again where one is lost
SUBMITTED = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # what Ray sets for a job's own program


class Worker:
    """A process with a core of its own, somewhere in the cluster, that opens the model once."""

    def __init__(self, model: str) -> None:
        self._predictor = Predictor(model, cores=1)

    def __call__(self, portion: dict[str, Any]) -> dict[str, list[str]]:
        """Records of images; both are JSON, because a file's name need not be text, which Ray's tables ask for."""
        pairs = [json.loads(pair) for pair in portion["image"]]
        records = self._predictor.predict([place for _, place in pairs])
        named = [record | {"image": given} for (given, _), record in zip(pairs, records, strict=True)]
        return {"record": [json.dumps(record) for record in named]}


def predict_on_ray(predictor: Predictor, images: Sequence[Path]) -> Iterator[Record]:
    """The records of `Predictor.answer`, in the order of completion.

    The cluster is the one that `RAY_ADDRESS` names or that this program has joined; without one, all cores of this
    machine. Model and images must lie where every machine of it finds them. What a lost worker had in hand is given to
    another.

    Raises:
        PolyheadError: Ray is not installed.
    """
    require("predicting on a cluster", "ray")
    import ray
    import ray.data

    if not ray.is_initialized():
        with TemporaryDirectory() as empty, safe_imports():
            # Ray lets workers import what lies in the current folder, unless they are given another one to work in.
            # (Of a job that was submitted to a cluster, the cluster has decided that.)
            own = {"working_dir": empty, "env_vars": SAFE_IMPORTS} if SUBMITTED not in os.environ else None
            ray.init(logging_level=logging.ERROR, log_to_driver=False, runtime_env=own)
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
