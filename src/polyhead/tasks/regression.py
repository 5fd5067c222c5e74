"""Tasks whose answer is a number."""

import math
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from polyhead.errors import PolyheadError, shorten
from polyhead.fields import DottedPath
from polyhead.tasks import metrics
from polyhead.tasks.metrics import Numbers
from polyhead.tasks.task import Answer, Array, Labels, Task, one_of

LARGEST = float(np.finfo(np.float32).max)  # of a label: networks learn, and model files answer, 32-bit floats

Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]

MOST_EDGES = 1000


class Regression(Task):
    """A number. It comes without a probability, and so is never unsure."""

    LEARNT: ClassVar[tuple[str, ...]] = ("counts", "factor", "offset", "median", "edges")
    IN_JOINT: ClassVar[bool] = False

    kind: Literal["regression"] = "regression"
    unit: str = Field("", description="The unit that answers and errors are given in, such as `years`.")
    scale: Literal["standard", "max", "none"] = Field(
        "standard",
        description="What the network learns: the label less its mean, over its standard deviation; the label over its "
        "maximum; or the label itself. Mean, deviation and maximum are the training split's.",
    )
    loss: Literal["mse", "mae", "huber"] | DottedPath = Field(
        "mse",
        description="The loss, over the scaled label; or a function of your own, `package.module:function`: see "
        "[own parts](own_parts.md).",
    )
    minimum: Number | None = Field(None, description="A label below it is no label; an answer is never below it.")
    maximum: Number | None = Field(None, description="A label above it is no label; an answer is never above it.")
    ranges: list[Number] = Field(
        [],
        max_length=1000,
        description="Edges between the ranges to report apart, such as [10, 20, 40]; quintiles if absent.",
    )
    factor: SkipJsonSchema[float] = Field(1.0, description="Learnt: label = network output x factor + offset.")
    offset: SkipJsonSchema[float] = Field(0.0, description="Learnt: see factor.")
    median: SkipJsonSchema[float] = Field(
        0.0, description="Learnt: the training split's median, the answer of the baseline."
    )
    edges: SkipJsonSchema[list[float]] = Field([], description="Learnt: `ranges`, or the training split's quintiles.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum is {self.minimum:g}, but maximum is {self.maximum:g}; change one of them")
        if any(low >= high for low, high in pairwise(self.ranges)):
            raise ValueError(
                f"ranges: expected edges that ascend, such as [10, 20, 40]; got {one_of(map(str, self.ranges))}"
            )
        return self

    def check_learnt(self) -> None:
        super().check_learnt()
        if not self.factor:
            raise ValueError("factor: expected another number than 0")
        if sorted(self.edges) != self.edges or len(self.edges) > MOST_EDGES:
            raise ValueError(f"edges: expected numbers in ascending order, {MOST_EDGES:,} at most")

    def recognize(self, texts: Mapping[str, int]) -> tuple[float, dict[str, Any]]:
        """See `Task.recognize`: a row is read where it holds a number that may be a label."""
        right = 0
        for text, rows in texts.items():
            with suppress(ValueError):
                right += rows * bool(self._check(text))
        return right / max(sum(texts.values()), 1), {"values": {}}

    def _check(self, text: str) -> str:
        try:
            number = float(text)
        except ValueError:
            raise ValueError(f"expected a number; got {shorten(text, 60)!r}") from None
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        if not max(low, -LARGEST) <= number <= min(high, LARGEST):
            if low <= number <= high and math.isfinite(number):
                raise ValueError(
                    f"expected a number that 32 bits can hold, {LARGEST:.1e} at most; got {shorten(text, 60)}"
                )
            raise ValueError(f"expected a number from {low:g} to {high:g}; got {shorten(text, 60)}")
        return text

    def _learn(self, name: str, known: Labels) -> dict[str, Any]:
        values = np.array(known, float)
        offset, factor = 0.0, 1.0
        if self.scale == "standard":
            offset, factor = float(values.mean()), float(values.std()) or 1.0
        elif self.scale == "max":
            factor = float(values.max())
            if factor <= 0:
                raise PolyheadError(f"tasks.{name}.scale: max needs a label above 0; the largest is {factor:g}")
        edges = self.ranges or sorted({float(f"{edge:.3g}") for edge in np.quantile(values, (0.2, 0.4, 0.6, 0.8))})
        learnt = {"factor": factor, "offset": offset, "median": float(np.median(values)), "edges": edges}
        return learnt | {"counts": self.model_copy(update={"edges": edges}).distribution(known)}

    def encode(self, labels: Labels) -> NDArray[np.float32]:
        """Targets (n, 1) in the label's own unit."""
        return np.array([[float(label) if label else np.nan] for label in labels], np.float32).reshape(-1, 1)

    def strata(self, labels: Labels) -> NDArray[np.float32]:
        """The range that each label lies in."""
        numbers = self.encode(labels)
        return np.where(np.isnan(numbers), numbers, np.digitize(numbers, self.edges)).astype(np.float32)

    def positions(self, shares: Array) -> Array:
        """The number, from 0 at these numbers' 5th percentile (and below) to 1 at their 95th (and above)."""
        low, high = np.quantile(shares, (0.05, 0.95)) if len(shares) else (0, 0)
        return np.clip((shares - low) / ((high - low) or 1), 0, 1)

    def decode(self, outputs: Array) -> list[Answer]:
        """The number, in the label's unit."""
        return [{"answer": float(number), "unit": self.unit, "unsure": False} for number in outputs[:, 0].astype(float)]

    def main_label(self, answer: Answer) -> None:
        return None

    def support(self, outputs: Array, label: str | None) -> Array:
        return outputs[:, 0]

    def constant(self) -> Array:
        return np.array([self.median])

    def _measure(self, labels: Labels, outputs: Array) -> Numbers:
        truth, answers = self.encode(labels)[:, 0].astype(float), outputs[:, 0].astype(float)
        found = metrics.measure_numbers(truth, answers)
        return found | {"unit": self.unit, "by_range": metrics.measure_ranges(truth, answers, self.edges)}

    def mistakes(self, labels: Labels, outputs: Array) -> Array:
        sizes: Array = np.abs(outputs[:, 0].astype(float) - self.encode(labels)[:, 0])
        return sizes

    def distribution(self, labels: Labels) -> dict[str, int]:
        names = metrics.range_names(self.edges or self.ranges)
        places = Counter(np.digitize([float(label) for label in labels if label], self.edges or self.ranges).tolist())
        return {name: places[place] for place, name in enumerate(names) if places[place]}

    def numbers(self, labels: Labels) -> Array | None:
        return np.array([float(label) for label in labels if label])

    def show(self, answer: Any) -> str:
        return f"{float(answer):.3g} {self.unit}".strip()
