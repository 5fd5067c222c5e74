"""How many wrong labels the audit finds: 5 % of a data set's labels are changed at random, and looked for.

    python benchmarks/label_errors.py DATA [WEIGHTS] [--images N]

DATA is a folder of labelled images, a file of labels or a recipe; WEIGHTS, a file of MobileNetV2's (0.35, 224, no top).
Its frozen features take the place of a trained network's, so that it costs a minute or two, and no label is learnt by
heart. A changed number is that of another image, and counts as found from a tenth of all numbers' spread on.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from polyhead.data.inspect.proposal import propose_recipe
from polyhead.data.table import Dataset, load_dataset
from polyhead.evaluation.cross_validation import cross_validate
from polyhead.evaluation.label_errors import find_label_errors
from polyhead.progress import SILENT
from polyhead.recipe.loading import check_recipe, load_recipe
from polyhead.recipe.yaml import read_yaml
from polyhead.tasks import Task
from polyhead.training import choose_backend

WRONG, FIRST = 0.05, 100


def read_data(data: Path) -> Dataset:
    """The labelled images; at 160 x 160 pixels."""
    if data.suffix in (".yaml", ".yml"):
        recipe = load_recipe(data)
    else:
        recipe = check_recipe(read_yaml(propose_recipe(data), str(data)), str(data))
    recipe = recipe.model_copy(update={"image": recipe.image.model_copy(update={"size": (160, 160)})})
    return load_dataset(recipe, recipe.data_root(), SILENT, check=False)


def find_features(dataset: Dataset, rows: np.ndarray, weights: str | None) -> np.ndarray:
    """MobileNetV2's features of the rows' images: (n, 1280)."""
    import keras

    inputs = keras.Input((160, 160, 3))
    base = keras.applications.MobileNetV2((160, 160, 3), alpha=0.35, include_top=False, weights=None, pooling="avg")
    base.load_weights(weights or "imagenet")
    network = keras.Model(inputs, base(inputs / 127.5 - 1))
    parts = [rows[at : at + 64] for at in range(0, len(rows), 64)]
    return np.concatenate([network.predict_on_batch(dataset.pixels(part).astype(np.float32)) for part in parts])


def change(task: Task, labels: list[str], rng: np.random.Generator) -> list[str]:
    """The labels, 5 % of the known ones another: of another row, where rows have numbers or several labels."""
    known = [row for row, label in enumerate(labels) if label]
    changed = list(labels)
    for row in rng.permutation(known)[: round(WRONG * len(known))]:
        names = [name for name in task.names if name != labels[row]]
        several = task.numeric or task.several
        changed[row] = labels[int(rng.choice(known))] if several else str(rng.choice(names))
    return changed


def measure(task: Task, labels: list[str], changed: list[str], outputs: np.ndarray) -> str:
    found = find_label_errors(task, changed, outputs)
    rows = list(dict.fromkeys(suspect.row for suspect in found.suspects))
    wrong = [a != b for a, b in zip(labels, changed, strict=True)]
    if task.numeric:
        spread = np.ptp(np.quantile([float(label) for label in labels if label], [0.05, 0.95]))
        wrong = [bool(a) and abs(float(a) - float(b)) > spread / 10 for a, b in zip(labels, changed, strict=True)]
    first = [wrong[row] for row in rows[:FIRST]]
    precision = np.mean(first) if first else float("nan")
    recall = sum(wrong[row] for row in rows) / max(1, sum(wrong))
    right = task.measure(labels, outputs)
    metric = next(name for name in ("accuracy", "macro_f1", "mae") if name in right)
    return (
        f"{metric} {right[metric]:.3f}  "
        f"{sum(wrong):6,} changed of {found.known:7,}  {len(rows):6,} suspect rows  "
        f"precision of the first {FIRST} {precision:.2f}  recall {recall:.2f}  estimated share {found.share:.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("weights", nargs="?")
    parser.add_argument("--images", type=int, default=10_000)
    given = parser.parse_args()
    choose_backend()
    begun, rng = time.monotonic(), np.random.default_rng(0)
    dataset = read_data(given.data)
    rows = np.sort(rng.permutation(len(dataset.rows))[: given.images])
    frame = dataset.table.frame.iloc[rows].reset_index(drop=True)
    tasks: dict[str, Any] = {name: task.fit(name, list(frame[name])) for name, task in dataset.recipe.tasks.items()}
    features = find_features(dataset, rows, given.weights)
    read = time.monotonic() - begun
    labels = {name: task.regroup(frame[name].tolist()) for name, task in tasks.items()}
    changed = frame.assign(**{name: change(task, labels[name], rng) for name, task in tasks.items()})
    outputs = cross_validate(tasks, changed, features, frame["content"].tolist(), 0)
    print(f"{len(rows):,} images; features in {read:.0f} s, all else in {time.monotonic() - begun - read:.0f} s")
    for name, task in tasks.items():
        print(f"{name:12} {task.kind:11} {measure(task, labels[name], changed[name].tolist(), outputs[name])}")


if __name__ == "__main__":
    main()
