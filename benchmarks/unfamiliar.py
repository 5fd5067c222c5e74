"""How well a run tells images unlike those that it was trained on, by the file's way and by others.

Of each folder of other images, against the run's own test images: the area under the ROC curve, and behind it the share
that is called unfamiliar above the threshold that leaves 99 of 100 validation images familiar.

    python benchmarks/unfamiliar.py RUN [--data DIR] FOLDER...
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from polyhead.data.images.decode import find_images
from polyhead.model.familiarity import EXPLAINED, FAMILIAR, MOST_DIRECTIONS, Familiarity
from polyhead.model.predictor import Predictor
from polyhead.progress import SILENT
from polyhead.runs.labelled_data import find_labelled_data

Rows = NDArray[np.float64]
Rate = Callable[[Rows], Rows]
TRAINING, OTHER, CORESET, NEIGHBOUR, FEWEST = 3000, 500, 500, 5, 5


def distance(mean: Rows, inverse: Rows) -> Rate:
    """The squared Mahalanobis distance."""
    return lambda rows: np.asarray((((rows - mean) @ inverse) * (rows - mean)).sum(axis=1))


def class_distance(train: Rows, labels: NDArray[Any]) -> Rate | None:
    """The smallest one to a class's mean, with the covariance that all classes share (Lee et al. 2018)."""
    names = [name for name in np.unique(labels) if name and (labels == name).sum() >= FEWEST]
    if not 2 <= len(names) <= 150:
        return None
    means = [train[labels == name].mean(axis=0) for name in names]
    within = np.concatenate([train[labels == name] - mean for name, mean in zip(names, means, strict=True)])
    inverse = np.linalg.inv(ledoit_wolf(within)[0])
    rates = [distance(mean, inverse) for mean in means]
    return lambda rows: np.min([rate(rows) for rate in rates], axis=0)


def list_methods(train: Rows, labels: pd.DataFrame, valid: Rows) -> dict[str, Rate]:
    """The ways to rate features, by name, each higher for images that are less like the training images."""
    mean = train.mean(axis=0)
    _, lengths, axes = np.linalg.svd(train - mean, full_matrices=False)
    shares = np.cumsum(lengths**2) / (lengths**2).sum()
    count = min(MOST_DIRECTIONS, int((shares < EXPLAINED).sum()) + 1)
    axes, variances = axes[:count], lengths[:count] ** 2 / len(train)
    whole = distance(mean, np.linalg.inv(ledoit_wolf(train)[0]))
    by_class = [rate for name in labels if (rate := class_distance(train, labels[name].to_numpy(str)))]
    unit: Rate = lambda rows: rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)  # noqa: E731
    coreset = unit(train)[np.random.default_rng(0).permutation(len(train))[:CORESET]]

    def neighbour(rows: Rows) -> Rows:
        squares = 2 - 2 * unit(rows) @ coreset.T
        return np.asarray(np.partition(squares, NEIGHBOUR - 1, axis=1)[:, NEIGHBOUR - 1])

    def residual(rows: Rows) -> Rows:
        return np.asarray(((rows - mean) ** 2).sum(axis=1) - (((rows - mean) @ axes.T) ** 2).sum(axis=1))

    found: dict[str, Rate] = {
        "weak features (norm)": lambda rows: -np.linalg.norm(rows, axis=1),
        "whitened principal components": lambda rows: ((rows - mean) @ axes.T) ** 2 @ (1 / variances),
        "Mahalanobis": whole,
        "residual (Wang et al. 2022)": residual,
        f"{NEIGHBOUR}th of {CORESET} neighbours (Sun et al. 2022)": neighbour,
    }
    if by_class:
        lee: Rate = lambda rows: np.mean([rate(rows) for rate in by_class], axis=0)  # noqa: E731
        ren: Rate = lambda rows: lee(rows) - whole(rows)  # noqa: E731
        found["Mahalanobis to classes (Lee et al. 2018)"] = lee
        found["the same by the length"] = lambda rows: lee(rows) / ((rows - mean) ** 2).sum(axis=1)
        found["relative to all (Ren et al. 2021)"] = ren
        share, other = standardize(relative_residual(train), valid), standardize(ren, valid)
        found["the larger of it and the relative residual"] = lambda rows: np.maximum(share(rows), other(rows))
    of_units = relative_residual(unit(train))
    found["relative residual of unit vectors"] = lambda rows: of_units(unit(rows))
    return found


def relative_residual(train: Rows) -> Rate:
    """What lies beyond the directions that hold most of the variance, by the squared distance from the mean."""
    mean = train.mean(axis=0)
    _, lengths, axes = np.linalg.svd(train - mean, full_matrices=False)
    shares = np.cumsum(lengths**2) / (lengths**2).sum()
    axes = axes[: min(MOST_DIRECTIONS, int((shares < EXPLAINED).sum()) + 1)]

    def rate(rows: Rows) -> Rows:
        whole = ((rows - mean) ** 2).sum(axis=1)
        return np.asarray(1 - (((rows - mean) @ axes.T) ** 2).sum(axis=1) / np.maximum(whole, 1e-12))

    return rate


def standardize(rate: Rate, valid: Rows) -> Rate:
    """The same in standard deviations from the mean of validation images."""
    middle, deviation = rate(valid).mean(), rate(valid).std()
    return lambda rows: (rate(rows) - middle) / deviation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("folders", type=Path, nargs="+", help="of other images")
    parser.add_argument("--data", type=Path, help="where the run's images are now")
    given = parser.parse_args()
    predictor, rng = Predictor(given.run), np.random.default_rng(0)
    dataset = find_labelled_data(predictor, given.data, "test", SILENT)

    def answer(split: str, most: int) -> tuple[Rows, pd.DataFrame]:
        rows = np.sort(rng.permutation(dataset.rows_of(split))[:most])
        features = predictor.run_all(lambda part: dataset.pixels(rows[part]), len(rows))["features"]
        return features.astype(float), dataset.table.frame.iloc[rows][list(predictor.card.tasks)]

    (train, labels), (valid, _), (test, _) = answer("train", TRAINING), answer("valid", 10**6), answer("test", 10**6)
    others = {}
    for folder in given.folders:
        files = find_images(folder)
        chosen = [files[row] for row in rng.permutation(len(files))[:OTHER]]
        others[str(folder)] = np.concatenate([batch.outputs["features"] for batch in predictor.run_files(chosen)])
    with threadpool_limits(1):
        found = Familiarity.find(train, valid)
        methods = list_methods(train, labels, valid) | ({"relative residual (the file's)": found.rate} if found else {})
        print(f"{predictor.path}: {len(train)} training, {len(valid)} validation, {len(test)} test images")
        for name, rate in methods.items():
            known, limit = rate(test), np.quantile(rate(valid), FAMILIAR)
            told = [f"test images {(known > limit).mean():.3f}"]
            for folder, features in others.items():
                rates = rate(features.astype(float))
                truth = np.repeat([0, 1], [len(known), len(rates)])
                area = roc_auc_score(truth, np.concatenate([known, rates]))
                told.append(f"{folder} {area:.3f} ({(rates > limit).mean():.2f})")
            print(f"{name:42}  {'; '.join(told)}", flush=True)


if __name__ == "__main__":
    main()
