"""What to train where a recipe does not say: which networks to try, in which sizes, for how long, with which changes.

What is chosen among follows from the images, the tasks and the weights that are at hand; what is chosen, from
measuring: see `runs/plan.py`. Nothing here needs Keras.
"""

import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyhead.recipe.schema import Quality
from polyhead.tasks import Task

Values = dict[str, Any]  # keys of a recipe with their values
LADDER = (64, 96, 128, 160, 192, 224, 256, 288)  # pixels of the longer side
STEP = 16  # both sides are multiples of it
ENLARGED = 1.6  # networks that were trained on large images see more in a small one that is enlarged, up to so much
FILES = {  # what a network costs, in billions of multiply-adds at 224x224, and Keras's file of its weights
    ("MobileNetV2", 0.35): (0.06, "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"),
    ("MobileNetV2", 1.0): (0.30, "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"),
    ("EfficientNetV2B0", 1.0): (0.72, "efficientnetv2-b0_notop.h5"),
    ("EfficientNetV2B3", 1.0): (1.9, "efficientnetv2-b3_notop.h5"),
    ("EfficientNetV2S", 1.0): (2.9, "efficientnetv2-s_notop.h5"),
    ("ConvNeXtTiny", 1.0): (4.5, "convnext_tiny_notop.h5"),
}
SMALLEST_SIDE = 32  # pixels, that each of them takes
USUAL = ("MobileNetV2", 1.0)  # the one that is fetched where none is at hand
SMALL_PART, SMALL_SIDE = 0.6, 0.75  # of the best quality's epochs that are on smaller images, and of their sides
EPOCH_COST = {"fast": 1.0, "good": 1.0, "best": 1 - SMALL_PART * (1 - SMALL_SIDE**2)}  # of one at the whole size
USUAL_MINUTES = {"fast": 5.0, "good": 20.0, "best": 120.0}
MOST_EPOCHS = {"fast": 1, "good": 40, "best": 80}
FEWEST_EPOCHS = 6  # fewer do not bring a network to what its features promise
EMA = 0.99  # momentum of the averaged weights, by which epochs are judged
STEPS_OF_HEADS = 600
COLOR_WORDS = (
    "black white grey gray red green blue yellow orange purple pink brown beige violet cyan magenta navy teal olive "
    "maroon gold silver cream tan khaki turquoise lavender burgundy bronze copper rust peach mauve rose"
)
SIDE_WORDS = "left right leftward rightward lefthand righthand"
MEASURE_WORDS = "size length height width depth count number weight area volume distance"
OTHER_NUMBERS = "age year years price rating score quality grade beauty"  # that a part of an image shows as well
COLORS, SIDES = frozenset(COLOR_WORDS.split()), frozenset(SIDE_WORDS.split())
MEASURES, NO_MEASURES = frozenset(MEASURE_WORDS.split()), frozenset(OTHER_NUMBERS.split())


@dataclass(frozen=True)
class Candidate:
    """A pretrained network in a size: what it costs is relative to one multiply-add an image."""

    name: str
    width: float
    size: tuple[int, int]
    cost: float

    @property
    def title(self) -> str:
        """What a person reads."""
        width = f" {self.width:g}" if self.name.startswith("MobileNet") else ""
        return f"{self.name}{width} at {self.size[0]}x{self.size[1]}"


def find_weights() -> list[tuple[str, float]]:
    """The networks, by name and width, whose weights lie in Keras's folder of models."""
    folder = models_folder()
    return [key for key, (_, file) in FILES.items() if (folder / file).is_file()]


def models_folder() -> Path:
    """Where Keras keeps weights."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models"


def choose_sizes(median: tuple[int, int], quality: Quality, accelerator: bool) -> list[tuple[int, int]]:
    """Sizes (height, width) to try, the largest first: like the images' own, in steps of 16 pixels.

    Args:
        median: the images' height and width.
        accelerator: whether there is one.
    """
    largest = {"fast": 128, "good": 160, "best": 224}[quality] * (1.4 if accelerator else 1)
    longest = min(largest, max(96.0, ENLARGED * max(median)))
    steps = [side for side in LADDER if side <= longest][::-1]
    wanted = {"fast": steps[:1], "good": steps[:1] + steps[2:3], "best": steps[:1] + steps[2:3]}[quality]
    return [scale_size(median, side) for side in wanted]


def scale_size(median: tuple[int, int], longest: int) -> tuple[int, int]:
    """The (height, width) of this longer side with about the images' proportions, within 1 to 2."""
    scale = longest / max(median)
    down, across = (max(longest // 2, 32, int(side * scale / STEP + 0.5) * STEP) for side in median)
    return down, across


def list_candidates(networks: Iterable[tuple[str, float]], sizes: Iterable[tuple[int, int]]) -> list[Candidate]:
    """Each network in each size, the cheapest first."""
    networks = list(networks)
    found = [
        Candidate(name, width, size, FILES[name, width][0] * 1e9 * size[0] * size[1] / 224**2)
        for size in sizes
        for name, width in networks
    ]
    return sorted(found, key=lambda candidate: candidate.cost)


def choose_batch(images: int) -> int:
    """Images a step, for so many training images: small data sets need steps more than they need large ones."""
    return 16 if images < 500 else 32 if images < 8000 else 64


def plan_network(candidate: Candidate, augment: Values, quality: Quality) -> Values:
    """`network` of a pretrained one.

    The best quality answers the mean over an image and its mirror image, where those have the same labels.
    """
    width = {"width": candidate.width} if candidate.width != 1 else {}
    dropout = {"dropout": 0.2} if quality != "fast" else {}
    flips = {"average_flips": True} if quality == "best" and "flip" in augment else {}
    return {"backbone": {"name": candidate.name, **width, **dropout}, **flips}


def plan_heads(size: tuple[int, int], images: int, weight_decay: float) -> Values:
    """`image` and `training` of linear heads on a frozen network.

    Args:
        images: training images.
        weight_decay: of the heads.
    """
    stage = {"train": "heads", "augment": False, "epochs": _heads_epochs(images), "learning_rate": 3e-3}
    return {
        "image": {"size": list(size)},
        "training": {
            "batch_size": choose_batch(images),
            "optimizer": "adamw",
            "weight_decay": weight_decay,
            "stages": [{**stage, "schedule": "cosine"}],
        },
    }


def plan_fine_tuning(size: tuple[int, int], images: int, epochs: int, augment: Values, quality: Quality) -> Values:
    """`image` and `training` of a pretrained network that is trained whole, behind its heads.

    The best quality begins at a smaller size (Tan, Le 2021), and mixes images (Zhang et al. 2018).
    """
    planned = plan_heads(size, images, weight_decay=0.05)
    training = planned["training"]
    rate = 5e-4 if images >= 8000 else 3e-4
    whole = {"train": "all", "epochs": epochs, "learning_rate": rate, "schedule": "cosine"}
    training |= {"ema_momentum": EMA, "augment": augment}
    if quality != "best" or epochs < FEWEST_EPOCHS:
        training["stages"] += [whole]
        return planned
    first = round(SMALL_PART * epochs)
    smaller = [max(SMALLEST_SIDE, int(side * SMALL_SIDE / STEP) * STEP) for side in size]
    training["stages"] += [
        whole | {"epochs": first, "size": smaller},
        whole | {"epochs": epochs - first, "learning_rate": rate / 2},
    ]
    training["mix"] = {"mixup": 0.2}
    return planned


def plan_stack(size: tuple[int, int]) -> Values:
    """`network` where no pretrained weights are at hand."""
    blocks = [{"filters": 32}, {"filters": 64}, {"filters": 128, "dropout": 0.25}, {"filters": 128, "dropout": 0.25}]
    pools = int(math.log2(min(size)))
    return {"trunk": {"blocks": blocks[:pools], "end": "average", "dense": [128], "dropout": 0.3}}


def plan_from_scratch(size: tuple[int, int], images: int, epochs: int, augment: Values) -> Values:
    """`image` and `training` of a network that has learnt nothing before."""
    return {
        "image": {"size": list(size)},
        "training": {
            "batch_size": choose_batch(images),
            "epochs": epochs,
            "schedule": "cosine",
            "augment": augment,
        },
    }


def merge(planned: Values, given: Values) -> Values:
    """The keys of a recipe, and what is planned where it has none.

    Where it says how long or how fast to train, and nothing of stages, that is said of the last one.
    """
    training = dict(planned["training"])
    asked = dict(given.get("training", {}))
    if "stages" in training and "stages" not in asked:
        last = {key: asked.pop(key) for key in ("epochs", "learning_rate", "schedule") if key in asked}
        training["stages"] = [*training["stages"][:-1], training["stages"][-1] | last]
    image = planned["image"] | given.get("image", {})
    return planned | given | {"image": image, "training": training | asked}


def _heads_epochs(images: int) -> int:
    return min(30, max(3, math.ceil(STEPS_OF_HEADS * choose_batch(images) / images)))


def choose_epochs(seconds: float, epoch_seconds: float, quality: Quality) -> int:
    """Epochs that fit into so many seconds, at least one, and no more than are of use.

    Args:
        epoch_seconds: of one at the whole size.
    """
    return max(1, min(MOST_EPOCHS[quality], int(seconds / (epoch_seconds * EPOCH_COST[quality]))))


def choose_augment(tasks: Mapping[str, Task]) -> tuple[Values, list[str]]:
    """Changes to training images that leave every label true, and why the others were left out, in words."""
    augment: Values = {"rotation": 10, "shift": 0.06}
    reasons = []
    words = {name: _label_words(name, task) for name, task in tasks.items()}
    if sided := [name for name, found in words.items() if found & SIDES or _are_characters(tasks[name])]:
        reasons.append(f"no mirrored images, as {_listed(sided)} would be wrong in them")
    else:
        augment["flip"] = "horizontal"
    if colored := [name for name, task in tasks.items() if is_color(name, task)]:
        reasons.append(f"no change of colours, as {_listed(colored)} tells of them")
    else:
        augment |= {"brightness": 0.1, "contrast": 0.2}
    if measured := [name for name, task in tasks.items() if _is_measure(name, task)]:
        reasons.append(f"no zoom or crop, as {_listed(measured)} may count or measure")
    else:
        augment["zoom"] = 0.15
    return augment, reasons


def is_color(name: str, task: Task) -> bool:
    """Whether a task's labels are colours: by its name, or because half of them or more are words for colours."""
    labels = [label for label in task.names if label]
    known = [label for label in labels if _split_words(label) & COLORS]
    return bool(_split_words(name) & {"color", "colour", "colors", "colours"}) or 2 * len(known) >= max(2, len(labels))


def _is_measure(name: str, task: Task) -> bool:
    """Whether its answer is an amount that a part of the image may not show."""
    words = _split_words(name)
    return bool(words & MEASURES) or (task.numeric and not words & NO_MEASURES)


def _are_characters(task: Task) -> bool:
    """Whether the labels are digits or letters, which mirrored are others or none."""
    return len(task.names) >= 8 and all(len(label) == 1 for label in task.names)


def _label_words(name: str, task: Task) -> set[str]:
    return _split_words(name).union(*map(_split_words, task.names))


def _split_words(text: str) -> set[str]:
    """The words of a name, in small letters: `baseColour`, `base_colour` and `base colour` are the same two."""
    return set(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower()))


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
