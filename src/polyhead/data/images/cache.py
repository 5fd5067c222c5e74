"""Decode once: image files opened for reading in any order, their pixels kept on the disk and shared by runs.

Pixels are found by the content of their file, in one `Store` per size and way of resizing.
"""

import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast, get_args

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_dir

from polyhead.data.images.decode import ImageError, Resize, decode, read_file
from polyhead.data.images.parallel import Files, decode_files
from polyhead.data.images.store import Store, digest_bytes
from polyhead.errors import PolyheadError
from polyhead.progress import SILENT, Progress

Pixels = NDArray[np.uint8]
Indices = NDArray[np.integer]

VERSION = 1  # raise it when decoding gives other pixels: a cache of another version is not read
NAME = re.compile(rf"(\d+)x(\d+)-({'|'.join(get_args(Resize))})-v\d+")


@dataclass(frozen=True)
class ImageSettings:
    """How images become rows: size is (height, width); cache is `auto`, `off` or the path of a folder."""

    size: tuple[int, int]
    resize: Resize = "stretch"
    cache: str = "auto"


@dataclass(frozen=True, eq=False)
class Images:
    """Images in the order of the paths they were opened from.

    Attributes:
        digests: of each file's bytes, 32 hexadecimal digits, equal for byte-identical files; None if unreadable.
        failures: the position of each image that cannot be read, and why.
    """

    digests: list[str | None]
    failures: dict[int, str]
    fetch: Callable[[Indices], Pixels]

    def __len__(self) -> int:
        return len(self.digests)

    def read(self, indices: Indices) -> Pixels:
        """Copy the images at these positions: uint8 (n, height, width, 3), 0-255, RGB. Safe in threads.

        Raises:
            ValueError: one of them is among the failures.
            PolyheadError: without a cache, a file can no longer be read.
        """
        if failed := self.failures.keys() & set(indices.tolist()):
            raise ValueError(f"image {min(failed)} cannot be read: {self.failures[min(failed)]}")
        return self.fetch(indices)


def open_images(paths: Sequence[Path], settings: ImageSettings, progress: Progress = SILENT) -> Images:
    """Make images ready to be read in any order; those that cannot be decoded are told by position.

    With a cache, the images that it lacks are decoded by several processes and kept. With `cache: off`, every image
    is decoded once to see that it can be, and again whenever it is read.

    Raises:
        PolyheadError: the cache cannot be written, or its disk is too full.
    """
    digests, failures = digest_all(paths, progress)
    wanted: dict[str, Path] = {}
    for key, path in zip(digests, paths, strict=True):
        if key:
            wanted.setdefault(key, path)
    fetch: Callable[[Indices], Pixels]
    if settings.cache == "off":
        reasons = _verify(list(wanted.items()), settings, progress)
        fetch = partial(_decode_anew, paths, settings, ThreadPoolExecutor())
    else:
        name = f"{settings.size[0]}x{settings.size[1]}-{settings.resize}-v{VERSION}"
        store = Store(cache_root(settings.cache) / name, *settings.size)
        reasons = _fill(store, wanted, settings, progress)
        kept = store.list_digests()
        row_of = {key: row for row, key in enumerate(kept)}
        if wanted.keys() - row_of.keys() - reasons.keys():
            raise PolyheadError(f"{store.folder}: the image cache was cleared while it was being opened: try again")
        rows = np.array([row_of.get(key or "", -1) for key in digests], np.int64)
        fetch = partial(_copy_rows, store.map_rows(len(kept)), rows)
    failures |= {index: reasons[key] for index, key in enumerate(digests) if key and key in reasons}
    return Images(digests, dict(sorted(failures.items())), fetch)


def _copy_rows(pixels: Pixels, rows: NDArray[np.int64], indices: Indices) -> Pixels:
    return pixels[rows[indices]]


def _decode_anew(paths: Sequence[Path], settings: ImageSettings, pool: ThreadPoolExecutor, indices: Indices) -> Pixels:
    def decode_one(index: int) -> Pixels:
        try:
            return decode(paths[index], settings.size, settings.resize)
        except ImageError as error:
            raise PolyheadError(f"{paths[index]}: the image can no longer be read: {error}") from error

    pixels = np.empty((len(indices), *settings.size, 3), np.uint8)
    for row, image in enumerate(pool.map(decode_one, indices.tolist())):
        pixels[row] = image
    return pixels


def digest(path: Path) -> str:
    """Digest a file's bytes with BLAKE2b: 32 hexadecimal digits.

    Raises:
        ImageError: the file cannot be read.
    """
    return digest_bytes(read_file(path))


def digest_all(paths: Sequence[Path], progress: Progress = SILENT) -> tuple[list[str | None], dict[int, str]]:
    """Digest many files in threads: a digest a path, None where it failed; and the failures by position."""
    digests: list[str | None] = []
    failures: dict[int, str] = {}
    advance = progress.track("Reading image files", len(paths))
    step = 64  # paths that a thread is handed at a time
    portions = [paths[start : start + step] for start in range(0, len(paths), step)]
    with ThreadPoolExecutor() as pool:
        for results in pool.map(_digest_portion, portions):
            for result in results:
                if isinstance(result, ImageError):
                    failures[len(digests)] = str(result)
                digests.append(None if isinstance(result, ImageError) else result)
            advance(len(results))
    return digests, failures


def _digest_portion(paths: Sequence[Path]) -> list[str | ImageError]:
    results: list[str | ImageError] = []
    for path in paths:
        try:
            results.append(digest(path))
        except ImageError as error:
            results.append(error)
    return results


def _verify(files: Files, settings: ImageSettings, progress: Progress) -> dict[str, str]:
    """Decode every file and keep nothing but the reasons of those that fail, by digest."""
    reasons: dict[str, str] = {}
    advance = progress.track("Checking images", len(files))
    with closing(decode_files(files, settings.size, settings.resize, keep=False)) as portions:
        for portion in portions:
            reasons |= portion.reasons
            advance(portion.count)
    return reasons


def _fill(store: Store, wanted: dict[str, Path], settings: ImageSettings, progress: Progress) -> dict[str, str]:
    """Decode and keep what the store lacks; the reasons of those that fail, by digest."""
    if not wanted.keys() - set(store.list_digests()):
        return {}
    reasons: dict[str, str] = {}
    with store.hold_lock(progress):
        store.cut_leftovers()
        kept = set(store.list_digests())  # again: another run may have filled it before the lock was ours
        files = [(key, path) for key, path in wanted.items() if key not in kept]
        if not files:
            return reasons
        store.check_space(len(files))
        advance = progress.track("Decoding images", len(files))
        with closing(decode_files(files, settings.size, settings.resize, keep=True)) as portions:
            for portion in portions:
                store.append(portion.digests, portion.pixels)
                reasons |= portion.reasons
                advance(portion.count)
    return reasons


def cache_root(cache: str = "auto") -> Path:
    """Say where caches lie: in the path given, or for `auto` in $POLYHEAD_CACHE, or else the user's cache folder."""
    automatic = os.environ.get("POLYHEAD_CACHE") or user_cache_dir("polyhead", appauthor=False)
    return Path(os.path.expanduser(automatic if cache == "auto" else cache))


@dataclass(frozen=True)
class CacheEntry:
    """One cache folder: its name, what its rows are, how many there are and the bytes they take on the disk."""

    name: str
    settings: ImageSettings
    images: int
    bytes: int


def list_caches(root: Path) -> list[CacheEntry]:
    """List the cache folders in `root` by name, those of other versions included."""
    entries = []
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        parts = NAME.fullmatch(folder.name)
        if parts and folder.is_dir():
            settings = ImageSettings((int(parts[1]), int(parts[2])), cast(Resize, parts[3]), str(root))
            store = Store(folder, *settings.size)
            size = sum(path.stat().st_size for path in (store.pixels, store.index) if path.exists())
            entries.append(CacheEntry(folder.name, settings, len(store.list_digests()), size))
    return entries


def clear_caches(root: Path) -> int:
    """Remove the caches in `root`, and nothing else that lies there; the bytes freed. Open `Images` stay readable.

    Raises:
        PolyheadError: one of them is being filled, or cannot be removed.
    """
    entries = list_caches(root)
    for entry in entries:
        Store(root / entry.name, *entry.settings.size).remove()
    return sum(entry.bytes for entry in entries)
