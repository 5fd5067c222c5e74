"""Tasks whose answer is any number of labels at once."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from polyhead.errors import PolyheadError, shorten
from polyhead.fields import DottedPath
from polyhead.tasks import metrics
from polyhead.tasks.calibrated import YesNo
from polyhead.tasks.labelled import OTHER, Labelled, RareLabels, weigh_labels
from polyhead.tasks.metrics import Numbers
from polyhead.tasks.published import Published
from polyhead.tasks.task import Answer, Array, Labels, natural_key

YES = frozenset({"1", "1.0", "yes", "true", "y", "t"})
NO = frozenset({"0", "0.0", "-1", "no", "false", "n", "f"})


class MultiLabel(RareLabels, YesNo):
    """Any number of labels at once, each yes or no.

    A label text is `a|b` (yes to both, no to the others), `none`, or blank; `a|?c` leaves c alone unknown.
    """

    LEARNT: ClassVar[tuple[str, ...]] = (*YesNo.LEARNT, "known", "rare_counts")
    IN_JOINT: ClassVar[bool] = False
    LABELS: ClassVar[str] = "labels"
    FEWEST: ClassVar[int] = 1
    NONE: ClassVar[str] = "none"
    USED_WITH: ClassVar[dict[str, tuple[str, str]]] = Labelled.USED_WITH | dict.fromkeys(
        ("focusing_yes", "focusing_no", "margin"), ("loss", "asymmetric")
    )

    kind: Literal["multilabel"] = "multilabel"
    loss: Literal["cross_entropy", "focal", "asymmetric", "cosine"] | DottedPath = Field(
        "cross_entropy",
        description="`cross_entropy` of each label; `focal`, times (1 - probability)^focusing (Lin et al. 2017); "
        "`asymmetric`, focal with an exponent for yes and another for no, and nothing for a no whose probability of "
        "yes is below `margin` (Ridnik et al. 2021); `cosine`, 1 less the cosine similarity between a row's known "
        "labels and their probabilities, which learns as cosine proximity (its negative) does; or a function of your "
        "own, `package.module:function`: see [own parts](own_parts.md).",
    )
    focusing_yes: float = Field(0.0, ge=0, description="With `loss: asymmetric`, the exponent where a label is yes.")
    focusing_no: float = Field(4.0, ge=0, description="With `loss: asymmetric`, the exponent where a label is no.")
    margin: float = Field(
        0.05, ge=0, lt=1, description="With `loss: asymmetric`, what is taken off the probability where a label is no."
    )
    labels: list[str] = Field([], description="The labels, in order; those of the training split, sorted, if absent.")
    separator: str = Field("|", min_length=1, description="What stands between the labels of one cell.")
    from_columns: list[str] = Field(
        [], description="Columns that hold one label each, named after it, as 1/0, 1/-1 or yes/no; instead of `column`."
    )
    published: Published | None = Field(None, description="Published figures, to stand beside those of the model.")
    known: SkipJsonSchema[dict[str, int]] = Field(
        {}, description="Learnt: training rows in which each label is known, yes or no."
    )

    @model_validator(mode="after")
    def _plain_labels(self) -> Self:
        for label in self.names:
            if not label or "|" in label or label.startswith("?") or label == self.NONE:
                raise ValueError(
                    f"a label may not be empty or `none`, hold `|` or begin with `?`; got {shorten(label, 60)!r}"
                )
        if self.class_weight != "none" and self.loss == "cosine":
            raise ValueError("class_weight has no effect with `loss: cosine`, which sees a row as a whole; take it out")
        if not self.counts and self.labels and self.from_columns and set(self.labels) != set(self.from_columns):
            raise ValueError("labels and from_columns differ; leave `labels` out")
        return self

    def check_learnt(self) -> None:
        super().check_learnt()
        for key in ("counts", "known"):
            if others := sorted(set(getattr(self, key)) - set(self.labels)):
                raise ValueError(f"{key}: {others[0]!r} is not among the labels")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.labels or self.from_columns)

    @property
    def compared(self) -> tuple[str, ...]:
        return tuple(self.published.accuracy) if self.published else ()

    def columns(self, name: str) -> list[str]:
        return self.from_columns or super().columns(name)

    def settle(self, name: str, texts: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Its columns: those of the labels that it declares, or all."""
        return {} if self.column or self.from_columns else {"from_columns": self.labels or list(texts)}

    def recognize(self, texts: Mapping[str, int]) -> tuple[float, dict[str, Any]]:
        """See `Task.recognize`: a row is read where each of its words is one of the labels."""
        right = 0
        for text, rows in texts.items():
            words = [] if text == self.NONE else [word.strip().lstrip("?") for word in text.split(self.separator)]
            right += rows * all(self.values.get(word, word) in self.names for word in words)
        return right / max(sum(texts.values()), 1), {"from_columns": []}

    def read(self, *cells: str) -> str:
        if self.from_columns:
            return self._read_columns(cells)
        text = cells[0].strip()
        if text in ("", *self.blank):
            return ""
        words = [] if text == self.NONE else [word.strip() for word in text.split(self.separator) if word.strip()]
        for word in words:
            label = self._check(self.values.get(word.lstrip("?"), word.lstrip("?")))
            if "|" in label or label == self.NONE:
                raise ValueError(f"a label may not hold `|` or be `none`; got {shorten(label, 60)!r}")
        return self._write({self.values.get(w.lstrip("?"), w.lstrip("?")): not w.startswith("?") for w in words})

    def _read_columns(self, cells: Labels) -> str:
        states: dict[str, bool] = {}
        for label, cell in zip(self.from_columns, cells, strict=True):
            word = cell.strip().lower()
            if word in YES or cell.strip() in ("", *self.blank):
                states[label] = word in YES
            elif word not in NO:
                raise ValueError(f"expected 1, 0, yes or no in column {label}; got {shorten(cell, 60)!r}")
        unknown = len(states) == len(self.from_columns) and not any(states.values())
        return "" if unknown else self._write(states)

    def _write(self, states: dict[str, bool]) -> str:
        order = [label for label in self.names if label in states] or sorted(states)
        return "|".join(label if states[label] else f"?{label}" for label in order) or self.NONE

    def _learn(self, name: str, known: Labels) -> dict[str, Any]:
        found = {word.lstrip("?") for text in known for word in text.split("|")} - {self.NONE}
        labels = list(self.names) or sorted(found, key=natural_key)
        if not labels:
            raise PolyheadError(f"tasks.{name}: no row of the training split has any label but none; declare `labels`")
        learnt = self.model_copy(update={"labels": labels})
        kept, rare = self._set_aside(name, learnt._count(known)["counts"])
        learnt = self.model_copy(update={"labels": kept, "rare_counts": rare, "counts": dict.fromkeys(kept, 0)})
        return {"labels": kept, "rare_counts": rare} | learnt._count(known)

    def _count(self, known: Labels) -> dict[str, dict[str, int]]:
        """How many rows say yes to each label, and how many say anything of it."""
        rows = self.encode(known)
        found = {"counts": np.nansum(rows, axis=0), "known": (~np.isnan(rows)).sum(axis=0)}
        return {key: dict(zip(self.names, of.astype(int).tolist(), strict=True)) for key, of in found.items()}

    def class_weights(self) -> Array:
        """How much each label counts in the loss (2, labels): where it is no, and where it is yes."""
        rows = [(self.known[name] - self.counts[name], self.counts[name]) for name in self.names]
        return np.array([weigh_labels(pair, self.class_weight, self.beta) for pair in rows]).T

    def _regroup(self, label: str) -> str:
        own = set(self.names) - ({OTHER} if self.rare == "other" else set())
        words = label.split("|")
        kept = [word for word in words if word.lstrip("?") in own]
        others = set(words) - {*kept, self.NONE}
        if self.rare == "other" and others:  # yes where one of them is, unknown where that cannot be told
            kept.append(OTHER if any(not word.startswith("?") for word in others) else f"?{OTHER}")
        return "|".join(kept) or self.NONE

    def encode(self, labels: Labels) -> NDArray[np.float32]:
        """Targets (n, labels): 1 yes, 0 no, NaN unknown."""
        targets = np.zeros((len(labels), len(self.names)), np.float32)
        places = {label: place for place, label in enumerate(self.names)}
        for row, text in enumerate(self.regroup(labels)):
            if not text:
                targets[row] = np.nan
            for word in text.split("|") if text else ():
                if word.lstrip("?") in places:
                    targets[row, places[word.lstrip("?")]] = np.nan if word.startswith("?") else 1
        return targets

    def shares(self, outputs: Array) -> Array:
        """The probability of a yes for each label, at the learnt temperature."""
        return self._temper(outputs)

    def positions(self, shares: Array) -> Array:
        """The shares themselves: each label is a question of its own."""
        return shares

    def decode(self, outputs: Array) -> list[Answer]:
        """Every label from its threshold on; the answer's own probability is that of its least certain label."""
        scores = self.shares(outputs)
        said, certainty = self._say(scores)
        return [
            {
                "answer": [name for name, yes in zip(self.names, row, strict=True) if yes],
                "probability": float(least),
                "unsure": bool(least < self.unsure_below),
                "probabilities": {name: float(p) for name, p in zip(self.names, numbers, strict=True)},
            }
            for row, least, numbers in zip(said, certainty.min(axis=1), scores, strict=True)
        ]

    def main_label(self, answer: Answer) -> str:
        """The likeliest of those answered, or of all."""
        labels: Sequence[str] = answer["answer"] or self.names
        return max(labels, key=lambda label: answer["probabilities"][label])

    def _say(self, scores: Array) -> tuple[NDArray[np.bool_], Array]:
        """To which labels the probabilities (n, labels) say yes, and the probability of what is said."""
        said = scores >= self._cuts()
        return said, np.where(said, scores, 1 - scores)

    def decisions(self, labels: Labels, outputs: Array) -> tuple[Array, Array]:
        """A decision a label."""
        said, certainty = self._say(self._temper(outputs))
        truth = self.encode(labels)
        return certainty, np.where(np.isnan(truth), np.nan, (truth == 1) == said)

    def constant(self) -> Array:
        return np.array([float(2 * self.counts.get(name, 0) >= self.known.get(name, 0)) for name in self.names])

    def _measure(self, labels: Labels, outputs: Array) -> Numbers:
        found = metrics.measure_labels(self.encode(labels), self._temper(outputs), self.names, self._cuts())
        return found | self._note_rare() | self._note_published(found["per_label"])

    def _note_published(self, per_label: Numbers) -> Numbers:
        """Put the published accuracies beside those of the labels; their mean is over the labels that have one."""
        if not self.published:
            return {}
        shares = {name: self.published.accuracy[name] for name in self.names if name in self.published.accuracy}
        for name, share in shares.items():
            per_label[name]["published"] = share
        mean = float(np.mean(list(shares.values()))) if shares else None
        return {"published": {"column": self.published.column, "accuracy": mean}}

    def distribution(self, labels: Labels) -> dict[str, int]:
        texts = [text for text in self.regroup(labels) if text]
        found = Counter(word for text in texts for word in text.split("|") if not word.startswith("?"))
        return {name: found[name] for name in (self.names or sorted(found)) if found[name]}

    def show(self, answer: Any) -> str:
        return ", ".join(answer) or self.NONE if isinstance(answer, list) else str(answer).replace("|", ", ")
