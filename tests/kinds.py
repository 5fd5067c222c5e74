"""One row a kind: what the tests of all kinds run over. A new kind is a new row."""

from dataclasses import dataclass
from typing import Any

from polyhead.tasks import Binary, Categorical, MultiLabel, Ordinal, Regression, Task


@dataclass(frozen=True)
class Example:
    """A task, labels that it learns from (one blank), and the same labels as answers."""

    task: Task
    labels: list[str]
    answers: list[Any]


EXAMPLES = {
    "categorical": Example(Categorical(), ["red", "blue", "", "green", "red"], ["red", "blue", None, "green", "red"]),
    "sigmoids": Example(Categorical(activation="sigmoid"), ["a", "b", "", "b"], ["a", "b", None, "b"]),
    "binary": Example(Binary(labels=["no", "yes"]), ["no", "yes", "", "yes"], ["no", "yes", None, "yes"]),
    "multilabel": Example(MultiLabel(), ["a|b", "none", "", "c"], [["a", "b"], [], None, ["c"]]),
    "regression": Example(Regression(unit="cm"), ["1", "2.5", "", "7"], [1.0, 2.5, None, 7.0]),
    "maximum": Example(Regression(scale="max", loss="huber"), ["1", "2.5", "", "8"], [1.0, 2.5, None, 8.0]),
    "ordinal": Example(Ordinal(levels=["S", "M", "L"]), ["S", "L", "", "M"], ["S", "L", None, "M"]),
}
