"""A set of predicted images: all outputs, and thumbnails, which are kept on disk, not in memory."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from polyhead.errors import PolyheadError
from polyhead.model.predictor import Outputs, Predictor
from polyhead.progress import Progress
from polyhead.tasks.agreed import Agreed

LONGEST = 96  # pixels of a thumbnail's longer side


@dataclass(frozen=True, eq=False)
class ImageSet:
    """n images that could be read.

    Attributes:
        images: their paths, as given.
        unreadable: the other images, and why each could not be read.
        agreed: their outputs, (n, width) a task and `features`, and what rules changed in their answers.
        thumbnails: (n, height, width, 3), 0 to 255, at most 96 pixels on the longer side; memory-mapped.
    """

    images: list[str]
    unreadable: list[tuple[str, str]]
    agreed: Agreed
    thumbnails: NDArray[np.uint8]

    @property
    def outputs(self) -> Outputs:
        """The outputs; where answers obey rules, those by which they do."""
        return self.agreed.outputs

    def pixels(self, rows: NDArray[np.intp]) -> NDArray[np.uint8]:
        """The thumbnails of k rows: (k, height, width, 3)."""
        return self.thumbnails[rows]


def predict_images(predictor: Predictor, images: Sequence[Path], folder: Path | None, progress: Progress) -> ImageSet:
    """Predict images. The thumbnails are in an unnamed temporary file in `folder`, or where such files usually are; it
    is deleted with the set.

    Raises:
        PolyheadError: none of the images can be read, or the thumbnails cannot be written.
    """
    advance = progress.track("PredictionJob", len(images))
    height, width = predictor.card.image.size
    factor = min(1.0, LONGEST / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    names, unreadable, parts = [], [], []
    with tempfile.TemporaryFile(dir=folder) as file:
        for batch in predictor.run_files(images):
            kept = [row for row, error in enumerate(batch.errors) if error is None]
            names += [str(batch.images[row]) for row in kept]
            unreadable += [
                (str(image), error) for image, error in zip(batch.images, batch.errors, strict=True) if error
            ]
            parts.append(batch.agreed.select(kept))
            # Written, not mapped: a full disk is then an error, where a mapping would kill the process.
            try:
                file.write(b"".join(_shrink(image, size).tobytes() for image in batch.pixels[kept]))
                file.flush()
            except OSError as error:
                raise PolyheadError(
                    f"{folder or tempfile.gettempdir()}: the thumbnails cannot be written: {error.strerror}"
                ) from None
            advance(len(batch.errors))
        if not names:
            first = f", such as {unreadable[0][0]}: {unreadable[0][1]}" if unreadable else ""
            raise PolyheadError(f"none of the {len(images)} images can be read{first}")
        thumbnails = np.memmap(file, np.uint8, "r", shape=(len(names), size[1], size[0], 3))
    return ImageSet(names, unreadable, Agreed.join(parts), thumbnails)


def _shrink(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if size == image.shape[1::-1]:
        return image
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
