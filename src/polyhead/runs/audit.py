"""Audit the data that a run was trained on: wrong labels, tied tasks, repeats, strange images, shortcuts."""

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

import numpy as np
import pandas as pd

from polyhead.data.corrections import CORRECTED, read_judged
from polyhead.data.folds import FOLD
from polyhead.data.inspect.ties import describe_tie, find_ties
from polyhead.data.splits import find_duplicates
from polyhead.data.table import Dataset
from polyhead.errors import require
from polyhead.evaluation.cross_validation import FOLDS, cross_validate
from polyhead.evaluation.label_errors import find_label_errors
from polyhead.evaluation.rules import count_in_labels
from polyhead.files import write_beside, write_text
from polyhead.folders import claim_folder, restore_replaced
from polyhead.model.predictor import Outputs, Predictor
from polyhead.progress import Progress, show_progress
from polyhead.recipe.loading import load_run_plugins
from polyhead.report.audit import AuditPage, Judged, write_page_of_audit, write_workbench
from polyhead.run_folder import RunFolder
from polyhead.runs.folds import FoldsRun, answer_out_of_fold, read_fold_count
from polyhead.runs.image_audit import ImageAudit, audit_images
from polyhead.runs.labelled_data import find_labelled_data
from polyhead.runs.tables import locate_data
from polyhead.tasks import Array, Task

if TYPE_CHECKING:
    from polyhead.data.sources.given import DataLike

AUDIT, SUSPECTS = "audit.json", "suspects.csv"
COLUMNS = ["rank", "image", "task", "label", "suggested", "score", "split"]
BY_FOLDS = "Each training image was judged by the network of its fold, which has not seen it."
BY_FEATURES = (
    f"Each image was judged by linear models on the network's features, fitted to {FOLDS - 1} of {FOLDS} parts of the "
    "images, without its own. The features themselves may have learnt labels of training images by heart, the less so "
    "where the backbone was frozen: wrong labels of training images may be missed. A run of folds lacks this fault."
)


class TaskAudit(TypedDict):
    """Of one task: known labels, the estimated share of wrong ones (0 to 1, None where none is known), suspects."""

    known: int
    share: float | None
    suspects: int


class TieAudit(TypedDict):
    """Two tied tasks, by which measure and how strongly (0 to 1), and the pairs of labels that no image has."""

    tasks: list[str]
    measure: str
    strength: float
    images: int
    empty: list[list[str]]
    strong: bool
    words: str


class RuleAudit(TypedDict):
    """A rule, of how many images' labels it says something, how many of these break it, and the first that do."""

    rule: str
    n: int
    broken: int
    examples: list[str]


class Suspect(TypedDict):
    """A label that is likely wrong: its rank in its task, 1 the likeliest, and the label that is suggested instead."""

    rank: int
    image: str
    task: str
    label: str
    suggested: str
    score: float
    split: str


class Audit(ImageAudit):
    """What an audit found, as in audit.json; and the suspects, as in suspects.csv."""

    answers: str
    tasks: dict[str, TaskAudit]
    ties: list[TieAudit]
    repeats: dict[str, int]
    rules: list[RuleAudit]
    suspects: list[Suspect]


def audit(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    data: "DataLike | None" = None,
    force: bool = False,
    progress: Progress | bool = True,
) -> Audit:
    """Find the labels of a run that are likely wrong, its tied tasks, and what its images may mislead a model by.

    Args:
        run: a run folder, or a model file where `data` is given.
        out: a folder to make, for the page, audit.json and suspects.csv.
        data: as for `polyhead.evaluate`.
        force: whether to replace what such a call wrote there before.
        progress: whether to show how far it is, on stderr or in a notebook; or an object that is told.

    Returns:
        As in audit.json: `answers`, whose answers the labels were compared with; `tasks`, of each task the `known`
        labels, the estimated `share` of wrong ones (0 to 1, None where none is known), and how many `suspects`;
        `ties`; `repeats`, byte for byte; `rules` of the recipe, and the labels that break them;
        `suspects`, as in suspects.csv, each task's likeliest first; `near_repeats` of
        training images in other splits, and the figures without them; images that are `unlike` all others; and
        `shortcuts`, attributes of the files that tell a label.

    Raises:
        PolyheadError: something given is wrong, there are no such images, or the model is damaged.
    """
    require("an audit", "report")
    with show_progress(progress) as shown, ExitStack() as held:
        restore_replaced(Path(run), shown)
        load_run_plugins(run)
        predictor = Predictor(run)
        place = held.enter_context(locate_data(data, predictor.card))
        dataset = find_labelled_data(predictor, place, None, shown)
        folder = held.enter_context(claim_folder(Path(out), AUDIT, force, shown)) if out else None
        shown.say("answering every image by models that have not seen its label")
        seen = predictor.run_all(dataset.pixels, len(dataset.table.frame))
        outputs, words = _answer(predictor, dataset, seen)
        found, suspects = _judge(predictor, dataset, outputs)
        shown.say("comparing the images with one another")
        found = {"answers": words, **found, **audit_images(predictor, dataset, predictor.obey(seen).outputs)}
        if folder:
            frame, title = dataset.table.frame, f"{predictor.card.name}: audit"
            page = AuditPage(title, found, suspects, _plain(predictor), frame["path"].tolist(), dataset.pixels)
            judged = Judged(outputs | {"features": seen["features"]}, frame, dataset.table.root)
            _write(folder, page, judged, shown)
    return cast(Audit, {**found, "suspects": [{key: row[key] for key in COLUMNS} for row in suspects]})


def _answer(predictor: Predictor, dataset: Dataset, seen: Outputs) -> tuple[dict[str, Array], str]:
    """The outputs (n, width) of every row by what has not seen its label, and what that was in words.

    `seen` are the model's own.
    """
    frame, tasks = dataset.table.frame, predictor.card.tasks
    run = RunFolder(predictor.path.parent)
    folds = read_fold_count(run) if FOLD in frame else 0
    if folds:
        train = dataset.rows_of("train")
        outputs = {name: seen[name].astype(float) for name in tasks}
        for name, found in answer_out_of_fold(FoldsRun(run, dataset, tasks, folds)).items():
            outputs[name][train] = found
        return outputs, BY_FOLDS
    features = seen["features"].astype(float)
    return cross_validate(tasks, frame, features, frame["content"].tolist(), dataset.recipe.seed), BY_FEATURES


def _plain(predictor: Predictor) -> dict[str, Task]:
    """The tasks without calibration, which is that of the model's own outputs."""
    return {
        name: task.uncalibrated() if task.has_probabilities else task for name, task in predictor.card.tasks.items()
    }


def _judge(
    predictor: Predictor, dataset: Dataset, outputs: dict[str, Array]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    frame, tasks = dataset.table.frame, _plain(predictor)
    figures: dict[str, Any] = {}
    suspects: list[dict[str, Any]] = []
    judged = read_judged(frame.get(CORRECTED, pd.Series([""] * len(frame))).tolist())
    for name, task in tasks.items():
        errors = find_label_errors(task, frame[name].tolist(), outputs[name])
        left = [one for one in errors.suspects if name not in judged[one.row]]  # a person has looked at the others
        figures[name] = {"known": errors.known, "share": errors.share, "suspects": len(left)}
        for rank, one in enumerate(left, 1):
            suspect = {"rank": rank, "image": frame["path"].iloc[one.row], "task": name, "label": one.label}
            suspect |= {"suggested": one.suggested, "score": round(one.score, 4)}
            suspects.append(suspect | {"split": frame["split"].iloc[one.row], "row": one.row})
    ties = [
        {
            "tasks": [tie.first, tie.second],
            "measure": tie.measure,
            "strength": tie.strength,
            "images": tie.images,
            "empty": [list(pair) for pair in tie.empty],
            "strong": tie.is_strong,
            "words": describe_tie(tie, tasks),
        }
        for tie in find_ties(tasks, {name: frame[name].tolist() for name in tasks})
    ]
    found = {"tasks": figures, "ties": ties, "repeats": _count_repeats(frame, list(tasks))}
    return found | {"rules": count_in_labels(predictor.card.resolved_rules, tasks, frame)}, suspects


def _count_repeats(frame: pd.DataFrame, names: list[str]) -> dict[str, int]:
    """Groups of byte-identical images: all, those whose labels differ, those in more than one split."""
    groups = find_duplicates(frame)
    labels, splits = frame[names].to_numpy(object), frame["split"].to_numpy(object)
    return {
        "groups": len(groups),
        "differ": sum(len({tuple(labels[row]) for row in group}) > 1 for group in groups),
        "across": sum(len(np.unique(splits[group])) > 1 for group in groups),
    }


def _write(folder: Path, page: AuditPage, judged: Judged, progress: Progress) -> None:
    write_text(folder / AUDIT, json.dumps(page.found, indent=1, ensure_ascii=False))
    with write_beside(folder / SUSPECTS) as beside:
        pd.DataFrame(page.suspects, columns=COLUMNS).to_csv(beside, index=False)
    if page.suspects:
        write_workbench(folder, page, judged, progress)
    write_page_of_audit(folder, page)
