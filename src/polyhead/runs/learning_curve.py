"""The learning curve of a run: measured on its pretrained backbone's features before anything is trained."""

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from polyhead.data.table import Dataset
from polyhead.evaluation.learning_curve import Seen, TooSlow, limit_images, measure_learning_curve
from polyhead.files import write_text
from polyhead.progress import Progress
from polyhead.recipe.schema import Recipe
from polyhead.run_folder import RunFolder
from polyhead.tasks import Numbers, Task

if TYPE_CHECKING:
    from polyhead.training.frozen import FeatureRequest, Vectors

PART_OF_RUN = 0.05  # of the run's minutes, where it has some: half to see the images, half to learn from them
FEWEST = 400  # training images: a run's minutes that do not suffice for so many are left to training
FOLDS = "train with `folds` 2 and with `folds` 8, whose networks learn from a half and from seven eighths of the images"
NO_TIME = "There was no time for a learning curve within the run's minutes."


def explain_missing(run: RunFolder, recipe: Recipe) -> str:
    """Why a run has no learning curve, and how its question can be answered otherwise; blank where it can have one."""
    given = recipe.network.backbone
    if not recipe.has_validation:
        return "A learning curve is judged on validation images, and there are none: give data.split.valid a fraction."
    if given is None or given.weights == "none" or given.builder:
        return (
            "A learning curve is measured with linear models on the features of a pretrained network.backbone, and "
            f"this run has none. To see whether more images would help without one, {FOLDS}, and compare the two."
        )
    if recipe.stacks():
        return (
            "A learning curve is measured with linear models on a backbone that all tasks stand on, and this network "
            f"has a trunk or branches beside it. To see whether more images would help, {FOLDS}, and compare the two."
        )
    if run.path.parent.name == "folds" and run.path.name != "1":
        return "The learning curve of a run of folds is that of the first fold's run."
    return ""


def request_features(
    run: RunFolder, dataset: Dataset, tasks: Mapping[str, Task], progress: Progress
) -> "FeatureRequest | None":
    """What training is to hand over for a learning curve; None where there is one, or can be none.

    The curve, or why there is none, is then read by `read_learning_curve`.
    """
    from polyhead.training.frozen import FeatureRequest

    if run.learning_curve.exists():
        return None
    if missing := explain_missing(run, dataset.recipe):
        _write(run, {"missing": missing})
        return None
    rng = np.random.default_rng(dataset.recipe.seed)
    rows = [rng.permutation(dataset.rows_of(split)) for split in ("train", "valid")]
    counts = limit_images(tasks, *map(len, rows))
    minutes = dataset.recipe.minutes
    seconds = PART_OF_RUN * 60 * minutes / 2 if minutes else math.inf

    def take(train: "tuple[NDArray[np.intp], Vectors]", valid: "tuple[NDArray[np.intp], Vectors]") -> None:
        progress.say("measuring what more images would give, by linear models on the frozen features")
        found = _measure(dataset, tasks, (train, valid), seconds, progress)
        _write(run, found if "missing" in found else {"of": len(rows[0]), **found})

    return FeatureRequest(rows[0][: counts[0]], rows[1][: counts[1]], seconds, take)


def _measure(
    dataset: Dataset,
    tasks: Mapping[str, Task],
    seen: "tuple[tuple[NDArray[np.intp], Vectors], tuple[NDArray[np.intp], Vectors]]",
    seconds: float,
    progress: Progress,
) -> Numbers:
    """With fewer training images where there is no time for all."""
    train, valid = (Seen(dataset.table.frame.iloc[rows].reset_index(drop=True), vectors) for rows, vectors in seen)
    if not all(np.isfinite(vectors).all() for _, vectors in seen):
        return {
            "missing": "The frozen backbone's features are not finite, so that no learning curve could be measured."
        }
    if math.isfinite(seconds) and len(train.labels) < min(FEWEST, len(dataset.rows_of("train"))):
        return {"missing": NO_TIME}
    seed = dataset.recipe.seed
    try:
        return measure_learning_curve(tasks, train, valid, seed, seconds, progress)
    except TooSlow as slow:
        count = int(slow.fraction * len(train.labels))
        if count < FEWEST:
            return {"missing": NO_TIME}
        some = np.sort(np.random.default_rng(seed).permutation(len(train.labels))[:count])
        fewer = Seen(train.labels.iloc[some].reset_index(drop=True), train.features[some])
        return measure_learning_curve(tasks, fewer, valid, seed, math.inf, progress)


def _write(run: RunFolder, found: Numbers) -> None:
    write_text(run.learning_curve, json.dumps(found, ensure_ascii=False))


def read_learning_curve(run: RunFolder) -> dict[str, Any] | None:
    """What was measured, or `missing`; None for a run of an earlier version, and where the file cannot be read."""
    try:
        found = json.loads(run.learning_curve.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
