"""Which images to label next: those whose answers are uncertain and that are unlike one another."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from polyhead.tasks import Array, Task


def rate_uncertainty(task: Task, outputs: Array) -> Array | None:
    """How uncertain each answer is, (n,) from 0 to 1; None for a task without probabilities.

    Args:
        outputs: the model's, (n, width).

    Of one label: 1 less the margin between the two most probable ones (Scheffer, Decomain, Wrobel 2001). Of several:
    the same of the least certain label, whose two answers are yes and no.
    """
    if not task.has_probabilities or not task.names:
        return None
    found = np.nan_to_num(task.probabilities(outputs)).clip(0, 1)
    if task.several:
        return np.asarray((1 - np.abs(2 * found - 1)).max(axis=1))
    if found.shape[1] == 1:
        return np.zeros(len(found))
    top = np.partition(found, -2, axis=1)[:, -2:]
    return np.asarray(1 - np.abs(top[:, 1] - top[:, 0]))


def rate_images(tasks: Mapping[str, Task], outputs: Mapping[str, Array]) -> dict[str, Array]:
    """The uncertainty (n,) of each task that has probabilities, by name; see `rate_uncertainty`."""
    rated = {name: rate_uncertainty(task, outputs[name]) for name, task in tasks.items()}
    return {name: found for name, found in rated.items() if found is not None}


def choose_diverse(features: Array, weights: Array, count: int, seed: int) -> NDArray[np.intp]:
    """Indices (count,) of rows, in the order in which they were chosen: much weight, and far from those before.

    Weighted k-means++ (Arthur, Vassilvitskii 2007), drawn as BADGE does (Ash and others 2020) with uncertainty for its
    gradients' length (Zhdanov 2019): a row is drawn by its weight x its squared distance to the nearest row before it;
    the first is the one of the largest weight.

    Args:
        features: (n, width); distances are Euclidean.
        weights: (n,), 0 or more. Rows of weight 0 come last.
        count: n at most.
    """
    rng = np.random.default_rng(seed)
    count = min(count, len(features))
    left = np.ones(len(features), bool)
    nearest = np.full(len(features), np.inf)
    chosen: list[int] = []
    while len(chosen) < count:
        chances = np.where(left, weights * np.where(np.isinf(nearest), 1.0, nearest), 0.0)
        if not chances.any():  # copies of what is chosen, or of no weight
            chances = np.where(left, weights if (weights[left] > 0).any() else 1.0, 0.0)
        row = int(rng.choice(len(features), p=chances / chances.sum()) if chosen else chances.argmax())
        chosen.append(row)
        left[row] = False
        nearest = np.minimum(nearest, ((features - features[row]) ** 2).sum(axis=1))
    return np.array(chosen, np.intp)
