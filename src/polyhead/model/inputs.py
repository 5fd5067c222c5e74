"""What a program may hand to a predictor: a path, a file's bytes, a Pillow image, an array; one, or any number."""

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from polyhead.data.images.decode import ImageError, Resize, decode, find_images, from_array, to_array
from polyhead.data.sources.given import read_memory
from polyhead.errors import PolyheadError

if TYPE_CHECKING:
    import datasets
    import pandas

ImageLike: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | NDArray[np.uint8]
# One image or any number of them; a folder, for all images below it; a table with a column of images.
ImagesLike: TypeAlias = "ImageLike | Iterable[ImageLike] | pandas.DataFrame | datasets.Dataset"


def split_images(images: "ImagesLike", count: int) -> Iterator[list[ImageLike]]:
    """Portions of up to `count` images, in order; a single image, that is not in a list, is a portion of its own.

    An array of four dimensions is many images. Where a row of a table has no image, there is a None in place of one.

    Raises:
        PolyheadError: there is no image in a folder, or no column of images in a table.
    """
    given: Any = images
    if isinstance(given, str | os.PathLike) and os.path.isdir(given):
        given = find_images(Path(given))
        if not given:
            raise PolyheadError(f"{images!s}: there is no image in it")
    elif hasattr(given, "columns") or hasattr(given, "column_names"):
        table = read_memory(given)
        given = table.list_images() if table else given
    if isinstance(given, str | os.PathLike | bytes | Image.Image) or (isinstance(given, np.ndarray) and given.ndim < 4):
        yield [given]
        return
    left = iter(given)
    while portion := list(islice(left, count)):
        yield portion


def name_image(image: ImageLike) -> str | None:
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
