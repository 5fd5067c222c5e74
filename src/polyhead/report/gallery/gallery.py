"""A gallery: many images to browse, filter and sort by their answers, from disk and without a network.

The page's files are beside it in `gallery/`: `data.js` (the answers; a script, since a page on disk may not read other
files), `neighbours.js` (loaded when an image is first opened) and sprite sheets of thumbnails.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike, NDArray

from polyhead.evaluation.answers import read_answers
from polyhead.model.familiarity import Familiarity
from polyhead.progress import SILENT, Progress
from polyhead.report.gallery.image_map import find_neighbours
from polyhead.report.gallery.sprite_sheets import write_sprite_sheets
from polyhead.report.parts import Pixels
from polyhead.report.rendering import write_page
from polyhead.tasks import Array, Task, label_sets
from polyhead.tasks.agreed import Agreed

FOLDER = "gallery"
TOP = 65535  # stands for a probability of 1

Packed = dict[str, Any]


@dataclass(frozen=True, eq=False)
class GroupPart:
    """The groups of n images: each image's group (0 is noise) and its distance to the group's centre; a name and a CSS
    colour for each group, noise first; each image's position on maps, (n, 2) from -1 to 1."""

    labels: NDArray[np.intp]
    distances: Array
    names: Sequence[str]
    colours: Sequence[str]
    maps: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Gallery:
    """One or more images to browse.

    Attributes:
        title: of the page.
        images: their paths.
        tasks: by name.
        outputs: (n, width) a task, and `features`, if neighbours are to be shown.
        pixels: the images.
        root: the folder that the paths are relative to, if the page is to link to the files.
        truth: the labels, if known: a text column for each task, blank where unknown.
        groups: the groups of the images, if any.
        chosen_for: the task for which each image was chosen to be labelled, if they were.
        suspicion: by task, how likely each image's label is wrong, (n,), more is likelier, 0 where nothing speaks
            against it; it opens at the first of these tasks.
        familiarity: by which images are told to be unlike those that the model was trained on, if it can tell.
        agreed: which answers rules changed, if they may; the same images' outputs.
    """

    title: str
    images: Sequence[str]
    tasks: Mapping[str, Task]
    outputs: Mapping[str, Array]
    pixels: Pixels
    root: Path | None = None
    truth: pd.DataFrame | None = None
    groups: GroupPart | None = None
    chosen_for: Sequence[str] = ()
    suspicion: Mapping[str, Array] = field(default_factory=dict)
    familiarity: Familiarity | None = None
    agreed: Agreed | None = None

    @property
    def with_rules(self) -> bool:
        """Whether rules changed an answer."""
        return self.agreed is not None and any(rows.any() for rows in self.agreed.changed.values())

    @property
    def order(self) -> NDArray[np.intp]:
        """The order in which they are first shown: by group, the most typical first."""
        if self.groups is None:
            return np.arange(len(self.images))
        numbers = np.where(self.groups.labels == 0, len(self.groups.names), self.groups.labels)
        return np.lexsort((self.groups.distances, numbers))


def write_gallery(page: Path, gallery: Gallery, progress: Progress = SILENT) -> Path:
    """Write a page with only the gallery, and its files into `gallery` beside it; returns the page."""
    write_gallery_files(page.parent / FOLDER, gallery, progress)
    write_page(page, "gallery_page.html", {"gallery": gallery, "count": len(gallery.images)})
    return page


def write_gallery_files(folder: Path, gallery: Gallery, progress: Progress = SILENT) -> None:
    """Make `folder`, and write the files of a gallery into it, for a page beside it."""
    folder.mkdir()
    order = gallery.order
    sheets = write_sprite_sheets(folder, gallery.pixels, order, progress)
    names = [gallery.images[int(row)] for row in order]
    tasks: list[Packed] = [
        {"name": name} | _pack_task(task, gallery.outputs[name][order]) | _pack_labels(name, task, gallery, order)
        for name, task in gallery.tasks.items()
    ]
    for task, changes in zip(tasks, _list_changes(gallery, order), strict=True):
        task["changes"] = changes
    indices = {name: index for index, name in enumerate(gallery.tasks)}
    data = {
        "names": names,
        "identity": _identify(folder, names, tasks),
        "root": gallery.root.absolute().as_uri() + "/" if gallery.root else "",
        "sheets": sheets._asdict() | {"folder": folder.name},
        "tasks": tasks,
        "groups": _pack_groups(gallery.groups, order) if gallery.groups else None,
        "neighbours": len(order) > 1 and np.isfinite(gallery.outputs.get("features", np.nan)).all().item(),
        "unfamiliar": _pack_rates(gallery.familiarity, gallery.outputs["features"][order])
        if gallery.familiarity
        else None,
        "chosenFor": [indices[gallery.chosen_for[int(row)]] for row in order] if gallery.chosen_for else None,
    }
    _write_script(folder / "data.js", "polyheadGallery", data)
    if data["neighbours"]:
        progress.say("finding each image's nearest neighbours")
        near = find_neighbours(gallery.outputs["features"][order], seed=0)
        packed = {"each": near.shape[1], "images": _pack(near, "<u4")}
        _write_script(folder / "neighbours.js", "polyheadNeighbours", packed)


def _identify(folder: Path, names: Sequence[str], tasks: Sequence[Packed]) -> str:
    """What a browser keeps marks under: the same for the same images, tasks and labels, wherever the page lies and
    whatever a model answers; another once corrections were applied."""
    found = hashlib.blake2b(digest_size=16)
    asked = [[task["name"], task["labels"], task.get("texts"), task.get("truth")] for task in tasks]
    found.update(json.dumps([names, asked]).encode())
    for sheet in sorted(folder.glob("sheet-*.jpg")):
        found.update(hashlib.blake2b(sheet.read_bytes()).digest())
    return found.hexdigest()


def _write_script(path: Path, name: str, data: Packed) -> None:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    path.write_bytes(f"globalThis.{name}={text};\n".encode("utf-8", "replace"))


def _pack(values: Array | NDArray[Any], kind: DTypeLike) -> str:
    return base64.b64encode(np.ascontiguousarray(values, kind).tobytes()).decode()


def _pack_rates(familiarity: Familiarity, features: Array) -> Packed:
    return {"rates": _pack(familiarity.rate(features), "<f4"), "threshold": familiarity.threshold}


def _pack_task(task: Task, outputs: Array) -> Packed:
    found = read_answers(task, outputs)
    packed: Packed = {"labels": found.labels, "several": found.several, "unsure": _pack(found.unsure, "u1")}
    if task.promise is not None:
        packed |= {"coverage": task.promise.coverage, "promised": found.promised}
    if found.numbers is not None:
        return packed | {"unit": found.unit, "numbers": _pack(found.numbers, "<f4")}
    packed["probabilities"] = _pack(np.round(np.nan_to_num(found.probabilities).clip(0, 1) * TOP), "<u2")
    if found.several:
        return packed | {"predicted": _pack(np.packbits(found.predicted, axis=1), "u1")}
    return packed | {"answer": _pack(found.predicted.argmax(axis=1), "<u2")}


def _list_changes(gallery: Gallery, order: NDArray[np.intp]) -> list[list[tuple[int, str, Sequence[str]]]]:
    """For each task, of each image whose answer rules changed, its number, what the answer would be, and the rules."""
    if gallery.agreed is None:
        return [[] for _ in gallery.tasks]
    agreed = gallery.agreed.select(order)
    found: list[list[tuple[int, str, Sequence[str]]]] = []
    for name, task in gallery.tasks.items():
        rows = np.flatnonzero(agreed.changed.get(name, np.zeros(0)))
        plain = task.decode(agreed.plain[name][rows])
        found.append(
            [
                (row, ", ".join(before.labels) or label_sets.NONE, agreed.reasons[name][row])
                for row, before in zip(rows.tolist(), plain, strict=True)
            ]
        )
    return found


def _pack_labels(name: str, task: Task, gallery: Gallery, order: NDArray[np.intp]) -> Packed:
    """What marking its labels needs, and the labels that there are."""
    several = task.several or task.width > 1  # a yes/no task has no third label
    packed: Packed = {"open": several and not task.numeric and not any(task.declared_labels.values())}
    if name in gallery.suspicion:
        packed["suspect"] = _pack(gallery.suspicion[name][order], "<f4")
    return packed if gallery.truth is None else packed | _pack_truth(task, gallery.truth[name], gallery, order)


def _pack_truth(task: Task, column: pd.Series, gallery: Gallery, order: NDArray[np.intp]) -> Packed:
    """The true label of each image, and whether the answer is wrong (1), right (0) or unknown (2)."""
    labels = column.to_numpy(object)[order].tolist()
    texts = sorted(set(labels))
    indices = {text: index for index, text in enumerate(texts)}
    packed = {
        "texts": texts,
        "truths": [task.show_label(text) if text else "" for text in texts],
        "truth": _pack(np.array([indices[label] for label in labels]), "<u4"),
    }
    sizes = task.mistakes(labels, gallery.outputs[str(column.name)][order])
    if task.numeric:  # numbers have errors; they are neither right nor wrong
        return packed | {"errors": _pack(np.nan_to_num(sizes, nan=-1), "<f4")}
    return packed | {"wrong": _pack(np.where(np.isnan(sizes), 2, sizes > 0), "u1")}


def _pack_groups(part: GroupPart, order: NDArray[np.intp]) -> Packed:
    return {
        "names": list(part.names),
        "colours": list(part.colours),
        "of": _pack(part.labels[order], "<u2"),
        "distance": _pack(part.distances[order], "<f4"),
        "maps": {name: _pack(plane[order], "<f4") for name, plane in part.maps.items()},
    }
