"""A number."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from polyhead.errors import PolyheadError, list_words, shorten
from polyhead.fields import DottedPath
from polyhead.tasks import conformal, metrics
from polyhead.tasks.answers import RegressionAnswer
from polyhead.tasks.conformal import NumberPromise
from polyhead.tasks.fitted import Counts, Fitted
from polyhead.tasks.intervals import LearntBins, measure_intervals, reach, widths
from polyhead.tasks.label_text import fraction_of_rows, read_cell, values_from_column
from polyhead.tasks.metrics import Array, Labels, Numbers
from polyhead.tasks.task import Task

LARGEST = float(np.finfo(np.float32).max)  # of a label: networks learn, and model files answer, 32-bit floats
MOST_EDGES = 1000
MOST_BINS = 1000
Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]


def _check_factor(factor: float) -> float:
    if not factor:
        raise ValueError("expected another number than 0")
    return factor


def _check_edges(edges: list[float]) -> list[float]:
    if sorted(edges) != edges or len(edges) > MOST_EDGES:
        raise ValueError(f"expected numbers in ascending order, {MOST_EDGES:,} at most")
    return edges


class FittedRegression(Fitted):
    """What training found: label = network output x factor + offset; the median; the edges between ranges; the bins."""

    counts: Counts = Field(default={})
    factor: Annotated[float, AfterValidator(_check_factor)] = 1.0
    offset: float = 0.0
    median: float = 0.0
    edges: Annotated[list[float], AfterValidator(_check_edges)] = Field(default=[])
    learnt_bins: LearntBins | None = None
    promise: NumberPromise | None = None


class Regression(Task, frozen=True):
    """A number. It comes without a probability, and so is never unsure."""

    numeric: ClassVar[bool] = True

    kind: Literal["regression"] = "regression"
    unit: str = Field(default="", description="The unit that answers and errors are given in, such as `years`.")
    scale: Literal["standard", "max", "none"] = Field(
        default="standard",
        description="What the network learns: the label less its mean, over its standard deviation; the label over its "
        "maximum; or the label itself. Mean, deviation and maximum are the training split's.",
    )
    loss: Literal["mse", "mae", "huber"] | DottedPath = Field(
        default="mse",
        description="The loss, over the scaled label; or a function of your own, `package.module:function`: see "
        "[own parts](own_parts.md).",
    )
    bins: int | None = Field(
        default=None,
        ge=2,
        le=MOST_BINS,
        description="Answer by probabilities of so many bins, evenly spaced from the smallest training label to the "
        "largest, such as 50: the number is their expectation (Rothe, Timofte, Van Gool 2015), and the answer has an "
        "80 % interval. A bin's target falls off as a Gaussian around the label, one bin wide (Gao et al. 2017); its "
        "cross-entropy is added to `loss`, which is then of the expectation (Gao et al. 2018). If absent, the network "
        "gives the number itself.",
    )
    minimum: Number | None = Field(
        default=None, description="A label below it is no label; an answer is never below it."
    )
    maximum: Number | None = Field(
        default=None, description="A label above it is no label; an answer is never above it."
    )
    ranges: list[Number] = Field(
        default=[],
        max_length=1000,
        description="Edges between the ranges to report apart, such as [10, 20, 40]; quintiles if absent.",
    )
    coverage: conformal.Coverage = None
    fitted: SkipJsonSchema[FittedRegression | None] = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.fitted and (self.fitted.learnt_bins is None) != (self.bins is None):
            raise ValueError("learnt_bins: are there where `bins` is, and nowhere else")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum is {self.minimum:g}, but maximum is {self.maximum:g}; change one of them")
        if any(low >= high for low, high in pairwise(self.ranges)):
            raise ValueError(
                f"ranges: expected edges that ascend, such as [10, 20, 40]; got {list_words(map(str, self.ranges))}"
            )
        return self

    @property
    def state(self) -> FittedRegression:
        return self.fitted or FittedRegression.model_construct(edges=self.ranges)

    @property
    def counts(self) -> dict[str, int]:
        return self.state.counts

    @property
    def answer_type(self) -> type[RegressionAnswer]:
        return RegressionAnswer

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    @property
    def declared_labels(self) -> dict[str, list[str]]:
        return {}

    @property
    def width(self) -> int:
        return 3 if self.bins else 1  # the number, and the ends of its interval

    @property
    def error_unit(self) -> str:
        return self.unit

    @property
    def needs_validation(self) -> tuple[str, ...]:
        return conformal.needs_validation(self.coverage)

    @property
    def published_labels(self) -> tuple[str, ...]:
        return ()

    def columns(self, name: str) -> list[str]:
        return [self.column or name]

    @property
    def cell_separator(self) -> str:
        return "|"

    def complete_from_source(self, name: str, texts: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """What the texts of its column mean, where the recipe does not say: the numbers that they are."""
        (column,) = self.columns(name)
        found = texts.get(column, ())
        return {} if self.values or not found else {"values": values_from_column(column, found, ())}

    def recognize(self, texts: Mapping[str, int]) -> tuple[float, dict[str, Any]]:
        """See `Task.recognize`: a row is read where it holds a number that may be a label."""
        readable = set()
        for text in texts:
            with suppress(ValueError):
                self._check_number(text)
                readable.add(text)
        return fraction_of_rows(texts, readable), {"values": {}}

    def read(self, *cells: str) -> str:
        text = read_cell(cells[0], self.blank, self.values)
        if text:
            self._check_number(text)
        return text

    def _check_number(self, text: str) -> None:
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

    def _fit(self, name: str, known: Labels) -> FittedRegression:
        values = np.array(known, float)
        offset, factor = 0.0, 1.0
        if self.scale == "standard":
            offset, factor = float(values.mean()), float(values.std()) or 1.0
        elif self.scale == "max":
            factor = float(values.max())
            if factor <= 0:
                raise PolyheadError(f"tasks.{name}.scale: max needs a label above 0; the largest is {factor:g}")
        edges = self.ranges or sorted({float(f"{edge:.3g}") for edge in np.quantile(values, (0.2, 0.4, 0.6, 0.8))})
        counts = _count_ranges(known, edges)
        found = {"factor": factor, "offset": offset, "median": float(np.median(values)), "edges": edges}
        return FittedRegression(**found, counts=counts, learnt_bins=LearntBins.of(values) if self.bins else None)

    def calibrate(self, labels: Labels, outputs: Array) -> Self:
        """See `Task.calibrate`: how wide its intervals must be."""
        plain, truth = self.uncalibrated(), self.encode(labels)[:, 0].astype(float)
        truth, seen = truth[~np.isnan(truth)], outputs[~np.isnan(truth)]
        bins = plain.state.learnt_bins
        if self.coverage is not None and np.isfinite(seen).all():
            plain = plain.refitted(promise=self._find_promise(truth, seen, self.coverage))
        return plain if bins is None else plain.refitted(learnt_bins=bins.calibrate(truth, seen))

    def _find_promise(self, truth: NDArray[np.float64], outputs: Array, coverage: float) -> NumberPromise | None:
        if not self.bins:
            return NumberPromise.find(outputs[:, 0].astype(float), truth, coverage)
        factor = conformal.find_quantile(reach(truth, outputs), coverage)
        if factor is None:
            return None
        return NumberPromise(coverage=coverage, calibrated_on=len(truth), factor=min(factor, conformal.LARGEST))

    def uncalibrated(self) -> Self:
        bins = self.state.learnt_bins
        plain = self if self.state.promise is None else self.refitted(promise=None)
        return plain if bins is None else plain.refitted(learnt_bins=bins.uncalibrated())

    def regroup(self, labels: Labels) -> list[str]:
        return list(labels)

    def encode(self, labels: Labels) -> NDArray[np.float32]:
        """Targets (n, 1) in the label's own unit."""
        return np.array([[float(label) if label else np.nan] for label in labels], np.float32).reshape(-1, 1)

    def strata(self, labels: Labels) -> NDArray[np.float32]:
        """The range that each label lies in."""
        numbers = self.encode(labels)
        return np.where(np.isnan(numbers), numbers, np.digitize(numbers, self.state.edges)).astype(np.float32)

    def probabilities(self, outputs: Array) -> Array:
        """None: (n, 0)."""
        return outputs[:, :0]

    def decode(self, outputs: Array) -> list[RegressionAnswer]:
        """The number, in the label's unit; with bins, its interval too."""
        numbers = outputs[:, 0].astype(float).tolist()
        if self.state.learnt_bins is None and self.state.promise is None:
            return [RegressionAnswer(number, self.unit) for number in numbers]
        ends = self.intervals(outputs).tolist()
        return [
            RegressionAnswer(number, self.unit, interval=(low, high))
            for number, (low, high) in zip(numbers, ends, strict=True)
        ]

    def intervals(self, outputs: Array) -> NDArray[np.float64]:
        """The intervals (n, 2), promised or of bins, within its minimum and maximum: empty (n, 0) without either."""
        promise, bins, numbers = self.state.promise, self.state.learnt_bins, outputs[:, :1].astype(float)
        low = -LARGEST if self.minimum is None else self.minimum
        high = LARGEST if self.maximum is None else self.maximum
        if promise is not None:
            scale = promise.scale(numbers) if bins is None else widths(outputs)
            return np.clip(numbers + promise.factor * scale * [-1, 1], low, high)
        return numbers[:, :0] if bins is None else np.clip(bins.intervals(outputs), low, high)

    def positions(self, values: Array) -> Array:
        """The number, from 0 at these numbers' 5th percentile (and below) to 1 at their 95th (and above)."""
        low, high = np.quantile(values, (0.05, 0.95)) if len(values) else (0, 0)
        return np.clip((values - low) / ((high - low) or 1), 0, 1)

    def evidence(self, outputs: Array, label: str | None) -> Array:
        return outputs[:, 0]

    def show_label(self, label: str) -> str:
        return f"{float(label):.3g} {self.unit}".strip()

    def baseline_outputs(self) -> Array:
        bins = self.state.learnt_bins
        if bins is None:
            return np.array([self.state.median])
        # A constant answer's interval is not stretched: it is that of the training labels as it stands.
        ends = (np.array(bins.usual) - self.state.median) / (bins.stretch or 1)
        return self.state.median + np.array([0, *ends])

    def _measure(self, labels: Labels, outputs: Array) -> Numbers:
        """As `metrics.measure_numbers` and, with bins, `measure_intervals`; the `unit`; `by_range`."""
        truth, answers = self.encode(labels)[:, 0].astype(float), outputs[:, 0].astype(float)
        found = metrics.measure_numbers(truth, answers)
        if self.state.learnt_bins is not None:
            found |= measure_intervals(truth, self.intervals(outputs))
        return found | {"unit": self.unit, "by_range": metrics.measure_ranges(truth, answers, self.state.edges)}

    def _measure_certainty(self, labels: Labels, outputs: Array) -> Numbers:
        """Where `coverage` is asked for: what is `promised`, and the `coverage` and mean `interval_width` found."""
        if self.state.promise is None:
            return conformal.describe(self.coverage, None)
        found = measure_intervals(self.encode(labels)[:, 0].astype(float), self.intervals(outputs))
        described = conformal.describe(self.coverage, self.state.promise)
        return described | {"coverage": found["interval_coverage"], "interval_width": found["interval_width"]}

    def decisions(self, labels: Labels, outputs: Array) -> None:
        return None

    def mistakes(self, labels: Labels, outputs: Array) -> Array:
        """The absolute errors."""
        return np.asarray(np.abs(outputs[:, 0].astype(float) - self.encode(labels)[:, 0]))

    def distribution(self, labels: Labels) -> dict[str, int]:
        """How many labels lie in each range."""
        return _count_ranges([label for label in labels if label], self.state.edges or self.ranges)


def _count_ranges(known: Labels, edges: Sequence[float]) -> dict[str, int]:
    """How many of the labels, none blank, lie in each range between inner edges; ranges without any are left out."""
    found = Counter(np.digitize([float(label) for label in known], edges).tolist())
    return {name: found[number] for number, name in enumerate(metrics.range_names(edges)) if found[number]}
