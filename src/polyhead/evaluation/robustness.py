"""How answers hold when images get worse: the same images blurred, compressed, dark, small or turned.

Five kinds and five strengths each, in the manner of Hendrycks, Dietterich: Benchmarking Neural Network Robustness to
Common Corruptions and Perturbations, 2019, arXiv:1903.12261. The strengths of JPEG and `small` are theirs, at the size
of the network's input; turning is not among theirs.
"""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from polyhead.evaluation.evaluate import evaluate_split
from polyhead.evaluation.intervals import add_intervals
from polyhead.tasks import Array, Task

STRENGTHS: dict[str, tuple[float, ...]] = {
    "blur": (0.005, 0.01, 0.02, 0.03, 0.05),  # the radius, as a part of the shorter side
    "jpeg": (25, 18, 15, 10, 7),  # the quality
    "dark": (0.7, 0.5, 0.35, 0.25, 0.15),  # what brightness is multiplied by
    "small": (0.6, 0.5, 0.4, 0.3, 0.25),  # the size that it is shrunk to, and enlarged from
    "turned": (5, 10, 20, 30, 45),  # degrees, to the left
}
MAIN = ("accuracy", "mae", "macro_f1")  # the first that a task has is followed


def worsen(images: NDArray[np.uint8], kind: str, strength: float) -> NDArray[np.uint8]:
    """Worse images of the same shape.

    Args:
        images: (n, height, width, 3), RGB, 0 to 255.
        kind: of `STRENGTHS`.
        strength: as there.
    """
    return np.stack([np.asarray(_worsen(Image.fromarray(image), kind, strength), np.uint8) for image in images])


def _worsen(image: Image.Image, kind: str, strength: float) -> Image.Image:
    width, height = image.size
    if kind == "blur":
        return image.filter(ImageFilter.GaussianBlur(strength * min(width, height)))
    if kind == "jpeg":
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(strength))
        return Image.open(file)
    if kind == "dark":
        return Image.eval(image, lambda value: round(value * strength))
    if kind == "small":
        small = (max(1, round(width * strength)), max(1, round(height * strength)))
        return image.resize(small, Image.Resampling.BOX).resize(image.size, Image.Resampling.BILINEAR)
    middle = tuple(int(value) for value in np.asarray(image).reshape(-1, 3).mean(axis=0))  # fills the corners
    return image.rotate(strength, Image.Resampling.BILINEAR, fillcolor=middle)


def compare_worse(
    tasks: Mapping[str, Task],
    labels: pd.DataFrame,
    unchanged: Mapping[str, Array],
    worse: Mapping[str, list[Mapping[str, Array]]],
) -> dict[str, Any]:
    """Each task's main metric as its images get worse.

    Args:
        labels: n rows, a column a task.
        unchanged: the outputs (n, width) by task for the images as they are.
        worse: the same by kind, of each strength.

    Returns:
        `n`; and `tasks`, of each the `metric` and, by kind, its values: of the images as they are, then by strength.
        None where no label is known. And by kind the `intervals` of the same, None where one cannot be told.
    """

    def measure(outputs: Mapping[str, Array]) -> dict[str, Any]:
        found = evaluate_split(tasks, labels, outputs)
        add_intervals(found, tasks, labels, outputs)
        return dict(found["tasks"])

    first = measure(unchanged)
    metrics = {name: next((key for key in MAIN if key in first[name]), "") for name in tasks}
    followed: dict[str, Any] = {
        name: {"metric": metric, "intervals": {kind: [_interval(first[name], metric)] for kind in worse}}
        | {kind: [first[name][metric]] for kind in worse}
        for name, metric in metrics.items()
        if metric
    }
    for kind, strengths in worse.items():
        for outputs in strengths:
            found = measure(outputs)
            for name, values in followed.items():
                values[kind].append(found[name].get(values["metric"]))
                values["intervals"][kind].append(_interval(found[name], values["metric"]))
    return {"n": len(labels), "tasks": followed}


def _interval(figures: Mapping[str, Any], metric: str) -> list[float] | None:
    return figures.get("intervals", {}).get(metric)  # type: ignore[no-any-return]
