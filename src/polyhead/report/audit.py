"""The page of an audit: labels that are likely wrong and strange or repeated images, shown; ties and shortcuts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from polyhead.progress import Progress
from polyhead.report.album import Album
from polyhead.report.gallery.gallery import Gallery, write_gallery
from polyhead.report.parts import Pixels
from polyhead.report.rendering import write_page
from polyhead.report.report import PAGE
from polyhead.report.sections.rules import describe_label_rules
from polyhead.report.words import METRICS, NOTHING, show_count, show_metric, show_percent
from polyhead.tasks import Array, Task

WORKBENCH = "suspects.html"
MARKED = 2000  # images at most, whose labels can be marked there
SHOWN = 48  # suspects of a task with their images
PAIRS, UNLIKE = 24, 24  # near repeats and images unlike all others that are shown


@dataclass(frozen=True)
class AuditPage:
    """What the page shows.

    Attributes:
        found: as `audit.json` has it.
        suspects: as in `suspects.csv`, each with its `row` of the table.
        paths: of the table's rows.
        pixels: of the table's rows.
    """

    title: str
    found: Mapping[str, Any]
    suspects: Sequence[Mapping[str, Any]]
    tasks: Mapping[str, Task]
    paths: Sequence[str]
    pixels: Pixels


@dataclass(frozen=True)
class Judged:
    """The table's rows: outputs (n, width) by task, of models that have not seen the label, and `features`; labels; the
    folder that paths start from."""

    outputs: Mapping[str, Array]
    labels: pd.DataFrame
    root: Path


def write_page_of_audit(folder: Path, page: AuditPage) -> Path:
    """Write the page and its images into an empty folder; its path."""
    album = Album(folder)
    sections = [_describe_task(page, name, album) for name in page.tasks]
    rows = [(one["name"], show_count(one["known"]), show_percent(one["share"]), one["count"]) for one in sections]
    context = {
        "page": page,
        "sections": [one for one in sections if one["tiles"]],
        "rows": rows,
        "workbench": WORKBENCH,
        "repeats": page.found["repeats"],
        "ties": page.found["ties"],
        "rules": _describe_rules(page, album),
        "near": _describe_repeats(page, album),
        "unlike": _describe_unlike(page, album),
        "shortcuts": page.found["shortcuts"],
    }
    write_page(folder / PAGE, "audit.html", context)
    return folder / PAGE


def write_workbench(folder: Path, page: AuditPage, table: Judged, progress: Progress) -> Path:
    """Write the gallery in which the suspects can be marked, the likeliest of each task first; its page.

    There must be a suspect.
    """
    best: dict[int, int] = {}
    for suspect in page.suspects:
        best[suspect["row"]] = min(suspect["rank"], best.get(suspect["row"], suspect["rank"]))
    rows = np.array(sorted(best, key=lambda row: (best[row], row))[:MARKED], np.intp)
    place = {row: at for at, row in enumerate(rows.tolist())}
    suspicion: dict[str, Array] = {}
    for suspect in page.suspects:
        if suspect["row"] in place:
            found = suspicion.setdefault(suspect["task"], np.zeros(len(rows)))
            found[place[suspect["row"]]] = 1 / suspect["rank"]
    first = sorted(page.tasks, key=lambda name: name not in suspicion)  # it opens at the first
    gallery = Gallery(
        f"{page.title}, suspects",
        [page.paths[int(row)] for row in rows],
        {name: page.tasks[name] for name in first},
        {name: values[rows] for name, values in table.outputs.items()},
        lambda some: page.pixels(rows[some]),
        table.root,
        table.labels.iloc[rows].reset_index(drop=True),
        suspicion=suspicion,
    )
    return write_gallery(folder / WORKBENCH, gallery, progress)


def _describe_task(page: AuditPage, name: str, album: Album) -> dict[str, Any]:
    task, mine = page.tasks[name], [suspect for suspect in page.suspects if suspect["task"] == name]
    shown = mine[:SHOWN]
    pictures = album.add("audit", page.pixels, [suspect["row"] for suspect in shown]) if shown else []
    tiles = [
        {
            "picture": picture,
            "path": suspect["image"],
            "label": task.show_label(suspect["label"]),
            "suggested": task.show_label(suspect["suggested"]) or NOTHING,
            "score": f"{suspect['score']:.2f}",
        }
        for suspect, picture in zip(shown, pictures, strict=True)
    ]
    figures: dict[str, Any] = page.found["tasks"][name]
    return figures | {
        "name": name,
        "tiles": tiles,
        "count": show_count(len(mine)),
        "more": max(len(mine) - SHOWN, 0),
    }


def _describe_repeats(page: AuditPage, album: Album) -> dict[str, Any]:
    """Near repeats of training images: how many by split, pairs of images, and the figures without them."""
    found = page.found["near_repeats"]
    shown = found["images"][:PAIRS]
    row_of = {path: row for row, path in enumerate(page.paths)} if shown else {}
    sides = [
        album.add("audit", page.pixels, [row_of[one[side]] for one in shown]) if shown else []
        for side in ("image", "of")
    ]
    pairs = [
        {**one, "pictures": pictures, "similarity": f"{one['similarity']:.3f}"}
        for one, *pictures in zip(shown, *sides, strict=True)
    ]
    return {
        "looked": found["thresholds"] is not None,
        "counts": {split: show_count(count) for split, count in found["counts"].items() if count},
        "mirrored": {split: show_count(count) for split, count in found["mirrored"].items() if count},
        "pairs": pairs,
        "more": show_count(len(found["images"]) - PAIRS) if len(found["images"]) > PAIRS else "",
        "figures": [
            {"split": split, "n": show_count(one["n"]), "without": show_count(one["without"]), "rows": rows}
            for split, one in found["figures"].items()
            if (rows := _list_figures(page.tasks, one["tasks"]))
        ],
    }


def _list_figures(tasks: Mapping[str, Task], measured: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Each task's main metric, over all images and without near repeats."""
    rows = []
    for name, both in measured.items():
        metric = next((key for key in METRICS if key in both), None)
        if metric:
            values = [show_metric(metric, {metric: value}, tasks[name].error_unit) for value in both[metric]]
            rows.append((name, METRICS[metric], values[0], values[1]))
    return rows


def _describe_rules(page: AuditPage, album: Album) -> dict[str, Any] | None:
    found = describe_label_rules(page.found["rules"], page.paths)
    if not found:
        return None
    rows = found["examples"]
    pictures = album.add("audit", page.pixels, rows) if rows else []
    broken = {path: one["rule"] for one in page.found["rules"] for path in one["examples"]}
    tiles = [
        {"picture": picture, "path": page.paths[row], "rule": broken[page.paths[row]]}
        for row, picture in zip(rows, pictures, strict=True)
    ]
    return found | {"tiles": tiles}


def _describe_unlike(page: AuditPage, album: Album) -> dict[str, Any]:
    found = page.found["unlike"]
    shown = found[:UNLIKE]
    row_of = {path: row for row, path in enumerate(page.paths)} if shown else {}
    pictures = album.add("audit", page.pixels, [row_of[one["image"]] for one in shown]) if shown else []
    return {
        "count": show_count(len(found)),
        "tiles": [{**one, "picture": picture} for one, picture in zip(shown, pictures, strict=True)],
        "more": show_count(len(found) - UNLIKE) if len(found) > UNLIKE else "",
    }
