"""Images/s of Polyhead's training against plain `model.fit` of the same network on arrays in memory.

Both train the two published recipes' networks on the same random images and labels, in processes that take turns.
What is timed are whole epochs after the first (which compiles), validation left out.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from polyhead.recipe.loading import load_recipe
from polyhead.recipe.schema import Recipe
from polyhead.tasks import Task
from polyhead.training import choose_backend

SIZES = {"fashionnet": (96, 96), "utkface": (96, 96)}


def make_data(name: str, count: int) -> tuple[Recipe, dict[str, Task], np.ndarray, dict[str, list[str]]]:
    """A recipe, its tasks, random images and random labels."""
    recipe = load_recipe(name, [f"image.size={list(SIZES[name])}", "training.epochs=4"])
    rng = np.random.default_rng(0)
    labels = {
        task: [str(value) for value in rng.integers(0, 100, count)] if task == "age" else random_names(rng, spec, count)
        for task, spec in recipe.tasks.items()
    }
    tasks: dict[str, Task] = {task: spec.fit(task, labels[task]) for task, spec in recipe.tasks.items()}
    return recipe, tasks, rng.integers(0, 256, (count, *recipe.image.size, 3), np.uint8), labels


def random_names(rng: np.random.Generator, task: Task, count: int) -> list[str]:
    names = task.names or ("a", "b", "c", "d")
    return [names[place] for place in rng.integers(0, len(names), count)]


def train_polyhead(name: str, count: int) -> float:
    """Images/s of `train_network`, from the history that it writes."""
    choose_backend()
    from polyhead.training.batches import TrainingData
    from polyhead.training.checkpoint_callback import RunContext
    from polyhead.training.fit import train_network

    recipe, tasks, pixels, labels = make_data(name, count)
    targets = {task: tasks[task].encode(labels[task]) for task in tasks}
    with tempfile.TemporaryDirectory() as folder:
        lesson = TrainingData(lambda rows: pixels[rows], targets, np.arange(count), np.arange(0))
        train_network(recipe, tasks, lesson, RunContext(Path(folder)))
        rows = (Path(folder) / "history.csv").read_text().splitlines()
    seconds = [float(row.rpartition(",")[2]) for row in rows[2:]]
    return count / statistics.median(seconds)


def train_plainly(name: str, count: int) -> float:
    """Images/s of `model.fit` with Keras's own losses and metrics, on float targets and uint8 images in memory."""
    choose_backend()
    import keras

    from polyhead.training.network import build_network

    recipe, tasks, pixels, labels = make_data(name, count)
    core = build_network(recipe, tasks).core
    images = keras.Input(core.input_shape[1:], dtype="uint8")
    found = core(keras.ops.cast(images, "float32"))
    model = keras.Model(images, {task: found[task] for task in tasks})
    targets, losses, metrics = {}, {}, {}
    for task, spec in tasks.items():
        targets[task] = spec.encode(labels[task])
        if spec.names:
            losses[task] = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            metrics[task] = ["sparse_categorical_accuracy"]
        else:
            losses[task], metrics[task] = "mse", ["mae"]
    rate = keras.optimizers.schedules.InverseTimeDecay(1e-3, 1, 1e-5)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss=losses, metrics=metrics)
    seconds: list[float] = []

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.begun = time.monotonic()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seconds.append(time.monotonic() - self.begun)

    model.fit(pixels, targets, batch_size=recipe.training.batch_size, epochs=4, verbose=0, callbacks=[Clock()])
    return count / statistics.median(seconds[1:])


def run_child(way: str, name: str, count: int) -> float:
    command = [sys.executable, __file__, "--child", way, name, "--images", str(count)]
    return float(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=2)
    options = parser.parse_args()
    if options.child:
        way, name = options.child
        print(json.dumps({"polyhead": train_polyhead, "plain": train_plainly}[way](name, options.images)))
        return
    print("network       polyhead   model.fit   ratio (images/s, medians)")
    for name in SIZES:
        found: dict[str, list[float]] = {"polyhead": [], "plain": []}
        for _ in range(options.rounds):
            for way in found:
                found[way].append(run_child(way, name, options.images))
        ours, plain = (statistics.median(found[way]) for way in ("polyhead", "plain"))
        print(f"{name:12} {ours:9.1f} {plain:11.1f} {ours / plain:7.3f}")


if __name__ == "__main__":
    main()
