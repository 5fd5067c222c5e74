"""Which of many unlabelled images to label next, as a list, as a page, and for Label Studio."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyhead.errors import PolyheadError, list_words, nearest, require, show_text
from polyhead.evaluation.features import reduce_features
from polyhead.evaluation.selection import choose_diverse, rate_images
from polyhead.files import write_text
from polyhead.folders import claim_folder, restore_replaced
from polyhead.model.card import Card
from polyhead.model.predictor import Predictor
from polyhead.prediction.gather import gather_files, name_images
from polyhead.prediction.image_set import ImageSet, predict_images
from polyhead.prediction.label_studio import describe_labelling, list_tasks
from polyhead.progress import Progress, show_progress
from polyhead.report.gallery.gallery import Gallery, write_gallery
from polyhead.report.report import PAGE
from polyhead.tasks import Answer, Task
from polyhead.tasks.agreed import Agreed, decode_answers


class SelectedImage(NamedTuple):
    """An image to label: its path from the folder that was given, the task of the most uncertain answer (blank where no
    task has probabilities), how uncertain that is (0 to 1), and all answers, by task."""

    image: str
    task: str
    uncertainty: float
    answers: Mapping[str, Answer]


@dataclass(frozen=True, eq=False)
class Selection:
    """The images to label next, in that order; and what to write of them.

    `unreadable` are images that could not be read, and why.
    """

    images: Sequence[SelectedImage]
    unreadable: Sequence[tuple[str, str]]
    card: Card
    root: Path
    _agreed: Agreed
    _thumbnails: NDArray[np.uint8]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write `image`, `task`, `uncertainty` and `answer`, a row an image, as CSV.

        Raises:
            PolyheadError: it cannot be written.
        """
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["image", "task", "uncertainty", "answer"])
        for name, task, uncertainty, answers in self.images:
            answer = "" if not task else answers[task].to_columns()["answer"]
            writer.writerow([show_text(name), task, f"{uncertainty:.4f}", answer])
        write_text(Path(path), text.getvalue())

    def to_gallery(self, folder: str | os.PathLike[str], *, progress: Progress | bool = True) -> Path:
        """Write a page where they can be labelled, the most useful first; its path.

        Raises:
            PolyheadError: the folder is there, or cannot be made.
        """
        gallery = Gallery(
            f"{len(self.images):,} images to label, by {self.card.name}",
            [selected.image for selected in self.images],
            self.card.tasks,
            self._agreed.outputs,
            lambda rows: self._thumbnails[rows],
            self.root,
            chosen_for=[selected.task for selected in self.images] if self.images[0].task else (),
            familiarity=self.card.familiarity,
            agreed=self._agreed,
        )
        with (
            show_progress(progress) as shown,
            claim_folder(Path(folder), PAGE, force=False, progress=shown) as made,
        ):
            write_gallery(made / PAGE, gallery, shown)
        return Path(folder) / PAGE

    def to_label_studio(self, path: str | os.PathLike[str]) -> Path:
        """Write them as tasks for Label Studio, with the answers as predictions, and its labelling configuration beside
        them, `NAME.xml`; the path of the latter.

        Raises:
            PolyheadError: a file cannot be written.
        """
        version = f"{self.card.name} {self.card.fingerprint}"
        shown = [(selected.image, selected.answers, 1 - selected.uncertainty) for selected in self.images]
        write_text(Path(path), list_tasks(self.card.tasks, shown, version))
        beside = Path(path).with_suffix(".xml")
        write_text(beside, describe_labelling(self.card.tasks))
        return beside


def select(
    model: str | os.PathLike[str],
    images: Sequence[str | Path],
    n: int = 100,
    *,
    tasks: Sequence[str] = (),
    seed: int = 0,
    progress: Progress | bool = True,
) -> Selection:
    """Choose the images to label next: uncertain answers, and unlike one another.

    An image's uncertainty is the squared sum over tasks of 1 less the margin of its answer (Scheffer, Decomain, Wrobel
    2001); images are drawn by weighted k-means++ on the model's `features` along their 50 leading principal components,
    as in BADGE (Ash and others 2020) with the uncertainty for its gradients' length (Zhdanov 2019). Numbers have no
    uncertainty: where all tasks are numbers, the images are chosen to be unlike one another alone.

    Args:
        model: a run folder or a model file.
        images: files, folders, patterns, or label files of images.
        n: how many images; 1 or more. Where there are fewer, all are put in order.
        tasks: those whose uncertainty counts; all if there are none.
        seed: of what is drawn.

    Raises:
        PolyheadError: an argument is wrong, or no image can be read.
    """
    require("choosing images", "report")
    if n < 1:
        raise PolyheadError(f"`n`: expected 1 or more images; got {n}")
    with show_progress(progress) as shown:
        restore_replaced(Path(model), shown)
        predictor = Predictor(model)
        wanted = _choose_tasks(predictor.card.tasks, tasks)
        files, root = gather_files(images)
        image_set = predict_images(predictor, files, None, shown)
        return _choose(predictor.card, image_set, wanted, (n, seed), root)


def _choose_tasks(tasks: Mapping[str, Task], wanted: Sequence[str]) -> dict[str, Task]:
    for name in wanted:
        if name not in tasks:
            raise PolyheadError(
                f"`tasks`: the model has no task {name!r}; it has {list_words(tasks)}{nearest(name, tasks)}"
            )
    return {name: tasks[name] for name in wanted or tasks}


def _choose(
    card: Card, image_set: ImageSet, wanted: Mapping[str, Task], drawn: tuple[int, int], root: Path
) -> Selection:
    rated = rate_images(wanted, image_set.outputs)
    table = np.stack(list(rated.values()), axis=1) if rated else np.ones((len(image_set.images), 1))
    points = reduce_features(image_set.outputs["features"], drawn[1])
    rows = choose_diverse(points, table.sum(axis=1) ** 2, *drawn)
    agreed = image_set.agreed.select(rows)
    answers = decode_answers(card.tasks, agreed)
    most = table[rows].argmax(axis=1)
    names, rated_names = name_images([image_set.images[row] for row in rows], root), list(rated)
    selected = [
        SelectedImage(
            name,
            rated_names[most[at]] if rated else "",
            float(table[rows[at], most[at]]) if rated else 0.0,
            {task: found[at] for task, found in answers.items()},
        )
        for at, name in enumerate(names)
    ]
    return Selection(selected, image_set.unreadable, card, root, agreed, image_set.thumbnails[rows])
