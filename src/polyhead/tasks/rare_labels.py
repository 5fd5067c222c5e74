"""Labels of which training has few rows: what they weigh in a loss, and whether they are merged or left out."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from polyhead.errors import PolyheadError
from polyhead.fields import DottedPath
from polyhead.tasks.metrics import Array, Labels

OTHER = "other"
MinCount = Annotated[
    int,
    Field(
        ge=0,
        description="Labels with fewer training rows than this are no labels of their own; see `rare`. 0: all are.",
    ),
]
Rare = Annotated[
    Literal["other", "unknown"],
    Field(
        description="What becomes of labels with fewer than `min_count` training rows. `other`: one label, called "
        "other, stands for all of them, in the answer and in the truth that it is judged by, and for labels that "
        "training never saw. `unknown`: they are left out, as if they were blank, in training and in figures."
    ),
]


@dataclass(frozen=True)
class RareLabels:
    """What a recipe says of a task's rare labels.

    Attributes:
        min_count: training rows that a label needs to be one of its own; 0 where all are.
        counted_as: `other` or `unknown`, what those with fewer become.
    """

    min_count: int
    counted_as: str

    def check(self) -> None:
        """Refuse a `rare` that has no effect.

        Raises:
            ValueError: `min_count` is 0.
        """
        if self.counted_as != "other" and not self.min_count:
            raise ValueError("rare has an effect with a min_count above 0 only; set that too, or remove it")

    @property
    def merges(self) -> bool:
        """Whether rare labels go by another name, which is `OTHER`."""
        return self.counted_as == "other"

    def set_aside(self, name: str, counts: Mapping[str, int], fewest: int) -> tuple[list[str], dict[str, int]]:
        """The labels to keep, and the training rows of the rare ones.

        Args:
            name: the task's, for the message.
            counts: training rows of every label, in order.
            fewest: labels that must be left.

        Raises:
            PolyheadError: fewer labels are left.
        """
        rare = {k: n for k, n in counts.items() if n < self.min_count and not (self.merges and k == OTHER)}
        if not rare or (self.merges and not sum(rare.values())):
            return list(counts), {}  # nothing to learn `other` from
        kept = [label for label in counts if label not in rare]
        if self.merges and OTHER not in kept:
            kept.append(OTHER)
        if len(kept) < fewest:
            raise PolyheadError(
                f"tasks.{name}.min_count: {self.min_count} leaves {len(kept) or 'no'} label; lower it (the most "
                f"frequent has {max(counts.values()):,} training rows)"
            )
        return kept, rare

    def rename(self, labels: Labels, kept: Collection[str], rename: Callable[[str], str]) -> list[str]:
        """The n labels with the rare ones as they are counted.

        Args:
            labels: n of them, blank where unknown.
            kept: those that training kept; none before training.
            rename: what a label is counted as.
        """
        if not self.min_count or not kept or (self.merges and OTHER not in kept):
            return list(labels)
        known = {label: rename(label) for label in set(labels) if label}
        return [known.get(label, "") for label in labels]

    def describe(self, rare_counts: Mapping[str, int]) -> dict[str, Any]:
        """What a reader of a task's metrics must know of its rare labels: `rare`, where there are some."""
        rare = sorted(rare_counts, key=lambda label: -rare_counts[label])
        return {"rare": {"counted_as": self.counted_as, "labels": rare}} if rare else {}


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
