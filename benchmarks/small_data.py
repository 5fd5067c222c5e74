"""How slowly batch normalisation's averages should follow where an epoch has few steps: `network.norm_momentum`.

Small data sets, a few seeds and epochs, several momenta: the lowest validation loss (which chooses the epoch that is
kept), its epoch, and what the kept weights are worth on test images. The data: a few of the demo's drawn garments, and
folders of images that are given.
"""

import argparse
import math
import statistics
import tempfile
from pathlib import Path

import pandas as pd

from polyhead.data.drawn.synthetic import draw_garments
from polyhead.data.inspect.proposal import propose_recipe
from polyhead.data.sources.reading import complete_recipe
from polyhead.data.table import load_dataset
from polyhead.progress import SILENT
from polyhead.recipe.loading import load_recipe
from polyhead.recipe.schema import Recipe
from polyhead.training import WEIGHTS, choose_backend

SPLIT = "data.split={test: 0.3, valid: 0.2}"


def train(recipe: Recipe, data: Path) -> tuple[int, float, float]:
    """The epoch that is kept, its validation loss, and its accuracy on test images, meaned over the tasks with one."""
    from polyhead.training.batches import TrainingData
    from polyhead.training.checkpoint_callback import RunContext
    from polyhead.training.fit import train_network
    from polyhead.training.network import build_network

    dataset = load_dataset(complete_recipe(recipe, data), data, SILENT)
    frame, rows = dataset.table.frame, dataset.rows_of("train")
    tasks = {name: task.fit(name, list(frame[name].iloc[rows])) for name, task in recipe.tasks.items()}
    steps = math.ceil(len(rows) / recipe.training.batch_size)
    recipe = recipe.model_copy(update={"network": recipe.network.complete(steps)})
    targets = {name: task.encode(list(frame[name])) for name, task in tasks.items()}
    with tempfile.TemporaryDirectory() as folder:
        lesson = TrainingData(dataset.pixels, targets, rows, dataset.rows_of("valid"))
        train_network(recipe, tasks, lesson, RunContext(Path(folder)))
        losses = pd.read_csv(Path(folder) / "history.csv")["val_loss"]
        network = build_network(recipe, tasks)
        network.core.load_weights(Path(folder) / WEIGHTS)
    test = dataset.rows_of("test")
    outputs = network.answering().predict(dataset.pixels(test), verbose=0)
    found = [task.measure(list(frame[name].iloc[test]), outputs[name]) for name, task in tasks.items()]
    accuracy = statistics.mean(task["accuracy"] for task in found if "accuracy" in task)
    return int(losses.to_numpy().argmin()) + 1, float(losses.min()), accuracy


def compare(name: str, path: str | Path, data: Path, settings: list[str], asked: argparse.Namespace) -> None:
    """Print a row for each momentum."""
    print(f"\n{name}\n| momentum | kept epoch | validation loss | test accuracy |\n|---|---|---|---|")
    for momentum in asked.momenta:
        words = f"network.norm_momentum={'null' if momentum == 'chosen' else momentum}"
        runs = [
            train(load_recipe(path, [*settings, words, SPLIT, f"training.epochs={asked.epochs}", f"seed={seed}"]), data)
            for seed in range(asked.seeds)
        ]
        epochs, losses, accuracies = zip(*runs, strict=True)
        row = [statistics.mean(epochs), statistics.mean(losses), statistics.mean(accuracies)]
        print(f"| {momentum} | {row[0]:.1f} | {row[1]:.3f} | {row[2]:.3f} |", flush=True)


def main() -> None:
    """Compare on drawn garments and on the folders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="folders of images in folders")
    parser.add_argument("--momenta", nargs="+", default=["chosen", "0.99", "0.9", "0.8", "0.65", "0.5"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--garments", nargs="*", type=int, default=[130])
    asked = parser.parse_args()
    choose_backend()
    with tempfile.TemporaryDirectory() as scratch:
        for count in asked.garments:
            data = Path(scratch) / str(count)
            draw_garments(data, count, seed=0, progress=SILENT)
            compare(f"{count} drawn garments", "demo", data, [], asked)
        for folder in asked.folders:
            path = Path(scratch) / f"{folder.name}.yaml"
            path.write_text(propose_recipe(folder), encoding="utf-8")
            compare(str(folder), path, folder, ["image.size=[64, 64]"], asked)


if __name__ == "__main__":
    main()
