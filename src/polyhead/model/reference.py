"""What a model file keeps of the validation images and its answers to them, so that later images can be compared."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from polyhead.model.familiarity import MOST_WIDTH, Familiarity, PackedNumbers, pack_numbers, unpack_numbers
from polyhead.tasks import Array, Task
from polyhead.tasks.metrics import range_names
from polyhead.tasks.regression import Regression

FEWEST = 30  # validation images, below which nothing is kept
LEAST_SPREAD, MOST_SPREAD = 1e-12, 1e24  # of features, whose squares are worked with
Count = Annotated[int, Field(ge=0, lt=2**53)]


class AnswerCounts(BaseModel):
    """How often each answer was given: a label, one of several labels, or a range of numbers.

    Attributes:
        answers: by label or range, in the task's order; of several labels, each counts by itself.
        unsure: how many of the images have an unsure answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    answers: dict[str, Count]
    unsure: Count


class Reference(BaseModel):
    """Of the validation images.

    Attributes:
        images: how many they are.
        mean: of their features, float32 (width,), little-endian, in base64.
        spread: the root of the mean squared distance of their features from the mean.
        unfamiliar: how many are unfamiliar; None where the file cannot tell.
        tasks: the answers, by task.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    images: Annotated[int, Field(ge=FEWEST, lt=2**53)]
    mean: PackedNumbers
    spread: Annotated[float, Field(ge=LEAST_SPREAD, le=MOST_SPREAD)]
    unfamiliar: Count | None
    tasks: dict[str, AnswerCounts]

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if not 0 < self.width <= MOST_WIDTH:
            raise ValueError(f"mean: expected up to {MOST_WIDTH} numbers; got {self.width}")
        counts = [self.unfamiliar or 0]
        counts += [count for task in self.tasks.values() for count in (*task.answers.values(), task.unsure)]
        if max(counts) > self.images:
            raise ValueError(f"tells of {max(counts)} among {self.images} images")
        return self

    def check_tasks(self, tasks: Mapping[str, Task]) -> None:
        """See that it tells of these tasks.

        Raises:
            ValueError: of others, or of answers that one cannot give.
        """
        if set(self.tasks) != set(tasks):
            raise ValueError("tasks: are not the model's")
        for name, task in tasks.items():
            if list(self.tasks[name].answers) != name_answers(task):
                raise ValueError(f"tasks.{name}: its answers are not the task's")

    @property
    def width(self) -> int:
        """Of the features that it is of; where there are more, the first ones."""
        return len(self.center)

    @property
    def center(self) -> NDArray[np.float64]:
        """The mean (width,)."""
        return unpack_numbers(self.mean, "mean", "<f4")

    @classmethod
    def find(
        cls, tasks: Mapping[str, Task], outputs: Mapping[str, Array], familiarity: Familiarity | None
    ) -> Self | None:
        """What the outputs (n, width) for validation images show; None where they are too few, or all features alike.

        Args:
            tasks: by name, calibrated.
            outputs: of each task, and `features`.
        """
        features = outputs["features"].astype(float)
        mean = features.mean(axis=0).astype("<f4") if len(features) >= FEWEST else np.zeros(0)
        spread = float(np.sqrt(((features - mean) ** 2).sum(axis=1).mean())) if len(mean) else 0.0
        if not LEAST_SPREAD <= spread <= MOST_SPREAD or features.shape[1] > MOST_WIDTH:
            return None
        unfamiliar = familiarity and int((familiarity.rate(features) > familiarity.threshold).sum())
        counted = {name: count_answers(task, outputs[name]) for name, task in tasks.items()}
        return cls(images=len(features), mean=pack_numbers(mean), spread=spread, unfamiliar=unfamiliar, tasks=counted)


def name_answers(task: Task) -> list[str]:
    """What answers are counted by: the task's labels, or ranges of its numbers."""
    return range_names(task.state.edges) if isinstance(task, Regression) else list(task.names)


def count_answers(task: Task, outputs: Array) -> AnswerCounts:
    """Count the answers in a task's outputs (n, width)."""
    answers, names = task.decode(outputs), name_answers(task)
    if isinstance(task, Regression):
        found: Counter[Any] = Counter(names[at] for at in np.digitize(outputs[:, 0], task.state.edges).tolist())
    else:
        found = Counter(label for answer in answers for label in answer.labels)
    counts = {name: found[name] for name in names}
    return AnswerCounts(answers=counts, unsure=sum(answer.unsure for answer in answers))
