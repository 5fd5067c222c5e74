"""Image files become upright RGB arrays of the size asked for, or one plain reason why not."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.Image import Transpose

from polyhead.data.images.decode import (
    ImageError,
    Resize,
    check_pixels,
    decode,
    find_images,
    read_file,
    read_size,
    read_upright,
    to_array,
)
from polyhead.errors import PolyheadError

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def encode(image: Image.Image, format_: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def paletted(*colors: tuple[int, int, int]) -> Image.Image:
    image = Image.new("P", (2, 2), 0)
    image.putpalette([value for color in colors for value in color])
    return image


def filled(value: float, dtype: type) -> Image.Image:
    return Image.fromarray(np.full((2, 2), value, dtype))


def noisy(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


def upright() -> Image.Image:
    """Eight pixels, no two alike: every turn and mirroring shows."""
    return Image.fromarray((np.arange(24, dtype=np.uint8) * 10).reshape(2, 4, 3))


MODES = {
    "RGB": (encode(Image.new("RGB", (2, 2), (10, 20, 30))), (10, 20, 30)),
    "grey": (encode(Image.new("L", (2, 2), 77)), (77, 77, 77)),
    "one bit": (encode(Image.new("1", (2, 2), 1)), WHITE),
    "grey, 16 bits": (encode(filled(0x8040, np.uint16)), (0x80, 0x80, 0x80)),
    "grey, 16 bits, TIFF": (encode(filled(0x8040, np.uint16), "TIFF"), (0x80, 0x80, 0x80)),
    "grey, 16 bits, PGM": (b"P5 1 1 65535\n\x80\x40", (0x80, 0x80, 0x80)),
    "colour, 16 bits, PPM": (b"P6 1 1 65535\n\xff\xff\x00\x00\x00\x00", RED),
    "grey, 32 bits": (encode(filled(0x8040, np.int32), "TIFF"), (0x80, 0x80, 0x80)),
    "fractions": (encode(filled(0.2, np.float32), "TIFF"), (51, 51, 51)),
    "alpha over white": (encode(Image.new("RGBA", (2, 2), (255, 0, 0, 51))), (255, 204, 204)),
    "fully transparent": (encode(Image.new("RGBA", (2, 2), (255, 0, 0, 0))), WHITE),
    "grey with alpha": (encode(Image.new("LA", (2, 2), (0, 51))), (204, 204, 204)),
    "palette": (encode(paletted(BLUE, RED)), BLUE),
    "palette, a transparent entry": (encode(paletted(BLUE, RED), transparency=0), WHITE),
    "palette, alpha per entry": (encode(paletted(BLUE, RED), transparency=b"\x33\xff"), (204, 204, 255)),
    "RGB, a transparent colour": (encode(Image.new("RGB", (2, 2), RED), transparency=RED), WHITE),
    "GIF": (encode(paletted(GREEN), "GIF"), GREEN),
    "CMYK": (encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100), RED),
    "BMP": (encode(Image.new("RGB", (2, 2), RED), "BMP"), RED),
    "WebP": (encode(Image.new("RGB", (2, 2), RED), "WEBP", lossless=True), RED),
    "JPEG 2000": (encode(Image.new("RGB", (2, 2), RED), "JPEG2000"), RED),
}


@pytest.mark.parametrize(("content", "color"), MODES.values(), ids=MODES.keys())
def test_every_mode_becomes_rgb(content: bytes, color: tuple[int, int, int]) -> None:
    pixels = decode(content, (2, 2), "stretch")
    assert (str(pixels.dtype), pixels.shape) == ("uint8", (2, 2, 3))
    assert np.abs(pixels.astype(int) - color).max() <= 1


def test_numbers_without_an_agreed_white_span_from_black_to_white() -> None:
    image = Image.fromarray(np.array([[-500, 500]], np.int32))
    assert decode(encode(image, "TIFF"), (1, 2), "stretch").tolist() == [[list(BLACK), list(WHITE)]]


STORED_AS = {
    1: None,
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "JPEG"])
@pytest.mark.parametrize(("orientation", "turn"), STORED_AS.items())
def test_the_exif_orientation_is_applied(orientation: int, turn: Transpose | None, format_: str) -> None:
    large = upright().resize((64, 32), Image.Resampling.NEAREST)  # 16 pixels a block: JPEG keeps such colours
    stored = large if turn is None else large.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if format_ == "JPEG" else {}
    pixels = decode(encode(stored, format_, exif=exif, **options), (32, 64), "stretch")
    assert np.abs(pixels.astype(int) - np.asarray(large)).max() <= 3


def test_a_turned_image_is_fitted_by_its_upright_shape() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = Image.new("RGB", (40, 20), WHITE)  # upright it is 20 wide, 40 high
    pixels = decode(encode(lying, "JPEG", exif=exif), (8, 8), "fit")
    assert (pixels[:, :, 0] > 250).sum(axis=1).tolist() == [4] * 8


def test_broken_exif_does_not_cost_the_image() -> None:
    content = encode(Image.new("RGB", (2, 2), RED), "PNG", exif=b"Exif\0\0no such thing")
    assert decode(content, (1, 1), "stretch").tolist() == [[list(RED)]]


def striped() -> Image.Image:
    """40 wide and 20 high: green sides of 10 pixels each, white between."""
    image = Image.new("RGB", (40, 20), GREEN)
    image.paste(WHITE, (10, 0, 30, 20))
    return image


@pytest.mark.parametrize(
    ("size", "resize", "rows"),
    [
        ((4, 4), "stretch", ["gwwg"] * 4),
        ((4, 4), "fit", ["....", "gwwg", "gwwg", "...."]),  # 40x20 -> 4x2, a row of black above and below
        ((2, 8), "fit", ["..gwwg.."] * 2),  # -> 4x2, two columns of black on both sides
        ((4, 4), "cover", ["wwww"] * 4),  # -> 8x4, two columns cut off on both sides
        ((1, 4), "cover", ["gwwg"]),  # -> 4x2, half a row cut off above and below
    ],
)
def test_resizing_keeps_to_its_geometry(size: tuple[int, int], resize: Resize, rows: list[str]) -> None:
    letters = {GREEN: "g", WHITE: "w", BLACK: "."}
    # The filter takes some of the neighbouring colour in: the nearest corner of the colour cube is the colour meant.
    pixels = np.where(decode(encode(striped()), size, resize) > 127, 255, 0)
    assert ["".join(letters[tuple(pixel)] for pixel in row) for row in pixels.tolist()] == rows


@pytest.mark.parametrize("resize", ["stretch", "fit", "cover"])
def test_shrinking_does_not_alias(resize: Resize) -> None:
    checks = np.indices((64, 64)).sum(axis=0) % 2 * 255
    pixels = to_array(Image.fromarray(checks.astype(np.uint8)), (8, 8), resize)
    assert np.abs(pixels - 127.5).max() <= 1


@pytest.mark.parametrize("resize", ["stretch", "fit", "cover"])
def test_a_jpeg_decoded_at_a_fraction_looks_as_if_decoded_whole(resize: Resize) -> None:
    down, across = np.mgrid[0:300, 0:500]
    scene = np.stack([down * 255 // 300, across * 255 // 500, (down + across) * 255 // 800], axis=-1)
    content = encode(Image.fromarray(scene.astype(np.uint8)), "JPEG", quality=95)
    whole = to_array(Image.open(io.BytesIO(content)), (32, 48), resize)
    assert np.abs(decode(content, (32, 48), resize).astype(int) - whole).max() <= 3


def photograph(width: int, height: int) -> Image.Image:
    coarse = np.random.default_rng(width).integers(0, 256, (height // 9 + 1, width // 9 + 1, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


FAST_JPEGS: dict[str, tuple[tuple[int, int], dict[str, object]]] = {
    "small": ((20, 16), {}),
    "of 160 pixels": ((160, 111), {}),
    "shrunk while it is decoded": ((803, 611), {}),
    "much wider than high": ((1600, 40), {}),
    "whole colours": ((160, 111), {"subsampling": 0}),
    "progressive": ((317, 210), {"progressive": True, "quality": 40}),
    "turned": ((317, 210), {"exif": turned(6)}),
    "mirrored": ((317, 210), {"exif": turned(2)}),
}


@pytest.mark.parametrize("resize", ["stretch", "fit", "cover"])
@pytest.mark.parametrize(("shape", "options"), FAST_JPEGS.values(), ids=FAST_JPEGS.keys())
def test_the_fast_way_gives_what_pillow_gives(
    shape: tuple[int, int], options: dict[str, object], resize: Resize, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("simplejpeg")
    pytest.importorskip("cykooz_resizer")
    content = encode(photograph(*shape), "JPEG", **options)
    slow = {size: decode(content, size, resize, fast=False).astype(int) for size in ((96, 64), (7, 200))}
    monkeypatch.setattr("polyhead.data.images.decode.load_image", None)  # Pillow is not asked for the pixels
    for size, expected in slow.items():
        pixels = decode(content, size, resize)
        assert (str(pixels.dtype), pixels.shape, pixels.flags.c_contiguous) == ("uint8", (*size, 3), True)
        assert np.abs(pixels - expected).max() <= 2
        assert np.abs(pixels - expected).mean() <= 0.34


def test_what_the_fast_way_leaves_to_pillow_is_as_without_it() -> None:
    whole = encode(photograph(160, 111), "JPEG")
    left = [
        whole[:-300],
        whole[:-2],
        whole[:400] + b"\xff\xfe\0\4ab\1" + whole[400:],
        whole + b"more",
        encode(photograph(160, 111).convert("L"), "JPEG"),
        encode(photograph(160, 111).convert("CMYK"), "JPEG"),
        encode(photograph(12, 9), "JPEG"),
        encode(photograph(160, 111)),
    ]
    for content in left:
        outcomes: list[object] = []
        for fast in (True, False):
            try:
                outcomes.append(decode(content, (32, 32), "stretch", fast).astype(int))
            except ImageError as error:
                outcomes.append(str(error))
        if isinstance(outcomes[1], str):
            assert outcomes[0] == outcomes[1]
        else:
            assert np.abs(outcomes[0] - outcomes[1]).max() <= 2  # type: ignore[operator]


def test_an_open_image_is_left_as_it_is() -> None:
    image = Image.open(io.BytesIO(encode(noisy(300, 200), "JPEG")))
    pixels = to_array(image, (10, 20), "stretch")
    assert (pixels.shape, image.size, image.mode) == ((10, 20, 3), (300, 200), "RGB")


def test_an_animation_gives_its_first_frame() -> None:
    content = encode(
        Image.new("RGB", (2, 2), RED), "GIF", save_all=True, append_images=[Image.new("RGB", (2, 2), BLUE)]
    )
    assert decode(content, (1, 1), "stretch").tolist() == [[list(RED)]]


JPEG, PNG = encode(noisy(64, 64), "JPEG"), encode(noisy(64, 64))
BROKEN = {
    "no bytes": (b"", "empty file"),
    "a text": (b"name,age\nalice,7\n", "not an image in a format that is read here"),
    "a PostScript program": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "EPS is not a format that is read here; convert it",
    ),
    "one byte": (JPEG[:1], "not an image in a format"),
    "the start of a JPEG's header": (JPEG[:30], "truncated|damaged"),
    "half a JPEG": (JPEG[: len(JPEG) // 2], "truncated: "),
    "half a PNG": (PNG[: len(PNG) // 2], "truncated: "),
    "half a GIF": (encode(noisy(64, 64), "GIF")[:2000], "truncated: "),
    "half a WebP": (encode(noisy(64, 64), "WEBP")[:2000], "damaged: "),
    "half a BMP": (encode(noisy(64, 64), "BMP")[:2000], "truncated: "),
    "half a TIFF": (encode(noisy(64, 64), "TIFF")[:2000], "truncated|damaged"),
    "a PNG with a flipped byte": (PNG[:60] + bytes([PNG[60] ^ 255]) + PNG[61:], "damaged: "),
    "a bomb": (b"P6 60000 60000 255\n", "too large: 60000x60000 pixels, at most 89,478,485"),
    "what Pillow only warns of": (b"P6 10000 10000 255\n", "too large: 10000x10000 pixels"),
}


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_what_cannot_be_decoded_is_refused_with_a_reason(content: bytes, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "image.jpg"
    file.write_bytes(content)
    for source in (content, file):
        with pytest.raises(ImageError, match=f"^({reason})") as refusal:
            decode(source, (8, 8), "stretch")
        assert "\n" not in str(refusal.value)


def test_a_file_that_cannot_be_read_is_refused_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="No such file"):
        decode(tmp_path / "none.jpg", (8, 8), "stretch")
    with pytest.raises(ImageError, match="is not a regular file"):
        decode(tmp_path, (8, 8), "stretch")


def test_images_are_found_below_a_folder_in_order(tmp_path: Path) -> None:
    shown = ["a.jpg", "b/1.PNG", "b/c/2.webp", "b/d.tiff", "z.jpeg"]
    left_out = ["labels.csv", ".hidden.jpg", ".git/x.jpg", "__MACOSX/a.jpg", "b/._1.PNG"]
    for name in reversed(shown + left_out):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b" / "round").symlink_to(tmp_path)  # a link back up is not followed for ever
    assert [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)] == shown


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolyheadError, match=r"none: the folder cannot be listed: No such file"):
        find_images(tmp_path / "none")


def heic(color: tuple[int, int, int] = RED, **options: object) -> bytes:
    file = io.BytesIO()
    pytest.importorskip("pillow_heif").from_pillow(Image.new("RGB", (64, 32), color)).save(file, quality=90, **options)
    return file.getvalue()


SVG = b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>"
UNREAD = {
    ".psd": (b"8BPS\0\1" + bytes(20), "PSD"),
    ".svg": (SVG, "SVG"),
    ".cr3": (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "CR3"),
    ".cr2": (b"II*\0\x10\0\0\0CR\2\0" + bytes(40), "CR2"),
    ".jxl": (b"\xff\x0a" + bytes(20), "JPEG XL"),
    ".exr": (b"v/1\x01" + bytes(20), "OpenEXR"),
}


def test_what_looks_like_an_image_is_found_whether_it_is_read_or_not(tmp_path: Path) -> None:
    shown = [f"by-suffix{suffix}" for suffix in (".HEIC", ".avif", ".nef", ".dng", ".tga", ".pgm", *UNREAD)]
    by_content = {"none": PNG, "photo.jpg~": JPEG, "photo.jpg.1": JPEG, "odd.dat": heic(), "layers": UNREAD[".psd"][0]}
    texts = {
        "notes.txt": b"P5 is a page",
        "page.html": SVG,
        "README": b"BM is a brand",
        "film.mov": b"\0\0\0\x14ftypqt  ",
    }
    for name in shown:
        (tmp_path / name).touch()
    for name, content in (by_content | texts).items():
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "pipe")  # is not waited for
    assert [path.name for path in find_images(tmp_path)] == sorted([*shown, *by_content])


@pytest.mark.parametrize("suffix", UNREAD)
def test_a_format_that_is_not_read_is_named_by_its_content(suffix: str, tmp_path: Path) -> None:
    content, name = UNREAD[suffix]
    (tmp_path / "image.jpg").write_bytes(content)
    with pytest.raises(ImageError, match=f"^{name} is not a format that is read here; convert it to JPEG or PNG$"):
        decode(tmp_path / "image.jpg", (8, 8), "stretch")


def tiff(*tags: tuple[int, int, int, int], data: bytes = b"") -> bytes:
    """A little-endian TIFF of tags (number, type, count, value), and data behind them."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + data


GIF = encode(Image.new("P", (1, 1)), "GIF")
CHUNK = b"\0\0\0\0teSt" + zlib.crc32(b"teSt").to_bytes(4, "big")
GREY = [(256, 4, 1, 16), (257, 4, 1, 16), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1)]
COSTLY = {
    "a PNG of 200,000 chunks": (lambda: PNG[:33] + CHUNK * 200_000 + PNG[33:], "damaged: more than 100,000 chunks"),
    "a GIF of 20,000 comments": (
        lambda: GIF[:6] + b"\1\0\1\0\0\0\0" + b"!\xfe\1a\0" * 20_000 + GIF[13:],
        "damaged: more than 10,000 blocks before the image",
    ),
    "a PPM whose head is comments": (lambda: b"P6 " + b"#\n" * 9000 + b"1 1 255\n123", "damaged: no size in the first"),
    "a PPM of text and comments": (lambda: b"P1 9 9\n" + b"#\n" * 9000, "damaged: more than 4,194,304 bytes, or 100"),
    "a JPEG of 200 scans": (lambda: scans(200), "damaged: more than 100 scans"),
    "a JPEG of 20,000 segments": (
        lambda: JPEG[:2] + b"\xff\xfe\0\2" * 20_000 + JPEG[2:],
        "damaged: more than 100 scans",
    ),
    "a TIFF whose one tile is huge": (
        lambda: tiff(*GREY, (322, 4, 1, 60_000), (323, 4, 1, 30_000), (324, 4, 1, 8), (325, 4, 1, 8)),
        "too large: 60000x30000 pixels",
    ),
    "a TIFF of a strip a row": (
        lambda: tiff(
            *[(257, 4, 1, 200_000) if tag[0] == 257 else tag for tag in GREY],
            *((273, 4, 200_000, 122), (278, 4, 1, 1), (279, 4, 200_000, 122)),
            data=struct.pack("<I", 8) * 400_000,
        ),
        "too many strips or tiles: 200,000",
    ),
    "a camera's raw file": (
        lambda: tiff(*GREY, (254, 4, 1, 1), (273, 4, 1, 8), (279, 4, 1, 256), (330, 4, 1, 8), data=bytes(300)),
        "a camera's raw file is not read here; convert it",
    ),
}


def scans(count: int) -> bytes:
    whole = encode(Image.new("L", (64, 64)), "JPEG", progressive=True)
    return whole[:-2] + whole[whole.rindex(b"\xff\xda") : -2] * count + whole[-2:]


@pytest.mark.parametrize(("make", "reason"), COSTLY.values(), ids=COSTLY.keys())
def test_what_costs_more_than_its_pixels_is_refused(make: Callable[[], bytes], reason: str) -> None:
    with pytest.raises(ImageError, match=f"^{reason}"):
        decode(make(), (8, 8), "stretch")


def test_a_jpeg_of_usual_scans_is_read() -> None:
    for content in (scans(20), scans(0), encode(noisy(64, 64), "JPEG", progressive=True)):
        assert decode(content, (8, 8), "stretch").shape == (8, 8, 3)


def test_heic_is_read_upright_whatever_its_suffix(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, content in {"a.heic": heic(), "b.jpg": heic(), "turned.heif": heic(exif=exif.tobytes())}.items():
        (tmp_path / name).write_bytes(content)
        assert np.abs(decode(tmp_path / name, (4, 4), "stretch").astype(int) - RED).max() <= 4
        picture, form = read_upright(tmp_path / name)
        assert (picture.size[::-1], form) == (read_size(tmp_path / name), "HEIF")
    assert read_size(tmp_path / "turned.heif") == (64, 32)
    assert read_size(tmp_path / "a.heic") == (32, 64)
    with pytest.raises(ImageError, match="too large: 64x32 pixels, at most 100 are read"):
        check_pixels(heic(), 100)


def test_only_regular_files_of_bounded_size_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    (tmp_path / "huge.jpg").write_bytes(JPEG)
    os.truncate(tmp_path / "huge.jpg", 100 * 2**30)  # sparse: it takes no room
    (tmp_path / "folder.jpg").mkdir()
    reasons = {
        "pipe": "is not a regular file",
        "zero": "is not a regular file",
        "folder": "is not a regular file",
        "loop": "Too many levels of symbolic links",
        "gone": "No such file or directory",
        "huge": "too large: 107,374,182,400 bytes, at most 536,870,912 are read",
    }
    for name, reason in reasons.items():
        for read in (lambda path: decode(path, (8, 8), "stretch"), read_file, read_upright, read_size):
            with pytest.raises(ImageError, match=f"^{reason}$"):
                read(tmp_path / f"{name}.jpg")


def test_libraries_print_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    for compression in ("tiff_lzw", "jpeg", "tiff_deflate"):
        content = encode(noisy(64, 64), "TIFF", compression=compression)
        for damaged in (content[:500] + bytes(300) + content[800:], content + b"II*\0" * 9, content[:-200]):
            with suppress(ImageError):
                decode(damaged, (8, 8), "stretch")
    assert capfd.readouterr().err == ""


def test_a_reason_is_one_line_whatever_the_file_says() -> None:
    assert str(ImageError("a\nb\x1b[2J" + "x" * 9999)).startswith(r"a\nb\x1b[2J")
    assert len(str(ImageError("x" * 9999))) == 300


def test_fractions_that_are_no_numbers_become_pixels() -> None:
    values = np.array([[np.nan, np.inf, -np.inf], [-3e38, 3e38, 0]], np.float32)
    assert decode(encode(Image.fromarray(values), "TIFF"), (2, 3), "stretch").shape == (2, 3, 3)
