"""Seconds and peak memory of what is done with every row, at ten thousand, a hundred thousand and a million rows.

Each stage runs in a process of its own, on rows that are drawn: labels of three kinds in a CSV file, ten rows a group;
for the cache PNG files of 16x16, no two alike; for the evaluation outputs that are right in nine of ten rows, all rows
in one split. The last column is how many times the seconds of a tenth of the rows a stage took.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from polyhead.data.images.cache import ImageSettings, open_images
from polyhead.data.sources.reading import complete_recipe
from polyhead.data.splits import split_rows
from polyhead.data.table import read_table
from polyhead.evaluation.evaluate import evaluate_split
from polyhead.evaluation.intervals import add_intervals
from polyhead.progress import SILENT
from polyhead.recipe.loading import load_recipe

RECIPE = """
name: scale
data: {source: {kind: csv, file: labels.csv}, split: {test: 0.1, valid: 0.1, group: owner}}
image: {size: [16, 16]}
tasks:
  color: {kind: categorical}
  worn: {kind: binary}
  width: {kind: regression}
"""
COLORS = ["red", "green", "blue", "black", "white"]
SIDE = 16


def draw_labels(folder: Path, rows: int) -> None:
    rng = np.random.default_rng(rows)
    frame = pd.DataFrame(
        {
            "image": [name_image(row) for row in range(rows)],
            "color": rng.choice(COLORS, rows),
            "worn": rng.choice(["yes", "no", ""], rows),
            "width": np.round(rng.normal(50, 10, rows), 2),
            "owner": rng.integers(0, max(1, rows // 10), rows),
        }
    )
    frame.to_csv(folder / "labels.csv", index=False)
    (folder / "scale.yaml").write_text(RECIPE)


def name_image(row: int) -> str:
    return f"images/{row // 1000:04}/{row:07}.png"


def draw_images(folder: Path, rows: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    for row in range(rows):
        path = folder / name_image(row)
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels[0, 0], pixels[0, 1] = divmod(row, 256)[1], row // 256 % 256
        pixels[0, 2] = row // 65536
        Image.fromarray(pixels).save(path, compress_level=0)


def link_images(folder: Path, rows: int) -> None:
    """A file in each folder, under all names: labels are read of files that are there, and nothing opens these."""
    for row in range(rows):
        path = folder / name_image(row)
        first = path.parent / "first.png"
        if not row % 1000:
            path.parent.mkdir(parents=True)
            Image.new("RGB", (SIDE, SIDE)).save(first)
        os.link(first, path)


def read_labels(folder: Path) -> Callable[[], object]:
    recipe = complete_recipe(load_recipe(folder / "scale.yaml"), folder)
    return lambda: read_table(recipe, folder)


def split(folder: Path) -> Callable[[], object]:
    recipe = complete_recipe(load_recipe(folder / "scale.yaml"), folder)
    frame = read_table(recipe, folder).frame
    frame["content"] = [f"{row:032x}" for row in range(len(frame))]
    return lambda: split_rows(frame, recipe)


def fill_cache(folder: Path) -> Callable[[], object]:
    paths = [folder / path for path in pd.read_csv(folder / "labels.csv")["image"]]
    return lambda: open_images(paths, ImageSettings((SIDE, SIDE), cache=str(folder / "cache")), SILENT)


def reopen_cache(folder: Path) -> Callable[[], object]:
    return fill_cache(folder)


def order(folder: Path) -> Callable[[], object]:
    from polyhead.training import choose_backend

    choose_backend()
    from polyhead.training.batches import Batches, TrainingData

    rows = len(pd.read_csv(folder / "labels.csv"))
    pixels = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    targets = {"color": np.zeros((rows, 1), np.float32)}
    data = TrainingData(lambda asked: pixels[np.zeros(len(asked), int)], targets, np.arange(rows), np.arange(0))

    def run_an_epoch() -> None:
        batches = Batches(data, 32, 0)
        for step in range(batches.steps):
            batches[step]

    return run_an_epoch


def evaluate(folder: Path) -> Callable[[], object]:
    recipe = complete_recipe(load_recipe(folder / "scale.yaml"), folder)
    frame = read_table(recipe, folder).frame
    frame["content"] = [f"{row:032x}" for row in range(len(frame))]
    tasks = {name: task.fit(name, list(frame[name])) for name, task in recipe.tasks.items()}
    rng, outputs = np.random.default_rng(0), {}
    right = rng.random(len(frame)) < 0.9
    for name, task in tasks.items():
        truth = np.nan_to_num(task.encode(list(frame[name])))
        truth = np.eye(len(COLORS))[truth[:, 0].astype(int)] if name == "color" else truth
        outputs[name] = np.where(right[:, None], truth, rng.permutation(truth)).astype(np.float32)

    def measure() -> None:
        found = evaluate_split(tasks, frame, outputs)
        add_intervals(found, tasks, frame, outputs)

    return measure


STAGES: dict[str, Callable[[Path], Callable[[], object]]] = {
    "labels": read_labels,
    "split with groups": split,
    "first decode": fill_cache,
    "cache, opened again": reopen_cache,
    "an epoch's batches": order,
    "evaluation, intervals": evaluate,
}


def run_child(stage: str, folder: Path) -> tuple[float, float]:
    """Seconds and gigabytes of a stage."""
    command = [sys.executable, __file__, "--child", stage, "--folder", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seconds, memory = json.loads(done.stdout.splitlines()[-1])
    return float(seconds), float(memory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument(
        "--images", type=int, default=1_000_000, help="the most rows whose images are drawn and decoded"
    )
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--child")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.child:
        work = STAGES[options.child](options.folder)
        begun = time.monotonic()
        work()
        seconds = time.monotonic() - begun
        print(json.dumps((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)))
        return
    print("| stage | rows | seconds | GB at most | times the seconds of a tenth |\n|---|---|---|---|---|")
    before: dict[str, float] = {}
    for rows in options.rows:
        with tempfile.TemporaryDirectory(dir=options.folder) as drawn:
            folder = Path(drawn)
            draw_labels(folder, rows)
            stages = [stage for stage in options.stages if rows <= options.images or STAGES[stage] not in OF_IMAGES]
            draw = draw_images if any(STAGES[stage] in OF_IMAGES for stage in stages) else link_images
            draw(folder, rows)
            for stage in stages:
                seconds, memory = run_child(stage, folder)
                times = f"{seconds / before[stage]:.1f}" if stage in before else ""
                print(f"| {stage} | {rows:,} | {seconds:.2f} | {memory:.2f} | {times} |", flush=True)
                before[stage] = seconds


OF_IMAGES = (fill_cache, reopen_cache)

if __name__ == "__main__":
    main()
