"""A model's outputs, those by which its answers keep rules, and which rules changed which answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from polyhead.tasks.answers import Answer
from polyhead.tasks.task import Task

Reasons = list[tuple[str, ...]]


@dataclass(frozen=True)
class Agreed:
    """A model's outputs for n images, and others by which its answers keep rules.

    Attributes:
        plain: (n, width) by task, as the model gave them.
        outputs: the same where no answer changed.
        changed: by task whose answers may change, of which images (n,) they did.
        reasons: by the same tasks, n times the rules that the answer would have broken, had it alone not changed; none
            where it did not.
    """

    plain: dict[str, NDArray[Any]]
    outputs: dict[str, NDArray[Any]]
    changed: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    reasons: dict[str, Reasons] = field(default_factory=dict)

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """The same of all the images of one part or more, in order."""
        first = parts[0]
        return cls(
            {name: np.concatenate([part.plain[name] for part in parts]) for name in first.plain},
            {name: np.concatenate([part.outputs[name] for part in parts]) for name in first.outputs},
            {name: np.concatenate([part.changed[name] for part in parts]) for name in first.changed},
            {name: [each for part in parts for each in part.reasons[name]] for name in first.reasons},
        )

    def select(self, rows: Sequence[int] | NDArray[np.intp]) -> "Agreed":
        """The same of some of the images."""
        kept = np.asarray(rows, np.intp)
        return Agreed(
            {name: values[kept] for name, values in self.plain.items()},
            {name: values[kept] for name, values in self.outputs.items()},
            {name: values[kept] for name, values in self.changed.items()},
            {name: [values[row] for row in kept.tolist()] for name, values in self.reasons.items()},
        )


def decode_answers(tasks: Mapping[str, Task], agreed: Agreed) -> dict[str, list[Answer]]:
    """The answers of n images by task; those that rules changed say what they would have been, and by which rules."""
    found = {name: list(task.decode(agreed.outputs[name])) for name, task in tasks.items()}
    for name, changed in agreed.changed.items():
        rows = np.flatnonzero(changed)
        for row, before in zip(rows.tolist(), tasks[name].decode(agreed.plain[name][rows]), strict=True):
            answer: Any = found[name][row]
            by = agreed.reasons[name][row]
            found[name][row] = replace(answer, before_rules=cast(Any, before).answer, by_rules=by)
    return found
