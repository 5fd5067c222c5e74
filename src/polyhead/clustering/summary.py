"""A summary of each group: name, size, tightness, frequencies, eigenface, most and least typical images."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from polyhead.clustering.choice import measure_silhouettes, sample_rows
from polyhead.clustering.eigenfaces import draw_component, find_eigenface
from polyhead.clustering.methods import NOISE, Groups, measure_tightness
from polyhead.clustering.names import TYPICAL_NAME, ChosenLabels, count_answers, name_group
from polyhead.evaluation.answers import Answers
from polyhead.progress import Progress
from polyhead.report.parts import Pixels
from polyhead.tasks import Array

TYPICAL = 24  # images shown
ATYPICAL = 12
MEASURED = 5000  # images, at most, that silhouettes are measured on

Summary = dict[str, Any]


@dataclass(frozen=True, eq=False)
class GroupedImages:
    """n images and their groups: paths, pixels, answers by task, the labels grouped by (see `choose_tasks`), the points
    (n, columns) that were grouped, and the result."""

    images: Sequence[str]
    pixels: Pixels
    answers: Mapping[str, Answers]
    chosen: ChosenLabels
    points: Array
    groups: Groups

    def colours(self) -> list[str]:
        """A CSS colour for each group, noise first: the palette, or as many hues as there are groups."""
        count = len(self.groups.centres)
        if count <= 7:
            return ["var(--series-rest)", *(f"var(--series-{index + 1})" for index in range(count))]
        # Steps of the golden angle: neighbouring groups never look alike.
        hues = [f"hsl({(210 + 137.508 * index) % 360:.0f} 62% {(46, 60, 38)[index % 3]}%)" for index in range(count)]
        return ["var(--series-rest)", *hues]


def summarize_groups(image_set: GroupedImages, folder: Path, seed: int, progress: Progress) -> list[Summary]:
    """Each group, the largest first and noise last, ready for JSON.

    Args:
        image_set: the images and their groups.
        folder: for the pictures of the eigenfaces.
        seed: of the sample that silhouettes are measured on, where there are more than 5,000 images.
    """
    rows = sample_rows(len(image_set.points), MEASURED, seed)
    silhouettes = measure_silhouettes(image_set.points[rows], image_set.groups.labels[rows])
    tightness = measure_tightness(image_set.points, image_set.groups)
    advance = progress.track("Drawing groups", len(image_set.groups.numbers))
    summaries = []
    for number in image_set.groups.numbers:
        measured = silhouettes[image_set.groups.labels[rows] == number]
        summaries.append(
            _summarize(image_set, number)
            | {"tightness": tightness[number]}
            | {"silhouette": float(measured.mean()) if number != NOISE and len(measured) else None}
            | {"eigenface": _draw_eigenface(image_set, number, folder)}
        )
        advance(1)
    return summaries


def name_groups(image_set: GroupedImages) -> list[str]:
    """A short name for each group, noise first: its number, and its name without percentages."""
    names = ["noise"]
    for number in range(1, len(image_set.groups.centres) + 1):
        parts = name_group(count_answers(image_set.answers, image_set.groups.members(number)), image_set.chosen)
        short = [words.rpartition(" (")[0].rsplit(" ", 1)[0] for words in parts]
        names.append(f"{number} {', '.join(short) or TYPICAL_NAME}")
    return names


def _summarize(image_set: GroupedImages, number: int) -> Summary:
    members = image_set.groups.members(number)
    frequencies = count_answers(image_set.answers, members)
    return {
        "group": number,
        "noise": number == NOISE,
        "name": ", ".join(name_group(frequencies, image_set.chosen)) or TYPICAL_NAME,
        "images": len(members),
        "share": len(members) / len(image_set.images),
        "frequencies": [asdict(frequency) for frequency in frequencies],
        "typical": [image_set.images[row] for row in members[:TYPICAL]],
        "doubtful": [
            {
                "image": image_set.images[row],
                "fit": float(image_set.groups.fits[row]),
                "nearest": int(image_set.groups.others[row]),
            }
            for row in find_atypical(image_set.groups, number)
        ],
    }


def find_atypical(groups: Groups, number: int) -> NDArray[np.intp]:
    """Up to 12 images that fit their group least, the worst first; none for noise, or if there is only one group."""
    if number == NOISE or len(groups.centres) < 2:
        return np.empty(0, np.intp)
    members = groups.members(number)
    return members[np.argsort(groups.fits[members], kind="stable")][:ATYPICAL]


def _draw_eigenface(image_set: GroupedImages, number: int, folder: Path) -> Summary:
    face = find_eigenface(image_set.pixels, np.sort(image_set.groups.members(number)))
    stem = f"group-{number}"
    Image.fromarray((255 * face.mean).round().astype(np.uint8)).save(folder / f"{stem}-mean.png")
    components = []
    for index, (component, variance) in enumerate(zip(face.components, face.variances.tolist(), strict=True), 1):
        name = f"{stem}-component-{index}.png"
        Image.fromarray(draw_component(component)).save(folder / name)
        components.append({"file": f"{folder.name}/{name}", "variance": variance})
    return {"mean": f"{folder.name}/{stem}-mean.png", "components": components}
