"""Image files to arrays: find, decode, orient, convert to RGB, resize. Every failure is one `ImageError`."""

import os
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from polyhead.data.images.files import (
    MAX_PIXELS,
    ImageError,
    check_format,
    describe_error,
    load_image,
    open_image,
    open_path,
    read_file,
)
from polyhead.data.images.formats import USUAL_SUFFIXES, looks_like_image
from polyhead.errors import PolyheadError

Resize = Literal["stretch", "fit", "cover"]
Box = tuple[float, float, float, float]

_loading = Lock()  # an opened Pillow image reads its file when its pixels are first asked for, in one thread only

REDUCING_GAP = 2.0  # whole blocks are averaged down to this multiple of the target size; then the filter takes over

ORIENTATION = 0x0112  # the EXIF tag
# Not `ImageOps.exif_transpose`: images are resized before they are turned, and a resized TIFF has lost its tags.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


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


def decode(source: Path | bytes, size: tuple[int, int], resize: Resize) -> NDArray[np.uint8]:
    """Decode an image file, or its bytes, to uint8 (height, width, 3), 0-255, RGB; of an animation the first frame.

    The same as `to_array`, except that a JPEG is decoded at 1/2, 1/4 or 1/8 of its size if that leaves enough pixels:
    up to twice as fast, and within half a grey level on average.

    Raises:
        ImageError: the file is missing, unreadable, not a regular file, empty, not an image, in an unsupported format,
            damaged, truncated, or over `MAX_BYTES` or `MAX_PIXELS`.
    """
    try:
        image = open_path(source) if isinstance(source, Path) else open_image(source)
        box = _draft(image, size, resize)
        load_image(image)
        return _resize(image, box or (0, 0, *image.size), size, resize)
    except ImageError:
        raise
    except Exception as error:  # see `describe_error`
        raise ImageError(describe_error(error)) from error


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
        return _resize(image, (0, 0, *image.size), size, resize)
    except Exception as error:
        raise ImageError(describe_error(error)) from error


def _draft(image: Image.Image, size: tuple[int, int], resize: Resize) -> Box | None:
    """Have a JPEG decoded at 1/2, 1/4 or 1/8 if enough pixels remain; returns the picture's box then."""
    if image.format not in ("JPEG", "MPO"):
        return None
    height, width = size[::-1] if _read_orientation(image) >= 5 else size
    drafted = image.draft(None, _scale_to(image.size, (width, height), resize))
    return drafted[1] if drafted else None


def _scale_to(size: tuple[float, float], target: tuple[int, int], resize: Resize) -> tuple[int, int]:
    """The (width, height) that a whole image is resized to, before it is cropped or padded."""
    if resize == "stretch":
        return target
    choose = min if resize == "fit" else max
    factor = choose(target[0] / size[0], target[1] / size[1])
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _resize(image: Image.Image, box: Box, size: tuple[int, int], resize: Resize) -> NDArray[np.uint8]:
    """Resize the part of a loaded image within `box`; then turn the small result, not the large original."""
    orientation = _read_orientation(image)
    width, height = size if orientation >= 5 else size[::-1]
    left, top, right, bottom = box
    scaled = _scale_to((right - left, bottom - top), (width, height), resize)
    if resize == "cover":
        factor = max(width / (right - left), height / (bottom - top))
        margin_x = max(0.0, right - left - width / factor) / 2
        margin_y = max(0.0, bottom - top - height / factor) / 2
        box, scaled = (left + margin_x, top + margin_y, right - margin_x, bottom - margin_y), (width, height)
    small = _to_eight_bits(image).resize(scaled, Image.Resampling.BILINEAR, box, REDUCING_GAP).convert("RGB")
    if orientation in UPRIGHT:
        small = small.transpose(UPRIGHT[orientation])
    if small.size == size[::-1]:
        return np.array(small)
    pixels = np.zeros((*size, 3), np.uint8)
    margin_y, margin_x = (size[0] - small.height) // 2, (size[1] - small.width) // 2
    pixels[margin_y : margin_y + small.height, margin_x : margin_x + small.width] = np.asarray(small)
    return pixels


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
