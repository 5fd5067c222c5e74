"""The report: a folder with one page, its images and Plotly, that opens from disk without a network."""

import os
from pathlib import Path
from typing import Any

from polyhead.errors import PolyheadError
from polyhead.folders import clear_beside, put_in_place, restore_replaced, work_beside
from polyhead.report.album import Album
from polyhead.report.gallery.gallery import FOLDER, Gallery, write_gallery
from polyhead.report.parts import DataPart, EvaluatedSplit, Pixels, Report, ResultPart, TrainingPart
from polyhead.report.rendering import write_page
from polyhead.report.sections.data import describe_data
from polyhead.report.sections.network import describe_network
from polyhead.report.sections.results import describe_results
from polyhead.report.sections.training import describe_training
from polyhead.report.words import show_count, split_name

PAGE, PLOTLY, IMAGES, GALLERY = "index.html", "plotly.min.js", "images", "gallery.html"


def write_report(folder: Path, pages: Report) -> Path:
    """Write a report into `folder`, in place of the report that may be there; returns the page's path.

    The folder is made beside, then renamed. What is there is a whole report, or stands aside and is put back by the
    next call.

    Raises:
        PolyheadError: the folder holds something else than a report.
    """
    restore_replaced(folder)
    clear_beside(folder)
    _check_replaceable(folder)
    with work_beside(folder) as place:
        fresh = place / "report"
        fresh.mkdir()
        _fill(fresh, pages)
        put_in_place(fresh, folder)
    return folder / PAGE


def _check_replaceable(folder: Path) -> None:
    # Whatever is in the way is deleted: it must not be the user's own.
    if folder.is_dir() and {entry.name for entry in folder.iterdir()} <= {PAGE, PLOTLY, IMAGES, GALLERY, FOLDER}:
        return
    if os.path.lexists(folder):
        raise PolyheadError(f"{folder}: holds something else than a report; name a new folder")


def _fill(folder: Path, pages: Report) -> None:
    from plotly.offline import get_plotlyjs

    album = Album(folder)
    context: dict[str, Any] = {
        "report": pages,
        "data": describe_data(pages.data, album) if pages.data else None,
        "network": describe_network(pages.network) if pages.network else None,
        "training": describe_training(pages.training) if pages.training else None,
        "results": describe_results(pages.results, album) if pages.results and pages.results.evaluation else None,
    }
    context["gallery"] = _write_gallery(folder, pages.title, pages.results) if pages.results else None
    write_page(folder / PAGE, "page.html", context)
    (folder / PLOTLY).write_text(get_plotlyjs(), encoding="utf-8")


def _write_gallery(folder: Path, title: str, part: ResultPart) -> dict[str, Any] | None:
    """The gallery of the split that says most, of those that are shown in detail: what the page says of it."""
    split = "test" if "test" in part.splits else next(iter(part.splits), None)
    if split is None:
        return None
    judged, words = part.splits[split], split_name(split).lower()
    images = judged.rows["path"].tolist()
    write_gallery(
        folder / GALLERY,
        Gallery(f"{title}: {words} images", images, part.tasks, judged.outputs, judged.pixels, truth=judged.rows),
    )
    return {"page": GALLERY, "images": show_count(len(images)), "split": words}


__all__ = ["DataPart", "EvaluatedSplit", "Pixels", "Report", "ResultPart", "TrainingPart", "write_report"]
