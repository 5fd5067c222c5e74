"""What an audit says of the images themselves: near repeats across splits, strange ones, shortcuts; ready for JSON."""

from collections.abc import Mapping
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from polyhead.data.inspect.shortcuts import Shortcut, describe_shortcut, find_shortcuts, read_attributes
from polyhead.data.table import Dataset
from polyhead.evaluation.evaluate import evaluate_split
from polyhead.evaluation.near_repeats import (
    COPIED,
    FeatureSpace,
    NearRepeat,
    Thresholds,
    find_mirrored_repeats,
    find_near_repeats,
    find_thresholds,
    find_unlike,
    mirror,
)
from polyhead.model.predictor import Outputs, Predictor
from polyhead.tasks import Array, Task

TRIED = 5000  # images whose files' attributes are read
COMPARED = ("test", "unseen")  # splits whose figures are given without near repeats


class RepeatAudit(TypedDict):
    """An image that nearly repeats one of the training split: the cosine of their features, their pixels' correlation.

    Both are from -1 to 1; where it is `mirrored`, they are its mirror image's.
    """

    image: str
    split: str
    of: str
    similarity: float
    pixels: float
    mirrored: bool


class NearRepeats(TypedDict):
    """Near repeats of training images in other splits.

    `thresholds` are `features` and `pixels`, None without training images; `counts` the repeats by split, `mirrored`
    how many of them are a training image's mirror image; `figures`, by split, the images (`n`), those that repeat none
    (`without`), and by task each metric over all and over these.
    """

    thresholds: dict[str, float] | None
    counts: dict[str, int]
    mirrored: dict[str, int]
    figures: dict[str, Any]
    images: list[RepeatAudit]


class Unlike(TypedDict):
    """An image unlike all others: by how many robust deviations it is further from its neighbours than images are."""

    image: str
    split: str
    score: float


class ShortcutAudit(TypedDict):
    """An attribute of the files that tells a task's label; see `polyhead.data.inspect.shortcuts.Shortcut`."""

    task: str
    label: str
    attribute: str
    found: float
    baseline: float
    gain: list[float]
    images: int
    words: str


class ImageAudit(TypedDict):
    """What an audit found of the images."""

    near_repeats: NearRepeats
    unlike: list[Unlike]
    shortcuts: list[ShortcutAudit]


def audit_images(predictor: Predictor, dataset: Dataset, outputs: Outputs) -> ImageAudit:
    """Near repeats across splits, images unlike all others, and shortcuts.

    Args:
        outputs: of every row of the table, `features` among them.
    """
    frame, features = dataset.table.frame, outputs["features"]
    space = FeatureSpace.of(features)
    vectors = space.place(features)
    train = dataset.rows_of("train")
    asked = np.flatnonzero((frame["split"] != "train").to_numpy(bool))
    repeats: list[NearRepeat] = []
    thresholds = None
    if len(train) and len(asked):
        rows = np.random.default_rng(dataset.recipe.seed).permutation(train)[:COPIED]
        images = dataset.pixels(rows)
        thresholds = find_thresholds(space, images, features[rows], lambda copies: predictor.run(copies)["features"])
        repeats = find_near_repeats(vectors, asked, train, dataset.pixels, thresholds)
        left = np.setdiff1d(asked, [found.row for found in repeats])
        if len(left):
            mirrors = predictor.run_all(lambda some: mirror(dataset.pixels(left[some])), len(left))["features"]
            repeats += find_mirrored_repeats(vectors, space.place(mirrors), (left, train), dataset.pixels, thresholds)
            repeats.sort(key=lambda found: (-found.similarity, found.row))
    return {
        "near_repeats": _tell_repeats(predictor.card.tasks, frame, outputs, repeats, thresholds),
        "unlike": [
            {"image": frame["path"].iloc[row], "split": frame["split"].iloc[row], "score": round(score, 3)}
            for row, score in find_unlike(vectors)
        ],
        "shortcuts": audit_files(dataset, predictor.card.tasks),
    }


def _tell_repeats(
    tasks: Mapping[str, Task],
    frame: pd.DataFrame,
    outputs: Outputs,
    repeats: list[NearRepeat],
    thresholds: Thresholds | None,
) -> NearRepeats:
    paths, splits = frame["path"].tolist(), frame["split"].to_numpy(object)
    gone = np.zeros(len(frame), bool)
    gone[[found.row for found in repeats]] = True
    flipped = np.zeros(len(frame), bool)
    flipped[[found.row for found in repeats if found.mirrored]] = True
    others = pd.unique(splits[splits != "train"])
    counts, mirrored = (
        {str(split): int(which[splits == split].sum()) for split in others} for which in (gone, flipped)
    )
    figures = {split: _compare(tasks, frame, outputs, splits == split, gone) for split in COMPARED if counts.get(split)}
    return {
        "thresholds": None
        if thresholds is None
        else {"features": round(thresholds.features, 4), "pixels": round(thresholds.pixels, 4)},
        "counts": counts if thresholds else {},
        "mirrored": mirrored if thresholds else {},
        "figures": figures,
        "images": [
            {
                "image": paths[found.row],
                "split": str(splits[found.row]),
                "of": paths[found.of],
                "similarity": round(found.similarity, 4),
                "pixels": round(found.pixels, 4),
                "mirrored": found.mirrored,
            }
            for found in repeats
        ],
    }


def _compare(
    tasks: Mapping[str, Task],
    frame: pd.DataFrame,
    outputs: Mapping[str, Array],
    inside: np.ndarray[Any, np.dtype[np.bool_]],
    gone: np.ndarray[Any, np.dtype[np.bool_]],
) -> dict[str, Any]:
    """Each task's numbers over the rows of a split, and over those that repeat no training image."""
    measured = []
    for rows in (inside, inside & ~gone):
        known = {name: outputs[name][rows] for name in tasks}
        measured.append(evaluate_split(tasks, frame[rows].reset_index(drop=True), known)["tasks"])
    both = {
        name: {
            metric: [value, measured[1][name].get(metric)]
            for metric, value in measured[0][name].items()
            if isinstance(value, float)
        }
        for name in tasks
    }
    return {"n": int(inside.sum()), "without": int((inside & ~gone).sum()), "tasks": both}


def audit_files(dataset: Dataset, tasks: Mapping[str, Task]) -> list[ShortcutAudit]:
    """The attributes of the files that tell a label better than chance; over 5,000 images at most, each once."""
    frame, recipe = dataset.table.frame, dataset.recipe
    _, first = np.unique(frame["content"].to_numpy(str), return_index=True)
    rows = np.sort(np.random.default_rng(recipe.seed).permutation(first)[:TRIED])
    some = frame.iloc[rows]
    attributes = read_attributes(dataset.table.root, some["path"].tolist(), lambda part: dataset.pixels(rows[part]))
    if recipe.data.source.kind == "folders":
        attributes.pop("folder")  # where the labels are from
    labels = {name: some[name].tolist() for name in tasks}
    return [_tell_shortcut(found) for found in find_shortcuts(tasks, labels, attributes, recipe.seed)]


def _tell_shortcut(found: Shortcut) -> ShortcutAudit:
    return {
        "task": found.task,
        "label": found.label,
        "attribute": found.attribute,
        "found": round(found.found, 4),
        "baseline": round(found.baseline, 4),
        "gain": [round(found.low, 4), round(found.high, 4)],
        "images": found.images,
        "words": describe_shortcut(found),
    }
