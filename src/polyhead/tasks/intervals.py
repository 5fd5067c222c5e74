"""The interval around a number that is answered as an expectation over bins: what is learnt of it, how good it is.

It holds the share WITHIN of the answer's distribution, as much below it as above it. The distribution is what the
network learnt; how far it is wider or narrower than the truth, the validation split says, by one factor for all
intervals. (Romano, Patterson, Candès: Conformalized Quantile Regression, 2019, arXiv:1905.03222, adds a constant in the
label's unit; a factor leaves sure answers sure.)
"""

from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from polyhead.tasks.fitted import CalibratedOn
from polyhead.tasks.metrics import Array, Numbers

WITHIN = 0.8
QUANTILES = ((1 - WITHIN) / 2, (1 + WITHIN) / 2)
WIDEST = 1000.0  # times the interval that was learnt
FEWEST = 20  # validation labels, below which their quantile says too little
TINY = 1e-9


class LearntBins(BaseModel):
    """What training and validation found of a number's bins.

    Attributes:
        low, high: the first and the last bin's middle: the training labels' smallest and largest.
        usual: between which numbers the share WITHIN of the training labels lies.
        stretch: what half an interval is multiplied by, as the validation split has shown.
        calibrated_on: labelled validation images; 0 where nothing was calibrated.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    low: float
    high: float
    usual: tuple[float, float]
    stretch: Annotated[float, Field(ge=0, le=WIDEST)] = 1.0
    calibrated_on: CalibratedOn = 0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.low < self.high or not self.usual[0] <= self.usual[1]:
            raise ValueError("expected the lower number first")
        return self

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Self:
        """What the training labels (n,) teach."""
        low, high = float(values.min()), float(values.max())
        first, last = np.quantile(values, QUANTILES)
        return cls(low=low, high=high if high > low else low + 1, usual=(float(first), float(last)))

    def intervals(self, outputs: Array) -> NDArray[np.float64]:
        """The intervals (n, 2) of outputs (n, 3): the number, and between which two it was learnt to lie."""
        numbers = outputs[:, :1].astype(float)
        ends: NDArray[np.float64] = numbers + self.stretch * _widths(outputs) * [-1, 1]
        return ends

    def calibrate(self, truth: NDArray[np.float64], outputs: Array) -> Self:
        """A copy whose intervals hold the share WITHIN of the labels (n,), as far as a factor can make them.

        Unchanged where labels are too few, or outputs are not finite.
        """
        plain = self.uncalibrated()
        if len(truth) < FEWEST or not np.isfinite(outputs).all():
            return plain
        stretch = min(float(np.quantile(reach(truth, outputs), WITHIN)), WIDEST)
        return plain.model_copy(update={"stretch": stretch, "calibrated_on": len(truth)})

    def uncalibrated(self) -> Self:
        """A copy that knows nothing of the validation split."""
        return self.model_copy(update={"stretch": 1.0, "calibrated_on": 0})


def measure_intervals(truth: NDArray[np.float64], intervals: NDArray[np.float64]) -> Numbers:
    """The fraction of the labels (n,) that lie in their intervals (n, 2), and the mean width of these."""
    inside = (intervals[:, 0] <= truth) & (truth <= intervals[:, 1])
    return {
        "interval_coverage": float(inside.mean()),
        "interval_width": float((intervals[:, 1] - intervals[:, 0]).mean()),
    }


def _widths(outputs: Array) -> NDArray[np.float64]:
    """How far intervals reach below and above their numbers (n, 2)."""
    below, above = outputs[:, 0] - outputs[:, 1], outputs[:, 2] - outputs[:, 0]
    return np.asarray(np.maximum(np.stack([below, above], axis=1).astype(float), 0))


def widths(outputs: Array) -> NDArray[np.float64]:
    """The same, and never 0."""
    return np.maximum(_widths(outputs), TINY)


def reach(truth: NDArray[np.float64], outputs: Array) -> NDArray[np.float64]:
    """How many times its width an interval has to reach to hold the truth (n,), by outputs (n, 3)."""
    errors, sizes = truth - outputs[:, 0].astype(float), widths(outputs)
    return np.asarray(np.where(errors < 0, -errors / sizes[:, 0], errors / sizes[:, 1]))
