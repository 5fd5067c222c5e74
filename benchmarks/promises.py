"""How often what an answer promises holds on test images that no promise was made by: `tasks.X.coverage` of whole runs.

    python benchmarks/promises.py RUN...

Each task of each finished run is asked for .8, .9 and .95: the promise is found on the run's validation images, and
judged on its test images. Both are few, so that the share found lies around the one asked even where all is well:
within `1.96 sqrt(asked (1 - asked) (1 / validation + 1 / test))`, in 95 of 100 cases. More than that is no fault where
answers alone are right more often than was asked; it is marked `+`, and less is marked `-`. Of several labels, the mean
of the shares is told, and how many labels are below their own bound; one in forty is by chance.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import pandas as pd

from polyhead.data.table import Dataset
from polyhead.model.predictor import Predictor
from polyhead.progress import SILENT
from polyhead.runs.labelled_data import find_labelled_data
from polyhead.runs.tables import locate_data
from polyhead.tasks import Array, Task

Part = tuple[pd.DataFrame, dict[str, Array]]  # a split's labels, and the model's outputs
ASKED = (0.8, 0.9, 0.95)


def read_split(predictor: Predictor, dataset: Dataset, split: str) -> Part:
    """A split of a run."""
    rows = dataset.rows_of(split)
    return dataset.table.frame.iloc[rows], predictor.run_all(lambda at: dataset.pixels(rows[at]), len(rows))


def find_bound(asked: float, images: int, others: int) -> float:
    """How far below the share asked for, or above it, the share found lies by chance."""
    return 1.96 * math.sqrt(asked * (1 - asked) * (1 / images + 1 / others))


def judge(task: Task, asked: float, name: str, valid: Part, test: Part) -> str:
    """What is found of a promise, in a line."""
    fitted = task.model_copy(update={"coverage": asked}).calibrate(valid[0][name].tolist(), valid[1][name])
    known = np.array([bool(label) for label in task.regroup(test[0][name].tolist())])
    found = fitted.measure(test[0][name][known].tolist(), test[1][name][known])
    if fitted.promise is None or "coverage" not in found:
        return f"asked {asked:.2f}  nothing is promised: too few validation images, or none of test is labelled"
    bound, share = find_bound(asked, fitted.promise.calibrated_on, known.sum()), found["coverage"]
    mark = "-" if share < asked - bound else "+" if share > asked + bound else "="
    size = next(f"{key} {found[key]:.3g}" for key in ("set_size", "interval_width", "not_sure") if key in found)
    line = f"asked {asked:.2f}  found {share:.3f} {mark} ({asked - bound:.3f} to {asked + bound:.3f})  {size}"
    if "promised_labels" not in found:
        return line
    counts = [(~np.isnan(task.encode(rows[name].tolist()))).sum(axis=0) for rows, _ in (valid, test)]
    below = 0
    for label, row in found["promised_labels"].items():
        images, others = (count[task.names.index(label)] for count in counts)
        below += row["coverage"] < asked - find_bound(asked, images, others)
    return f"{line}  {below} of {len(found['promised_labels'])} labels below their bound"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", nargs="+", type=Path)
    for run in parser.parse_args().runs:
        predictor = Predictor(run)
        with locate_data(None, predictor.card) as place:
            dataset = find_labelled_data(predictor, place, "test", SILENT, ())
            valid, test = (read_split(predictor, dataset, split) for split in ("valid", "test"))
        print(f"{predictor.card.name}: {len(valid[0]):,} images of validation, {len(test[0]):,} of test")
        for name, task in predictor.card.tasks.items():
            for asked in ASKED:
                print(f"  {name:14} {task.kind:11} {judge(task, asked, name, valid, test)}", flush=True)


if __name__ == "__main__":
    main()
