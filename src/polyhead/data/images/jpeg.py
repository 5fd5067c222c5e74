"""The fast way for the JPEG files that most are: baseline or progressive, in colour, without a fault.

simplejpeg decodes them (libjpeg-turbo, as in Pillow: the same pixels at the same fraction of their size), and a SIMD
library resizes them. It has no words for what is wrong with a file: all that is in the least unusual is left to Pillow,
which decodes it or says why not.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyhead.data.images.resizing import load_resizer

SEGMENT = re.compile(rb"\xff([^\0\xff\xd0-\xd8])(..)", re.DOTALL)  # a marker and its length, which follow one another
FRAMES, SCAN, EXIF_OR_XMP, ADOBE = (0xC0, 0xC1, 0xC2), 0xDA, 0xE1, 0xEE
SMALLEST = 16  # pixels a side: of fewer than 8, several fractions give the same size


class Head(NamedTuple):
    """What stands before a JPEG's first scan: its (width, height), and whether it may tell an orientation."""

    size: tuple[int, int]
    has_metadata: bool


@cache
def is_fast() -> bool:
    """Whether the libraries of the extra `fast` are installed."""
    try:
        import simplejpeg  # noqa: F401

        load_resizer()
    except ImportError:
        return False
    return True


def read_head(content: bytes) -> Head | None:
    """The head of a JPEG of eight bits and three colours; None if it is another file, or is unusual."""
    if content[:2] != b"\xff\xd8":
        return None
    at, size, has_metadata = 2, None, False
    while found := SEGMENT.match(content, at):
        marker, length = found[1][0], int.from_bytes(found[2])
        if marker in FRAMES:
            depth, components = content[at + 4 : at + 5], content[at + 9 : at + 10]
            if size or depth != b"\x08" or components != b"\x03":
                return None
            size = int.from_bytes(content[at + 7 : at + 9]), int.from_bytes(content[at + 5 : at + 7])
        elif marker == SCAN:
            return Head(size, has_metadata) if size and min(size) >= SMALLEST else None
        elif marker == EXIF_OR_XMP:
            has_metadata = True
        elif marker == ADOBE or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xCC)):
            return None
        at += 2 + length
    return None


def decode_at(content: bytes, size: tuple[int, int], factor: int) -> NDArray[np.uint8] | None:
    """Decode a JPEG of this (width, height) at 1/factor of it: uint8 (height, width, 3), 0-255, RGB; None at a fault.

    A fault is anything that libjpeg warns of, too.
    """
    width, height = (-(-side // factor) for side in size)
    scaled = {"min_width": width, "min_height": height} if factor > 1 else {}
    try:
        pixels: NDArray[np.uint8] = _decoder()(content, "RGB", **scaled)
    except (ValueError, MemoryError):
        return None
    return pixels if pixels.shape == (height, width, 3) else None


@cache
def _decoder() -> Callable[..., Any]:
    from simplejpeg import decode_jpeg

    decode: Callable[..., Any] = decode_jpeg
    return decode
