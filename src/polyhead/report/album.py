"""The images of a report: small JPEG files beside the page, each written once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from polyhead.report.parts import Pixels

LONGEST = 224  # pixels of the longer side


@dataclass(frozen=True)
class Picture:
    """An image file, relative to the page, and its size in pixels."""

    file: str
    width: int
    height: int


class Album:
    """Writes the images that a page asks for into `folder`/images."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pictures: dict[str, Picture] = {}
        (folder / "images").mkdir()

    def add(self, name: str, pixels: Pixels, rows: Sequence[int]) -> list[Picture]:
        """The pictures of `rows` of the table called `name`."""
        files = [f"images/{name}-{row}.jpg" for row in rows]
        missing = {file: row for file, row in zip(files, rows, strict=True) if file not in self._pictures}
        if missing:
            images = pixels(np.array(list(missing.values()), np.intp))
            for file, image in zip(missing, images, strict=True):
                self._pictures[file] = self._write(file, Image.fromarray(image))
        return [self._pictures[file] for file in files]

    def _write(self, file: str, image: Image.Image) -> Picture:
        image.thumbnail((LONGEST, LONGEST))
        image.save(self._folder / file, quality=88)
        return Picture(file, image.width, image.height)
