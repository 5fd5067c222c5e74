"""What the kinds whose answers are labels have in common: how they are learnt where some labels are rare."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from polyhead.errors import PolyheadError
from polyhead.fields import DottedPath
from polyhead.tasks.task import Array, Labels, Task

OTHER = "other"
EntropyLoss = Annotated[
    Literal["cross_entropy", "focal"] | DottedPath,
    Field(
        description="`cross_entropy`; `focal`, which tones down what is answered well already, times "
        "(1 - probability)^focusing (Lin et al. 2017); or a function of your own, `package.module:function`: see "
        "[own parts](own_parts.md)."
    ),
]


class Labelled(Task):
    """A task whose answers are labels."""

    USED_WITH: ClassVar[dict[str, tuple[str, str]]] = {  # a field -> the field and the word that it belongs to
        "focusing": ("loss", "focal"),
        "beta": ("class_weight", "effective_number"),
    }

    loss: str
    focusing: float = Field(2.0, ge=0, description="With `loss: focal`, its gamma; 0 makes it cross-entropy.")
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="The share of every target that is spread evenly over the classes (over yes and no, where a "
        "sigmoid learns them), so that the network is never taught to be certain.",
    )
    class_weight: Literal["none", "balanced", "effective_number"] = Field(
        "none",
        description="How much each label counts in the loss, by its rows n in the training split alone: `balanced`, "
        "1 / n; `effective_number`, (1 - beta) / (1 - beta^n), so that labels of many more than 1 / (1 - beta) rows "
        "count alike (Cui et al. 2019); in a multilabel task the yes and no of each label apart. The loss is the "
        "weighted mean, so its scale stays. What is logged, and what the best epoch is chosen by, is not weighed: a "
        "few rare labels would decide it. `balanced` gets more of the rare labels right at the cost of more false "
        "ones, and asks much of labels of a few rows: see `min_count`.",
    )
    beta: float = Field(
        0.999,
        ge=0,
        lt=1,
        description="With `class_weight: effective_number`: the nearer to 1, the nearer to `balanced`; 0 is `none`.",
    )

    @model_validator(mode="after")
    def _nothing_idle(self) -> Self:
        for field, (owner, word) in self.USED_WITH.items():
            if getattr(self, field) != type(self).model_fields[field].default and getattr(self, owner) != word:
                raise ValueError(f"{field} has an effect with `{owner}: {word}` only; set that too, or take it out")
        if self.label_smoothing and ":" in self.loss:
            raise ValueError("label_smoothing has no effect with a loss of your own; take it out")
        return self

    def class_weights(self) -> Array:
        """How much each label counts in the loss (labels,), in the order of `names`."""
        return weigh_labels([self.counts.get(name, 0) for name in self.names], self.class_weight, self.beta)


class RareLabels(Labelled):
    """A task that can do without its rarest labels."""

    FEWEST: ClassVar[int] = 2  # labels that must be left

    min_count: int = Field(
        0,
        ge=0,
        description="Labels with fewer training rows than this are no labels of their own; see `rare`. 0: all are.",
    )
    rare: Literal["other", "unknown"] = Field(
        "other",
        description="What becomes of labels with fewer than `min_count` training rows. `other`: one label, called "
        "other, stands for all of them, in the answer and in the truth that it is judged by, and for labels that "
        "training never saw. `unknown`: they are left out, as if they were blank, in training and in figures.",
    )
    rare_counts: SkipJsonSchema[dict[str, int]] = Field({}, description="Learnt: training rows of each rare label.")

    @model_validator(mode="after")
    def _rare_has_a_limit(self) -> Self:
        if self.rare != "other" and not self.min_count:
            raise ValueError("rare has an effect with a min_count above 0 only; set that too, or take it out")
        return self

    @property
    def merges(self) -> bool:
        """Whether it stands by its labels, and some others go by another name or by none."""
        return bool(self.min_count and self.counts) and (self.rare == "unknown" or OTHER in self.names)

    def _set_aside(self, name: str, counts: dict[str, int]) -> tuple[list[str], dict[str, int]]:
        """The labels to keep, and the training rows of the rare ones; `counts` has every label, in order.

        Raises:
            PolyheadError: too few labels are left of the task called `name`.
        """
        into_other = self.rare == "other"
        rare = {k: n for k, n in counts.items() if n < self.min_count and not (into_other and k == OTHER)}
        if not rare or (into_other and not sum(rare.values())):
            return list(counts), {}  # nothing to learn `other` from
        kept = [label for label in counts if label not in rare]
        if into_other and OTHER not in kept:
            kept.append(OTHER)
        if len(kept) < self.FEWEST:
            raise PolyheadError(
                f"tasks.{name}.min_count: {self.min_count} leaves {len(kept) or 'no'} label; lower it (the most "
                f"frequent has {max(counts.values()):,} training rows)"
            )
        return kept, rare

    def _note_rare(self) -> dict[str, Any]:
        """What a reader of its figures must know of rare labels."""
        rare = sorted(self.rare_counts, key=lambda label: -self.rare_counts[label])
        return {"rare": {"counted_as": self.rare, "labels": rare}} if rare else {}

    def regroup(self, labels: Labels) -> list[str]:
        if not self.merges:
            return list(labels)
        known = {label: self._regroup(label) for label in set(labels) if label}
        return [known.get(label, "") for label in labels]

    def _regroup(self, label: str) -> str:
        return label if label in self.names else OTHER if self.rare == "other" else ""


def weigh_labels(counts: Sequence[int], way: str, beta: float) -> Array:
    """A weight for each label, with a mean of 1 over the rows that are counted.

    Cui, Jia, Lin, Song, Belongie: Class-Balanced Loss Based on Effective Number of Samples, 2019, arXiv:1901.05555.

    Args:
        counts: rows of each of the k labels; one without any weighs 1.
        way: `none`, `balanced` or `effective_number`.
        beta: of `effective_number`; 0 to below 1.
    """
    rows = np.array(counts, float)
    weights, seen = np.ones(len(rows)), rows > 0
    if way != "none" and seen.any():
        effective = rows if way == "balanced" else (1 - beta**rows) / (1 - beta)
        weights[seen] = 1 / effective[seen]
        weights[seen] *= rows.sum() / (rows * weights)[seen].sum()
    return weights
