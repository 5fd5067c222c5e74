"""Images that come inside other files, or from addresses: each is kept once, as a file of its own beside the cache.

Their names begin with the digest of their content, so that they sort alike on every machine.
"""

import hashlib
import os
import re
import shutil
from pathlib import Path

from polyhead.data.images.cache import cache_root
from polyhead.data.images.files import MAX_BYTES
from polyhead.data.images.formats import HEAD, detect_format
from polyhead.files import write_beside

FOLDER = "files"  # in the folder of the caches
LONGEST_NAME = 60
KEPT = re.compile(r"[0-9a-f]{32}(-[\w.-]+)?\.[a-z0-9-]+")
SUFFIXES = {"JPEG": "jpg", "TIFF": "tif", "JPEG2000": "jp2", "HEIF": "heic"}


def kept_root() -> Path:
    """The folder of kept images."""
    return cache_root() / FOLDER


def keep_image(content: bytes, name: str = "") -> Path:
    """The file of an image, which is written if it is not there yet.

    Args:
        name: what it was called where it came from; the end of the file's name.

    Raises:
        ValueError: the bytes are no image, as far as their start tells, or too many.
        PolyheadError: it cannot be written.
    """
    form = detect_format(content[:HEAD])
    if not form:
        raise ValueError("its bytes are no image")
    if len(content) > MAX_BYTES:
        raise ValueError(f"has {len(content):,} bytes; {MAX_BYTES:,} are the most")
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    stem = re.sub(r"[^\w.-]+", "_", os.path.splitext(os.path.basename(name))[0], flags=re.ASCII)[-LONGEST_NAME:]
    suffix = SUFFIXES.get(form, form.lower().replace(" ", "-"))
    file = kept_root() / digest[:2] / f"{digest}{f'-{stem}' if stem else ''}.{suffix}"
    if not file.is_file() or file.stat().st_size != len(content):
        file.parent.mkdir(parents=True, exist_ok=True)
        with write_beside(file) as beside:
            beside.write_bytes(content)
    return file


def find_kept(path: str) -> Path | None:
    """Where a kept image is now, whatever the folder of caches was when it was named; None if it is no such image."""
    name = Path(path).name
    if not (os.path.isabs(path) and KEPT.fullmatch(name) and Path(path).parent.name == name[:2]):
        return None
    return kept_root() / name[:2] / name


def measure_kept(root: Path) -> tuple[int, int]:
    """How many files are kept below a folder of caches, and how many bytes they have."""
    files = [path for path in (root / FOLDER).rglob("*") if path.is_file()]
    return len(files), sum(path.stat().st_size for path in files)


def clear_kept(root: Path) -> int:
    """Remove what is kept, which is taken from its source again when it is wanted; returns the bytes freed."""
    freed = measure_kept(root)[1]
    shutil.rmtree(root / FOLDER, ignore_errors=True)
    return freed
