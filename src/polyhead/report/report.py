"""The report: a folder with a page and its images, that opens from disk without a network."""

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
from polyhead.report.sections.learning_curve import describe_learning_curve
from polyhead.report.sections.network import describe_network
from polyhead.report.sections.results import describe_results
from polyhead.report.sections.training import describe_training
from polyhead.report.words import show_count, split_name

PAGE, IMAGES, GALLERY = "index.html", "images", "gallery.html"
FORMER = "plotly.min.js"  # in reports of earlier versions


def write_report(folder: Path, pages: Report) -> Path:
    """Write a report into `folder`, in place of the report that may be there; returns the page's path.

    The report is written beside, then renamed. If this is interrupted, the old report is still there, or the next call
    restores it.

    Raises:
        PolyheadError: the folder holds something other than a report.
    """
    restore_replaced(folder)
    clear_beside(folder)
    _check_replaceable(folder)
    with work_beside(folder) as beside:
        fresh = beside / "report"
        fresh.mkdir()
        _fill(fresh, pages)
        put_in_place(fresh, folder)
    return folder / PAGE


def _check_replaceable(folder: Path) -> None:
    # Whatever is in the way is deleted: it must not be the user's own.
    if folder.is_dir() and {entry.name for entry in folder.iterdir()} <= {PAGE, FORMER, IMAGES, GALLERY, FOLDER}:
        return
    if os.path.lexists(folder):
        raise PolyheadError(f"{folder}: holds something other than a report; choose a new folder")


def _fill(folder: Path, pages: Report) -> None:
    album = Album(folder)
    context: dict[str, Any] = {
        "report": pages,
        "data": describe_data(pages.data, album) if pages.data else None,
        "network": describe_network(pages.network) if pages.network else None,
        "training": describe_training(pages.training) if pages.training else None,
        "results": describe_results(pages, album) if pages.results and pages.results.evaluation else None,
    }
    context["learning"] = None
    if pages.training and pages.results:
        context["learning"] = describe_learning_curve(pages.training.learning_curve, pages.results.tasks)
    context["gallery"] = _write_gallery(folder, pages.title, pages.results) if pages.results else None
    write_page(folder / PAGE, "page.html", context)


def _write_gallery(folder: Path, title: str, part: ResultPart) -> dict[str, Any] | None:
    """Write the gallery of the test images, or of the first split shown in detail; what the link to it needs."""
    split = "test" if "test" in part.splits else next(iter(part.splits), None)
    if split is None:
        return None
    evaluated, words = part.splits[split], split_name(split).lower()
    images = evaluated.rows["path"].tolist()
    write_gallery(
        folder / GALLERY,
        Gallery(
            f"{title}: {words} images",
            images,
            part.tasks,
            evaluated.outputs,
            evaluated.pixels,
            truth=evaluated.rows,
            familiarity=part.familiarity,
            agreed=evaluated.agreed,
        ),
    )
    return {"page": GALLERY, "images": show_count(len(images)), "split": words}


__all__ = ["DataPart", "EvaluatedSplit", "Pixels", "Report", "ResultPart", "TrainingPart", "write_report"]
