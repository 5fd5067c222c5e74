"""Small pictures in every format that Pillow and pillow-heif write, and ways to mangle their bytes."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image, PngImagePlugin

Random = np.random.Generator

MODES = {  # what each format is written from
    "JPEG": ("L", "RGB", "CMYK"),
    "MPO": ("L", "RGB"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I"),
    "GIF": ("1", "L", "P", "RGB", "RGBA"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "DIB": ("L", "RGB"),
    "WEBP": ("L", "RGB", "RGBA"),
    "TIFF": ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"),
    "AVIF": ("L", "RGB", "RGBA"),
    "JPEG2000": ("L", "LA", "RGB", "RGBA", "I;16"),
    "PPM": ("1", "L", "RGB", "I;16", "F"),
    "HEIF": ("L", "RGB", "RGBA"),
    **dict.fromkeys(("ICO", "TGA", "PCX", "DDS", "SGI", "EPS", "ICNS", "IM", "QOI", "SPIDER", "PDF"), ("L", "RGB")),
}
SUFFIXES = [".jpg", ".png", ".gif", ".bmp", ".webp", ".tif", ".avif", ".jp2", ".ppm", ".heic", ".JPEG", ".psd", ".nef"]
COMPRESSIONS = (None, "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma", "group4")
MAGICS = (
    b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"GIF89a",
    b"BM" + bytes(12) + b"\x28\0\0\0",
    b"RIFF\xff\0\0\0WEBPVP8X",
    b"II*\0\x08\0\0\0",
    b"MM\0+\0\x08\0\0",
    b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf",
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\xff\x4f\xff\x51",
    b"P6 ",
    b"8BPS",
    b"\0\0\x01\0\x01\0",
)


def draw(rng: Random) -> Image.Image:
    """A picture of 1 to 48 pixels a side, now and then a very long one: noise, or a colour and a stripe."""
    height, width = (int(side) for side in rng.integers(1, 49, 2))
    if rng.random() < 0.05:
        height, width = rng.permutation([1, int(rng.integers(1000, 60000))]).tolist()
    pixels = rng.integers(0, 256, (height, width, 4), np.uint8)
    if rng.random() < 0.5:
        pixels[:] = rng.integers(0, 256, 4)
        pixels[: height // 2, ::3] = 255
    return Image.fromarray(pixels)


def convert(image: Image.Image, mode: str, rng: Random) -> Image.Image:
    """The picture in another mode, whether Pillow converts to it or not."""
    grey = np.asarray(image.convert("L"))
    if mode == "I;16":
        return Image.fromarray(grey.astype(np.uint16) * 257)
    if mode == "F":
        values = grey.astype(np.float32) / rng.choice([1, 255])
        values[rng.random(grey.shape) < 0.1] = rng.choice([np.nan, np.inf, -np.inf, -1, 1e30])
        return Image.fromarray(values)
    if mode in ("LAB", "PA"):
        return (
            image.convert("RGB").convert("P").convert("PA") if mode == "PA" else Image.merge("LAB", image.split()[:3])
        )
    return image.convert("RGB" if mode in ("CMYK", "YCbCr", "P") else mode).convert(mode)


def encode(rng: Random) -> bytes:
    """A whole image file, of a random format, mode and ways to save."""
    form = str(rng.choice(list(MODES)))
    image = convert(draw(rng), str(rng.choice(MODES[form])), rng)
    options = choose_options(form, image, rng)
    file = io.BytesIO()
    try:
        if form == "HEIF":
            pillow_heif.from_pillow(image).save(file, quality=int(rng.integers(10, 100)))
        else:
            image.save(file, form, **options)
    except Exception:  # not every option goes with every mode: as plain as can be
        file = io.BytesIO()
        image.convert("RGB").resize((16, 16)).save(file, "PNG" if form == "HEIF" else form)
    return file.getvalue()


def choose_options(form: str, image: Image.Image, rng: Random) -> dict[str, Any]:
    """Ways to save the picture in a format."""
    options: dict[str, Any] = {}
    if form in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "MPO") and rng.random() < 0.4:
        exif = Image.Exif()
        exif[0x0112] = int(rng.integers(0, 10))
        exif[0x010E] = "x" * int(rng.integers(0, 2000))
        options["exif"] = exif.tobytes() if rng.random() < 0.7 else b"Exif\0\0" + rng.bytes(200)
    if form != "AVIF" and rng.random() < 0.2:  # Pillow's writer of AVIF crashes with some
        options["icc_profile"] = rng.bytes(300)
    if form in ("GIF", "PNG", "WEBP", "TIFF", "MPO") and rng.random() < 0.3:
        options |= {"save_all": True, "append_images": [image.rotate(90), image.copy()]}
    if form == "JPEG":
        options |= {"quality": int(rng.integers(1, 101)), "progressive": bool(rng.integers(2))}
    elif form == "PNG" and rng.random() < 0.4:
        texts = PngImagePlugin.PngInfo()
        texts.add_text("comment", "x" * int(rng.integers(0, 100_000)), zip=bool(rng.integers(2)))
        options |= {"pnginfo": texts, "transparency": int(rng.integers(0, 3)), "interlace": int(rng.integers(2))}
    elif form == "TIFF":
        options |= {"compression": rng.choice(np.array(COMPRESSIONS, object)), "big_tiff": bool(rng.random() < 0.2)}
    elif form in ("WEBP", "AVIF"):
        options |= {"lossless": bool(rng.integers(2))} if form == "WEBP" else {"speed": 10}
    elif form == "JPEG2000":
        options |= {"irreversible": bool(rng.integers(2)), "no_jp2": bool(rng.integers(2))}
    return options


def flip(content: bytes, rng: Random) -> bytes:
    """Some bytes become others, mostly near the start, where heads are."""
    changed = bytearray(content)
    reach = len(changed) if rng.random() < 0.4 else min(len(changed), 200)
    for _ in range(int(rng.integers(1, 12))):
        changed[int(rng.integers(reach))] = int(rng.integers(256)) if rng.random() < 0.7 else 255
    return bytes(changed)


def truncate(content: bytes, rng: Random) -> bytes:
    """A file that a stop has cut off, perhaps after a byte, perhaps before the last."""
    return content[: int(rng.integers(len(content) + 1))]


def insert(content: bytes, rng: Random) -> bytes:
    """Bytes from nowhere in the middle, or bytes that stood there again and again."""
    at = int(rng.integers(len(content) + 1))
    again = content[at : at + int(rng.integers(1, 200))] * int(rng.integers(1, 300))
    return content[:at] + (again if rng.random() < 0.5 else rng.bytes(int(rng.integers(1, 5000)))) + content[at:]


def remove(content: bytes, rng: Random) -> bytes:
    """A piece is missing, or is all zeros."""
    start, end = sorted(rng.integers(0, len(content) + 1, 2).tolist())
    return content[:start] + bytes((end - start) * int(rng.integers(2))) + content[end:]


def splice(content: bytes, rng: Random) -> bytes:
    """The head of one file on the body of another."""
    head = encode(rng)
    return head[: int(rng.integers(1, min(len(head), 300) + 1))] + content[int(rng.integers(min(len(content), 300))) :]


def enlarge(content: bytes, rng: Random) -> bytes:
    """Numbers that may be sizes become huge ones, of 2 or 4 bytes."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        width, order = int(rng.choice([2, 4])), str(rng.choice(["big", "little"]))
        at = int(rng.integers(min(len(changed), 120)))
        number = int(rng.choice([9000, 30_000, 60_000, 65_535, 2**31 - 1, 2**32 - 1, 2**24])) % 256**width
        changed[at : at + width] = number.to_bytes(width, order)
    return bytes(changed)


def join(content: bytes, rng: Random) -> bytes:
    """Two files in one."""
    return content + encode(rng)


def invent(content: bytes, rng: Random) -> bytes:
    """Noise behind the first bytes of a format."""
    return MAGICS[int(rng.integers(len(MAGICS)))] + rng.bytes(int(rng.integers(0, 3000)))


def leave(content: bytes, rng: Random) -> bytes:
    """A file that is whole: it may still have another format's suffix."""
    return content


MANGLERS: tuple[Callable[[bytes, Random], bytes], ...] = (
    flip,
    flip,
    truncate,
    insert,
    remove,
    splice,
    enlarge,
    enlarge,
    join,
    invent,
    leave,
)


def mangle(number: int) -> tuple[bytes, str]:
    """The bytes of a case, and a suffix for them: a function of the number."""
    rng = np.random.default_rng((5, number))
    content = encode(rng)
    mangler = MANGLERS[int(rng.integers(len(MANGLERS)))]
    return mangler(content or b"\0", rng), str(rng.choice(SUFFIXES))
