"""Decode once: images are read in any order, and their pixels are kept on disk, where all runs share them.

Pixels are found by the content of their file, in one `Store` per size, way of resizing, and library that resized.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from polyhead.data.images.decode import ImageError, Resize, decode
from polyhead.data.images.fill import Filling
from polyhead.data.images.read import Digests, Pixels
from polyhead.data.images.settings import NAME, ImageSettings, cache_root
from polyhead.data.images.store import Store
from polyhead.errors import PolyheadError
from polyhead.progress import SILENT, Progress

Indices = NDArray[np.integer]


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


def open_images(paths: Sequence[Path], settings: ImageSettings, progress: Progress = SILENT) -> DecodedImages:
    """Open images to be read in any order; those that cannot be decoded are among its `failures`.

    With a cache, missing images are decoded in threads and kept. With `cache: off`, every image is decoded
    once to check it, and again whenever it is read.

    Raises:
        PolyheadError: the cache cannot be written, or its disk is too full.
    """
    fetch: Callable[[Indices], Pixels]
    filling = Filling(paths, settings, progress)
    if settings.cache == "off":
        found = filling.check()
        fetch = partial(_decode_anew, paths, settings, ThreadPoolExecutor())
    else:
        found, store = filling.fill()
        fetch = _find_rows(store, found)
    return DecodedImages(found.of, found.list_failures(), fetch)


def _find_rows(store: Store, found: Digests) -> Callable[[Indices], Pixels]:
    """How to read the rows of these digests."""
    wanted = {key for key in found.of if key and key not in found.reasons}
    place_of: dict[str, tuple[int, int]] = {}
    parts: list[Pixels] = []
    for shard in store.list_shards():
        kept = shard.list_digests()
        place_of |= {key: (len(parts), row) for row, key in enumerate(kept) if key in wanted}
        parts.append(shard.map_rows(len(kept)))
    if wanted - place_of.keys():
        raise PolyheadError(f"{store.folder}: the image cache was cleared while it was being opened: try again")
    places = np.array([place_of.get(key or "", (-1, -1)) for key in found.of], np.int64).reshape(-1, 2)
    return partial(_copy_rows, parts, places)


def _copy_rows(parts: list[Pixels], places: NDArray[np.int64], indices: Indices) -> Pixels:
    part_of, rows = places[indices, 0], places[indices, 1]
    if len(parts) == 1:
        return np.asarray(parts[0][rows])
    pixels = np.empty((len(rows), *parts[0].shape[1:]), np.uint8)
    for part in np.unique(part_of):
        pixels[part_of == part] = parts[part][rows[part_of == part]]
    return pixels


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
            entries.append(CacheEntry(folder.name, settings, len(store.list_digests()), store.count_bytes()))
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


__all__ = ["CacheEntry", "DecodedImages", "ImageSettings", "cache_root", "clear_caches", "list_caches", "open_images"]
