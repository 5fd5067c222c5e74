"""What the validation images show of a model file's answers, found and written into the file."""

from pathlib import Path

import numpy as np

from polyhead.data.table import Dataset
from polyhead.errors import require
from polyhead.model.familiarity import Familiarity
from polyhead.model.file import write_card
from polyhead.model.predictor import Predictor
from polyhead.model.reference import Reference

FAMILIAR_ROWS = 3000  # training images whose features tell which images are familiar


def calibrate(model: Path, dataset: Dataset) -> None:
    """Find on the validation images how far to trust a model file's answers, and which images are unlike those that it
    was trained on, and write that into the file.

    The graph and its outputs stay what they are, so that doing it again changes nothing; nothing is done without
    validation images.
    """
    rows = dataset.rows_of("valid")
    if not len(rows):
        return
    require("calibration", "report")
    from threadpoolctl import threadpool_limits

    predictor = Predictor(model)
    outputs = predictor.run_all(lambda indices: dataset.pixels(rows[indices]), len(rows))
    frame, card = dataset.table.frame.iloc[rows], predictor.card
    tasks = {name: task.calibrate(frame[name].tolist(), outputs[name]) for name, task in card.tasks.items()}
    train = dataset.rows_of("train")
    train = train[np.linspace(0, len(train) - 1, min(FAMILIAR_ROWS, len(train))).astype(int)]
    features = predictor.run_all(lambda indices: dataset.pixels(train[indices]), len(train))["features"]
    with threadpool_limits(1):
        familiarity = Familiarity.find(features, outputs["features"])
    reference = Reference.find(tasks, outputs, familiarity)
    found = {"tasks": tasks, "familiarity": familiarity, "reference": reference}
    write_card(model, card.model_copy(update=found))
