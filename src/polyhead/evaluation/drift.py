"""How far images and a model's answers to them are from the validation images', without labels.

Shares (of unfamiliar images, of unsure answers, of each answer) are compared by Newcombe's interval of the difference
of two proportions (1998, method 10). A task's shares differ clearly where an interval leaves out 0 even when it is
widened for there being so many of them (Bonferroni).

Features are compared by how far their mean has moved, in units of the root of the mean squared distance that validation
images have from their own mean: 0 where nothing moved, 1 where it moved as far as an image usually lies from the mean.
The squared distance of two means of a few images is too large by chance alone; that is taken off. Its deviation is that
of the quadratic statistic of Chen and Qin (2010), estimated from the images at hand.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from polyhead.errors import show_text
from polyhead.evaluation.bootstrap import Interval
from polyhead.evaluation.shares import bound_fraction, find_difference
from polyhead.fields import Plain
from polyhead.model.reference import Reference, count_answers
from polyhead.tasks import Array, Task

FEW = 30  # images, below which little can be said
SAMPLE = 2000  # images that tell how features spread
WIDE = 1.959964  # standard deviations of a 95 % interval


@dataclass(frozen=True)
class Shift:
    """A share of the images, and the same of the validation images.

    Attributes:
        share, of_validation: 0 to 1.
        interval: 95 %, of the first less the second.
        clear: whether they differ, also when it is one of many comparisons.
    """

    share: float
    of_validation: float
    interval: tuple[float, float]
    clear: bool


@dataclass(frozen=True)
class FeatureShift:
    """How far the features' mean has moved, in usual distances from it, with its 95 % interval."""

    distance: float
    interval: tuple[float, float]

    @property
    def clear(self) -> bool:
        return self.interval[0] > 0


@dataclass(frozen=True)
class Drift:
    """What was found.

    Attributes:
        images: how many there are.
        validation_images: how many they are compared with.
        unreadable: images that could not be read, which are in none of the figures.
        features: how far they have moved; None for a single image.
        unfamiliar: the share of unfamiliar images; None where the file cannot tell.
        unsure: by task with probabilities, the share of unsure answers.
        answers: by task, the share of images with each label, or with a number in each range.
    """

    images: int
    validation_images: int
    unreadable: int
    features: FeatureShift | None
    unfamiliar: Shift | None
    unsure: Mapping[str, Shift]
    answers: Mapping[str, Mapping[str, Shift]]

    @property
    def findings(self) -> list[str]:
        """What differs clearly, in sentences."""
        found = []
        if self.unfamiliar and self.unfamiliar.clear:
            found.append(f"Unfamiliar images: {_tell(self.unfamiliar)}.")
        if self.features and self.features.clear:
            low, high = self.features.interval
            found.append(
                f"The features have moved by {self.features.distance:.2f} ({low:.2f} to {high:.2f}) of the distance "
                "that an image usually has from their mean."
            )
        found += [f"{task}: unsure answers {_tell(shift)}." for task, shift in self.unsure.items() if shift.clear]
        for task, shifts in self.answers.items():
            clear = [(label, shift) for label, shift in shifts.items() if shift.clear]
            clear.sort(key=lambda pair: -abs(pair[1].share - pair[1].of_validation))
            found += [f"{task}: “{show_text(label)}” {_tell(shift)}." for label, shift in clear]
        return found

    def to_dict(self) -> dict[str, Plain]:
        """As it stands in JSON, with its `findings`."""
        found: dict[str, Plain] = {**asdict(self), "findings": list[Plain](self.findings)}
        return found

    def __str__(self) -> str:
        """In words: what differs clearly, a line each."""
        lines = [f"{self.images:,} images, compared with {self.validation_images:,} of validation:"]
        if self.images < FEW:
            lines.append(f"  Fewer than {FEW} images say little.")
        lines += [f"  {sentence}" for sentence in self.findings] or ["  Nothing differs clearly."]
        return "\n".join(lines)


def _tell(shift: Shift) -> str:
    low, high = shift.interval
    return (
        f"{100 * shift.share:.1f} %, of validation {100 * shift.of_validation:.1f} % (a difference of "
        f"{100 * low:+.1f} to {100 * high:+.1f} points)"
    )


def measure_drift(
    reference: Reference,
    tasks: Mapping[str, Task],
    outputs: Mapping[str, Array],
    unfamiliar: int | None,
    unreadable: int = 0,
) -> Drift:
    """Compare images with what a model file keeps of its validation images.

    Args:
        reference: what it keeps.
        tasks: by name.
        outputs: of n images (n, width), n >= 1: of each task, and `features`.
        unfamiliar: how many of them are unfamiliar.
        unreadable: how many images more there were.
    """
    images = len(outputs["features"])
    counted = {name: count_answers(task, outputs[name]) for name, task in tasks.items()}

    def compare(count: int, of_validation: int, comparisons: int = 1) -> Shift:
        return compare_shares((count, images), (of_validation, reference.images), comparisons)

    unsure = {
        name: compare(counted[name].unsure, kept.unsure, len(tasks))
        for name, kept in reference.tasks.items()
        if tasks[name].has_probabilities
    }
    answers = {
        name: {
            label: compare(counted[name].answers[label], count, len(kept.answers))
            for label, count in kept.answers.items()
        }
        for name, kept in reference.tasks.items()
    }
    known = reference.unfamiliar is not None and unfamiliar is not None
    return Drift(
        images=images,
        validation_images=reference.images,
        unreadable=unreadable,
        features=_compare_features(reference, outputs["features"]),
        unfamiliar=compare(unfamiliar or 0, reference.unfamiliar or 0) if known else None,
        unsure=unsure,
        answers=answers,
    )


def compare_shares(found: tuple[int, int], of_validation: tuple[int, int], comparisons: int = 1) -> Shift:
    """Compare two shares, each a count and of how many.

    Args:
        comparisons: how many such are made at once.
    """
    share, other = (count / whole for count, whole in (found, of_validation))

    def bound(comparisons: int) -> Interval:
        level = 1 - 0.025 / comparisons
        both = ((count / whole, bound_fraction(count / whole, whole, level)) for count, whole in (found, of_validation))
        return find_difference(*both)

    (low, high), (lowest, highest) = bound(1), bound(comparisons)
    return Shift(share, other, (low, high), clear=lowest > 0 or highest < 0)


def _compare_features(reference: Reference, features: Array) -> FeatureShift | None:
    if len(features) < 2:
        return None
    features = features[:, : reference.width]
    moved = (features.mean(axis=0, dtype=float) - reference.center) / reference.spread
    rows = np.linspace(0, len(features) - 1, min(SAMPLE, len(features))).astype(int)
    away = features[rows].astype(float) / reference.spread
    away -= away.mean(axis=0)
    variance = float((away**2).sum() / (len(away) - 1))
    chance = variance / len(features) + 1 / reference.images
    distance = float(moved @ moved) - chance
    direction = moved / max(float(np.linalg.norm(moved)), np.finfo(float).tiny)
    along = float(((away @ direction) ** 2).sum() / (len(away) - 1)) * (1 / len(features) + 1 / reference.images)
    squares = float(((away @ away.T) ** 2).sum()) / (len(away) - 1) ** 2  # of the covariance's elements
    squares = max(squares - variance**2 / len(away), variance**2 / reference.width)  # less what few rows add
    deviation = math.sqrt(4 * max(distance, 0) * along + 2 * squares * (1 / len(features) + 1 / reference.images) ** 2)
    ends = (math.sqrt(max(0.0, distance + sign * WIDE * deviation)) for sign in (-1, 1))
    low, high = ends
    return FeatureShift(math.sqrt(max(0.0, distance)), (low, high))
