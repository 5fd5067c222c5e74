"""What a recipe says of the loss of a task whose answers are labels: its keys, and how much each label counts."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Protocol

import numpy as np
from pydantic import Field
from pydantic.fields import FieldInfo

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
Focusing = Annotated[float, Field(ge=0, description="With `loss: focal`, its gamma; 0 makes it cross-entropy.")]
LabelSmoothing = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        description="The share of every target that is spread evenly over the classes (over yes and no, where a "
        "sigmoid learns them), so that the network is never taught to be certain.",
    ),
]
ClassWeight = Annotated[
    Literal["none", "balanced", "effective_number"],
    Field(
        description="How much each label counts in the loss, by its rows n in the training split alone: `balanced`, "
        "1 / n; `effective_number`, (1 - beta) / (1 - beta^n), so that labels of many more than 1 / (1 - beta) rows "
        "count alike (Cui et al. 2019); in a multilabel task the yes and no of each label apart. The loss is the "
        "weighted mean, so its scale stays. What is logged, and what the best epoch is chosen by, is not weighed: a "
        "few rare labels would decide it. `balanced` gets more of the rare labels right at the cost of more false "
        "ones, and asks much of labels of a few rows: see `min_count`."
    ),
]
Beta = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        description="With `class_weight: effective_number`: the nearer to 1, the nearer to `balanced`; 0 is `none`.",
    ),
]
# A key -> the key and the word without which it has no effect.
USED_WITH = {"focusing": ("loss", "focal"), "beta": ("class_weight", "effective_number")}


class LabelTask(Protocol):
    """A task whose answers are labels, as far as its loss goes."""

    @property
    def loss(self) -> str: ...
    @property
    def label_smoothing(self) -> float: ...


def check_effect(task: LabelTask, used_with: Mapping[str, tuple[str, str]], fields: Mapping[str, FieldInfo]) -> None:
    """Refuse a key that is set and has no effect.

    Args:
        used_with: a key -> the key and the word without which it has none.
        fields: the kind's, which know their defaults.

    Raises:
        ValueError: with the key, and the one that it belongs to.
    """
    for key, (owner, word) in used_with.items():
        if getattr(task, key) != fields[key].default and getattr(task, owner) != word:
            raise ValueError(f"{key} has an effect with `{owner}: {word}` only; set that too, or take it out")
    if task.label_smoothing and ":" in task.loss:
        raise ValueError("label_smoothing has no effect with a loss of your own; take it out")


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
