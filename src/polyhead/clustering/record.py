"""A clustering as files: clusters.csv, and clusters.json with everything that the page shows."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from polyhead.clustering.choice import Choice
from polyhead.clustering.grouping import Grouping
from polyhead.clustering.methods import METHODS
from polyhead.clustering.scale import Scale
from polyhead.clustering.summary import GroupedImages, Summary
from polyhead.files import write_beside, write_text
from polyhead.report.words import show_count
from polyhead.tasks import Array


@dataclass(frozen=True, eq=False)
class ImageClustering:
    """Images in groups, the scale used, the method with its number of groups and parameters, the trials that they were
    chosen from (None if nothing was compared), and what was asked for."""

    image_set: GroupedImages
    scale: Scale
    method: str
    k: int | None
    settings: Mapping[str, Any]
    choice: Choice | None
    grouping: Grouping


def tell_grouping(
    clustering: ImageClustering, unreadable: Sequence[tuple[str, str]]
) -> tuple[list[tuple[str, str]], list[str]]:
    """Names and values for the top of a page, and remarks for the reader."""
    count, grouping = len(clustering.image_set.images), clustering.grouping
    facts = [
        ("images", show_count(count)),
        ("groups", str(len(clustering.image_set.groups.centres))),
        ("method", clustering.method),
        ("grouped on", grouping.on),
        ("seed", str(grouping.seed)),
    ]
    remarks = [f"Grouped by {_tell_columns(clustering)}."]
    if clustering.settings:
        remarks.append(f"Parameters: {', '.join(f'{name} {value}' for name, value in clustering.settings.items())}.")
    tried = {found.method for found in clustering.choice.tries} if clustering.choice else {*METHODS}
    left_out = [name for name, method in METHODS.items() if name not in tried and (method.max_points or count) < count]
    if left_out and not grouping.methods:
        remarks.append(f"Not tried, because they cannot handle so many images: {', '.join(left_out)}.")
    if unreadable:
        first = "; ".join(f"{image}: {error}" for image, error in unreadable[:3])
        count = len(unreadable)
        words = (
            "1 image could not be read and is"
            if count == 1
            else f"{show_count(count)} images could not be read and are"
        )
        remarks.append(f"{words} left out: {first}.")
    return facts, remarks


def _tell_columns(clustering: ImageClustering) -> str:
    """What was grouped by: tasks that are a scale, and the labels of the others, with their weights."""
    if clustering.grouping.on == "features":
        return "the feature vector"
    weighted = bool(clustering.grouping.weights)
    words: dict[str, list[str]] = {}
    for column, weight in zip(clustering.scale.columns, clustering.scale.weights, strict=True):
        labels = words.setdefault(column.task, [])
        shown = [column.label] if column.label else []
        labels += [" ".join([*shown, *([f"x {weight:.2g}"] if weighted else [])])] if shown or weighted else []
    return "; ".join(f"{task} ({', '.join(labels)})" if labels else task for task, labels in words.items())


def record_grouping(
    clustering: ImageClustering,
    summaries: Sequence[Summary],
    maps: Mapping[str, Array],
    unreadable: Sequence[tuple[str, str]],
) -> dict[str, Any]:
    """Everything that the page shows, ready for JSON."""
    groups, choice = clustering.image_set.groups, clustering.choice
    columns = zip(clustering.scale.columns, clustering.scale.weights, strict=True)
    return {
        "on": clustering.grouping.on,
        "columns": [{"task": column.task, "label": column.label, "weight": weight} for column, weight in columns],
        "method": clustering.method,
        "k": clustering.k,
        "settings": dict(clustering.settings),
        "seed": clustering.grouping.seed,
        "remarks": tell_grouping(clustering, unreadable)[1],
        "comparison": asdict(choice) if choice else None,
        "unreadable": [{"image": image, "error": error} for image, error in unreadable],
        "groups": list(summaries),
        "images": [
            {
                "image": image,
                "group": int(groups.labels[row]),
                "distance": float(groups.distances[row]),
                "fit": float(groups.fits[row]),
                "maps": {name: plane[row].astype(float).tolist() for name, plane in maps.items()},
            }
            for row, image in enumerate(clustering.image_set.images)
        ],
    }


def write_record(folder: Path, clustering: ImageClustering, record: Mapping[str, Any]) -> None:
    """Write clusters.csv (image, group, distance) and clusters.json, each whole or not at all."""
    groups = clustering.image_set.groups
    with write_beside(folder / "clusters.csv") as beside, beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "group", "distance"])
        writer.writerows(zip(clustering.image_set.images, groups.labels, np.round(groups.distances, 6), strict=True))
    write_text(folder / "clusters.json", json.dumps(record, indent=1, ensure_ascii=False))
