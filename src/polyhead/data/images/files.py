"""Open image files safely: only regular files of bounded size, in the formats of `FORMATS`."""

import ctypes
import io
import logging
import os
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image, _imaging, features
from PIL.ImageFile import ImageFile

from polyhead.data.images.costs import CHECKS
from polyhead.data.images.formats import FORMATS, HEAD, detect_format
from polyhead.errors import MissingExtra, require, shorten, show_text
from polyhead.files import open_regular

MAX_BYTES = 2**29  # of a file: as many as the largest image has with 16 bits a colour, uncompressed
MAX_PIXELS = 1024**3 // 4 // 3  # Pillow's own limit: a quarter of a gigabyte of RGB
MAX_TILES = 100_000  # of a TIFF, strips included: each costs time and memory, however small it is
DNG_VERSION, SUBFILE_TYPE, SUB_IFDS, TILE_WIDTH, TILE_LENGTH = 50706, 254, 330, 322, 323  # TIFF's tags
REASON = 300  # characters at most

# A user cannot act on what Pillow and its libraries say about odd metadata, and is told of every image that is lost.
# A program's own filters and handlers come first.
warnings.filterwarnings("ignore", module=r"PIL\b", append=True)
logging.getLogger("PIL").addHandler(logging.NullHandler())


class ImageError(Exception):
    """An image that cannot be read; the message is the reason, one line without the file's name."""

    def __init__(self, words: str) -> None:
        super().__init__(shorten(show_text(words), REASON))


def read_file(path: Path) -> bytes:
    """Read a whole image file.

    Raises:
        ImageError: it is missing, unreadable, larger than `MAX_BYTES`, no regular file, or grows while it is read.
    """
    return _read(path, only_images=False)


def read_image_file(path: Path) -> bytes:
    """The same of a file in a format that is read here; of any other no more than its start is read."""
    return _read(path, only_images=True)


def open_path(path: Path) -> ImageFile:
    """Read an image file and parse its header; see `open_image`."""
    return open_image(read_image_file(path))


def check_format(path: Path) -> None:
    """Check an image file by its first bytes alone.

    Raises:
        ImageError: it cannot be opened, or is in no format that is read here.
    """
    try:
        with open_regular(path) as file:
            _find_opener(_detect_readable(file.read(HEAD)))
    except OSError as error:
        raise ImageError(describe_error(error)) from error


def _read(path: Path, only_images: bool) -> bytes:
    """Read a file; with `only_images`, no more than the start of any other file."""
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(HEAD) or b""
            if only_images:
                _detect_readable(start)
            if size > MAX_BYTES:
                raise ImageError(f"too large: {size:,} bytes, at most {MAX_BYTES:,} are read")
            content = start + (file.read(max(0, size - len(start)) + 1) or b"")
    except (OSError, MemoryError) as error:
        raise ImageError(describe_error(error)) from error
    if len(content) > size:
        raise ImageError("it changed while it was being read")
    return content


def open_image(content: bytes, limit: int = MAX_PIXELS) -> ImageFile:
    """Parse the header of an image file's bytes. `Image.open` does the same, but trusts what the header claims.

    Raises:
        ImageError: it is in no format that is read here, claims more than `limit` pixels, or is built to take far
            more time or memory than its pixels need.
        Exception: nearly any kind; see `describe_error`.
    """
    format_name = _detect_readable(content[:HEAD])
    _silence_libtiff()
    if format_name in CHECKS and (fault := CHECKS[format_name](content)):
        raise ImageError(f"damaged: {fault}")
    image: ImageFile = _find_opener(format_name)(io.BytesIO(content), "")
    _check_size(image.size, limit)
    if format_name == "TIFF":
        _check_tiff(image, limit)
    return image


def load_image(image: ImageFile) -> None:
    """Decode the pixels of an opened image.

    Raises:
        ImageError: they are more than the header said.
        Exception: nearly any kind; see `describe_error`.
    """
    image.load()
    _check_size(image.size, MAX_PIXELS)


def _check_size(size: tuple[int, int], limit: int) -> None:
    width, height = size
    if width * height > limit:
        raise ImageError(f"too large: {width}x{height} pixels, at most {limit:,} are read")
    if not width * height:
        raise ImageError(f"damaged: it has no pixels ({width}x{height})")


def _detect_readable(start: bytes) -> str:
    """The format of a file that begins with these bytes, if it is in `FORMATS`."""
    if not start:
        raise ImageError("empty file")
    format_name = detect_format(start)
    if not format_name:
        raise ImageError("not an image in a format that is read here")
    if format_name not in FORMATS:
        raise ImageError(f"{format_name} is not a format that is read here; convert it to JPEG or PNG")
    return format_name


def _find_opener(format_name: str) -> Any:
    """Pillow's class for a format, or pillow-heif's, which is not registered with Pillow but used here alone."""
    Image.init()
    if format_name != "HEIF" and format_name in Image.OPEN and (format_name != "AVIF" or features.check("avif")):
        return Image.OPEN[format_name][0]
    try:
        require(f"reading {'HEIC' if format_name == 'HEIF' else format_name}", "heif")
    except MissingExtra as error:
        raise ImageError(str(error)) from None
    from pillow_heif import HeifImageFile

    return HeifImageFile


def _check_tiff(image: Any, limit: int) -> None:
    """Refuse a camera's raw file, whose preview Pillow would read, and more or larger tiles than any image needs."""
    tags = image.tag_v2
    if DNG_VERSION in tags or (SUB_IFDS in tags and int(tags.get(SUBFILE_TYPE, 0)) & 1):
        raise ImageError("a camera's raw file is not read here; convert it to JPEG or PNG")
    _check_size((int(tags.get(TILE_WIDTH, 1)), int(tags.get(TILE_LENGTH, 1))), limit)
    if len(image.tile) > MAX_TILES:
        raise ImageError(f"too many strips or tiles: {len(image.tile):,}, at most {MAX_TILES:,} are read")


@cache
def _silence_libtiff() -> None:
    """Keep libtiff from printing to stderr, which it does in C and from any thread.

    Pillow has no option for it. The library is found through Pillow's own; if it is not found, libtiff keeps printing.
    """
    with suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(_imaging.__file__)
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            function = getattr(library, name)
            function.argtypes, function.restype = [ctypes.c_void_p], ctypes.c_void_p
            function(None)


def describe_error(error: BaseException) -> str:
    """What went wrong in Pillow, in one line.

    Its readers raise nearly any exception for broken files: OSError, SyntaxError, struct.error, ValueError, KeyError,
    EOFError, MemoryError, zlib.error, RecursionError, ...
    """
    if isinstance(error, ImageError):
        return str(error)
    if isinstance(error, MemoryError):
        return "too large for the memory"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    words = " ".join(str(error).split()) or type(error).__name__
    cut = isinstance(error, EOFError) or "truncated" in words.lower()
    return f"truncated: {words}" if cut else f"damaged: {words}"
