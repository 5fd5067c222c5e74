"""Decode once: images are read in any order, and their pixels are kept on disk, where all runs share them.

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
from polyhead.data.images.store import Files, Store, decode_files, digest_bytes
from polyhead.errors import PolyheadError
from polyhead.progress import SILENT, Progress

Pixels = NDArray[np.uint8]
Indices = NDArray[np.integer]

VERSION = 1  # raise it when decoding yields other pixels: a cache of another version is not read
NAME = re.compile(rf"(\d+)x(\d+)-({'|'.join(get_args(Resize))})-v\d+")


@dataclass(frozen=True)
class ImageSettings:
    """How images become rows: size is (height, width); cache is `auto`, `off` or the path of a folder."""

    size: tuple[int, int]
    resize: Resize = "stretch"
    cache: str = "auto"


@dataclass(frozen=True, eq=False)
class DecodedImages:
    """Images that can be read in any order, by their index among the paths they were opened from.

    Attributes:
        digests: of each file's bytes, 32 hexadecimal digits, equal for byte-identical files; None if unreadable.
        failures: the index of each image that cannot be read, and why.
    """

    digests: list[str | None]
    failures: dict[int, str]
    fetch: Callable[[Indices], Pixels]

    def __len__(self) -> int:
        return len(self.digests)

    def read(self, indices: Indices) -> Pixels:
        """Copy the images at these indices: uint8 (n, height, width, 3), 0-255, RGB. Safe in threads.

        Raises:
            ValueError: one of them is among the failures.
            PolyheadError: without a cache, a file can no longer be read.
        """
        if failed := self.failures.keys() & set(indices.tolist()):
            raise ValueError(f"image {min(failed)} cannot be read: {self.failures[min(failed)]}")
        return self.fetch(indices)


def open_images(
    paths: Sequence[Path], settings: ImageSettings, progress: Progress = SILENT, known: Sequence[str] | None = None
) -> DecodedImages:
    """Open images to be read in any order; those that cannot be decoded are among its `failures`.

    With a cache, missing images are decoded by several processes and kept. With `cache: off`, every image is decoded
    once to check it, and again whenever it is read.

    Args:
        known: the digests of the files, where another process has just found them: they are not read for that again.

    Raises:
        PolyheadError: the cache cannot be written, or its disk is too full.
    """
    digests, failures = (list(known), {}) if known is not None else digest_all(paths, progress)
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
    return DecodedImages(digests, dict(sorted(failures.items())), fetch)


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
    """Digest many files in threads: a digest for each path, None if it failed; and the failures by index."""
    digests: list[str | None] = []
    failures: dict[int, str] = {}
    advance = progress.track("Reading image files", len(paths))
    step = 64  # paths that a thread takes at a time
    chunks = [paths[start : start + step] for start in range(0, len(paths), step)]
    with ThreadPoolExecutor() as pool:
        for results in pool.map(_digest_chunk, chunks):
            for result in results:
                if isinstance(result, ImageError):
                    failures[len(digests)] = str(result)
                digests.append(None if isinstance(result, ImageError) else result)
            advance(len(results))
    return digests, failures


def _digest_chunk(paths: Sequence[Path]) -> list[str | ImageError]:
    results: list[str | ImageError] = []
    for path in paths:
        try:
            results.append(digest(path))
        except ImageError as error:
            results.append(error)
    return results


def _verify(files: Files, settings: ImageSettings, progress: Progress) -> dict[str, str]:
    """Decode every file, and keep only why files failed, by digest."""
    reasons: dict[str, str] = {}
    advance = progress.track("Checking images", len(files))
    with closing(decode_files(files, settings.size, settings.resize, keep=False)) as chunks:
        for chunk in chunks:
            reasons |= chunk.reasons
            advance(chunk.count)
    return reasons


def _fill(store: Store, wanted: dict[str, Path], settings: ImageSettings, progress: Progress) -> dict[str, str]:
    """Decode and keep what is missing from the store; returns why files failed, by digest."""
    if not wanted.keys() - set(store.list_digests()):
        return {}
    reasons: dict[str, str] = {}
    with store.hold_lock(progress):
        store.cut_leftovers()
        kept = set(store.list_digests())  # again: another run may have filled it before this one got the lock
        files = [(key, path) for key, path in wanted.items() if key not in kept]
        if not files:
            return reasons
        store.check_space(len(files))
        advance = progress.track("Decoding images", len(files))
        with closing(decode_files(files, settings.size, settings.resize, keep=True)) as chunks:
            for chunk in chunks:
                store.append(chunk.digests, chunk.pixels)
                reasons |= chunk.reasons
                advance(chunk.count)
    return reasons


def cache_root(cache: str = "auto") -> Path:
    """The folder of the caches: the given path; for `auto`, $POLYHEAD_CACHE or else the user's cache folder."""
    automatic = os.environ.get("POLYHEAD_CACHE") or user_cache_dir("polyhead", appauthor=False)
    return Path(os.path.expanduser(automatic if cache == "auto" else cache))


@dataclass(frozen=True)
class CacheEntry:
    """One cache folder: its name, the settings of its images, how many they are and how many bytes they take."""

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
    """Remove the caches in `root`, and nothing else there; returns the bytes freed. Opened images stay readable.

    Raises:
        PolyheadError: one of them is being filled, or cannot be removed.
    """
    entries = list_caches(root)
    for entry in entries:
        Store(root / entry.name, *entry.settings.size).remove()
    return sum(entry.bytes for entry in entries)
