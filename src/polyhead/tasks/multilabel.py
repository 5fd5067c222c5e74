"""Any number of labels at once."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from polyhead.errors import PolyheadError
from polyhead.fields import DottedPath
from polyhead.tasks import conformal, label_sets, yes_no
from polyhead.tasks.answers import describe_probability, tell_change
from polyhead.tasks.conformal import LabelsPromise
from polyhead.tasks.fitted import Counts, LabelList, check_among, check_thresholds, located
from polyhead.tasks.label_task import UNCALIBRATED, USED_WITH, FittedLabels, LabelTask
from polyhead.tasks.label_text import TextList, fraction_of_rows, natural_key
from polyhead.tasks.metrics import Array, Labels, Numbers, measure_labels
from polyhead.tasks.published import Published
from polyhead.tasks.rare_labels import MinCount, Rare, RareLabels, weigh_labels


@dataclass(frozen=True, slots=True)
class MultiLabelAnswer:
    """Any number of labels.

    Attributes:
        answer: the labels, in the task's order.
        probability: that of the least certain yes or no among all labels, 0 to 1.
        unsure: whether that is below the one that the recipe's accuracy needs.
        probabilities: of a yes for each of the task's labels.
        possible: where the task promises something, those that the image may have: the answer, and `not_sure`.
        not_sure: the labels of which neither yes nor no can be left out.
        before_rules: where rules changed it, the labels that it would have had.
        by_rules: these rules, as they are written.
    """

    answer: tuple[str, ...]
    probability: float
    unsure: bool
    probabilities: Mapping[str, float]
    possible: tuple[str, ...] | None = None
    not_sure: tuple[str, ...] = ()
    before_rules: tuple[str, ...] | None = None
    by_rules: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return "|".join(self.answer) or label_sets.NONE

    @property
    def labels(self) -> tuple[str, ...]:
        return self.answer

    @property
    def main_label(self) -> str:
        """The likeliest of those answered, or of all."""
        return max(self.answer or self.probabilities, key=lambda label: self.probabilities[label])

    def to_dict(self) -> dict[str, Any]:
        found = {"answer": list(self.answer), "probability": self.probability, "unsure": self.unsure}
        found["probabilities"] = dict(self.probabilities)
        if self.possible is not None:
            found |= {"set": list(self.possible), "not_sure": list(self.not_sure)}
        before = None if self.before_rules is None else list(self.before_rules)
        return found | tell_change(before, self.by_rules)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        found = cls(tuple(values["answer"]), values["probability"], values["unsure"], values["probabilities"])
        if "before_rules" in values:
            by = tuple(values.get("by_rules", ()))
            found = replace(found, before_rules=tuple(values["before_rules"]), by_rules=by)
        if "set" not in values:
            return found
        return replace(found, possible=tuple(values["set"]), not_sure=tuple(values["not_sure"]))

    def to_columns(self) -> dict[str, Any]:
        found = {"answer": self.label, "probability": self.probability, "unsure": self.unsure}
        found |= {f"probabilities.{label}": number for label, number in self.probabilities.items()}
        if self.before_rules is not None:
            found["before_rules"] = "|".join(self.before_rules) or label_sets.NONE
            found["by_rules"] = json.dumps(self.by_rules)
        if self.possible is None:
            return found
        return found | {"set": json.dumps(self.possible), "not_sure": json.dumps(self.not_sure)}

    def differences(self, label: str) -> list[tuple[str, float]]:
        wrong = label_sets.differences(label, self.answer, self.probabilities)
        return [(name, self.probabilities[name]) for name in wrong]

    def __str__(self) -> str:
        before = None if self.before_rules is None else ", ".join(self.before_rules) or label_sets.NONE
        return describe_probability(", ".join(self.answer) or label_sets.NONE, self.probability, self.unsure, before)


class FittedMultiLabel(FittedLabels):
    """What training and validation found.

    Attributes:
        labels: what the outputs stand for, in order.
        known: training rows in which each label is known, yes or no; `counts`, in which it is yes.
        rare_counts: training rows of each rare label.
        thresholds: from which calibrated probability on each label is a yes; one half if absent.
    """

    labels: LabelList
    known: Counts = Field(default={})
    rare_counts: Counts = Field(default={})
    thresholds: dict[str, float] = Field(default={})
    promise: LabelsPromise | None = None

    @model_validator(mode="after")
    def _of_its_labels(self) -> Self:
        for key, counts in (("counts", self.counts), ("known", self.known)):
            with located(key):
                check_among(counts, self.labels)
        with located("thresholds"):
            check_thresholds(self.thresholds, self.labels)
        with located("promise"):
            check_among(self.promise.at_least if self.promise else (), self.labels)
        return self


class MultiLabel(LabelTask, frozen=True):
    """Any number of labels at once, each yes or no.

    A label text is `a|b` (yes to both, no to the others), `none`, or blank; `a|?c` leaves c alone unknown.
    """

    USED_WITH: ClassVar[Mapping[str, tuple[str, str]]] = USED_WITH | dict.fromkeys(
        ("focusing_yes", "focusing_no", "margin"), ("loss", "asymmetric")
    )
    UNCALIBRATED: ClassVar[Mapping[str, Any]] = {**UNCALIBRATED, "thresholds": {}}
    several: ClassVar[bool] = True

    kind: Literal["multilabel"] = "multilabel"
    threshold: yes_no.Threshold = "half"
    loss: Literal["cross_entropy", "focal", "asymmetric", "cosine"] | DottedPath = Field(
        default="cross_entropy",
        description="`cross_entropy` of each label; `focal`, times (1 - probability)^focusing (Lin et al. 2017); "
        "`asymmetric`, focal with an exponent for yes and another for no, and nothing for a no whose probability of "
        "yes is below `margin` (Ridnik et al. 2021); `cosine`, 1 less the cosine similarity between a row's known "
        "labels and their probabilities, which learns as cosine proximity (its negative) does; or a function of your "
        "own, `package.module:function`: see [own parts](own_parts.md).",
    )
    focusing_yes: float = Field(
        default=0.0, ge=0, description="With `loss: asymmetric`, the exponent where a label is yes."
    )
    focusing_no: float = Field(
        default=4.0, ge=0, description="With `loss: asymmetric`, the exponent where a label is no."
    )
    margin: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="With `loss: asymmetric`, what is taken off the probability where a label is no.",
    )
    min_count: MinCount = 0
    rare: Rare = "other"
    labels: TextList = Field(
        default=[], description="The labels, in order; those of the training split, sorted, if absent."
    )
    separator: str = Field(default="|", min_length=1, description="What stands between the labels of one cell.")
    from_columns: TextList = Field(
        default=[],
        description="Columns that hold one label each, named after it, as 1/0, 1/-1 or yes/no; instead of `column`.",
    )
    published: Published | None = Field(
        default=None, description="Published figures, to stand beside those of the model."
    )
    fitted: SkipJsonSchema[FittedMultiLabel | None] = None

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        self._rare_labels.check()
        for label in self.names:
            label_sets.check_label(label)
        if self.class_weight != "none" and self.loss == "cosine":
            raise ValueError("class_weight has no effect with `loss: cosine`, which sees a row as a whole; remove it")
        if not self.fitted and self.labels and self.from_columns and set(self.labels) != set(self.from_columns):
            raise ValueError("labels and from_columns differ; leave `labels` out")
        return self

    @property
    def state(self) -> FittedMultiLabel:
        return self.fitted or FittedMultiLabel.model_construct(labels=list(self.names))

    @property
    def answer_type(self) -> type[MultiLabelAnswer]:
        return MultiLabelAnswer

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.fitted.labels if self.fitted else self.labels or self.from_columns)

    @property
    def declared_labels(self) -> dict[str, list[str]]:
        return {"labels": self.labels, "from_columns": self.from_columns}

    @property
    def width(self) -> int:
        return max(len(self.names), 1)

    @property
    def error_unit(self) -> str:
        return ""

    @property
    def published_labels(self) -> tuple[str, ...]:
        return tuple(self.published.accuracy) if self.published else ()

    @property
    def _thresholds(self) -> Array:
        return yes_no.list_thresholds(self.names, self.state.thresholds)

    @property
    def _rare_labels(self) -> RareLabels:
        return RareLabels(self.min_count, self.rare)

    def columns(self, name: str) -> list[str]:
        return self.from_columns or [self.column or name]

    @property
    def cell_separator(self) -> str:
        return self.separator

    def complete_from_source(self, name: str, texts: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Its columns: those of the labels that it declares, or all."""
        return {} if self.column or self.from_columns else {"from_columns": self.labels or list(texts)}

    def recognize(self, texts: Mapping[str, int]) -> tuple[float, dict[str, Any]]:
        """See `Task.recognize`: a row is read where each of its words is one of the labels."""
        words = {text: [word.lstrip("?") for word in label_sets.split(text, self.separator)] for text in texts}
        readable = {text for text in texts if all(self.values.get(word, word) in self.names for word in words[text])}
        return fraction_of_rows(texts, readable), {"from_columns": []}

    def read(self, *cells: str) -> str:
        if self.from_columns:
            states = label_sets.read_flags(cells, self.from_columns, self.blank)
            unknown = len(states) == len(self.from_columns) and not any(states.values())
            return "" if unknown else label_sets.write(states, self.names)
        text = cells[0].strip()
        if text in ("", *self.blank):
            return ""
        return label_sets.write(label_sets.read(text, self.separator, self.values, self.names), self.names)

    def _fit(self, name: str, known: Labels) -> FittedMultiLabel:
        found = {word.lstrip("?") for text in known for word in text.split("|")} - {label_sets.NONE}
        labels = list(self.names) or sorted(found, key=natural_key)
        if not labels:
            raise PolyheadError(f"tasks.{name}: no row of the training split has any label but none; declare `labels`")
        counts, _ = label_sets.count(labels, label_sets.encode(known, labels))
        kept, rare = self._rare_labels.set_aside(name, counts, fewest=1)
        counts, rows = label_sets.count(kept, label_sets.encode(self._rename(known, kept), kept))
        return FittedMultiLabel(labels=kept, counts=counts, known=rows, rare_counts=rare)

    def class_weights(self) -> Array:
        """How much each label counts in the loss (2, labels): where it is no, and where it is yes."""
        known, counts = self.state.known, self.counts
        rows = [(known[name] - counts[name], counts[name]) for name in self.names]
        return np.array([weigh_labels(pair, self.class_weight, self.beta) for pair in rows]).T

    def alternatives(self, labels: Labels, outputs: Array) -> tuple[Array, NDArray[np.integer]]:
        return yes_no.known_alternatives(self.encode(labels), outputs)

    @property
    def chosen_thresholds(self) -> tuple[str, ...]:
        return () if self.threshold == "half" else ("threshold",)

    def choose_thresholds(self, labels: Labels, outputs: Array) -> Self:
        if self.threshold == "half":
            return self
        found = yes_no.choose_thresholds(self.names, self.encode(labels), self.probabilities(outputs))
        return self.refitted(thresholds=found)

    def regroup(self, labels: Labels) -> list[str]:
        return self._rename(labels, self.fitted.labels if self.fitted else [])

    def _rename(self, labels: Labels, kept: Labels) -> list[str]:
        own, merges = set(kept), self._rare_labels.merges
        return self._rare_labels.rename(labels, own, lambda text: label_sets.rename(text, own, merges))

    def encode(self, labels: Labels) -> NDArray[np.float32]:
        """Targets (n, labels): 1 yes, 0 no, NaN unknown."""
        return label_sets.encode(self.regroup(labels), self.names)

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
        said, sure = yes_no.say(yes, self._thresholds)
        rows = zip(said.tolist(), sure.min(axis=1).tolist(), yes.tolist(), strict=True)
        answers = [
            MultiLabelAnswer(
                tuple([name for name, is_yes in zip(names, answered, strict=True) if is_yes]),
                least,
                least < below,
                dict(zip(names, numbers, strict=True)),
            )
            for answered, least, numbers in rows
        ]
        if self.state.promise is None:
            return answers
        open_ = self._open(outputs, self.state.promise)
        parts = zip(answers, conformal.names_of(said | open_, names), conformal.names_of(open_, names), strict=True)
        return [replace(answer, possible=possible, not_sure=unsure) for answer, possible, unsure in parts]

    def leanings(self, outputs: Array) -> Array:
        """The log-odds of a yes, less those of the label's threshold."""
        yes = self.probabilities(outputs)
        return yes_no.lean(yes, self._thresholds)

    def encode_answers(self, probabilities: Array, answers: NDArray[np.bool_]) -> NDArray[np.float32]:
        yes = yes_no.move_across(probabilities, self._thresholds, answers)
        return yes_no.temper_yes(yes, 1 / self.state.temperature).astype(np.float32)

    def find_promise(self, labels: Labels, outputs: Array, coverage: float) -> LabelsPromise | None:
        """A promise for each label that is known of enough images."""
        truth, least = self.encode(labels), {}
        plausible = self._plausible(outputs, truth)
        for index, name in enumerate(self.names):
            known = ~np.isnan(truth[:, index])
            found = conformal.find_least(plausible[known, index], coverage)
            if found is not None:
                least[name] = found
        return LabelsPromise(coverage=coverage, calibrated_on=len(labels), at_least=least) if least else None

    def _plausible(self, outputs: Array, truth: Array) -> Array:
        """How plausible a yes or no (n, labels) is beside what is answered: 1 where it is that; NaN is taken as no."""
        said, sure = yes_no.say(self.probabilities(outputs), self._thresholds)
        return np.where(said == (truth == 1), 1.0, 1 - sure)

    def _open(self, outputs: Array, promise: LabelsPromise) -> NDArray[np.bool_]:
        """Whether a label's other answer cannot be left out (n, labels); so of one of which nothing is promised."""
        _, sure = yes_no.say(self.probabilities(outputs), self._thresholds)
        return np.asarray(1 - sure >= [promise.at_least.get(name, 0.0) for name in self.names])

    def _measure_promise(self, labels: Labels, outputs: Array) -> Numbers:
        """`coverage` and `not_sure`, means over the labels of which something is promised; both by label, too."""
        promise, truth = self.state.promise, self.encode(labels)
        if promise is None:
            return conformal.describe(self.coverage, None)
        covered = self._plausible(outputs, truth) >= [promise.at_least.get(name, 0.0) for name in self.names]
        open_, known, by_label = self._open(outputs, promise), ~np.isnan(truth), {}
        for index, name in enumerate(self.names):
            rows = known[:, index]
            if name in promise.at_least and rows.any():
                numbers = {"coverage": float(covered[rows, index].mean()), "not_sure": float(open_[rows, index].mean())}
                by_label[name] = numbers
        if not by_label:
            return conformal.describe(self.coverage, promise)
        means = {key: float(np.mean([row[key] for row in by_label.values()])) for key in ("coverage", "not_sure")}
        return conformal.describe(self.coverage, promise) | means | {"promised_labels": by_label}

    def evidence(self, outputs: Array, label: str | None) -> Array:
        return yes_no.yes_log_odds(self.probabilities(outputs)[:, self.names.index(label or "")], True)

    def show_label(self, label: str) -> str:
        return label.replace("|", ", ")

    def decisions(self, labels: Labels, outputs: Array) -> tuple[Array, Array]:
        """A decision a label."""
        said, sure = yes_no.say(self.probabilities(outputs), self._thresholds)
        truth = self.encode(labels)
        return sure, np.where(np.isnan(truth), np.nan, (truth == 1) == said)

    def baseline_outputs(self) -> Array:
        """1 for a label that is yes in half or more of the rows where it is known, else 0."""
        counts, known = self.counts, self.state.known
        return np.array([float(2 * counts.get(name, 0) >= known.get(name, 0)) for name in self.names])

    def distribution(self, labels: Labels) -> dict[str, int]:
        words = "|".join(self.regroup(labels)).split("|")
        found = Counter(word for word in words if word and not word.startswith("?"))
        return {name: found[name] for name in (self.names or sorted(found)) if found[name]}

    def _measure(self, labels: Labels, outputs: Array) -> Numbers:
        """As `metrics.measure_labels`; which labels are rare, and the published accuracies."""
        found = measure_labels(self.encode(labels), self.probabilities(outputs), self.names, self._thresholds)
        published = self.published.place_beside(found["per_label"]) if self.published else {}
        return found | self._rare_labels.describe(self.state.rare_counts) | published
