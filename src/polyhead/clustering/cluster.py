"""From a model and images to a page: of groups, or a gallery of answers."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polyhead.clustering.arrays import group_points
from polyhead.clustering.grouping import Grouping
from polyhead.clustering.page import ClusterPage, write_cluster_page
from polyhead.clustering.record import ImageClustering, record_grouping, tell_grouping, write_record
from polyhead.clustering.scale import Column, Scale, apply_weights, choose_tasks, make_points
from polyhead.clustering.summary import GroupedImages, name_groups, summarize_groups
from polyhead.errors import require, show_text
from polyhead.evaluation.answers import read_answers
from polyhead.evaluation.features import reduce_features
from polyhead.fields import Plain
from polyhead.folders import claim_folder, restore_replaced
from polyhead.model.card import Card
from polyhead.model.predictor import Predictor
from polyhead.prediction.gather import gather_files, name_images
from polyhead.prediction.image_set import ImageSet, predict_images
from polyhead.progress import SILENT, Progress, show_progress
from polyhead.report.gallery.gallery import FOLDER, Gallery, GroupPart, write_gallery, write_gallery_files
from polyhead.report.gallery.image_map import map_points
from polyhead.report.report import PAGE
from polyhead.report.words import show_count


def cluster(
    model: str | os.PathLike[str],
    images: Sequence[str | Path],
    out: str | os.PathLike[str],
    grouping: Grouping | None = None,
    *,
    force: bool = False,
    progress: Progress | bool = True,
) -> dict[str, Plain]:
    """Group images by a model's answers to them, and write a page that shows what each group is.

    Args:
        model: a run folder or a model file.
        images: files, and folders of images.
        out: the folder to make: index.html, clusters.csv, clusters.json and what the page needs.
        grouping: what to group by, and how.
        force: whether to replace an earlier result.

    Returns:
        What clusters.json holds.

    Raises:
        PolyheadError: an argument is wrong, or there is nothing to group; nothing is left in `out`.
    """
    require("clustering", "report")
    grouping = grouping or Grouping()
    with show_progress(progress) as shown:
        restore_replaced(Path(model), shown)
        predictor = Predictor(model)
        chosen = choose_tasks(predictor.card.tasks, grouping.tasks)
        files = gather_files(images).paths
        with claim_folder(Path(out), "clusters.json", force, shown) as folder:
            image_set = predict_images(predictor, files, folder, shown)
            clustering = group_images(predictor.card, image_set, chosen, grouping, shown)
            return _write(folder, predictor.card, image_set, clustering, shown)


def predict_to_gallery(
    model: str | Path, images: Sequence[str | Path], out: str | Path, *, progress: Progress = SILENT
) -> tuple[Path, int]:
    """Predict images and write a gallery of them; returns its page, and how many images could not be read."""
    require("a gallery", "report")
    restore_replaced(Path(model), progress)
    predictor = Predictor(model)
    files, root = gather_files(images)
    with claim_folder(Path(out), PAGE, force=False, progress=progress) as folder:
        image_set = predict_images(predictor, files, folder, progress)
        for image, error in image_set.unreadable:
            progress.say(f"{image}: {error}")
        card = predictor.card
        gallery = _make_gallery(card, image_set, f"Answers of {card.name}", root=root)
        write_gallery(folder / PAGE, gallery, progress)
    return Path(out) / PAGE, len(image_set.unreadable)


def group_images(
    card: Card, image_set: ImageSet, chosen: Mapping[str, Sequence[str]], grouping: Grouping, progress: Progress
) -> ImageClustering:
    """Group a set of predicted images.

    Raises:
        PolyheadError: it cannot be grouped in that way.
    """
    answers = {name: read_answers(task, image_set.outputs[name]) for name, task in card.tasks.items()}
    if grouping.on == "features":
        scale = Scale(reduce_features(image_set.outputs["features"], grouping.seed), [Column("features", None)], [1.0])
    else:
        hard = grouping.on == "answers"
        scale = apply_weights(make_points(card.tasks, answers, chosen, hard), answers, grouping.weights)
    points = scale.points
    found = group_points(points, grouping, progress)
    names = [show_text(image) for image in image_set.images]
    grouped = GroupedImages(names, image_set.pixels, answers, chosen, points, found.groups)
    return ImageClustering(grouped, scale, found.method, found.k, found.settings, found.choice, grouping)


def _write(
    folder: Path, card: Card, image_set: ImageSet, clustering: ImageClustering, progress: Progress
) -> dict[str, Any]:
    """Write the page and all its files; clusters.json last."""
    seed, groups = clustering.grouping.seed, clustering.image_set.groups
    (folder / "images").mkdir()
    summaries = summarize_groups(clustering.image_set, folder / "images", seed, progress)
    progress.say("drawing the map")
    maps = map_points(clustering.image_set.points, seed)
    part = GroupPart(
        groups.labels, groups.distances, name_groups(clustering.image_set), clustering.image_set.colours(), maps
    )
    gallery = _make_gallery(
        card, image_set, f"{len(groups.centres)} groups of {show_count(len(image_set.images))} images", part
    )
    write_gallery_files(folder / FOLDER, gallery, progress)
    unreadable = [(show_text(image), error) for image, error in image_set.unreadable]
    facts, remarks = tell_grouping(clustering, unreadable)
    facts.append(("model", f"{card.name} ({card.fingerprint})"))
    page = ClusterPage(
        gallery.title, card.note, facts, remarks, clustering.image_set, summaries, clustering.choice, gallery
    )
    write_cluster_page(folder / PAGE, page)
    record = {"model": {"name": card.name, "fingerprint": card.fingerprint, "version": card.version}}
    record |= record_grouping(clustering, summaries, maps, unreadable)
    write_record(folder, clustering, record)
    return record


def _make_gallery(
    card: Card, image_set: ImageSet, title: str, groups: GroupPart | None = None, root: Path | None = None
) -> Gallery:
    """A gallery of predicted images; `root` is a folder that contains them, the nearest such if absent."""
    root = root or Path(os.path.commonpath([os.path.dirname(os.path.abspath(image)) for image in image_set.images]))
    return Gallery(
        title,
        name_images(image_set.images, root),
        card.tasks,
        image_set.outputs,
        image_set.pixels,
        root,
        groups=groups,
        familiarity=card.familiarity,
        agreed=image_set.agreed,
    )


__all__ = ["Grouping", "cluster", "group_images", "predict_to_gallery"]
