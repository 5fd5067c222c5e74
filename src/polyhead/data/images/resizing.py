"""Pictures to uint8 arrays of the size asked for: shrunk or grown, cropped or padded, turned upright.

Two libraries resize, with the same filter: Pillow any picture, and the SIMD one of the extra `fast` those that come as
arrays. The second rounds otherwise: values differ by at most 1 of 255, and by that in one of forty.
"""

from dataclasses import dataclass
from functools import cache
from threading import local
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Resize = Literal["stretch", "fit", "cover"]
Box = tuple[float, float, float, float]
Pixels = NDArray[np.uint8]

REDUCING_GAP = 2.0  # whole blocks are averaged down to this multiple of the target size; then the filter takes over

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
_resizers = local()  # a resizer keeps buffers, and so belongs to one thread


@dataclass(frozen=True)
class Target:
    """What a picture is to become: size is (height, width), upright; orientation is EXIF's, 1-8, of the picture."""

    size: tuple[int, int]
    resize: Resize
    orientation: int = 1

    @property
    def lying(self) -> tuple[int, int]:
        """The (width, height) before the picture is turned upright."""
        return self.size if self.orientation >= 5 else (self.size[1], self.size[0])

    def scale(self, size: tuple[float, float]) -> tuple[int, int]:
        """The (width, height) that a whole picture of this size is resized to, before it is cropped or padded."""
        if self.resize == "stretch":
            return self.lying
        choose = min if self.resize == "fit" else max
        factor = choose(self.lying[0] / size[0], self.lying[1] / size[1])
        return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))

    def reduce(self, size: tuple[int, int]) -> int:
        """By how much, 1, 2, 4 or 8, a JPEG of this size may be shrunk while it is decoded: enough pixels remain."""
        width, height = self.scale(size)
        most = min(size[0] // width, size[1] // height)
        return next((factor for factor in (8, 4, 2) if factor <= most), 1)

    def crop(self, box: Box) -> tuple[Box, tuple[int, int]]:
        """The part of `box` that is shown, and the (width, height) that it is resized to."""
        left, top, right, bottom = box
        if self.resize != "cover":
            return box, self.scale((right - left, bottom - top))
        width, height = self.lying
        factor = max(width / (right - left), height / (bottom - top))
        margin_x = max(0.0, right - left - width / factor) / 2
        margin_y = max(0.0, bottom - top - height / factor) / 2
        return (left + margin_x, top + margin_y, right - margin_x, bottom - margin_y), self.lying

    def finish(self, picture: Image.Image) -> Pixels:
        """Turn the small picture, not the large original, and pad it with black."""
        if self.orientation in UPRIGHT:
            picture = picture.transpose(UPRIGHT[self.orientation])
        if picture.size == self.size[::-1]:
            return np.array(picture)
        pixels = np.zeros((*self.size, 3), np.uint8)
        margin_y, margin_x = (self.size[0] - picture.height) // 2, (self.size[1] - picture.width) // 2
        pixels[margin_y : margin_y + picture.height, margin_x : margin_x + picture.width] = np.asarray(picture)
        return pixels


def resize_picture(picture: Image.Image, box: Box, target: Target) -> Pixels:
    """Resize the part of an L or RGB picture within `box`: uint8 (height, width, 3), 0-255."""
    shown, scaled = target.crop(box)
    return target.finish(picture.resize(scaled, Image.Resampling.BILINEAR, shown, REDUCING_GAP).convert("RGB"))


def resize_array(pixels: Pixels, box: Box, target: Target) -> Pixels:
    """The same of an array, uint8 (height, width, 3), with the library of the extra `fast`."""
    shown, (width, height) = target.crop(box)
    if max((shown[2] - shown[0]) / width, (shown[3] - shown[1]) / height) >= 2 * REDUCING_GAP:
        return resize_picture(Image.fromarray(pixels), box, target)  # Pillow averages whole blocks first
    down, across = pixels.shape[:2]
    as_it_is = (across, down) == (width, height) and list(shown) == [0, 0, across, down]
    small = pixels if as_it_is else _filter(pixels, shown, width, height)
    if target.orientation not in UPRIGHT and (height, width) == target.size:
        return small
    return target.finish(Image.fromarray(small))


def _filter(pixels: Pixels, box: Box, width: int, height: int) -> Pixels:
    library, options = load_resizer()
    down, across = pixels.shape[:2]
    if box != (0, 0, across, down):
        options = options.copy()
        options.crop_box = library.CropBox(box[0], box[1], box[2] - box[0], box[3] - box[1])
    if not hasattr(_resizers, "own"):
        _resizers.own = library.Resizer()
    small = library.ImageData(width, height, library.PixelType.U8x3)
    _resizers.own.resize(library.ImageData(across, down, library.PixelType.U8x3, pixels.tobytes()), small, options)
    return np.frombuffer(small.get_buffer(), np.uint8).reshape(height, width, 3)


@cache
def load_resizer() -> tuple[Any, Any]:
    """The library, and its options for the filter that Pillow calls bilinear.

    Raises:
        ImportError: it is not installed.
    """
    import cykooz_resizer

    bilinear = cykooz_resizer.ResizeAlg.convolution(cykooz_resizer.FilterType.bilinear)
    return cykooz_resizer, cykooz_resizer.ResizeOptions(resize_alg=bilinear, use_alpha=False)
