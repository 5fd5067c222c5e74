"""What all kinds of task have in common."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from polyhead.errors import PolyheadError, shorten
from polyhead.fields import check_name
from polyhead.tasks.calibration import log_odds
from polyhead.tasks.metrics import Numbers

Array = NDArray[np.floating]
Labels = Sequence[str]
Answer = dict[str, Any]
LONGEST_LABEL = 10_000  # characters
MOST_ROWS = 2**53  # that are counted exactly


class Task(BaseModel, ABC):
    """What all kinds have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    LEARNT: ClassVar[tuple[str, ...]] = ("counts",)  # fields that a recipe does not hold: the data give them
    FOUND: ClassVar[tuple[str, ...]] = ()  # those of them that the validation split gives, not the training split
    IN_JOINT: ClassVar[bool] = True  # whether `joint.all_correct` asks for this answer
    LABELS: ClassVar[str] = ""  # the field that holds its labels, where its answers are labels
    PROBABILITIES: ClassVar[bool] = False  # whether the model's outputs are some, from 0 to 1

    column: str | None = Field(
        None, description="The source's column or pattern field to read; the task's name if absent."
    )
    values: dict[str, str] = Field(
        {}, description="What the source's text means, such as `{0: male, 1: female}`; any other text is no label."
    )
    blank: list[str] = Field([], description="Texts that mean unknown, besides an empty one.")
    loss_weight: float = Field(1.0, ge=0, description="The weight of this task's loss in the total.")
    counts: SkipJsonSchema[dict[str, int]] = Field({}, description="Learnt: training rows of each label.")
    kind: str

    @model_validator(mode="before")
    @classmethod
    def _keys_as_text(cls, given: Any) -> Any:
        """YAML reads `0: male` with a number for a key, and a class called 12 as a number."""
        if isinstance(given, dict):
            for name in ("classes", "labels", "levels", "blank"):
                if isinstance(given.get(name), list):
                    given = given | {name: [number_as_text(value) for value in given[name]]}
            if isinstance(given.get("values"), dict):
                values = {key: number_as_text(value) for key, value in given["values"].items()}
                given = given | {"values": keys_as_text(values)}
        return given

    @property
    def names(self) -> tuple[str, ...]:
        """The labels it can answer, in the order of its outputs; empty for a number."""
        return ()

    @property
    def width(self) -> int:
        """How many values the model gives for it."""
        return max(len(self.names), 1)

    def columns(self, name: str) -> list[str]:
        """The source's columns that `read` wants, for the task called `name`."""
        return [self.column or name]

    def settle(self, name: str, texts: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """What the format of a source settles of this task: keys of its recipe that are open as yet.

        Args:
            name: the task's.
            texts: the source's columns, each with every text that it can have, in order; none where that is open.

        Raises:
            ValueError: the task declares more labels, or fewer, than there are texts.
        """
        (column,) = self.columns(name)
        found = texts.get(column, ())
        if self.values or not found:
            return {}
        if self.names and len(self.names) != len(found):
            raise ValueError(f"declares {len(self.names)} labels ({one_of(self.names)}), but {column} has {len(found)}")
        return {"values": dict(zip(found, self.names or found, strict=True))}

    def recognize(self, texts: Mapping[str, int]) -> tuple[float, dict[str, Any]]:
        """How much of a column of another source this task, whose labels are known, could read, and how.

        Args:
            texts: how many rows have each text; none of them is blank.

        Returns:
            The share of the rows that hold one of its labels, 0 to 1, whichever way the source writes them (in other
            letters' case, or as the task's `values` has it); and the keys of its recipe that read them so.
        """
        names = {name.casefold(): name for name in self.names} | {name: name for name in self.names}
        values = {text: self.values.get(text) or names.get(text) or names.get(text.casefold(), "") for text in texts}
        values = {text: name for text, name in values.items() if name in self.names}
        return sum(texts[text] for text in values) / max(sum(texts.values()), 1), {"values": values}

    def read(self, *cells: str) -> str:
        """The label in the source's text, blank where unknown.

        Raises:
            ValueError: the text is no label of this task; the message says what was expected.
        """
        text = cells[0].strip()
        if text in ("", *self.blank):
            return ""
        if self.values:
            if text not in self.values:
                raise ValueError(f"expected {one_of(self.values)}; got {shorten(text, 60)!r}")
            text = self.values[text]
        return self._check(text)

    def _check(self, text: str) -> str:
        if self.names and text not in self.names:
            raise ValueError(f"expected {one_of(self.names)}; got {shorten(text, 60)!r}")
        return text if self.names else check_name(text)

    @property
    def chosen(self) -> tuple[str, ...]:
        """The recipe's keys that ask for what only validation images can choose."""
        return ()

    @property
    def compared(self) -> tuple[str, ...]:
        """The labels of which the recipe has a published figure."""
        return ()

    def learn(self, name: str, labels: Labels) -> Self:
        """A copy that knows what the training split's labels teach.

        Raises:
            PolyheadError: the labels cannot be learnt from; `name` is the task's.
        """
        known = [label for label in labels if label]
        if not known:
            raise PolyheadError(
                f"tasks.{name}: no row of the training split has a label; check its column or take the task out"
            )
        return self.model_copy(update=self._learn(name, known))

    def check_learnt(self) -> None:
        """Refuse learnt fields that no training gives, and no answer can be had from: a file may hold anything.

        Raises:
            ValueError: the first of them, with its key.
        """
        for key in ("counts", *self.LEARNT):
            counts = getattr(self, key)
            if isinstance(counts, dict) and not all(0 <= count < MOST_ROWS for count in counts.values()):
                raise ValueError(f"{key}: expected numbers from 0 up to 2^53")
        if not self.LABELS:
            return
        labels = getattr(self, self.LABELS)
        if not labels or len(set(labels)) < len(labels) or not all(0 < len(label) <= LONGEST_LABEL for label in labels):
            raise ValueError(f"{self.LABELS}: expected labels, none empty, twice or over {LONGEST_LABEL:,} characters")

    @abstractmethod
    def _learn(self, name: str, known: Labels) -> dict[str, Any]:
        """The fields that the known labels of the training split teach."""

    def calibrate(self, labels: Labels, outputs: Array) -> Self:
        """A copy that knows how far to trust the model's outputs (n, width), as the validation split shows it.

        What was found before is forgotten, so that doing it again changes nothing. Where no label is known, or outputs
        are not finite, the copy is as without a validation split; a task without probabilities stays what it is.
        """
        return self

    def uncalibrated(self) -> Self:
        """A copy that knows nothing of the validation split."""
        return self

    def regroup(self, labels: Labels) -> list[str]:
        """The labels (n) as it knows them: one that goes by another name under that, one that it leaves out blank."""
        return list(labels)

    def encode(self, labels: Labels) -> NDArray[np.float32]:
        """Targets (n, 1): the label's place among `names`; NaN where unknown or never seen in training."""
        places = {label: place for place, label in enumerate(self.names)}
        return np.array([[places.get(label, np.nan)] for label in self.regroup(labels)], np.float32).reshape(-1, 1)

    def strata(self, labels: Labels) -> NDArray[np.float32]:
        """What a balanced sampler shows equally often, a stratum a number: (n, ways to part the rows), NaN unknown."""
        return self.encode(labels)

    def shares(self, outputs: Array) -> Array:
        """The probability of each of `names` (n, names), by the model's outputs (n, width)."""
        return outputs

    def positions(self, shares: Array) -> Array:
        """Where answers lie (n, columns), such that two sure answers that differ wholly are 1 apart.

        Args:
            shares: what `shares` gives, or 1 for each label that is said and 0 for the others.
        """
        return np.asarray(shares / np.sqrt(2))  # one place each: they would be sqrt(2) apart

    @abstractmethod
    def decode(self, outputs: Array) -> list[Answer]:
        """Answers, a dict each, to the model's outputs (n, width)."""

    def main_label(self, answer: Answer) -> str | None:
        """The label that an answer stands for where one must do; None where it is a number."""
        return str(answer["answer"])

    def support(self, outputs: Array, label: str | None) -> Array:
        """How much the model's outputs (n, width) speak for a label, (n,): its log-odds; or the number itself."""
        shares, place = self.shares(outputs), self.names.index(label or "")
        return log_odds(shares[:, place], np.delete(shares, place, axis=1).sum(axis=1))

    def measure(self, labels: Labels, outputs: Array) -> Numbers:
        """How good the outputs (n, width) are over the rows whose label is known, beside a constant answer.

        Returns:
            `kind`, `n` (known rows), the kind's metrics and `baseline`; only the first two where n is 0. `calibration`
            where there was one; the share `answered` and its `answered_accuracy` where the recipe asks for the latter.
        """
        labels = self.regroup(labels)
        rows = [row for row, label in enumerate(labels) if label]
        found: Numbers = {"kind": self.kind, "n": len(rows)}
        if not rows:
            return found
        known = [labels[row] for row in rows]
        constant = np.tile(self.constant(), (len(rows), 1))
        baseline = {
            key: value
            for key, value in self._measure(known, constant).items()
            if isinstance(value, float) and key not in ("average_precision", "roc_auc", "mean_average_precision")
        }
        answer = self.decode(constant[:1])[0]["answer"]
        found |= self._measure(known, outputs[rows]) | self._measure_certainty(known, outputs[rows])
        return found | {"baseline": {"answer": answer} | baseline}

    @abstractmethod
    def _measure(self, labels: Labels, outputs: Array) -> Numbers:
        """The kind's metrics over one known label or more."""

    def _measure_certainty(self, labels: Labels, outputs: Array) -> Numbers:
        """How far the probabilities of known labels can be trusted; empty for a task without them."""
        return {}

    def constant(self) -> Array:
        """Outputs (width,) that are always the same: the training split's most frequent label, or its median."""
        frequent = max(self.names, key=lambda name: self.counts.get(name, 0))
        return np.array([float(name == frequent) for name in self.names])

    def decisions(self, labels: Labels, outputs: Array) -> tuple[Array, Array] | None:
        """How sure each of m things is that was said of n images, and whether it is right: 1, 0, or NaN where unknown.

        (n, m) both; the probability of an image's answer is its smallest. None for a task without probabilities.
        """
        return None

    @abstractmethod
    def mistakes(self, labels: Labels, outputs: Array) -> Array:
        """How wrong each answer is (n,): 0 right, more the surer or the farther off; NaN where the label is unknown."""

    def distribution(self, labels: Labels) -> dict[str, int]:
        """How many rows have each label, in the order to show them; unknown rows left out."""
        found = Counter(label for label in self.regroup(labels) if label)
        return {name: found[name] for name in (*self.names, *sorted(set(found) - set(self.names))) if found[name]}

    def numbers(self, labels: Labels) -> Array | None:
        """The known labels as numbers, where they are numbers."""
        return None

    def show(self, answer: Any) -> str:
        """An answer or a label as a person reads it."""
        return str(answer)


def one_of(names: Iterable[str]) -> str:
    """The first few names, for a message."""
    names = [shorten(name, 60) for name in names]
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def natural_key(label: str) -> tuple[bool, float, str]:
    """A key that sorts numbers by size, before words by letters."""
    try:
        return False, float(label), label
    except ValueError:
        return True, 0.0, label


def number_as_text(value: Any) -> Any:
    """A number, or a truth, as the text that YAML took it for; anything else as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def keys_as_text(values: Mapping[Any, Any]) -> dict[Any, Any]:
    """The same values under keys that are texts.

    Raises:
        ValueError: two keys are one text.
    """
    found = {number_as_text(key): value for key, value in values.items()}
    if len(found) < len(values):
        raise ValueError("values: two of its keys are the same text; take one out")
    return found
