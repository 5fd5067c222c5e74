"""Refuse files that are built to take far longer to decode than their pixels need.

Pillow reads the parts of a header one by one, in Python, and each scan of a JPEG covers the whole image. Each check
takes a file's bytes and returns the fault, blank if there is none; the decoder reports everything else.
"""

import re
from collections.abc import Callable

MAX_SCANS = 100  # of a JPEG; cameras and programs write about ten
MAX_BLOCKS = 10_000  # segments of a JPEG; blocks of a GIF before its first image
MAX_CHUNKS = 100_000  # of a PNG, whose pixels may be spread over many
MAX_PLAIN = 2**22  # bytes of a PPM in text, whose pixels are read in Python
MAX_COMMENTS = 100  # of a PPM in text
PPM_HEAD = 10_000  # bytes that must contain a PPM's size

MARKER = re.compile(rb"\xff+([^\0\xff\xd0-\xd7])", re.DOTALL)  # of a JPEG; in its data, FF is followed by 00 or D0-D7
PPM_SIZE = re.compile(rb"P\w{1,5}(\s+(#[^\r\n]*[\r\n]\s*)*\d+){2}\s")


def check_jpeg(content: bytes) -> str:
    """Very many scans or segments: a small file of them takes hours to decode."""
    scans, segments, at, whole, components = 0, 0, 2, False, 0
    while found := MARKER.search(content, at):
        marker, at = found[1][0], found.end()
        if marker == 0xD9:  # the image's end
            return ""
        if marker in (0x01, 0xD8):  # without a length
            continue
        segments += 1
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame
            whole, components = marker & 3 < 2, int.from_bytes(content[at + 7 : at + 8])
        elif marker == 0xDA:
            scans += 1
            only = whole and int.from_bytes(content[at + 2 : at + 3]) == components  # all colours in one
            if only or (scans == 1 and content.count(b"\xff\xda") <= MAX_SCANS):
                return ""
        if scans > MAX_SCANS or segments > MAX_BLOCKS:
            return f"more than {MAX_SCANS} scans, or {MAX_BLOCKS:,} segments, in a JPEG"
        at += max(2, int.from_bytes(content[at : at + 2]))
    return ""


def check_png(content: bytes) -> str:
    """Very many chunks."""
    at, chunks = 8, 0
    while at + 12 <= len(content):
        chunks += 1
        if chunks > MAX_CHUNKS:
            return f"more than {MAX_CHUNKS:,} chunks in a PNG"
        at += 12 + int.from_bytes(content[at : at + 4])
    return ""


def check_gif(content: bytes) -> str:
    """Very many blocks of comments and the like before the first image."""
    flags = content[10] if len(content) > 10 else 0
    at, blocks = 13 + (3 << (flags & 7) + 1 if flags & 128 else 0), 0
    while content[at : at + 1] == b"!":
        blocks += 1
        if blocks > MAX_BLOCKS:
            return f"more than {MAX_BLOCKS:,} blocks before the image in a GIF"
        at += 2
        while at < len(content) and content[at]:
            at += content[at] + 1
        at += 1
    return ""


def check_ppm(content: bytes) -> str:
    """A header that is all comments, or a large image as text."""
    if not PPM_SIZE.match(content[:PPM_HEAD]):
        return f"no size in the first {PPM_HEAD:,} bytes of a PPM"
    if content[1:2] in b"123" and (len(content) > MAX_PLAIN or content.count(b"#") > MAX_COMMENTS):
        return f"more than {MAX_PLAIN:,} bytes, or {MAX_COMMENTS} comments, in a PPM that is text; write it as binary"
    return ""


CHECKS: dict[str, Callable[[bytes], str]] = {
    "JPEG": check_jpeg,
    "PNG": check_png,
    "GIF": check_gif,
    "PPM": check_ppm,
}
