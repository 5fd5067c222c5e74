"""The kinds of question that one image can answer: the half that needs no Keras (its twin: `training/heads.py`).

Three things are told apart. A `Task` says what the recipe says of one output; its `fitted`, what training and
validation found (`fit` and `calibrate` return a copy that knows it); an `Answer`, what is answered of one image.
A task reads a label out of text, turns labels into targets and the model's outputs into answers, and says how good
those are. Everything that varies with the kind stands here and in its twin; nothing else asks for it.

A label is text, and blank ("") where it is unknown. Targets are float32, NaN where unknown.
"""

from polyhead.tasks.answers import Answer, LabelAnswer, RegressionAnswer
from polyhead.tasks.binary import Binary, BinaryAnswer, FittedBinary
from polyhead.tasks.categorical import Categorical, CategoricalAnswer, FittedCategorical
from polyhead.tasks.fitted import Fitted
from polyhead.tasks.kinds import KINDS, AnyTask, StoredTask, is_learnt
from polyhead.tasks.metrics import Array, Labels, Numbers
from polyhead.tasks.multilabel import FittedMultiLabel, MultiLabel, MultiLabelAnswer
from polyhead.tasks.ordinal import FittedOrdinal, Ordinal, OrdinalAnswer
from polyhead.tasks.regression import FittedRegression, Regression
from polyhead.tasks.task import Task

__all__ = [
    "KINDS",
    "Answer",
    "AnyTask",
    "Array",
    "Binary",
    "BinaryAnswer",
    "Categorical",
    "CategoricalAnswer",
    "Fitted",
    "FittedBinary",
    "FittedCategorical",
    "FittedMultiLabel",
    "FittedOrdinal",
    "FittedRegression",
    "LabelAnswer",
    "Labels",
    "MultiLabel",
    "MultiLabelAnswer",
    "Numbers",
    "Ordinal",
    "OrdinalAnswer",
    "Regression",
    "RegressionAnswer",
    "StoredTask",
    "Task",
    "is_learnt",
]
