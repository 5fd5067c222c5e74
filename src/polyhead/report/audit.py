"""The page of an audit: the labels that are likely wrong, with their images, and which tasks are tied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyhead.report.album import Album
from polyhead.report.parts import Pixels
from polyhead.report.rendering import write_page
from polyhead.report.report import PAGE
from polyhead.report.words import NOTHING, show_count, show_percent
from polyhead.tasks import Task

SHOWN = 48  # suspects of a task with their images


@dataclass(frozen=True)
class AuditPage:
    """What the page shows.

    Attributes:
        found: as `audit.json` has it.
        suspects: as in `suspects.csv`, each with its `row` of the table.
        pixels: of the table's rows.
    """

    title: str
    found: Mapping[str, Any]
    suspects: Sequence[Mapping[str, Any]]
    tasks: Mapping[str, Task]
    pixels: Pixels


def write_page_of_audit(folder: Path, page: AuditPage) -> Path:
    """Write the page and its images into an empty folder; its path."""
    album = Album(folder)
    sections = [_describe_task(page, name, album) for name in page.tasks]
    rows = [(one["name"], show_count(one["known"]), show_percent(one["share"]), one["count"]) for one in sections]
    context = {
        "page": page,
        "sections": [one for one in sections if one["tiles"]],
        "rows": rows,
        "repeats": page.found["repeats"],
        "ties": page.found["ties"],
    }
    write_page(folder / PAGE, "audit.html", context)
    return folder / PAGE


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
