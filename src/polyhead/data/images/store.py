"""Decoded images on disk: rows of pixels, found by the digest of the image file, in shards that grow side by side.

A shard is two files that only grow: `pixels.u8`, with height x width x 3 bytes a row, and `index`, with the digest, 16
bytes a row. A row counts once both files have it, and its pixels are on disk before the index names them: a killed
process or a power cut leaves a shorter shard, never a wrong one. Whoever adds rows holds the shard's lock and first
cuts off such leftovers; readers need no lock. Rows are appended by plain writes, which fail with an error on a full
disk; writing to a memory map would kill the process.

A folder holds one shard, or several (`pixels-NAME.u8`, `index-NAME`), each filled by one process at a time, on any
machine that sees the folder; all of them are read.
"""

import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from polyhead.data.images.read import DIGEST_BYTES, Pixels
from polyhead.errors import PolyheadError
from polyhead.progress import Progress

SYNC_BYTES, SYNC_SECONDS = 16 * 2**20, 1.0  # what a power cut may cost; waiting for the disk takes time
INDEX = re.compile(r"index(?:-([\w.]+))?")


@dataclass(frozen=True)
class Shard:
    """The rows in two files of a folder, each (height, width, 3); neither need exist yet."""

    folder: Path
    height: int
    width: int
    name: str = ""

    @property
    def row_bytes(self) -> int:
        """Bytes of the pixels of one image."""
        return self.height * self.width * 3

    @property
    def pixels(self) -> Path:
        """The file of pixels."""
        return self.folder / f"pixels{self._suffix}.u8"

    @property
    def index(self) -> Path:
        """The file of digests."""
        return self.folder / f"index{self._suffix}"

    @property
    def lock(self) -> Path:
        """The file that a writer locks."""
        return self.folder / f"lock{self._suffix}"

    @property
    def _suffix(self) -> str:
        return f"-{self.name}" if self.name else ""

    def list_digests(self) -> list[str]:
        """The digest of every complete row, in order."""
        if not (self.index.exists() and self.pixels.exists()):
            return []
        known = self.index.read_bytes().hex()
        digits = 2 * DIGEST_BYTES
        rows = min(len(known) // digits, self.pixels.stat().st_size // self.row_bytes)
        return [known[start : start + digits] for start in range(0, rows * digits, digits)]

    def map_rows(self, rows: int) -> Pixels:
        """Map the first rows for reading: uint8 (rows, height, width, 3), outside this process's own memory."""
        shape = (rows, self.height, self.width, 3)
        if rows == 0:  # an empty file cannot be mapped
            return np.empty(shape, np.uint8)
        try:
            return np.asarray(np.memmap(self.pixels, np.uint8, "r", shape=shape))
        except OSError as error:
            raise PolyheadError(f"{self.pixels}: the image cache cannot be read: {error.strerror}") from error

    @contextmanager
    def fill(self, progress: Progress) -> Iterator["Writer"]:
        """Become the only writer; waits for another one, and says so. What was added is on disk when the block ends.

        Raises:
            PolyheadError: the folder cannot be made or written to.
        """
        lock = FileLock(self.lock)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                progress.say(f"Another run is filling the image cache in {self.folder}: waiting for it")
                lock.acquire()
        except OSError as error:
            raise write_error(self.folder, error) from error
        writer = Writer(self)
        try:
            writer.cut_leftovers()
            yield writer
        finally:
            try:
                writer.sync()
            finally:
                lock.release()

    def remove(self) -> None:
        """Delete the rows. Mapped rows stay readable.

        Raises:
            PolyheadError: a run is adding rows, or the files cannot be deleted.
        """
        try:
            with FileLock(self.lock).acquire(blocking=False):
                # The lock file is deleted while it is held: a moment later another writer may hold it.
                for path in (self.index, self.pixels, self.lock):
                    path.unlink(missing_ok=True)
        except Timeout as error:
            raise PolyheadError(f"{self.folder}: a run is filling this cache: clear it when that is done") from error
        except OSError as error:
            raise PolyheadError(f"{self.folder}: the image cache cannot be removed: {error.strerror}") from error


@dataclass
class Writer:
    """Adds rows to a shard, under its lock. Their digests follow once the disk has the pixels, some at a time."""

    shard: Shard
    _waiting: list[str] = field(default_factory=list)
    _synced: float = 0.0

    def cut_leftovers(self) -> None:
        """Cut off the incomplete row that a stopped writer left."""
        rows = len(self.shard.list_digests())
        for path, unit in ((self.shard.pixels, self.shard.row_bytes), (self.shard.index, DIGEST_BYTES)):
            if path.exists() and path.stat().st_size > rows * unit:
                os.truncate(path, rows * unit)

    def append(self, digests: Sequence[str], pixels: Pixels) -> None:
        """Add rows.

        Raises:
            PolyheadError: they could not be written; the shard is as before.
        """
        try:
            with open(self.shard.pixels, "ab", buffering=0) as file:
                _write_all(file.fileno(), pixels)
            self._waiting += digests
            waiting = len(self._waiting) * self.shard.row_bytes
            if waiting >= SYNC_BYTES or time.monotonic() - self._synced >= SYNC_SECONDS:
                self._sync()
        except OSError as error:
            self._waiting.clear()
            with suppress(OSError):
                self.cut_leftovers()
            raise write_error(self.shard.folder, error, pixels.nbytes) from error

    def sync(self) -> None:
        """Wait until all that was added is on disk.

        Raises:
            PolyheadError: it could not be written.
        """
        try:
            self._sync()
        except OSError as error:
            raise write_error(self.shard.folder, error) from error

    def _sync(self) -> None:
        if self._waiting:
            with open(self.shard.pixels, "ab") as file:
                os.fsync(file.fileno())
            with open(self.shard.index, "ab", buffering=0) as file:
                _write_all(file.fileno(), bytes.fromhex("".join(self._waiting)))
                os.fsync(file.fileno())
        self._waiting.clear()
        self._synced = time.monotonic()


def _write_all(file: int, data: Pixels | bytes) -> None:
    left = memoryview(data if isinstance(data, bytes) else np.ascontiguousarray(data).reshape(-1).data)
    while left:
        left = left[os.write(file, left) :]  # a write may be partial


@dataclass(frozen=True)
class Store:
    """All shards of a folder; it need not exist yet."""

    folder: Path
    height: int
    width: int

    def list_shards(self) -> list[Shard]:
        """The shards there are, by name; without any, the one that would be filled first."""
        names = {found[1] or "" for path in self.folder.glob("index*") if (found := INDEX.fullmatch(path.name))}
        return [self.shard(name) for name in sorted(names or {""})]

    def shard(self, name: str) -> Shard:
        """The shard of that name; letters, digits, `_` and `.`, or blank."""
        return Shard(self.folder, self.height, self.width, name)

    def list_digests(self) -> list[str]:
        """The digest of every complete row of all shards."""
        return [key for shard in self.list_shards() for key in shard.list_digests()]

    def has_rows(self) -> bool:
        """Whether any row is complete."""
        return any(shard.list_digests() for shard in self.list_shards())

    def has_room(self, rows: int) -> bool:
        """Whether the disk has room for more rows."""
        free, needed = self._measure(rows)
        return needed <= free

    def check_room(self, rows: int) -> None:
        """Refuse, before the work, to add more rows than the disk has room for.

        Raises:
            PolyheadError: with what is needed, what is free and what to do.
        """
        free, needed = self._measure(rows)
        if needed > free:
            raise PolyheadError(
                f"{self.folder}: the image cache needs {_format_size(needed)} more, and its disk has "
                f"{_format_size(free)} free: point `image.cache` elsewhere, or clear it (`cache`)"
            )

    def _measure(self, rows: int) -> tuple[int, int]:
        there = next((folder for folder in (self.folder, *self.folder.parents) if folder.exists()), self.folder)
        return shutil.disk_usage(there).free, rows * (self.height * self.width * 3 + DIGEST_BYTES)

    def count_bytes(self) -> int:
        """The bytes that all shards take."""
        files = (path for shard in self.list_shards() for path in (shard.pixels, shard.index))
        return sum(path.stat().st_size for path in files if path.exists())

    def remove(self) -> None:
        """Delete all rows, and the folder if nothing else is in it.

        Raises:
            PolyheadError: as in `Shard.remove`.
        """
        for shard in self.list_shards():
            shard.remove()
        with suppress(OSError):
            self.folder.rmdir()


def write_error(folder: Path, error: OSError, needed: int = 0) -> PolyheadError:
    """The error of a cache that cannot be written."""
    what = f"cannot take {_format_size(needed)} more" if needed else "cannot be written"
    return PolyheadError(
        f"{folder}: the image cache {what} ({error.strerror or error}): point `image.cache` elsewhere, "
        "or clear it (`cache`)"
    )


def _format_size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
