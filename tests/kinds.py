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
    "focal": Example(Categorical(loss="focal", label_smoothing=0.1), ["a", "b", "", "b"], ["a", "b", None, "b"]),
    "balanced": Example(Categorical(class_weight="balanced"), ["a", "b", "", "b"], ["a", "b", None, "b"]),
    "sigmoids": Example(Categorical(activation="sigmoid"), ["a", "b", "", "b"], ["a", "b", None, "b"]),
    "focal sigmoids": Example(
        Categorical(activation="sigmoid", loss="focal", class_weight="effective_number", label_smoothing=0.1),
        ["a", "b", "", "b"],
        ["a", "b", None, "b"],
    ),
    "with other": Example(Categorical(min_count=2), ["a", "b", "", "c", "a"], ["a", "other", None, "other", "a"]),
    "binary": Example(Binary(labels=["no", "yes"]), ["no", "yes", "", "yes"], ["no", "yes", None, "yes"]),
    "focal binary": Example(
        Binary(labels=["no", "yes"], loss="focal", focusing=1.5, class_weight="balanced", label_smoothing=0.1),
        ["no", "yes", "", "yes"],
        ["no", "yes", None, "yes"],
    ),
    "multilabel": Example(MultiLabel(), ["a|b", "none", "", "c"], [["a", "b"], [], None, ["c"]]),
    "focal labels": Example(
        MultiLabel(loss="focal", class_weight="effective_number", beta=0.9, label_smoothing=0.1),
        ["a|b", "none", "", "c"],
        [["a", "b"], [], None, ["c"]],
    ),
    "asymmetric": Example(
        MultiLabel(loss="asymmetric", class_weight="balanced"), ["a|b", "none", "", "c"], [["a", "b"], [], None, ["c"]]
    ),
    "cosine": Example(MultiLabel(loss="cosine"), ["a|b", "b", "", "c"], [["a", "b"], ["b"], None, ["c"]]),
    "labels with other": Example(
        MultiLabel(min_count=2), ["a|b", "a|c|d", "", "none"], [["a", "other"], ["a", "other"], None, []]
    ),
    "regression": Example(Regression(unit="cm"), ["1", "2.5", "", "7"], [1.0, 2.5, None, 7.0]),
    "maximum": Example(Regression(scale="max", loss="huber"), ["1", "2.5", "", "8"], [1.0, 2.5, None, 8.0]),
    "bins": Example(Regression(unit="cm", bins=13, loss="mae"), ["1", "2.5", "", "7"], [1.0, 2.5, None, 7.0]),
    "ordinal": Example(Ordinal(levels=["S", "M", "L"]), ["S", "L", "", "M"], ["S", "L", None, "M"]),
    "focal ordinal": Example(
        Ordinal(levels=["S", "M", "L"], loss="focal", class_weight="balanced", label_smoothing=0.1),
        ["S", "L", "", "M", "M"],
        ["S", "L", None, "M", "M"],
    ),
}
