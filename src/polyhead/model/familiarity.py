"""How unlike the training images an image is, by the model's `features`, in statistics that the model file keeps.

Training images differ from their mean in few directions: the leading principal components of their features, which are
kept. What is left of another image's features beyond those directions, as a share of their squared distance from the
mean, is its unfamiliarity, from 0 to 1. That is the residual of ViM (Wang, Li, Feng, Zhang 2022, arXiv:2203.10807),
divided by the length as Guan, Liu, Zheng, Zhou, Wang (2023, "Revisit PCA-based Technique for Out-of-Distribution
Detection") do. It asks for nothing but a mean and some directions, and knows no labels, so that it is the same for all
kinds of tasks. The others that were measured (`benchmarks/unfamiliar.py`) missed more or weigh more: distances that do
not divide by the length take an image of weak features for a familiar one, and those to the classes' means (Lee et al.
2018; Ren et al. 2021) depend on which labels there are.

An image is unfamiliar above a threshold, which 99 of 100 validation images stay below.
"""

import base64
import binascii
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

Floats = NDArray[np.float64]

FAMILIAR = 0.99  # of the validation images
FEWEST = 30  # validation images, below which no threshold is found
EXPLAINED = 0.9  # of the training images' variance, by the directions
MOST_DIRECTIONS = 128
MOST_NUMBERS = 2**18  # of all directions: half a megabyte
MOST_WIDTH = 2**16
OFF = 0.02  # by which a direction's length may differ from 1
DIGITS = 4  # of an unfamiliarity
PackedNumbers = Annotated[str, Field(max_length=2**21)]


@dataclass(frozen=True, eq=False)
class _Arrays:
    """What the texts of a `Familiarity` hold: (width,) and (directions, width)."""

    mean: Floats
    directions: NDArray[np.float32]


class Familiarity(BaseModel):
    """What a model file keeps of the features of its training images.

    Attributes:
        mean: of the features, float32 (width,), little-endian, in base64.
        directions: their leading principal components, float16 (directions, width), in base64.
        threshold: the unfamiliarity, 0 to 1, above which an image is unfamiliar.
        familiar: the share of validation images that it was chosen to leave familiar.
        calibrated_on: how many these were.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    mean: PackedNumbers
    directions: PackedNumbers
    threshold: Annotated[float, Field(ge=0, le=1)]
    familiar: Annotated[float, Field(gt=0, lt=1)] = FAMILIAR
    calibrated_on: Annotated[int, Field(ge=1, lt=2**53)]

    @model_validator(mode="after")
    def _hold_numbers(self) -> Self:
        mean, directions = (
            unpack_numbers(self.mean, "mean", "<f4"),
            unpack_numbers(self.directions, "directions", "<f2"),
        )
        if not 0 < len(mean) <= MOST_WIDTH:
            raise ValueError(f"mean: expected up to {MOST_WIDTH} numbers; got {len(mean)}")
        if not 0 < len(directions) <= MOST_NUMBERS or len(directions) % len(mean):
            raise ValueError(f"directions: expected rows of {len(mean)} numbers, {MOST_NUMBERS} at most in all")
        lengths = np.linalg.norm(directions.reshape(-1, len(mean)), axis=1)
        if len(lengths) > min(MOST_DIRECTIONS, len(mean)) or (np.abs(lengths - 1) > OFF).any():
            raise ValueError("directions: expected vectors of length 1, no more than the features are wide")
        return self

    @property
    def width(self) -> int:
        """Of the features that it is of; where there are more, the first ones."""
        return len(self._arrays.mean)

    @cached_property
    def _arrays(self) -> "_Arrays":
        mean = unpack_numbers(self.mean, "mean", "<f4")
        directions = unpack_numbers(self.directions, "directions", "<f2").reshape(-1, len(mean))
        return _Arrays(mean, directions.astype(np.float32))

    def rate(self, features: NDArray[Any]) -> Floats:
        """The unfamiliarity of features (n, width or more): (n,), from 0, like the training images, to 1."""
        away = features[:, : self.width].astype(float) - self._arrays.mean
        largest = np.abs(away).max(axis=1, keepdims=True)
        away = np.divide(away, largest, out=np.zeros_like(away), where=largest > 0).astype(np.float32)
        # einsum works a row out alike in batches of any size; and BLAS would start threads in each of the predictor's.
        inside = np.einsum("ij,kj->ik", away, self._arrays.directions)
        whole, found = np.einsum("ij,ij->i", away, away), np.einsum("ik,ik->i", inside, inside)
        shares = np.divide(found, whole, out=np.ones_like(whole), where=whole > 0)
        return np.asarray((1 - shares.astype(float)).clip(0, 1).round(DIGITS))

    @classmethod
    def find(cls, train: NDArray[Any], valid: NDArray[Any]) -> Self | None:
        """What the features of training images (n, width) and of validation images (m, width) show.

        None where the validation images are fewer than 30, or the training images' features do not tell more than a
        few directions apart.
        """
        if len(valid) < FEWEST or len(train) < 2 or not 1 < train.shape[1] <= MOST_WIDTH:
            return None
        mean = train.mean(axis=0, dtype=float).astype("<f4")
        directions = _find_directions(train.astype(float) - mean)
        if directions is None:
            return None
        found = cls(
            mean=pack_numbers(mean),
            directions=pack_numbers(directions.astype("<f2")),
            threshold=1,
            calibrated_on=len(valid),
        )
        return found.with_threshold(found.rate(valid))

    def with_threshold(self, rates: Floats) -> Self:
        """The same with the threshold that leaves the share `familiar` of images of these unfamiliarities (n,) so: the
        smallest that one more like them exceeds no more often than that; of few, that of the least familiar one."""
        rank = min(math.ceil((len(rates) + 1) * self.familiar - 1e-9), len(rates))
        threshold = float(np.partition(rates, rank - 1)[rank - 1])
        return self.model_copy(update={"threshold": threshold, "calibrated_on": len(rates)})


def _find_directions(away: Floats) -> Floats | None:
    """The principal components (k, width) of centred features (n, width), the leading first, which hold EXPLAINED of
    their variance, as far as there is room for so many; None where nothing would be left beyond them."""
    count, width = away.shape
    if width <= count:
        values, vectors = np.linalg.eigh(away.T @ away)
    else:
        values, rows = np.linalg.eigh(away @ away.T)
        vectors = away.T @ rows
    values, vectors = values[::-1].clip(0), vectors[:, ::-1]
    shares = np.cumsum(values) / max(values.sum(), np.finfo(float).tiny)
    most = min(MOST_DIRECTIONS, MOST_NUMBERS // width, int((values > 1e-9 * values[0]).sum()) - 1)
    chosen = min(int((shares < EXPLAINED).sum()) + 1, most)
    if chosen < 1:
        return None
    kept = vectors[:, :chosen].T
    return np.asarray(kept / np.linalg.norm(kept, axis=1, keepdims=True))


def pack_numbers(numbers: NDArray[Any]) -> str:
    """Numbers as text: their bytes in base64."""
    return base64.b64encode(numbers.tobytes()).decode()


def unpack_numbers(text: str, key: str, kind: str) -> Floats:
    """The numbers of a text, flat.

    Raises:
        ValueError: it is none of numbers.
    """
    try:
        numbers = np.frombuffer(base64.b64decode(text, validate=True), kind).astype(float)
    except (binascii.Error, ValueError):
        raise ValueError(f"{key}: expected numbers in base64") from None
    if not np.isfinite(numbers).all():
        raise ValueError(f"{key}: expected finite numbers")
    return numbers
