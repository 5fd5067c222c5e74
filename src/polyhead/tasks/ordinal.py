"""One level of several that stand in an order."""

from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field
from pydantic.json_schema import SkipJsonSchema

from polyhead.errors import PolyheadError, list_words
from polyhead.tasks import conformal
from polyhead.tasks.answers import LabelAnswer
from polyhead.tasks.calibration import MARGIN, lean_toward, log_probabilities, temper
from polyhead.tasks.fitted import LabelList
from polyhead.tasks.label_task import FittedOneLabel, OneLabel
from polyhead.tasks.label_text import TextList, natural_key
from polyhead.tasks.metrics import Array, Labels, Numbers


class OrdinalAnswer(LabelAnswer):
    """One level."""

    __slots__ = ()


def _check_levels(levels: list[str]) -> list[str]:
    if len(levels) < 2:
        raise ValueError("expected two or more")
    return levels


class FittedOrdinal(FittedOneLabel):
    """What training found: the levels, lowest first."""

    levels: Annotated[LabelList, AfterValidator(_check_levels)]


class Ordinal(OneLabel, frozen=True):
    """One level of several that stand in an order."""

    kind: Literal["ordinal"] = "ordinal"
    levels: TextList = Field(
        default=[], description="The levels, lowest first; those found, ascending, if they are numbers."
    )
    fitted: SkipJsonSchema[FittedOrdinal | None] = None

    @property
    def state(self) -> FittedOrdinal:
        return self.fitted or FittedOrdinal.model_construct(levels=list(self.names))

    @property
    def answer_type(self) -> type[OrdinalAnswer]:
        return OrdinalAnswer

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.fitted.levels if self.fitted else self.levels or dict.fromkeys(self.values.values()))

    @property
    def declared_labels(self) -> dict[str, list[str]]:
        return {"levels": self.levels}

    @property
    def width(self) -> int:
        return max(len(self.names), 1)

    @property
    def error_unit(self) -> str:
        return "levels"

    def _fit(self, name: str, known: Labels) -> FittedOrdinal:
        found = sorted(set(known), key=natural_key)
        if not self.names and any(natural_key(level)[0] for level in found):
            raise PolyheadError(f"tasks.{name}.levels: give the levels, lowest first; found {list_words(found)}")
        levels = list(self.names) or found
        if len(levels) < 2:
            raise PolyheadError(f"tasks.{name}.levels: two levels or more are needed; found {list_words(found)}")
        return FittedOrdinal(levels=levels, counts=self.distribution(known))

    def regroup(self, labels: Labels) -> list[str]:
        return list(labels)

    def probabilities(self, outputs: Array) -> Array:
        """The levels' probabilities, at the learnt temperature."""
        return temper(outputs, self.state.temperature)

    def choose(self, outputs: Array) -> NDArray[np.intp]:
        """The median of the levels' probabilities (n, levels): of the model's own, or a temperature could move it.

        As many steps up as have a probability above one half of being passed (CORN's rule).
        """
        passed = 1 - np.cumsum(outputs.astype(float), axis=1)[:, :-1]
        return np.asarray(np.sum(passed > 0.5, axis=1))

    def plausibilities(self, outputs: Array) -> Array:
        """So that a set holds every level between two of its own."""
        chosen = self.choose(outputs)
        return conformal.fill_between(conformal.place_answers_first(self.probabilities(outputs), chosen), chosen)

    def leanings(self, outputs: Array) -> Array:
        """The logarithm of each level's probability; of the answer no less than of any other."""
        found = log_probabilities(self.probabilities(outputs))
        np.put_along_axis(found, self.choose(outputs)[:, np.newaxis], found.max(axis=1, keepdims=True) + MARGIN, axis=1)
        return found

    def encode_answers(self, probabilities: Array, answers: NDArray[np.bool_]) -> NDArray[np.float32]:
        levels = temper(probabilities, 1 / self.state.temperature)
        chosen = answers.argmax(axis=1)[:, np.newaxis]
        reached = np.where(np.arange(levels.shape[1]) >= chosen, levels, 0).sum(axis=1)
        passed = np.where(np.arange(levels.shape[1]) > chosen, levels, 0).sum(axis=1)
        # Its median is the level that more than half reach, and no more than half pass.
        up = (0.5 + MARGIN - reached) / np.maximum(1 - reached, MARGIN)
        down = 1 - (0.5 - MARGIN) / np.maximum(passed, MARGIN)
        return np.asarray(lean_toward(levels, answers, np.maximum(up, down)), np.float32)

    def alternatives(self, labels: Labels, outputs: Array) -> tuple[Array, NDArray[np.integer]]:
        return self._known_rows(labels, outputs)

    @property
    def chosen_thresholds(self) -> tuple[str, ...]:
        return ()

    def choose_thresholds(self, labels: Labels, outputs: Array) -> Self:
        return self

    def positions(self, values: Array) -> Array:
        """The expected level, from 0 at the lowest to 1 at the highest (n, 1)."""
        return np.asarray(values @ np.linspace(0, 1, len(self.names))[:, np.newaxis])

    def evidence(self, outputs: Array, label: str | None) -> Array:
        return self._log_odds(outputs, label)

    def baseline_outputs(self) -> Array:
        return self._most_frequent()

    def _measure(self, labels: Labels, outputs: Array) -> Numbers:
        """As `metrics.measure_classes`, and `mae` in levels; None where training saw none of the labels."""
        errors = np.abs(self.choose(outputs) - self.encode(labels)[:, 0])
        errors = errors[~np.isnan(errors)]
        found = self._measure_classes(labels, outputs)
        return found | {"mae": float(errors.mean()) if len(errors) else None} | self._note_unlearnt(labels)
