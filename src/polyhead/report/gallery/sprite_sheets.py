"""Thumbnails in sprite sheets: one JPEG file holds 64 of them, so that 20,000 images are 313 files."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from polyhead.progress import Progress
from polyhead.report.parts import Pixels

SIDE = 8  # thumbnails across and down; not more, since showing a single one loads its whole sheet
LONGEST = 96  # pixels of a thumbnail's longer side


class SpriteSheets(NamedTuple):
    """The layout of sprite sheets: thumbnail i is in file `i // side**2`, row by row; and its size in pixels."""

    side: int
    width: int
    height: int


def write_sprite_sheets(folder: Path, pixels: Pixels, order: NDArray[np.intp], progress: Progress) -> SpriteSheets:
    """Write images as thumbnails, in the order of row indices, into `folder`/sheet-0.jpg, sheet-1.jpg, ..."""
    advance = progress.track("Drawing thumbnails", len(order))
    count = SIDE * SIDE
    width = height = 1
    for number, at in enumerate(range(0, len(order), count)):
        images = [Image.fromarray(image) for image in pixels(order[at : at + count])]
        for image in images:
            image.thumbnail((LONGEST, LONGEST))
        width, height = images[0].size
        rows = -(-len(images) // SIDE)
        sheet = Image.new("RGB", (SIDE * width, rows * height))
        for index, image in enumerate(images):
            sheet.paste(image, (index % SIDE * width, index // SIDE * height))
        sheet.save(folder / f"sheet-{number}.jpg", quality=85)
        advance(len(images))
    return SpriteSheets(SIDE, width, height)
