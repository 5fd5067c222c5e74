"""Tasks whose answer is any number of labels at once."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from polyhead import measures
from polyhead.errors import PolyheadError
from polyhead.measures import Numbers
from polyhead.tasks.calibrated import YesNo
from polyhead.tasks.task import Answer, Array, Labels, natural_key

YES = frozenset({"1", "1.0", "yes", "true", "y", "t"})
NO = frozenset({"0", "0.0", "-1", "no", "false", "n", "f"})


class MultiLabel(YesNo):
    """Any number of labels at once, each yes or no.

    A label text is `a|b` (yes to both, no to the others), `none`, or blank; `a|?c` leaves c alone unknown.
    """

    LEARNT: ClassVar[tuple[str, ...]] = (*YesNo.LEARNT, "known")
    IN_JOINT: ClassVar[bool] = False
    NONE: ClassVar[str] = "none"

    kind: Literal["multilabel"] = "multilabel"
    labels: list[str] = Field([], description="The labels, in order; those of the training split, sorted, if absent.")
    separator: str = Field("|", min_length=1, description="What stands between the labels of one cell.")
    from_columns: list[str] = Field(
        [], description="Columns that hold one label each, named after it, as 1/0, 1/-1 or yes/no; instead of `column`."
    )
    known: SkipJsonSchema[dict[str, int]] = Field(
        {}, description="Learnt: training rows in which each label is known, yes or no."
    )

    @model_validator(mode="after")
    def _plain_labels(self) -> Self:
        for label in self.names:
            if not label or "|" in label or label.startswith("?") or label == self.NONE:
                raise ValueError(f"a label may not be empty or `none`, hold `|` or begin with `?`; got {label!r}")
        if self.labels and self.from_columns and set(self.labels) != set(self.from_columns):
            raise ValueError("labels and from_columns differ; leave `labels` out")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.labels or self.from_columns)

    def columns(self, name: str) -> list[str]:
        return self.from_columns or super().columns(name)

    def settle(self, name: str, texts: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Its columns: those of the labels that it declares, or all."""
        return {} if self.column or self.from_columns else {"from_columns": self.labels or list(texts)}

    def read(self, *cells: str) -> str:
        if self.from_columns:
            return self._read_columns(cells)
        text = cells[0].strip()
        if text in ("", *self.blank):
            return ""
        words = [] if text == self.NONE else [word.strip() for word in text.split(self.separator) if word.strip()]
        for word in words:
            self._check(self.values.get(word.lstrip("?"), word.lstrip("?")))
        return self._write({self.values.get(w.lstrip("?"), w.lstrip("?")): not w.startswith("?") for w in words})

    def _read_columns(self, cells: Labels) -> str:
        states: dict[str, bool] = {}
        for label, cell in zip(self.from_columns, cells, strict=True):
            word = cell.strip().lower()
            if word in YES or cell.strip() in ("", *self.blank):
                states[label] = word in YES
            elif word not in NO:
                raise ValueError(f"expected 1, 0, yes or no in column {label}; got {cell!r}")
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
        rows = self.model_copy(update={"labels": labels}).encode(known)
        counts, seen = np.nansum(rows, axis=0), (~np.isnan(rows)).sum(axis=0)
        return {
            "labels": labels,
            "counts": dict(zip(labels, counts.astype(int).tolist(), strict=True)),
            "known": dict(zip(labels, seen.tolist(), strict=True)),
        }

    def encode(self, labels: Labels) -> NDArray[np.float32]:
        """Targets (n, labels): 1 yes, 0 no, NaN unknown."""
        targets = np.zeros((len(labels), len(self.names)), np.float32)
        places = {label: place for place, label in enumerate(self.names)}
        for row, text in enumerate(labels):
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
        return np.array([float(2 * self.counts[name] >= self.known[name]) for name in self.names])

    def _measure(self, labels: Labels, outputs: Array) -> Numbers:
        return measures.measure_labels(self.encode(labels), self._temper(outputs), self.names, self._cuts())

    def distribution(self, labels: Labels) -> dict[str, int]:
        found = Counter(word for text in labels if text for word in text.split("|") if not word.startswith("?"))
        return {name: found[name] for name in (self.names or sorted(found)) if found[name]}

    def show(self, answer: Any) -> str:
        return ", ".join(answer) or self.NONE if isinstance(answer, list) else str(answer).replace("|", ", ")
