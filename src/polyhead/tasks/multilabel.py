"""Any number of labels at once."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from polyhead.errors import PolyheadError, shorten
from polyhead.fields import DottedPath
from polyhead.tasks import certainty, label_loss, yes_no
from polyhead.tasks.answers import Answer, describe_probability
from polyhead.tasks.fitted import (
    CalibratedOn,
    Counts,
    Fitted,
    LabelList,
    Temperature,
    UnsureBelow,
    check_among,
    check_thresholds,
)
from polyhead.tasks.label_sets import (
    NONE,
    check_plain,
    count_labels,
    encode_labels,
    read_flags,
    rename_labels,
    write_labels,
)
from polyhead.tasks.label_text import check_label, fraction_of_rows, natural_key
from polyhead.tasks.metrics import Array, Labels, Numbers, measure_labels
from polyhead.tasks.published import Published
from polyhead.tasks.rare_labels import MinCount, Rare, RareLabels
from polyhead.tasks.task import Task

USED_WITH = label_loss.USED_WITH | dict.fromkeys(("focusing_yes", "focusing_no", "margin"), ("loss", "asymmetric"))


@dataclass(frozen=True, slots=True)
class MultiLabelAnswer(Answer):
    """Any number of labels.

    Attributes:
        answer: the labels, in the task's order.
        probability: that of the least certain yes or no among all labels, 0 to 1.
        unsure: whether that is below the one that the recipe's accuracy needs.
        probabilities: of a yes for each of the task's labels.
    """

    answer: tuple[str, ...]
    probability: float
    unsure: bool
    probabilities: Mapping[str, float]

    @property
    def label(self) -> str:
        return "|".join(self.answer) or NONE

    @property
    def labels(self) -> tuple[str, ...]:
        return self.answer

    @property
    def main_label(self) -> str:
        """The likeliest of those answered, or of all."""
        return max(self.answer or self.probabilities, key=lambda label: self.probabilities[label])

    def to_dict(self) -> dict[str, Any]:
        return {
            "answer": list(self.answer),
            "probability": self.probability,
            "unsure": self.unsure,
            "probabilities": dict(self.probabilities),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        return cls(tuple(values["answer"]), values["probability"], values["unsure"], values["probabilities"])

    def to_columns(self) -> dict[str, Any]:
        found = {"answer": self.label, "probability": self.probability, "unsure": self.unsure}
        return found | {f"probabilities.{label}": number for label, number in self.probabilities.items()}

    def differences(self, label: str) -> list[tuple[str, float]]:
        words = label.split("|")
        return [
            (name, probability)
            for name, probability in self.probabilities.items()
            if f"?{name}" not in words and (name in self.answer) != (name in words)
        ]

    def __str__(self) -> str:
        return describe_probability(", ".join(self.answer) or NONE, self.probability, self.unsure)


class FittedMultiLabel(Fitted):
    """What training and validation found.

    Attributes:
        labels: what the outputs stand for, in order.
        counts: training rows in which each label is yes.
        known: training rows in which each label is known, yes or no.
        rare_counts: training rows of each rare label.
        thresholds: from which calibrated probability on each label is a yes; one half if absent.
    """

    labels: LabelList
    counts: Counts = Field({})
    known: Counts = Field({})
    rare_counts: Counts = Field({})
    calibrated_on: CalibratedOn = 0
    temperature: Temperature = 1.0
    unsure_below: UnsureBelow = 0.0
    thresholds: dict[str, float] = Field({})

    @field_validator("counts", "known")
    @classmethod
    def _of_its_labels(cls, counts: dict[str, int], info: ValidationInfo) -> dict[str, int]:
        check_among(counts, info.data.get("labels", counts))
        return counts

    @field_validator("thresholds")
    @classmethod
    def _for_its_labels(cls, thresholds: dict[str, float], info: ValidationInfo) -> dict[str, float]:
        check_thresholds(thresholds, info.data.get("labels", thresholds))
        return thresholds


class MultiLabel(Task):
    """Any number of labels at once, each yes or no.

    A label text is `a|b` (yes to both, no to the others), `none`, or blank; `a|?c` leaves c alone unknown.
    """

    ANSWER: ClassVar[type[Answer]] = MultiLabelAnswer
    UNCALIBRATED: ClassVar[Mapping[str, Any]] = {**certainty.UNCALIBRATED, "thresholds": {}}
    several: ClassVar[bool] = True

    kind: Literal["multilabel"] = "multilabel"
    calibration: certainty.Calibration = "temperature"
    answer_accuracy: certainty.AnswerAccuracy = None
    threshold: yes_no.Threshold = "half"
    loss: Literal["cross_entropy", "focal", "asymmetric", "cosine"] | DottedPath = Field(
        "cross_entropy",
        description="`cross_entropy` of each label; `focal`, times (1 - probability)^focusing (Lin et al. 2017); "
        "`asymmetric`, focal with an exponent for yes and another for no, and nothing for a no whose probability of "
        "yes is below `margin` (Ridnik et al. 2021); `cosine`, 1 less the cosine similarity between a row's known "
        "labels and their probabilities, which learns as cosine proximity (its negative) does; or a function of your "
        "own, `package.module:function`: see [own parts](own_parts.md).",
    )
    focusing: label_loss.Focusing = 2.0
    focusing_yes: float = Field(0.0, ge=0, description="With `loss: asymmetric`, the exponent where a label is yes.")
    focusing_no: float = Field(4.0, ge=0, description="With `loss: asymmetric`, the exponent where a label is no.")
    margin: float = Field(
        0.05, ge=0, lt=1, description="With `loss: asymmetric`, what is taken off the probability where a label is no."
    )
    label_smoothing: label_loss.LabelSmoothing = 0.0
    class_weight: label_loss.ClassWeight = "none"
    beta: label_loss.Beta = 0.999
    min_count: MinCount = 0
    rare: Rare = "other"
    labels: list[str] = Field([], description="The labels, in order; those of the training split, sorted, if absent.")
    separator: str = Field("|", min_length=1, description="What stands between the labels of one cell.")
    from_columns: list[str] = Field(
        [], description="Columns that hold one label each, named after it, as 1/0, 1/-1 or yes/no; instead of `column`."
    )
    published: Published | None = Field(None, description="Published figures, to stand beside those of the model.")
    fitted: SkipJsonSchema[FittedMultiLabel | None] = None

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        label_loss.check_effect(self, USED_WITH, type(self).model_fields)
        self._rare_labels.check()
        for label in self.names:
            check_plain(label)
        if self.class_weight != "none" and self.loss == "cosine":
            raise ValueError("class_weight has no effect with `loss: cosine`, which sees a row as a whole; take it out")
        if not self.fitted and self.labels and self.from_columns and set(self.labels) != set(self.from_columns):
            raise ValueError("labels and from_columns differ; leave `labels` out")
        return self

    @property
    def state(self) -> FittedMultiLabel:
        return self.fitted or FittedMultiLabel.model_construct(labels=self.labels or self.from_columns)

    @property
    def counts(self) -> dict[str, int]:
        return self.state.counts

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.state.labels)

    @property
    def width(self) -> int:
        return max(len(self.names), 1)

    @property
    def error_unit(self) -> str:
        return ""

    @property
    def needs_validation(self) -> tuple[str, ...]:
        return certainty.keys_for_validation(self.answer_accuracy, self.threshold)

    @property
    def published_labels(self) -> tuple[str, ...]:
        return tuple(self.published.accuracy) if self.published else ()

    @property
    def _rare_labels(self) -> RareLabels:
        return RareLabels(self.min_count, self.rare)

    def columns(self, name: str) -> list[str]:
        return self.from_columns or [self.column or name]

    def complete_from_source(self, name: str, texts: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Its columns: those of the labels that it declares, or all."""
        return {} if self.column or self.from_columns else {"from_columns": self.labels or list(texts)}

    def recognize(self, texts: Mapping[str, int]) -> tuple[float, dict[str, Any]]:
        """See `Task.recognize`: a row is read where each of its words is one of the labels."""

        def is_readable(text: str) -> bool:
            words = [] if text == NONE else [word.strip().lstrip("?") for word in text.split(self.separator)]
            return all(self.values.get(word, word) in self.names for word in words)

        return fraction_of_rows(texts, set(filter(is_readable, texts))), {"from_columns": []}

    def read(self, *cells: str) -> str:
        if self.from_columns:
            states = read_flags(cells, self.from_columns, self.blank)
            unknown = len(states) == len(self.from_columns) and not any(states.values())
            return "" if unknown else write_labels(states, self.names)
        text = cells[0].strip()
        if text in ("", *self.blank):
            return ""
        states = {}
        for word in [] if text == NONE else [word.strip() for word in text.split(self.separator) if word.strip()]:
            name = word.lstrip("?")
            label = check_label(self.values.get(name, name), self.names)
            if "|" in label or label == NONE:
                raise ValueError(f"a label may not hold `|` or be `none`; got {shorten(label, 60)!r}")
            states[label] = not word.startswith("?")
        return write_labels(states, self.names)

    def _fit(self, name: str, known: Labels) -> FittedMultiLabel:
        found = {word.lstrip("?") for text in known for word in text.split("|")} - {NONE}
        labels = list(self.names) or sorted(found, key=natural_key)
        if not labels:
            raise PolyheadError(f"tasks.{name}: no row of the training split has any label but none; declare `labels`")
        counts, _ = count_labels(labels, encode_labels(known, labels))
        kept, rare = self._rare_labels.set_aside(name, counts, fewest=1)
        counts, rows = count_labels(kept, encode_labels(self._rename(known, kept), kept))
        return FittedMultiLabel(labels=kept, counts=counts, known=rows, rare_counts=rare)

    def class_weights(self) -> Array:
        """How much each label counts in the loss (2, labels): where it is no, and where it is yes."""
        known, counts = self.state.known, self.counts
        rows = [(known[name] - counts[name], counts[name]) for name in self.names]
        return np.array([label_loss.weigh_labels(pair, self.class_weight, self.beta) for pair in rows]).T

    def calibrate(self, labels: Labels, outputs: Array) -> Self:
        return certainty.calibrate(self, labels, outputs)

    def uncalibrated(self) -> Self:
        return self.refitted(**self.UNCALIBRATED)

    def alternatives(self, labels: Labels, outputs: Array) -> tuple[Array, NDArray[np.integer]]:
        """See `ProbabilityTask.alternatives`: no and yes of each known label."""
        return yes_no.known_alternatives(self.encode(labels), outputs)

    def choose_thresholds(self, labels: Labels, outputs: Array) -> Self:
        """See `ProbabilityTask.choose_thresholds`."""
        if self.threshold == "half":
            return self
        found = yes_no.choose_thresholds(self.names, self.encode(labels), self.probabilities(outputs))
        return self.refitted(thresholds=found)

    def regroup(self, labels: Labels) -> list[str]:
        return self._rename(labels, self.fitted.labels if self.fitted else [])

    def _rename(self, labels: Labels, kept: Labels) -> list[str]:
        own, merges = set(kept), self._rare_labels.merges
        return self._rare_labels.rename(labels, own, lambda text: rename_labels(text, own, merges))

    def encode(self, labels: Labels) -> NDArray[np.float32]:
        """Targets (n, labels): 1 yes, 0 no, NaN unknown."""
        return encode_labels(self.regroup(labels), self.names)

    def strata(self, labels: Labels) -> NDArray[np.float32]:
        """The yes and no of each label."""
        return self.encode(labels)

    def probabilities(self, outputs: Array) -> Array:
        """The probability of a yes for each label, at the learnt temperature."""
        return yes_no.temper_yes(outputs, self.state.temperature)

    def positions(self, values: Array) -> Array:
        """The values themselves: each label is a question of its own."""
        return values

    def decode(self, outputs: Array) -> list[MultiLabelAnswer]:
        """Every label from its threshold on; the answer's own probability is that of its least certain label."""
        yes, names, below = self.probabilities(outputs), self.names, self.state.unsure_below
        said, sure = self._say(yes)
        rows = zip(said.tolist(), sure.min(axis=1).tolist(), yes.tolist(), strict=True)
        return [
            MultiLabelAnswer(
                tuple([name for name, is_yes in zip(names, answered, strict=True) if is_yes]),
                least,
                least < below,
                dict(zip(names, numbers, strict=True)),
            )
            for answered, least, numbers in rows
        ]

    def _say(self, yes: Array) -> tuple[NDArray[np.bool_], Array]:
        """To which labels the probabilities (n, labels) say yes, and the probability of what is said."""
        said = yes >= self._thresholds
        return said, np.where(said, yes, 1 - yes)

    @property
    def _thresholds(self) -> Array:
        return yes_no.list_thresholds(self.names, self.state.thresholds)

    def evidence(self, outputs: Array, label: str | None) -> Array:
        return yes_no.yes_log_odds(self.probabilities(outputs)[:, self.names.index(label or "")], True)

    def show_label(self, label: str) -> str:
        return label.replace("|", ", ")

    def decisions(self, labels: Labels, outputs: Array) -> tuple[Array, Array]:
        """A decision a label."""
        said, sure = self._say(self.probabilities(outputs))
        truth = self.encode(labels)
        return sure, np.where(np.isnan(truth), np.nan, (truth == 1) == said)

    def mistakes(self, labels: Labels, outputs: Array) -> Array:
        return certainty.size_mistakes(*self.decisions(labels, outputs))

    def baseline_outputs(self) -> Array:
        """1 for a label that is yes in half or more of the rows where it is known, else 0."""
        counts, known = self.counts, self.state.known
        return np.array([float(2 * counts.get(name, 0) >= known.get(name, 0)) for name in self.names])

    def distribution(self, labels: Labels) -> dict[str, int]:
        texts = [text for text in self.regroup(labels) if text]
        found = Counter(word for text in texts for word in text.split("|") if not word.startswith("?"))
        return {name: found[name] for name in (self.names or sorted(found)) if found[name]}

    def _measure(self, labels: Labels, outputs: Array) -> Numbers:
        """As `metrics.measure_labels`; which labels are rare, and the published accuracies."""
        found = measure_labels(self.encode(labels), self.probabilities(outputs), self.names, self._thresholds)
        published = self.published.place_beside(found["per_label"]) if self.published else {}
        return found | self._rare_labels.describe(self.state.rare_counts) | published

    def _measure_certainty(self, labels: Labels, outputs: Array) -> Numbers:
        return certainty.measure_certainty(self, labels, outputs)
