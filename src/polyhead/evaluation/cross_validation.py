"""Answers that no row's own label has taught: linear models on a network's features, each for the part it left out."""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polyhead.errors import require
from polyhead.tasks import Array, Task

FOLDS = 5
COMPONENTS = 128  # of the features: linear models of more cost time and hardly answer better
STRENGTH = 1.0  # scikit-learn's C
RIDGE = 10.0


def cross_validate(
    tasks: Mapping[str, Task], labels: pd.DataFrame, features: Array, groups: Sequence[str], seed: int
) -> dict[str, Array]:
    """Outputs (n, width) by task, of each row by a model that was fitted to four fifths without it.

    Logistic regression for labels, ridge regression for numbers, on the features' leading principal components.

    Args:
        tasks: by name, as the training split taught them.
        labels: n rows, a text column a task, blank where unknown: such rows are answered, and teach nothing.
        features: (n, width) of the model file.
        groups: n texts; rows of the same one, unless it is blank, are left out together.
    """
    require("finding wrong labels", "report")
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(seed)
    names = np.array([group or f"row {row}" for row, group in enumerate(groups)], object)
    _, numbers = np.unique(names.astype(str), return_inverse=True)
    folds = (rng.permutation(int(numbers.max(initial=0)) + 1) % FOLDS)[numbers]
    scaled = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-6)
    size = min(COMPONENTS, *scaled.shape)
    with threadpool_limits(1), np.errstate(invalid="ignore"):  # one thread, or sums would differ between machines
        reduced = PCA(size, svd_solver="randomized", random_state=seed).fit_transform(scaled)
        # Components whose size is that of the first together: what varies most counts most, as in the features.
        reduced = reduced / max(float(reduced[:, :1].std()), 1e-6)
        return {name: _answer(task, labels[name].tolist(), reduced, folds) for name, task in tasks.items()}


def _answer(task: Task, labels: Sequence[str], features: Array, folds: NDArray[np.integer]) -> Array:
    outputs = np.tile(task.baseline_outputs().astype(float), (len(labels), 1))
    targets = list_targets(task, labels)
    for fold in range(FOLDS):
        inside = folds == fold
        if inside.any():
            outputs[inside] = answer_linearly(task, features[~inside], targets[~inside], features[inside])
    return outputs


def list_targets(task: Task, labels: Sequence[str]) -> Array:
    """What linear models learn: a column of numbers, of classes, or of yes and no for each label; NaN where unknown."""
    if task.numeric:
        return np.array([[float(label) if label else np.nan] for label in task.regroup(labels)])
    return task.encode(labels)


def answer_linearly(task: Task, seen: Array, targets: Array, asked: Array) -> Array:
    """Outputs (m, width) of a linear model for features (m, k) that it is asked of.

    Args:
        seen: features (n, k) that it learns from; where none of their labels is known, it gives one constant answer.
        targets: of these, as `list_targets` has them.
    """
    outputs = np.tile(task.baseline_outputs().astype(float), (len(asked), 1))
    for column in range(targets.shape[1]):
        known = ~np.isnan(targets[:, column])
        if not known.any():
            continue
        if task.numeric:
            outputs[:, column] = _fit_number(seen[known], targets[known, column], asked)
            continue
        classes, found = _fit_labels(seen[known], targets[known, column].astype(int), asked)
        if task.several or task.width == 1:  # the probability of a yes, or of the second label
            outputs[:, column] = found[:, classes == 1].sum(axis=1)
        else:
            outputs[:] = 0.0
            outputs[:, classes] = found
    return outputs


def _fit_number(seen: Array, numbers: Array, asked: Array) -> Array:
    from sklearn.linear_model import Ridge

    return np.asarray(Ridge(RIDGE).fit(seen, numbers).predict(asked), float)


def _fit_labels(seen: Array, given: NDArray[np.integer], asked: Array) -> tuple[NDArray[np.integer], Array]:
    """Which classes occur, and their probabilities (n, classes)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    classes = np.unique(given)
    if len(classes) == 1:
        return classes, np.ones((len(asked), 1))
    with warnings.catch_warnings():  # a ranking needs no last digit
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=STRENGTH, max_iter=100).fit(seen, given)
    return classes, np.asarray(model.predict_proba(asked), float)
