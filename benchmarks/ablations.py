"""What each way to train gains: one change at a time to one plain recipe of fine-tuning, on labelled images of yours.

Each data set is a recipe, or a folder that `polyhead init` understands; the plain recipe fine-tunes MobileNetV2 in two
stages. A row a change: the means over seeds of the tasks' mean accuracy (of numbers: R2) on validation images, by which
to choose, and on test images, to report; and the seconds of an epoch against the plain recipe's.
"""

import argparse
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polyhead
from polyhead.data.inspect.proposal import propose_values
from polyhead.evaluation.results import SplitEvaluation

PLAIN: dict[str, Any] = {
    "training.optimizer": "adamw",
    "training.weight_decay": 0.05,
    "training.batch_size": 32,
    "training.augment": {"rotation": 10, "shift": 0.06, "flip": "horizontal"},
}
CHANGES: dict[str, dict[str, Any]] = {
    "plain": {},
    "no weight decay": {"training.weight_decay": 0.0},
    "clip_norm 1": {"training.clip_norm": 1.0},
    "warmup .2": {"training.warmup": 0.2},
    "layer_decay .8": {"training.layer_decay": 0.8},
    "last 6 parts": {"last": 6},
    "mixup .2": {"training.mix": {"mixup": 0.2}},
    "cutmix 1, half": {"training.mix": {"cutmix": 1.0, "chance": 0.5}},
    "crop .5": {"training.augment.crop": 0.5},
    "trivialaugment": {"training.augment.policy": "trivialaugment"},
    "randaugment": {"training.augment.policy": "randaugment"},
    "average and maximum": {"network.backbone.pooling": "both"},
    "two-layer heads": {"network.backbone.dense": [256]},
    "average_flips": {"network.average_flips": True},
    "ema .99": {"training.ema_momentum": 0.99},
    "label smoothing .1": {"smoothing": 0.1},
    "last epoch": {"training.keep": "last"},
    "soup": {"training.keep": "soup"},
}


def describe(given: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """The plain recipe of a data set."""
    values = propose_values(given) if given.is_dir() or given.suffix == ".csv" else {}
    recipe = polyhead.load_recipe(values or given)
    network = {"backbone": {"name": "MobileNetV2", "width": asked.width, "dropout": 0.2}}
    plain = recipe.override({"network": network, "image.size": [asked.size, asked.size], **PLAIN})
    return plain.model_dump(mode="json", exclude_none=True, exclude={"tasks": {"__all__": {"fitted"}}})


def run(values: dict[str, Any], change: Mapping[str, Any], seed: int, asked: argparse.Namespace) -> tuple[float, ...]:
    """The scores on validation and test images, and the median seconds of an epoch."""
    overrides = dict(change)
    last = overrides.pop("last", None)
    smoothing = overrides.pop("smoothing", None)
    stage = {"train": {"last": last} if last else "all", "epochs": asked.epochs, "learning_rate": asked.rate}
    heads = {"train": "heads", "augment": False, "epochs": 5, "learning_rate": 3e-3, "schedule": "cosine"}
    overrides["training.stages"] = [heads, stage | {"schedule": "cosine"}]
    overrides["training.epochs"] = 5 + asked.epochs
    if smoothing:
        overrides |= {
            f"tasks.{name}.label_smoothing": smoothing
            for name, task in values["tasks"].items()
            if "label_smoothing" in task
        }
    with tempfile.TemporaryDirectory() as folder:
        found = polyhead.train(values, Path(folder) / "run", overrides=overrides, seed=seed, progress=False)
        valid, test = (score(found.evaluation[split]) for split in ("valid", "test"))
        return valid, test, float(found.history["seconds"].iloc[6:].median())


def score(split: SplitEvaluation) -> float:
    """The mean over tasks of accuracy, or of R2."""
    return statistics.mean(task.metrics.get("accuracy", task.metrics.get("r2", 0.0)) for task in split.tasks.values())


def main() -> None:
    """Print a table for each data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="+", type=Path, help="recipes with data.path, folders, or CSV files")
    parser.add_argument("--only", nargs="*", choices=CHANGES, default=list(CHANGES))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--width", type=float, default=0.35)
    parser.add_argument("--size", type=int, default=96)
    asked = parser.parse_args()
    for given in asked.data:
        values = describe(given, asked)
        print(f"\n{given.name}\n| change | validation | test | seconds an epoch |\n|---|---|---|---|", flush=True)
        usual = 0.0
        for name in asked.only:
            runs = [run(values, CHANGES[name], seed, asked) for seed in range(asked.seeds)]
            valid, test, seconds = (statistics.mean(column) for column in zip(*runs, strict=True))
            usual = usual or seconds
            print(f"| {name} | {valid:.4f} | {test:.4f} | x {seconds / usual:.2f} |", flush=True)


if __name__ == "__main__":
    main()
