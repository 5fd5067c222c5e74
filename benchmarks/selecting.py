"""Macro F1 against the number of labels: images chosen as `polyhead select` does, against others and random ones.

A folder with styles.csv (`image`, a column a task) and images/. Linear heads learn from the vectors of a frozen
MobileNetV2 0.35 at 96 x 96; the weights are those that `weights: imagenet` finds. Each way begins with the same random
images, and has as many labelled in each round as it had. Means over seeds, each with test images of its own, and their
95 % intervals (Student's t).
"""

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from polyhead.evaluation.features import reduce_features
from polyhead.evaluation.selection import choose_diverse
from polyhead.recipe.network import Backbone
from polyhead.training import choose_backend

SIZE = 96
Vectors = NDArray[np.floating[Any]]
Choose = Callable[[Vectors, Vectors, int, int], NDArray[np.intp]]


def choose_randomly(points: Vectors, unsure: Vectors, count: int, seed: int) -> NDArray[np.intp]:
    """Any."""
    return np.random.default_rng(seed).permutation(len(points))[:count]


def choose_unsure(points: Vectors, unsure: Vectors, count: int, seed: int) -> NDArray[np.intp]:
    """The smallest margins."""
    return np.argsort(-unsure, kind="stable")[:count]


def choose_far(points: Vectors, unsure: Vectors, count: int, seed: int) -> NDArray[np.intp]:
    """Far apart, whatever the answers."""
    return choose_diverse(points, np.ones(len(points)), count, seed)


WAYS: dict[str, Choose] = {
    "random": choose_randomly,
    "uncertain": choose_unsure,
    "diverse": choose_far,
    "both": choose_diverse,
    "both, squared": lambda points, unsure, count, seed: choose_diverse(points, unsure**2, count, seed),
}


def embed(folder: Path, names: list[str]) -> Vectors:
    """The vectors of images."""
    from polyhead.training.backbones import build_backbone

    backbone = build_backbone(Backbone(name="MobileNetV2", width=0.35), (SIZE, SIZE), pretrained=True)
    parts = []
    for at in range(0, len(names), 256):
        images = [
            Image.open(folder / "images" / name).convert("RGB").resize((SIZE, SIZE)) for name in names[at : at + 256]
        ]
        maps = np.asarray(backbone(np.stack([np.asarray(image) for image in images]).astype(np.float32)))
        parts.append(maps.mean(axis=(1, 2)) if maps.ndim == 4 else maps)
    return np.concatenate(parts)


def learn(vectors: Vectors, labels: NDArray[Any]) -> Any:
    """A linear head."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=60))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(vectors, labels)


def rate(probabilities: Vectors) -> Vectors:
    """1 less the margin."""
    top = np.sort(probabilities, axis=1)[:, -2:]
    return 1 - (top[:, 1] - top[:, 0])


def run(vectors: Vectors, labels: dict[str, NDArray[Any]], counts: list[int], seed: int) -> list[dict[str, Any]]:
    """The macro F1 of each way after each round, on a third of the images."""
    order = np.random.default_rng(seed).permutation(len(vectors))
    test, pool = order[: len(order) // 3], order[len(order) // 3 :]
    points, found = reduce_features(vectors[pool], 0), []
    models: dict[str, Any]
    for way, choose in WAYS.items():
        chosen, models = np.arange(counts[0]), {}  # the pool is in random order
        for count in counts:
            if count > len(chosen):
                left = np.setdiff1d(np.arange(len(pool)), chosen)
                unsure = np.sum([rate(model.predict_proba(vectors[pool[left]])) for model in models.values()], axis=0)
                more = choose(points[left], unsure, count - len(chosen), seed)
                chosen = np.concatenate([chosen, left[more]])
            models = {name: learn(vectors[pool[chosen]], of[pool[chosen]]) for name, of in labels.items()}
            scores = [
                f1_score(
                    labels[name][test],
                    model.predict(vectors[test]),
                    average="macro",
                    labels=np.unique(labels[name][test]),
                )
                for name, model in models.items()
            ]
            found.append({"way": way, "labels": count, "seed": seed, "macro_f1": float(np.mean(scores))})
    return found


def draw(means: dict[str, dict[int, tuple[float, float]]], counts: list[int]) -> str:
    """The curves of random images and of those that `select` chooses, with their intervals, as SVG."""
    parts, top = [], 0.6
    across = [80 + 460 * at / (len(counts) - 1) for at in range(len(counts))]
    for value in np.arange(0, top + 0.01, 0.1):
        y = 300 - 270 * value / top
        parts.append(f'<path d="M80 {y:.1f}H540" stroke="#e3e6ea"/>')
        parts.append(f'<text x="70" y="{y + 5:.1f}" text-anchor="end">{value:.1f}</text>')
    parts += [
        f'<text x="{x:.0f}" y="322" text-anchor="middle">{count:,}</text>'
        for x, count in zip(across, counts, strict=True)
    ]
    for at, (way, name, color) in enumerate(
        (("random", "at random", "#69727e"), ("both, squared", "chosen", "#0b63ad"))
    ):
        points = [(x, *means[way][count]) for x, count in zip(across, counts, strict=True)]
        line = " ".join(f"{x:.1f},{300 - 270 * mean / top:.1f}" for x, mean, _ in points)
        bars = "".join(
            f"M{x + 4 * at - 2:.1f} {300 - 270 * (mean - half) / top:.1f}V{300 - 270 * (mean + half) / top:.1f}"
            for x, mean, half in points
        )
        parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2.5"/>')
        parts.append(f'<path d="{bars}" stroke="{color}" stroke-width="1.5"/>')
        parts.append(f'<text x="95" y="{48 + 22 * at}" fill="{color}">{name}</text>')
    parts.append('<text x="310" y="348" text-anchor="middle">labelled images</text><text x="80" y="18">macro F1</text>')
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 360" font-family="sans-serif" font-size="15">'
    return f'{head}<rect width="600" height="360" fill="#fff"/>{"".join(parts)}</svg>\n'


def main() -> None:
    """Print the table, and draw the curves where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--task", action="append")
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--chart", type=Path, help="an SVG file to draw")
    asked = parser.parse_args()
    choose_backend()
    table = pd.read_csv(asked.folder / "styles.csv", dtype=str, keep_default_na=False)
    tasks = asked.task or ["subCategory", "baseColour"]
    table = table[(table[tasks] != "").all(axis=1)].sample(asked.images, random_state=0)
    for task in tasks:  # of fewer than 10 images no F1 can be told
        table = table[table.groupby(task)[task].transform("size") >= 10]
    vectors = PCA(128, random_state=0).fit_transform(embed(asked.folder, table["image"].tolist()))
    labels = {task: table[task].to_numpy() for task in tasks}
    counts = [100, 200, 400, 800]
    rows = [row for seed in range(asked.seeds) for row in run(vectors, labels, counts, seed)]
    frame = pd.DataFrame(rows)
    print(f"{len(table):,} images, {', '.join(f'{task} ({len(set(labels[task]))} labels)' for task in tasks)}")
    print("| labels | " + " | ".join(WAYS) + " |")
    print("|" + "---|" * (len(WAYS) + 1))
    means: dict[str, dict[int, tuple[float, float]]] = {way: {} for way in WAYS}
    for count in counts:
        cells = []
        for way in WAYS:
            scores = frame[(frame["way"] == way) & (frame["labels"] == count)]["macro_f1"]
            half = stats.t.ppf(0.975, len(scores) - 1) * scores.std() / len(scores) ** 0.5
            means[way][count] = scores.mean(), half
            cells.append(f"{scores.mean():.3f} ± {half:.3f}")
        print(f"| {count:,} | " + " | ".join(cells) + " |")
    if asked.chart:
        asked.chart.write_text(draw(means, counts), encoding="utf-8")


if __name__ == "__main__":
    main()
