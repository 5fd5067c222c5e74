"""Whether a learning curve foretells: the curve of a half of the training images, against what all of them then give.

    python benchmarks/learning_curve.py DATA [WEIGHTS] [--images N] [--repeats N]
    python benchmarks/learning_curve.py --drawn

DATA is a folder of labelled images, a file of labels or a recipe; WEIGHTS, a file of MobileNetV2's (0.35, 224, no top).
Images are drawn, a quarter of them to judge by, and the other three to learn from. A run with a half of these would say
what its last doubling gave, what the next one would give and whether it is worth it; what came is what linear models on
the same frozen features give with all of them. So it is a matter of minutes; no network is fine-tuned.

With --drawn: how often the interval of the last doubling's gain holds the gain that is to be expected, over drawn
features and labels, each time other training and validation images.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from label_errors import find_features, read_data

from polyhead.evaluation.learning_curve import Seen, limit_images, measure_learning_curve
from polyhead.tasks import Categorical, Numbers, Regression, Task
from polyhead.training import choose_backend


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--drawn", action="store_true")
    parser.add_argument("weights", nargs="?")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=4)
    given = parser.parse_args()
    if given.drawn or given.data is None:
        for images, watched in ((800, 300), (300, 1500), (2000, 1000)):
            cover(images, watched, 100)
        return
    choose_backend()
    dataset, rng = read_data(given.data), np.random.default_rng(0)
    rows = np.sort(rng.permutation(len(dataset.rows))[: given.images])
    frame = dataset.table.frame.iloc[rows].reset_index(drop=True)
    tasks: dict[str, Task] = {name: task.fit(name, list(frame[name])) for name, task in dataset.recipe.tasks.items()}
    begun = time.monotonic()
    features = find_features(dataset, rows, given.weights)
    print(f"{len(rows):,} images; features in {time.monotonic() - begun:.0f} s")

    def take(some: np.ndarray) -> Seen:
        return Seen(frame.iloc[some].reset_index(drop=True), features[some])

    told: dict[str, list[tuple[float, float]]] = {}
    for seed in range(given.repeats):
        drawn = np.random.default_rng(seed).permutation(len(rows))
        cut = len(drawn) // 4
        train, valid = limit_images(tasks, len(drawn) - cut, cut)
        judged, learnt = take(np.sort(drawn[:valid])), drawn[cut : cut + train]
        begun = time.monotonic()
        half = measure_learning_curve(tasks, take(np.sort(learnt[: len(learnt) // 2])), judged, seed)
        seconds = time.monotonic() - begun
        whole = measure_learning_curve(tasks, take(np.sort(learnt)), judged, seed)
        print(f"draw {seed}: {half['images']:,} of {train:,} images, judged on {valid:,}; curve in {seconds:.1f} s")
        for name in tasks:
            print("  " + compare(name, half["tasks"][name], whole["tasks"][name], told))
    for verdict, pairs in told.items():
        foretold, came = np.mean(pairs, axis=0)
        print(f"accuracies {verdict}: {len(pairs)}, foretold {foretold:+.2f} points on average, came {came:+.2f}")


def compare(name: str, half: Numbers, whole: Numbers, told: dict[str, list[tuple[float, float]]]) -> str:
    """What was foretold and what came, in points of accuracy or in the task's unit."""
    if "metric" not in half:
        return f"{name:14} {half['verdict']}"
    metric = half["metric"]
    was, now = (found["points"][-1][metric] for found in (half, whole))
    scale, came = (1, was - now) if metric == "mae" else (100, now - was)
    low, high = half["interval"]
    if metric == "accuracy":
        told.setdefault(half["verdict"], []).append((scale * half["next"], scale * came))
    return (
        f"{name:14} {metric} {was:.3f}  last doubling {scale * half['gain']:+.2f} ({scale * low:+.2f} to "
        f"{scale * high:+.2f})  {half['verdict']:9} foretold {scale * half['next']:+.2f}  came {scale * came:+.2f}"
    )


def draw(count: int, rng: np.random.Generator, width: int = 60) -> Seen:
    """Two colours and a number, each told by many weak features."""
    red, wide = rng.integers(2, size=count), rng.normal(size=count)
    features = rng.normal(size=(count, width)) * 0.7
    features[:, : width // 2] += (2 * red - 1)[:, np.newaxis] / np.sqrt(width)
    features[:, width // 2 :] += wide[:, np.newaxis] / np.sqrt(width)
    labels = {"color": np.array(["blue", "red"])[red], "width": [f"{10 + number:.3f}" for number in wide]}
    content = [str(number) for number in rng.integers(2**60, size=count)]
    return Seen(pd.DataFrame(labels, dtype=object).assign(content=content), features.astype(np.float32))


def cover(images: int, judged: int, times: int) -> None:
    """How often the interval of the last doubling's gain holds its mean over all draws."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for seed in range(times):
        rng = np.random.default_rng(seed)
        train, valid = draw(images, rng), draw(judged, rng)
        kinds: dict[str, Task] = {"color": Categorical(), "width": Regression()}
        tasks = {name: task.fit(name, train.labels[name].tolist()) for name, task in kinds.items()}
        for name, curve in measure_learning_curve(tasks, train, valid, seed)["tasks"].items():
            found.setdefault(name, []).append((curve["gain"], *curve["interval"]))
    for name, gains in found.items():
        gain, low, high = np.transpose(gains)
        holds = np.mean((low <= gain.mean()) & (gain.mean() <= high))
        told = f"gain {gain.mean():.4f}, varies by {gain.std():.4f}; half an interval {np.mean(high - low) / 2:.4f}"
        print(f"{images:,} images, judged on {judged:,}: {name}: {told}; holds the mean in {100 * holds:.0f} %")


if __name__ == "__main__":
    main()
