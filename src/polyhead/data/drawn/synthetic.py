"""A labelled set of garments drawn by the program, for the demo and for tests: no download, alike on every machine.

Every picture shows one garment on a hanger before 120 cm of wall, so that a length in centimetres can be read off it.
One task of every kind: category and color (categorical), striped (binary), details (multilabel), length (regression)
and size, how wide the garment is for its category (ordinal). Place, tilt, shade, light, wall and noise vary, so that
no single pixel says much and a network has to learn shapes.
"""

import colorsys
import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from polyhead.data.drawn.garments import COLORS, CUTS, DETAILS, SIZES, Garment, Tailor
from polyhead.files import write_beside
from polyhead.progress import Progress

Phases = NDArray[np.float32]

PIXELS = 128  # height and width of a picture
FINE = 2  # drawn this many times larger, then averaged: smooth edges
BLANK = 0.1  # fraction of the labels left out, in every task
# The combinations that the demo holds out. Their category and color are never left out: an image of which one is
# unknown could not be told from others, and would stay in training.
HELD_OUT = {"dress": "red", "shirt": "blue", "skirt": "yellow", "jeans": "green", "coat": "black"}
WALLS = ("slope", "waves", "stripes", "tiles", "wood")


def draw_garments(folder: Path, count: int, seed: int, progress: Progress) -> Path:
    """Draw `count` pictures into `folder`/images and write their labels; returns the path of `folder`/labels.csv.

    Its columns are `image` (relative to the folder) and one a task; an empty cell is unknown, `?belt` among the
    details says that nothing is known of a belt. A picture and its labels depend on the seed and on their number alone,
    and any 25 in a row hold each combination of category and color once.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    advance = progress.track("Drawing garments", count)
    rows = []
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        garment = imagine_garment(number, rng)
        name = f"images/{number + 1:05}.jpg"
        draw_picture(garment, rng).save(folder / name, quality=92)
        rows.append({"image": name, **write_labels(garment, rng)})
        advance(1)
    labels = folder / "labels.csv"
    with write_beside(labels) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("image", "category", "color", "striped", "details", "length", "size"))
        writer.writeheader()
        writer.writerows(rows)
    return labels


def imagine_garment(number: int, rng: Generator) -> Garment:
    """A garment whose labels say nothing of each other (but a length of its category)."""
    category = list(CUTS)[number % len(CUTS)]
    return Garment(
        category=category,
        color=list(COLORS)[(number + number // len(CUTS)) % len(COLORS)],
        striped=bool(rng.random() < 0.5),
        details=tuple(detail for detail in DETAILS if rng.random() < 0.35),
        length=round(float(rng.uniform(*CUTS[category].lengths)), 1),
        size=list(SIZES)[rng.integers(len(SIZES))],
    )


def write_labels(garment: Garment, rng: Generator) -> dict[str, str]:
    """The garment's cells of labels.csv, a tenth of them empty."""
    always = ("category", "color") if HELD_OUT[garment.category] == garment.color else ()
    unknown = DETAILS[rng.integers(len(DETAILS))] if rng.random() < BLANK else ""
    details = [
        f"?{detail}" if detail == unknown else detail
        for detail in DETAILS
        if detail == unknown or detail in garment.details
    ]
    cells = {
        "category": garment.category,
        "color": garment.color,
        "striped": "yes" if garment.striped else "no",
        "details": "|".join(details) or "none",
        "length": str(garment.length),
        "size": garment.size,
    }
    return {task: "" if rng.random() < BLANK and task not in always else cell for task, cell in cells.items()}


def draw_picture(garment: Garment, rng: Generator) -> Image.Image:
    """The garment before a wall, RGB, 128 x 128, under a light that differs from picture to picture."""
    canvas = draw_wall(rng).resize((PIXELS * FINE, PIXELS * FINE), Image.Resampling.NEAREST)
    Tailor(canvas, garment, rng).draw()
    pixels = np.asarray(canvas.reduce(FINE), np.float32)
    ramp = np.linspace(-1, 1, PIXELS, dtype=np.float32)
    strength, downwards, sidewards = rng.uniform((0.88, -0.13, -0.13), (1.1, 0.13, 0.13)).astype(np.float32)
    light = strength + downwards * ramp[:, None] + sidewards * ramp
    tint = rng.uniform(0.95, 1.05, size=3).astype(np.float32)
    noise = rng.standard_normal(pixels.shape, dtype=np.float32) * np.float32(rng.uniform(1, 6))
    return Image.fromarray((pixels * light[..., None] * tint + noise).clip(0, 255).astype(np.uint8))


def draw_wall(rng: Generator) -> Image.Image:
    """A pale wall, RGB, 128 x 128: two tints of about one hue, paler than any garment."""
    ramp = np.linspace(0, 1, PIXELS, dtype=np.float32)
    angle, waves = rng.uniform(0, np.pi), np.float32(2 * np.pi * rng.uniform(1.5, 7))
    along = np.float32(np.cos(angle)) * ramp + np.float32(np.sin(angle)) * ramp[:, None]
    aside = np.float32(np.cos(angle)) * ramp[:, None] - np.float32(np.sin(angle)) * ramp
    mix = weave(WALLS[rng.integers(len(WALLS))], (along * waves).astype(np.float32), (aside * waves).astype(np.float32))
    hue = rng.random()
    first, second = (
        255 * np.array(colorsys.hsv_to_rgb((hue + rng.uniform(-0.1, 0.1)) % 1, rng.uniform(0.02, 0.22), value))
        for value in rng.uniform(0.76, 0.99, size=2)
    )
    pixels = first.astype(np.float32) + mix[..., None] * (second - first).astype(np.float32)
    return Image.fromarray(pixels.astype(np.uint8))


def weave(wall: str, along: Phases, aside: Phases) -> Phases:
    """How much of the second tint (0..1) stands where, given two phases at right angles in radians."""
    mix: NDArray[Any]
    match wall:
        case "slope":
            mix = (along - along.min()) / np.ptp(along)
        case "waves":
            mix = 0.5 + np.sin(along) / 2
        case "stripes":
            mix = np.sin(along) > 0
        case "tiles":
            mix = np.sin(along) * np.sin(aside) > 0
        case _:
            mix = 0.5 + np.sin(along + 2 * np.sin(aside / 3)) / 2
    return mix.astype(np.float32)
