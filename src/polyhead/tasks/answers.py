"""What a task answers of one image: the dataclasses that the kinds' answers are made of."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from polyhead.tasks.metrics import Array

RUNNERS_UP = 5  # how many labels an answer's `top` holds at most


class Answer(Protocol):
    """One task's answer to one image; each kind has a dataclass of its own."""

    @property
    def label(self) -> str:
        """The answer as a label's text, as it stands in a table of labels."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that it says; none where it is a number."""
        ...

    @property
    def main_label(self) -> str | None:
        """The label that it stands for where one must do; None where it is a number."""
        ...

    @property
    def probability(self) -> float | None:
        """That it is right, 0 to 1; None for a number."""
        ...

    @property
    def unsure(self) -> bool:
        """Whether its probability is below the one that the recipe's `answer_accuracy` needs."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """The answer as it stands in JSON."""
        ...

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The answer that `to_dict` was made of."""
        ...

    def to_columns(self) -> dict[str, Any]:
        """The answer as the cells of a table: texts, numbers, true or false."""
        ...

    def differences(self, label: str) -> list[tuple[str, float]]:
        """The labels of several on which it and a true label's text differ, each with its probability."""
        ...

    def __str__(self) -> str:
        """As a person reads it: `dress (89.04%)`, `dress (41.20%, unsure)`, `27.3 years`."""
        ...


def describe_probability(text: str, probability: float, unsure: bool, before: str | None = None) -> str:
    """An answer's text with its probability: `dress (41.20%, unsure)`, `dress (51.00%, by rules instead of coat)`."""
    changed = "" if before is None else f", by rules instead of {before}"
    return f"{text} ({probability:.2%}{', unsure' if unsure else ''}{changed})"


def tell_change(before: str | list[str] | None, rules: Sequence[str]) -> dict[str, Any]:
    """What an answer would have been without rules, and the rules, as in JSON; nothing if none changed it."""
    return {} if before is None else {"before_rules": before, "by_rules": list(rules)}


@dataclass(frozen=True, slots=True)
class RegressionAnswer:
    """A number, without a probability.

    Attributes:
        answer: the number.
        unit: its unit, such as `years`; may be empty.
        unsure: never, as yet.
        interval: where the task promises one, between which two numbers the truth lies as often as it says.
    """

    answer: float
    unit: str
    unsure: bool = False
    probability: None = None
    interval: tuple[float, float] | None = None

    @property
    def label(self) -> str:
        return str(self.answer)

    @property
    def labels(self) -> tuple[str, ...]:
        return ()

    @property
    def main_label(self) -> None:
        return None

    def to_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {"answer": self.answer, "unit": self.unit, "unsure": self.unsure}
        return found if self.interval is None else found | {"interval": list(self.interval)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        low_and_high = values.get("interval")
        interval = None if low_and_high is None else (low_and_high[0], low_and_high[1])
        return cls(values["answer"], values["unit"], values["unsure"], interval=interval)

    def to_columns(self) -> dict[str, Any]:
        found = self.to_dict()
        low_and_high = found.pop("interval", ())
        return found | {f"interval.{end}": value for end, value in zip(("low", "high"), low_and_high, strict=False)}

    def differences(self, label: str) -> list[tuple[str, float]]:
        return []

    def __str__(self) -> str:
        between = "" if self.interval is None else f"({self.interval[0]:.4g} to {self.interval[1]:.4g})"
        return " ".join(filter(None, [f"{self.answer:.4g}", self.unit, between]))


@dataclass(frozen=True, slots=True)
class LabelAnswer:
    """One label of several.

    Attributes:
        answer: the label.
        probability: of it, 0 to 1.
        unsure: whether the probability is below the one that the recipe's accuracy needs.
        top: the likeliest labels, five at most, likeliest first, each with its probability.
        possible: where the task promises one, the set of labels, the answer among them, that holds the truth as often
            as it says; in the task's order.
        before_rules: where rules changed it, the label that it would have been.
        by_rules: these rules, as they are written.
    """

    answer: str
    probability: float
    unsure: bool
    top: Mapping[str, float]
    possible: tuple[str, ...] | None = None
    before_rules: str | None = None
    by_rules: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return self.answer

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.answer,)

    @property
    def main_label(self) -> str:
        return self.answer

    def to_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {"answer": self.answer, "probability": self.probability, "unsure": self.unsure}
        found["top"] = [[label, probability] for label, probability in self.top.items()]
        found |= {} if self.possible is None else {"set": list(self.possible)}
        return found | tell_change(self.before_rules, self.by_rules)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        possible = tuple(values["set"]) if "set" in values else None
        changed = values.get("before_rules"), tuple(values.get("by_rules", ()))
        return cls(values["answer"], values["probability"], values["unsure"], dict(values["top"]), possible, *changed)

    def to_columns(self) -> dict[str, Any]:
        found = self.to_dict()
        return found | {key: json.dumps(found[key]) for key in ("top", "set", "by_rules") if key in found}

    def differences(self, label: str) -> list[tuple[str, float]]:
        return []

    def __str__(self) -> str:
        return describe_probability(self.answer, self.probability, self.unsure, self.before_rules)


AnyLabelAnswer = TypeVar("AnyLabelAnswer", bound=LabelAnswer)


def answer_labels(
    kind: type[AnyLabelAnswer],
    names: Sequence[str],
    probabilities: Array,
    chosen: NDArray[np.integer],
    unsure_below: float,
) -> list[AnyLabelAnswer]:
    """The answers of a task with k labels to n images.

    Args:
        kind: of the answers.
        names: the labels.
        probabilities: (n, k), 0 to 1.
        chosen: (n,) the index of each image's label.
        unsure_below: the probability below which an answer is unsure.
    """
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :RUNNERS_UP]
    rows: Iterable[tuple[int, float, list[int], list[float]]] = zip(
        chosen.tolist(),
        np.take_along_axis(probabilities, chosen[:, np.newaxis], axis=1)[:, 0].tolist(),
        best.tolist(),
        np.take_along_axis(probabilities, best, axis=1).tolist(),
        strict=True,
    )
    return [
        kind(names[index], p, p < unsure_below, dict(zip([names[i] for i in indices], values, strict=True)))
        for index, p, indices, values in rows
    ]
