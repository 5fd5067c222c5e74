"""What every kind of task can do. Each kind implements it in a file of its own; nothing here is overridden."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from polyhead.errors import PolyheadError
from polyhead.tasks.answers import Answer
from polyhead.tasks.conformal import Promise
from polyhead.tasks.fitted import Fitted
from polyhead.tasks.label_text import TextList, TextValues
from polyhead.tasks.metrics import Array, Labels, Numbers


class Task(BaseModel, ABC, extra="forbid", frozen=True, allow_inf_nan=False):
    """One question that an image answers: what the recipe says of it and, in `fitted`, what training found.

    A label is text, "" where it is unknown. Targets are float32, NaN where unknown. Outputs (n, width) are the model's.
    """

    HEAD: ClassVar[str] = ""  # `package.module:Head` of a kind of another package: what learns it
    numeric: ClassVar[bool] = False  # whether its answers are numbers, which have no probability
    several: ClassVar[bool] = False  # whether an answer is any number of labels at once

    column: str | None = Field(
        default=None, description="The source's column or pattern field to read; the task's name if absent."
    )
    values: TextValues = Field(
        default={},
        description="What the source's text means, such as `{0: male, 1: female}`; any other text is no label.",
    )
    blank: TextList = Field(default=[], description="Texts that mean unknown, besides an empty one.")
    loss_weight: float = Field(default=1.0, ge=0, description="The weight of this task's loss in the total.")
    ignores: Literal["color", "shape"] | None = Field(
        default=None,
        description="What its answers must not lean on, where images tie it to another task. `color`: its head reads "
        "what the shared backbone finds in the image made grey; the backbone's weights remain one for all tasks. "
        "`shape`: its head reads a histogram of the image's colours, which does not know where they stand (Swain, "
        "Ballard 1991). For tasks without a branch. See the guide to unseen combinations.",
    )
    kind: str
    loss: str
    fitted: SkipJsonSchema[Fitted | None] = Field(default=None, description="What training and validation found.")

    # --- What is known of it

    @property
    @abstractmethod
    def state(self) -> Fitted:
        """`fitted`; before training, what the recipe alone says of the same."""

    @property
    @abstractmethod
    def counts(self) -> dict[str, int]:
        """Training rows of each label, or of each range of numbers."""

    @property
    @abstractmethod
    def answer_type(self) -> type[Answer]:
        """What it answers."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The labels it can answer, in the order of its outputs; empty for a number."""

    @property
    @abstractmethod
    def declared_labels(self) -> dict[str, list[str]]:
        """The lists of labels that the recipe declares, by key."""

    @property
    @abstractmethod
    def width(self) -> int:
        """How many values the model gives for it."""

    @property
    @abstractmethod
    def error_unit(self) -> str:
        """What its errors are counted in, such as `years`; of a number, its answers too. Empty where there is none."""

    @property
    @abstractmethod
    def needs_validation(self) -> tuple[str, ...]:
        """The recipe's keys that ask for what only validation images can choose."""

    @property
    @abstractmethod
    def published_labels(self) -> tuple[str, ...]:
        """The labels of which the recipe has a published metric."""

    @property
    def has_probabilities(self) -> bool:
        """Whether the model's outputs for it are probabilities, from 0 to 1."""
        return not self.numeric

    @property
    def has_one_label(self) -> bool:
        """Whether exactly one label of an image is right; `joint.all_correct` asks for those."""
        return not self.numeric and not self.several

    # --- Reading a source

    @abstractmethod
    def columns(self, name: str) -> list[str]:
        """The source's columns that `read` wants, for the task called `name`."""

    @property
    @abstractmethod
    def cell_separator(self) -> str:
        """What stands between several labels in one cell."""

    @abstractmethod
    def complete_from_source(self, name: str, texts: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """The keys of its recipe that are open as yet and that the format of a source fills in.

        Args:
            name: the task's.
            texts: the source's columns, each with every text that it can have, in order; none where that is open.

        Raises:
            ValueError: the task declares more labels, or fewer, than there are texts.
        """

    @abstractmethod
    def recognize(self, texts: Mapping[str, int]) -> tuple[float, dict[str, Any]]:
        """How much of a column of another source this task, whose labels are known, could read, and how.

        Args:
            texts: how many rows have each text; none of them is blank.

        Returns:
            The fraction of the rows that hold one of its labels, 0 to 1, whichever way the source writes them (in other
            letters' case, or as the task's `values` has it); and the keys of its recipe that read them so.
        """

    @abstractmethod
    def read(self, *cells: str) -> str:
        """The label in the source's text, blank where unknown.

        Raises:
            ValueError: the text is no label of this task; the message says what was expected.
        """

    # --- Learning

    def fit(self, name: str, labels: Labels) -> Self:
        """A copy that knows what the training split's labels teach.

        Raises:
            PolyheadError: the labels cannot be learnt from; `name` is the task's.
        """
        known = [label for label in labels if label]
        if not known:
            raise PolyheadError(
                f"tasks.{name}: no row of the training split has a label; check its column or remove the task"
            )
        return self.model_copy(update={"fitted": self._fit(name, known)})

    @abstractmethod
    def _fit(self, name: str, known: Labels) -> Fitted:
        """What the known labels of the training split, one or more, teach."""

    @property
    def promise(self) -> Promise | None:
        """What its answers promise, as the validation split has shown; None where they promise nothing."""
        return getattr(self.state, "promise", None)  # a kind of another package may know of none

    def refitted(self, **found: Any) -> Self:
        """A copy of which other values were found."""
        return self.model_copy(update={"fitted": self.state.model_copy(update=found)})

    @abstractmethod
    def calibrate(self, labels: Labels, outputs: Array) -> Self:
        """A copy that knows how far to trust the model's outputs (n, width), as the validation split shows it.

        What was found before is forgotten, so that doing it again changes nothing. Where no label is known, or outputs
        are not finite, the copy is as without a validation split; a task without probabilities stays what it is.
        """

    @abstractmethod
    def uncalibrated(self) -> Self:
        """A copy that knows nothing of the validation split."""

    # --- Targets

    @abstractmethod
    def regroup(self, labels: Labels) -> list[str]:
        """The labels (n) as it knows them: one that goes by another name under that, one that it leaves out blank."""

    @abstractmethod
    def encode(self, labels: Labels) -> NDArray[np.float32]:
        """Targets (n, targets), float32: NaN where unknown or never seen in training."""

    @abstractmethod
    def strata(self, labels: Labels) -> NDArray[np.float32]:
        """What a balanced sampler shows equally often, a stratum a number: (n, ways to part the rows), NaN unknown."""

    # --- Answers

    @abstractmethod
    def probabilities(self, outputs: Array) -> Array:
        """The probability of each of `names` (n, names), by the model's outputs (n, width)."""

    @abstractmethod
    def decode(self, outputs: Array) -> Sequence[Answer]:
        """Answers to the model's outputs (n, width), one an image."""

    @abstractmethod
    def positions(self, values: Array) -> Array:
        """Where answers lie (n, columns), such that two sure answers that differ wholly are 1 apart.

        Args:
            values: (n, names), the probability of each label, or 1 for each that is answered and 0 for the others; or
                the numbers that are answered (n, 1).

        Returns:
            A column a label; or a single one, the place on a scale.
        """

    @abstractmethod
    def evidence(self, outputs: Array, label: str | None) -> Array:
        """How much the model's outputs (n, width) speak for a label, (n,): its log-odds; or the number itself."""

    @abstractmethod
    def show_label(self, label: str) -> str:
        """A label's text, or a number's, as a person reads it."""

    # --- Evaluation

    def measure(self, labels: Labels, outputs: Array) -> Numbers:
        """How good the outputs (n, width) are over the rows whose label is known, beside a constant answer.

        Returns:
            `kind`, `n` (known rows), the kind's metrics and `baseline`; only the first two where n is 0. `calibration`
            where there was one; the fraction `answered` and its `answered_accuracy` where the recipe asks for that.
        """
        labels = self.regroup(labels)
        rows = [row for row, label in enumerate(labels) if label]
        found: Numbers = {"kind": self.kind, "n": len(rows)}
        if not rows:
            return found
        known = [labels[row] for row in rows]
        constant = np.tile(self.baseline_outputs(), (len(rows), 1))
        baseline = {
            key: value
            for key, value in self._measure(known, constant).items()
            if isinstance(value, float) and key not in ("average_precision", "roc_auc", "mean_average_precision")
        }
        found |= self._measure(known, outputs[rows]) | self._measure_certainty(known, outputs[rows])
        return found | {"baseline": {"answer": self.baseline().to_dict()["answer"]} | baseline}

    @abstractmethod
    def _measure(self, labels: Labels, outputs: Array) -> Numbers:
        """The kind's metrics over one known label or more."""

    @abstractmethod
    def _measure_certainty(self, labels: Labels, outputs: Array) -> Numbers:
        """How far the probabilities of known labels can be trusted; empty for a task without them."""

    def baseline(self) -> Answer:
        """The answer of always giving the same one: the training split's most frequent label, or its median."""
        return self.decode(self.baseline_outputs()[np.newaxis])[0]

    @abstractmethod
    def baseline_outputs(self) -> Array:
        """Outputs (width,) that give the baseline's answer."""

    @abstractmethod
    def decisions(self, labels: Labels, outputs: Array) -> tuple[Array, Array] | None:
        """How sure each of m things is that was said of n images, and whether it is right: 1, 0, or NaN where unknown.

        (n, m) both; the probability of an image's answer is its smallest. None for a task without probabilities.
        """

    @abstractmethod
    def mistakes(self, labels: Labels, outputs: Array) -> Array:
        """How wrong each answer is (n,): 0 right, more the surer or the farther off; NaN where the label is unknown."""

    @abstractmethod
    def distribution(self, labels: Labels) -> dict[str, int]:
        """How many rows have each label, or range of numbers, in the order to show them; unknown rows left out."""
