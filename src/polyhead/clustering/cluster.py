"""Between the predictor, the groups and the page: clustering, and galleries of predicted images."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polyhead.clustering.arrays import group_points
from polyhead.clustering.grouping import Grouping
from polyhead.clustering.page import ClusterPage, write_cluster_page
from polyhead.clustering.record import Made, record_grouping, tell_grouping, write_record
from polyhead.clustering.scale import Column, Scale, choose_tasks, place_answers, weigh
from polyhead.clustering.summary import GroupedImages, name_groups, summarize_groups
from polyhead.errors import show_text
from polyhead.evaluation.answers import read_answers
from polyhead.evaluation.features import reduce_features
from polyhead.extras import require
from polyhead.files import write_text
from polyhead.folders import claim_folder, restore_replaced
from polyhead.model.card import Card
from polyhead.model.predictor import Predictor
from polyhead.prediction.gather import gather_files
from polyhead.prediction.image_set import ImageSet, answer_images
from polyhead.progress import SILENT, Progress
from polyhead.report.gallery.gallery import FOLDER, Gallery, GroupPart, write_gallery, write_gallery_files
from polyhead.report.gallery.image_map import map_points
from polyhead.report.report import PAGE, PLOTLY
from polyhead.report.words import show_count


def cluster(
    model: str | Path,
    images: Sequence[str | Path],
    out: str | Path,
    grouping: Grouping | None = None,
    *,
    force: bool = False,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Group images by a model's answers to them, and write a page that shows what each group is.

    Args:
        model: a run folder or a model file.
        images: files, and folders that stand for the images in them.
        out: a folder to make, for index.html, clusters.csv, clusters.json and what the page needs.
        grouping: what to group by, and how.
        force: whether to replace what such a call wrote before.

    Returns:
        What clusters.json holds.

    Raises:
        PolyheadError: something given is wrong, or there is nothing to group; nothing is left in `out`.
    """
    require("clustering", "report")
    grouping = grouping or Grouping()
    restore_replaced(Path(model), progress)
    predictor = Predictor(model)
    chosen = choose_tasks(predictor.card.tasks, grouping.tasks)
    files = gather_files(images).paths
    with claim_folder(Path(out), "clusters.json", force, progress) as folder:
        image_set = answer_images(predictor, files, folder, progress)
        made = group_images(predictor.card, image_set, chosen, grouping, progress)
        return _write(folder, predictor.card, image_set, made, progress)


def predict_to_gallery(
    model: str | Path, images: Sequence[str | Path], out: str | Path, *, progress: Progress = SILENT
) -> tuple[Path, int]:
    """Answer for images and write a gallery of them: its page, and how many of the images could not be answered."""
    require("a gallery", "report")
    restore_replaced(Path(model), progress)
    predictor = Predictor(model)
    files = gather_files(images).paths
    with claim_folder(Path(out), PAGE, force=False, progress=progress) as folder:
        image_set = answer_images(predictor, files, folder, progress)
        for image, error in image_set.unreadable:
            progress.say(f"{image}: {error}")
        gallery = _make_gallery(predictor.card, image_set, f"Answers of {predictor.card.name}")
        write_gallery(folder / PAGE, gallery, progress)
    return Path(out) / PAGE, len(image_set.unreadable)


def group_images(
    card: Card, image_set: ImageSet, chosen: Mapping[str, Sequence[str]], grouping: Grouping, progress: Progress
) -> Made:
    """Group a set of answered images.

    Raises:
        PolyheadError: it cannot be grouped so.
    """
    answers = {name: read_answers(task, image_set.outputs[name]) for name, task in card.tasks.items()}
    if grouping.on == "features":
        scale = Scale(reduce_features(image_set.outputs["features"], grouping.seed), [Column("features", None)], [1.0])
    else:
        hard = grouping.on == "answers"
        scale = weigh(place_answers(card.tasks, answers, chosen, hard), answers, grouping.weights)
    points = scale.points
    found = group_points(points, grouping, progress)
    names = [show_text(image) for image in image_set.images]
    grouped = GroupedImages(names, image_set.pixels, answers, chosen, points, found.groups)
    return Made(grouped, scale, found.method, found.k, found.settings, found.choice, grouping)


def _write(folder: Path, card: Card, image_set: ImageSet, made: Made, progress: Progress) -> dict[str, Any]:
    """The page, the files and what the page needs; clusters.json last."""
    seed, groups = made.grouping.seed, made.image_set.groups
    (folder / "images").mkdir()
    summaries = summarize_groups(made.image_set, folder / "images", seed, progress)
    progress.say("drawing the map")
    maps = map_points(made.image_set.points, seed)
    part = GroupPart(groups.labels, groups.distances, name_groups(made.image_set), made.image_set.colours(), maps)
    gallery = _make_gallery(
        card, image_set, f"{len(groups.centres)} groups of {show_count(len(image_set.images))} images", part
    )
    write_gallery_files(folder / FOLDER, gallery, progress)
    if made.choice:
        from plotly.offline import get_plotlyjs

        write_text(folder / PLOTLY, get_plotlyjs())
    unreadable = [(show_text(image), error) for image, error in image_set.unreadable]
    facts, remarks = tell_grouping(made, unreadable)
    facts.append(("model", f"{card.name} ({card.fingerprint})"))
    page = ClusterPage(gallery.title, card.note, facts, remarks, made.image_set, summaries, made.choice, gallery)
    write_cluster_page(folder / PAGE, page)
    record = {"model": {"name": card.name, "fingerprint": card.fingerprint, "version": card.version}}
    record |= record_grouping(made, summaries, maps, unreadable)
    write_record(folder, made, record)
    return record


def _make_gallery(card: Card, image_set: ImageSet, title: str, groups: GroupPart | None = None) -> Gallery:
    paths = [os.path.abspath(image) for image in image_set.images]
    root = Path(os.path.commonpath([os.path.dirname(path) for path in paths]))
    names = [Path(path).relative_to(root).as_posix() for path in paths]
    return Gallery(title, names, card.tasks, image_set.outputs, image_set.pixels, root, groups=groups)


__all__ = ["Grouping", "cluster", "group_images", "predict_to_gallery"]
