"""Rows of pixels on the disk, found by the digest of the image file that they were decoded from.

A folder holds two files that only ever grow: `pixels.u8`, height x width x 3 bytes a row, and `index`, 16 bytes a row:
the digest. A row counts when both files hold it, and its pixels are on the disk before the index names them, so what a
killed process or a power cut leaves behind is a shorter store, never a wrong one. Writers hold the folder's lock and
first cut off such leftovers; readers need no lock. Rows are appended by plain writes: on a full disk those fail with
an error, where storing through a mapping would end the process.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from polyhead.errors import PolyheadError
from polyhead.progress import Progress

DIGEST_BYTES = 16


def digest_bytes(content: bytes) -> str:
    """Digest a file's bytes with BLAKE2b: the 32 hexadecimal digits under which its row is kept."""
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).hexdigest()


@dataclass(frozen=True)
class Store:
    """The rows in a folder, each (height, width, 3); the folder need not exist yet."""

    folder: Path
    height: int
    width: int

    @property
    def row_bytes(self) -> int:
        """Bytes that the pixels of one image take."""
        return self.height * self.width * 3

    @property
    def pixels(self) -> Path:
        """The file of pixels."""
        return self.folder / "pixels.u8"

    @property
    def index(self) -> Path:
        """The file of digests."""
        return self.folder / "index"

    @property
    def lock(self) -> Path:
        """The file that a writer locks."""
        return self.folder / "lock"

    def list_digests(self) -> list[str]:
        """List the digest of every whole row, in the order of the rows."""
        if not (self.index.exists() and self.pixels.exists()):
            return []
        known = self.index.read_bytes().hex()
        digits = 2 * DIGEST_BYTES
        rows = min(len(known) // digits, self.pixels.stat().st_size // self.row_bytes)
        return [known[start : start + digits] for start in range(0, rows * digits, digits)]

    def map_rows(self, rows: int) -> NDArray[np.uint8]:
        """Map the first rows for reading: uint8 (rows, height, width, 3), not in this process's own memory."""
        shape = (rows, self.height, self.width, 3)
        if rows == 0:  # nothing cannot be mapped
            return np.empty(shape, np.uint8)
        try:
            return np.asarray(np.memmap(self.pixels, np.uint8, "r", shape=shape))
        except OSError as error:
            raise PolyheadError(f"{self.pixels}: the image cache cannot be read: {error.strerror}") from error

    @contextmanager
    def hold_lock(self, progress: Progress) -> Iterator[None]:
        """Be the only writer; wait for another one, and say so.

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
            raise self._tell_failure(error) from error
        try:
            yield
        finally:
            lock.release()

    def cut_leftovers(self) -> None:
        """Cut off what a writer that was stopped left behind the last whole row. Only under the lock."""
        rows = len(self.list_digests())
        for path, unit in ((self.pixels, self.row_bytes), (self.index, DIGEST_BYTES)):
            if path.exists() and path.stat().st_size > rows * unit:
                os.truncate(path, rows * unit)

    def check_space(self, rows: int) -> None:
        """Refuse, before the work, to add more rows than the disk can take.

        Raises:
            PolyheadError: with what is needed, what is free and what to do.
        """
        free, needed = shutil.disk_usage(self.folder).free, rows * (self.row_bytes + DIGEST_BYTES)
        if needed > free:
            raise PolyheadError(
                f"{self.folder}: the image cache needs {_tell_size(needed)} more, and its disk has {_tell_size(free)} "
                "free: point `image.cache` elsewhere, or clear it (`cache`)"
            )

    def append(self, digests: Sequence[str], pixels: NDArray[np.uint8]) -> None:
        """Add rows, durably. Only under the lock.

        Raises:
            PolyheadError: they could not be written; the store is as before.
        """
        try:
            _append(self.pixels, pixels.tobytes())
            _append(self.index, bytes.fromhex("".join(digests)))
        except OSError as error:
            with suppress(OSError):
                self.cut_leftovers()
            raise self._tell_failure(error, pixels.nbytes) from error

    def remove(self) -> None:
        """Delete the rows, and the folder unless something else lies in it. Rows that are mapped stay readable.

        Raises:
            PolyheadError: a run is adding rows, or the files cannot be deleted.
        """
        try:
            with FileLock(self.lock).acquire(blocking=False):
                # The lock goes while it is held: a moment later it may be another writer's.
                for path in (self.index, self.pixels, self.lock):
                    path.unlink(missing_ok=True)
        except Timeout as error:
            raise PolyheadError(f"{self.folder}: a run is filling this cache: clear it when that is done") from error
        except OSError as error:
            raise PolyheadError(f"{self.folder}: the image cache cannot be removed: {error.strerror}") from error
        with suppress(OSError):
            self.folder.rmdir()

    def _tell_failure(self, error: OSError, needed: int = 0) -> PolyheadError:
        what = (
            f"the image cache cannot take {_tell_size(needed)} more" if needed else "the image cache cannot be written"
        )
        return PolyheadError(
            f"{self.folder}: {what} ({error.strerror or error}): point `image.cache` elsewhere, or clear it (`cache`)"
        )


def _append(path: Path, data: bytes) -> None:
    """Write all of it at the end of the file and wait until the disk has it."""
    with open(path, "ab", buffering=0) as file:
        left = memoryview(data)
        while left:
            left = left[file.write(left) :]  # a write may take a part only
        os.fsync(file.fileno())


def _tell_size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
