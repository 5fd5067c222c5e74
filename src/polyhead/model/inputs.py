"""What a program may hand to a predictor: a path, a file's bytes, a Pillow image, an array; one, or any number."""

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from polyhead.data.images.decode import ImageError, Resize, decode, from_array, to_array

Given = str | os.PathLike[str] | bytes | Image.Image | NDArray[np.uint8]
Images = Given | Iterable[Given]


def split_images(images: Images, count: int) -> Iterator[list[Given]]:
    """Portions of up to `count` images, in order; a single image, that is not in a list, is a portion of its own.

    An array of four dimensions is many images.
    """
    if isinstance(images, str | os.PathLike | bytes | Image.Image) or (
        isinstance(images, np.ndarray) and images.ndim < 4
    ):
        yield [images]
        return
    left = iter(images)
    while portion := list(islice(left, count)):
        yield portion


def name_image(image: Given) -> str | None:
    """The path, as it was given; None for what has none."""
    return os.fspath(image) if isinstance(image, str | os.PathLike) else None


def read_pixels(image: Any, size: tuple[int, int], resize: Resize) -> NDArray[np.uint8]:
    """Any image as `data.images.decode` gives a file: uint8 (height, width, 3), 0-255, RGB.

    Raises:
        ImageError: it cannot be read, or is nothing that can be an image.
    """
    if isinstance(image, bytes):
        return decode(image, size, resize)
    if isinstance(image, str | os.PathLike):
        return decode(Path(image), size, resize)
    if isinstance(image, np.ndarray):
        image = from_array(image)
    if not isinstance(image, Image.Image):
        raise ImageError(f"expected a path, bytes, a Pillow image or an array; got {type(image).__name__}")
    return to_array(image, size, resize)
