"""The five kinds of question that one image can answer: the half that needs no Keras (its twin: `training/heads.py`).

A task is what a recipe says of one output (its fields), together with what the training split taught (`learn` returns a
copy that knows it). It reads a label out of text, turns labels into targets and the model's outputs into answers, and
says how good those are. Everything that varies with the kind stands here and in its twin; nothing else asks for it.

A label is text, and blank ("") where it is unknown. Targets are float32, NaN where unknown.
"""

from typing import Annotated

from pydantic import Field

from polyhead.tasks.classes import Binary, Categorical, Ordinal
from polyhead.tasks.multilabel import MultiLabel
from polyhead.tasks.regression import Regression
from polyhead.tasks.task import Answer, Array, Labels, Task

KINDS: dict[str, type[Task]] = {
    "categorical": Categorical,
    "multilabel": MultiLabel,
    "binary": Binary,
    "regression": Regression,
    "ordinal": Ordinal,
}
AnyTask = Annotated[Categorical | MultiLabel | Binary | Regression | Ordinal, Field(discriminator="kind")]

__all__ = [
    "KINDS",
    "Answer",
    "AnyTask",
    "Array",
    "Binary",
    "Categorical",
    "Labels",
    "MultiLabel",
    "Ordinal",
    "Regression",
    "Task",
]
