"""`polyhead train DIR --minutes N` beside the fine-tuning tutorial of keras.io, on the same rows and in the same time.

The tutorial is the guide "Transfer learning & fine-tuning" (https://keras.io/guides/transfer_learning/), written in
plain Keras with a head for each task: first the heads alone on a frozen backbone, then all of it at a rate of 1e-5, by
Adam, with random flips, batch normalisation in inference mode (frozen layer by layer: in Keras 3.15 the guide's
`training=False` does not hold in `fit`). It has the backbone, the weights, the image size and the split of Polyhead's
run, and its pixels, decoded already; its minutes begin before the network is built. A blank label is a row of weight 0.
Both are evaluated on the test images by the same code.

Needed is what trains, or `--run` with a run that is finished.
"""

import argparse
import math
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyhead.data.table import Dataset, read_csv, reopen_dataset
from polyhead.progress import SILENT
from polyhead.recipe.network import Backbone
from polyhead.runs.run import Run, load_run
from polyhead.tasks import Task

BATCH = 64
FROZEN = 0.4  # of the time: the guide's twenty frozen epochs to ten of the whole, which take three times as long
RATES = {"heads": 1e-3, "whole": 1e-5}
DROPOUT = 0.2
SHOWN = ("accuracy", "mean_accuracy", "macro_f1", "mae", "r2")
SMALLER_IS_BETTER = {"mae"}
Figures = dict[str, dict[str, float]]  # by task, its metrics


@dataclass(frozen=True)
class Target:
    """What an author would make of a task's column: a head and its loss, and numbers to learn."""

    values: NDArray[np.float32]  # (n, columns), NaN where unknown
    units: int
    activation: str | None
    loss: str
    mean: float = 0.0
    deviation: float = 1.0

    def restore(self, outputs: NDArray[np.floating]) -> NDArray[np.floating]:
        """In the label's own unit."""
        return outputs * self.deviation + self.mean


def make_target(task: Task, labels: list[str], train: NDArray[np.intp]) -> Target:
    """A standardised number, a softmax over classes or levels, or sigmoids."""
    values = task.encode(labels)
    if task.numeric:
        mean, deviation = float(np.nanmean(values[train])), float(np.nanstd(values[train])) or 1.0
        return Target((values - mean) / deviation, 1, None, "mean_squared_error", mean, deviation)
    if task.several or task.kind == "binary":
        return Target(values, values.shape[1], "sigmoid", "binary_crossentropy")
    return Target(values, len(task.names), "softmax", "sparse_categorical_crossentropy")


def train_tutorial(backbone: Backbone, dataset: Dataset, targets: dict[str, Target], minutes: float) -> Any:
    """The guide's two stages; the `keras.Model` that comes of them."""
    ends = time.monotonic() + 60 * minutes
    import keras

    from polyhead.training.backbones import build_backbone, set_trainable

    class Batches(keras.utils.PyDataset):
        """Images, labels and weights, in a new order each epoch."""

        def __init__(self, rows: NDArray[np.intp]) -> None:
            super().__init__()
            self.rows, self.rng = rows, np.random.default_rng(0)
            self.on_epoch_end()

        def __len__(self) -> int:
            return math.ceil(len(self.rows) / BATCH)

        def on_epoch_end(self) -> None:
            self.rng.shuffle(self.rows)

        def __getitem__(self, index: int) -> Any:
            rows = np.sort(self.rows[index * BATCH : (index + 1) * BATCH])
            known = {name: ~np.isnan(target.values[rows]).any(axis=1) for name, target in targets.items()}
            labels = {name: np.nan_to_num(target.values[rows]) for name, target in targets.items()}
            return dataset.pixels(rows), labels, {name: found.astype("float32") for name, found in known.items()}

    class Deadline(keras.callbacks.Callback):
        """Ends training at its time."""

        def __init__(self, at: float) -> None:
            super().__init__()
            self.at = at

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training |= time.monotonic() > self.at

    keras.utils.set_random_seed(0)
    base = build_backbone(backbone, dataset.recipe.image.size, pretrained=True)
    inputs = keras.Input((*dataset.recipe.image.size, 3))
    found = base(keras.layers.RandomFlip("horizontal")(inputs), training=False)
    found = keras.layers.Dropout(DROPOUT)(keras.layers.GlobalAveragePooling2D()(found))
    heads = {name: keras.layers.Dense(target.units, target.activation)(found) for name, target in targets.items()}
    model = keras.Model(inputs, heads)
    batches = Batches(dataset.rows_of("train"))
    for stage, rate in RATES.items():
        set_trainable(base, backbone, stage == "whole")
        model.compile(keras.optimizers.Adam(rate), {name: target.loss for name, target in targets.items()})
        left = ends - time.monotonic()
        at = time.monotonic() + (FROZEN * left if stage == "heads" else left)
        history = model.fit(batches, epochs=10**6, verbose=0, callbacks=[Deadline(at)])
        print(f"tutorial, {stage}: epoch {len(history.epoch)}, loss {history.history['loss'][-1]:.3f}", file=sys.stderr)
    return model


def measure(model: Any, run: Run, dataset: Dataset, targets: dict[str, Target], split: str) -> Figures:
    """The tutorial's figures on a split, by the code that evaluates Polyhead."""
    rows = dataset.rows_of(split)
    parts = [model.predict_on_batch(dataset.pixels(some)) for some in np.split(rows, range(256, len(rows), 256))]
    found: Figures = {}
    for name, task in run.model.tasks.items():
        outputs = targets[name].restore(np.concatenate([np.asarray(part[name]) for part in parts]))
        figures = task.uncalibrated().measure(dataset.table.frame[name].iloc[rows].tolist(), outputs)
        found[name] = {metric: figures[metric] for metric in SHOWN if isinstance(figures.get(metric), float)}
    return found


def find_when(run: Run, figures: Figures) -> str:
    """After which epoch Polyhead was as good as these figures on validation images, all tasks in one epoch."""
    history, wanted = run.history, []
    for name, metrics in figures.items():
        for metric in ("accuracy", "mae"):
            if metric in metrics and f"val_{name}.{metric}" in history:
                sign = -1 if metric in SMALLER_IS_BETTER else 1
                wanted.append(sign * history[f"val_{name}.{metric}"] >= sign * metrics[metric] - 1e-6)
    reached: list[int] = np.flatnonzero(np.all(wanted, axis=0)).tolist() if wanted else []
    seconds = history["seconds"].cumsum()
    if not reached:
        return f"not within {seconds.iloc[-1]:.0f} s of epochs"
    return f"after {seconds.iloc[reached[0]]:.0f} s of epochs (epoch {reached[0] + 1} of {len(history)})"


def make_run(options: argparse.Namespace, folder: Path) -> tuple[Run, float]:
    """Polyhead's run, and the minutes that it took; of one that was finished before, those of its epochs."""
    if options.run:
        run = load_run(options.run)
        return run, float(run.history["seconds"].sum()) / 60
    out = options.out or folder / "run"
    given = [options.recipe, "--data", options.dir] if options.recipe else [options.dir]
    command = [sys.executable, "-m", "polyhead", "train", *given, "--out", out, "--minutes", str(options.minutes)]
    begun = time.monotonic()
    done = subprocess.run([str(word) for word in command], check=False)
    if done.returncode:
        sys.exit(f"polyhead ended with {done.returncode}")
    return load_run(out), (time.monotonic() - begun) / 60


def choose_network(run: Run, options: argparse.Namespace) -> Backbone:
    """The run's backbone with its weights, seeing colours; or what was asked for."""
    if options.backbone:
        return Backbone(name=options.backbone, width=options.width)
    backbone = run.recipe.network.backbone
    if backbone is None or not backbone.name or backbone.weights == "none":
        sys.exit(f"{run}: has no pretrained backbone of keras.applications; give the tutorial's by --backbone")
    return Backbone(name=backbone.name, width=backbone.width, weights=backbone.weights)


def print_comparison(polyhead: Figures, tutorial: Figures) -> None:
    """A row for each metric of each task."""
    print("| task | metric | polyhead | tutorial | difference |\n|---|---|---|---|---|")
    for name, metrics in tutorial.items():
        for metric, value in metrics.items():
            ours = polyhead[name][metric]
            print(f"| {name} | {metric} | {ours:.3f} | {value:.3f} | {ours - value:+.3f} |")


def main() -> None:
    """Train both, one after the other, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dir", nargs="?", type=Path, help="the images, as for `polyhead train`")
    parser.add_argument("--minutes", type=float, help="for each; of a finished run, what its epochs took if absent")
    parser.add_argument("--recipe", help="instead of a planned one")
    parser.add_argument("--run", type=Path, help="a finished run, to compare with that")
    parser.add_argument("--out", type=Path, help="where to keep the run")
    parser.add_argument("--backbone", help="for the tutorial; the run's if absent")
    parser.add_argument("--width", type=float, default=1.0, help="of that backbone")
    options = parser.parse_args()
    if not options.run and not (options.dir and options.minutes):
        parser.error("expected DIR and --minutes, or --run")
    with tempfile.TemporaryDirectory() as folder:
        run, took = make_run(options, Path(folder))
        minutes = options.minutes or took
        recipe = run.recipe
        dataset = reopen_dataset(recipe, read_csv(run.path, recipe.data_root()), SILENT)
        frame, train = dataset.table.frame, dataset.rows_of("train")
        targets = {name: make_target(task, frame[name].tolist(), train) for name, task in run.model.tasks.items()}
        model = train_tutorial(choose_network(run, options), dataset, targets, minutes)
        print(f"\n{recipe.name}: polyhead {took:.1f} minutes, tutorial {minutes:.1f}; test images")
        print_comparison(
            {name: task.metrics for name, task in run.evaluation["test"].tasks.items()},
            measure(model, run, dataset, targets, "test"),
        )
        split = "valid" if len(dataset.rows_of("valid")) else "test"
        print(f"\nThe tutorial's final figures: {find_when(run, measure(model, run, dataset, targets, split))}")


if __name__ == "__main__":
    main()
