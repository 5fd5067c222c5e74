"""Image files to arrays: find, decode, orient, convert to RGB, resize. Every failure is one `ImageError`."""

import os
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from polyhead.data.images.costs import check_jpeg
from polyhead.data.images.files import (
    MAX_PIXELS,
    ImageError,
    check_format,
    describe_error,
    load_image,
    open_image,
    open_path,
    read_file,
    read_image_file,
)
from polyhead.data.images.formats import USUAL_SUFFIXES, looks_like_image
from polyhead.data.images.jpeg import decode_at, is_fast, read_head
from polyhead.data.images.resizing import UPRIGHT, Box, Resize, Target, resize_array, resize_picture
from polyhead.errors import PolyheadError

_loading = Lock()  # an opened Pillow image reads its file when its pixels are first asked for, in one thread only

ORIENTATION = 0x0112  # the EXIF tag


def find_images(folder: Path) -> list[Path]:
    """List all files below `folder` that look like images, sorted by their path relative to it.

    Their suffix or their first bytes decide. They may be in an unsupported format, or not be regular files, which is
    reported when they are decoded. Hidden files and folders and `__MACOSX` are skipped; links to folders are followed,
    each folder once.

    Raises:
        PolyheadError: `folder`, or a folder below it, cannot be listed.
    """
    found: list[Path] = []
    seen: set[str] = set()
    for parent, folders, files in os.walk(folder, onerror=_refuse_folder, followlinks=True):
        real = os.path.realpath(parent)
        folders[:] = [] if real in seen else sorted(name for name in folders if _is_shown(name))
        if real not in seen:
            found += [Path(parent, name) for name in files if _is_shown(name) and looks_like_image(Path(parent, name))]
        seen.add(real)
    return sorted(found, key=Path.as_posix)  # all begin with the folder, so the rest decides


def _refuse_folder(error: OSError) -> None:
    raise PolyheadError(f"{error.filename}: the folder cannot be listed: {error.strerror}") from error


def _is_shown(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def check_pixels(content: bytes, limit: int) -> None:
    """Check the header of an image file; `decode` reports everything else.

    Raises:
        ImageError: it claims more than `limit` pixels, or is no image.
    """
    try:
        open_image(content, limit)
    except ImageError:
        raise
    except Exception:  # see `describe_error`
        return


def decode(source: Path | bytes, size: tuple[int, int], resize: Resize, fast: bool = True) -> NDArray[np.uint8]:
    """Decode an image file, or its bytes, to uint8 (height, width, 3), 0-255, RGB; of an animation the first frame.

    The same as `to_array`, except that a JPEG is decoded at 1/2, 1/4 or 1/8 of its size if that leaves enough pixels:
    up to twice as fast, and within half a grey level on average. With the extra `fast`, most JPEG files are decoded
    and resized by its libraries: the small ones in half the time, and within 2 of 255 of what Pillow gives. Not if
    `fast` is false: then the pixels are those that Pillow gives, wherever this runs.

    Raises:
        ImageError: the file is missing, unreadable, not a regular file, empty, not an image, in an unsupported format,
            damaged, truncated, or over `MAX_BYTES` or `MAX_PIXELS`.
    """
    try:
        content = read_image_file(source) if isinstance(source, Path) else source
        pixels = _decode_fast(content, size, resize) if fast and is_fast() else None
        return _decode_safely(content, size, resize) if pixels is None else pixels
    except ImageError:
        raise
    except Exception as error:  # see `describe_error`
        raise ImageError(describe_error(error)) from error


def _decode_fast(content: bytes, size: tuple[int, int], resize: Resize) -> NDArray[np.uint8] | None:
    """A usual JPEG without a fault; None of anything else, which Pillow then decodes or refuses."""
    head = read_head(content)
    if head is None or head.size[0] * head.size[1] > MAX_PIXELS or check_jpeg(content):
        return None
    target = Target(size, resize, _read_orientation(open_image(content)) if head.has_metadata else 1)
    factor = target.reduce(head.size)
    pixels = decode_at(content, head.size, factor)
    if pixels is None:
        return None
    return resize_array(pixels, (0, 0, head.size[0] / factor, head.size[1] / factor), target)


def _decode_safely(content: bytes, size: tuple[int, int], resize: Resize) -> NDArray[np.uint8]:
    image = open_image(content)
    drafted = None
    if image.format in ("JPEG", "MPO"):
        drafted = image.draft(None, Target(size, resize, _read_orientation(image)).scale(image.size))
    load_image(image)  # which turns a TIFF upright, and takes its orientation away
    target = Target(size, resize, _read_orientation(image))
    return resize_picture(_to_eight_bits(image), drafted[1] if drafted else (0, 0, *image.size), target)


def read_upright(path: Path) -> tuple[Image.Image, str]:
    """An image file's whole picture, upright and RGB, and the name of its format.

    Raises:
        ImageError: as in `decode`.
    """
    try:
        image = open_path(path)
        load_image(image)
    except ImageError:
        raise
    except Exception as error:  # see `describe_error`
        raise ImageError(describe_error(error)) from error
    return make_upright(image), image.format or ""


def make_upright(image: Image.Image) -> Image.Image:
    """An opened image in full, upright and RGB; what is given is left as it is.

    Raises:
        ImageError: it is none, or its pixels cannot be read or converted.
    """
    if not isinstance(image, Image.Image):
        raise ImageError(f"expected a path, bytes, a Pillow image or an array; got {type(image).__name__}")
    try:
        with _loading:
            image.load()
        upright = _to_eight_bits(image).convert("RGB")
        orientation = _read_orientation(image)
        return upright.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else upright
    except Exception as error:  # see `describe_error`
        raise ImageError(describe_error(error)) from error


def from_array(pixels: NDArray[Any]) -> Image.Image:
    """A Pillow image of uint8 pixels (height, width), (height, width, 3) or (height, width, 4).

    Raises:
        ImageError: they are of another shape or type.
    """
    grey = pixels.ndim == 2
    if pixels.dtype != np.uint8 or not pixels.size or not (grey or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))):
        raise ImageError(
            "expected an array of uint8 (height, width), (height, width, 3) or (height, width, 4); "
            f"got {pixels.dtype} {pixels.shape}"
        )
    return Image.fromarray(np.ascontiguousarray(pixels))


def read_size(path: Path) -> tuple[int, int]:
    """The height and width of an image file's upright picture, from its header alone.

    Raises:
        ImageError: as in `decode`, except for faults in the pixels.
    """
    return read_header(path)[:2]


def read_header(path: Path) -> tuple[int, int, str]:
    """The same, and the name of the file's format.

    Raises:
        ImageError: as in `read_size`.
    """
    try:
        image = open_path(path)
    except ImageError:
        raise
    except Exception as error:  # see `describe_error`
        raise ImageError(describe_error(error)) from error
    width, height = image.size
    return *((width, height) if _read_orientation(image) >= 5 else (height, width)), image.format or ""


def to_array(image: Image.Image, size: tuple[int, int], resize: Resize) -> NDArray[np.uint8]:
    """Turn an opened image upright, convert it to RGB and resize it: uint8 (height, width, 3), 0-255.

    The EXIF orientation is applied, transparency is composited over white, deeper pixels are reduced to 8 bits.
    Shrinking averages over all pixels (a bilinear filter as wide as the step), so nothing aliases.

    Args:
        image: is not changed.
        size: (height, width).
        resize: `stretch` ignores the aspect ratio, `fit` shows the whole image centred on black, `cover` fills the
            size and crops both sides equally.

    Raises:
        ImageError: the pixels cannot be read or converted.
    """
    try:
        with _loading:
            image.load()
        return resize_picture(
            _to_eight_bits(image), (0, 0, *image.size), Target(size, resize, _read_orientation(image))
        )
    except Exception as error:
        raise ImageError(describe_error(error)) from error


def _read_orientation(image: Image.Image) -> int:
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:  # the EXIF block is broken; the pixels may be intact
        return 1
    return orientation if orientation in UPRIGHT else 1


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Convert any image to an opaque L or RGB image."""
    if image.mode.startswith("I") or image.mode == "F":
        return _narrow(image)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _narrow(image: Image.Image) -> Image.Image:
    """Reduce grey of 16 or 32 bits to 8.

    Integers count as 16-bit (the upper byte is taken, as Pillow does for colours), floats as 0-1. Numbers outside have
    no agreed white; the image's own minimum and maximum become black and white.
    """
    grey = np.asarray(image)
    if image.mode == "F":
        grey = np.nan_to_num(grey, posinf=0, neginf=0).astype(np.float64)  # in which no difference is too large
    low, high = float(grey.min()), float(grey.max())
    white = 1.0 if image.mode == "F" else 65535.0
    if low < 0 or high > white:
        scaled = (grey - low) * (255 / (high - low or 1))
    else:
        scaled = grey * 255.0 if image.mode == "F" else grey // 256
    return Image.fromarray(np.rint(scaled).astype(np.uint8))


__all__ = [
    "MAX_PIXELS",
    "USUAL_SUFFIXES",
    "Box",
    "ImageError",
    "Resize",
    "check_format",
    "check_pixels",
    "decode",
    "describe_error",
    "find_images",
    "from_array",
    "looks_like_image",
    "make_upright",
    "read_file",
    "read_size",
    "read_upright",
    "to_array",
]
