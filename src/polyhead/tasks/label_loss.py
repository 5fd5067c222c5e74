"""The loss of a task whose answers are labels: which it is, and how much each label counts in it."""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from polyhead.fields import DottedPath
from polyhead.tasks.metrics import Array

EntropyLoss = Annotated[
    Literal["cross_entropy", "focal"] | DottedPath,
    Field(
        description="`cross_entropy`; `focal`, which tones down what is answered well already, times "
        "(1 - probability)^focusing (Lin et al. 2017); or a function of your own, `package.module:function`: see "
        "[own parts](own_parts.md)."
    ),
]


def weigh_labels(counts: Sequence[int], way: str, beta: float) -> Array:
    """A weight for each label, with a mean of 1 over the rows that are counted.

    Cui, Jia, Lin, Song, Belongie: Class-Balanced Loss Based on Effective Number of Samples, 2019, arXiv:1901.05555.

    Args:
        counts: rows of each of the k labels; one without any weighs 1.
        way: `none`, `balanced` or `effective_number`.
        beta: of `effective_number`; 0 to below 1.

    Returns:
        (k,) float64, above 0.
    """
    rows = np.array(counts, float)
    weights, seen = np.ones(len(rows)), rows > 0
    if way != "none" and seen.any():
        effective = rows if way == "balanced" else (1 - beta**rows) / (1 - beta)
        weights[seen] = 1 / effective[seen]
        weights[seen] *= rows.sum() / (rows * weights)[seen].sum()
    return weights
