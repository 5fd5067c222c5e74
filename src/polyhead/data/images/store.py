"""Images decoded in several processes; their rows of pixels on disk, found by the digest of the image file.

A folder holds two files that only grow: `pixels.u8`, with height x width x 3 bytes a row, and `index`, with the digest,
16 bytes a row. A row counts once both files have it, and its pixels are on disk before the index names them: a killed
process or a power cut leaves a shorter store, never a wrong one. Writers hold the folder's lock and first cut off such
leftovers; readers need no lock. Rows are appended by plain writes, which fail with an error on a full disk; writing to
a memory map would kill the process.
"""

import hashlib
import os
import shutil
import signal
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from polyhead.data.images.decode import ImageError, Resize, decode, read_file
from polyhead.errors import PolyheadError, require
from polyhead.processes import SAFE_IMPORTS, end_with_parent, safe_imports
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
        """Bytes of the pixels of one image."""
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
        """The digest of every complete row, in order."""
        if not (self.index.exists() and self.pixels.exists()):
            return []
        known = self.index.read_bytes().hex()
        digits = 2 * DIGEST_BYTES
        rows = min(len(known) // digits, self.pixels.stat().st_size // self.row_bytes)
        return [known[start : start + digits] for start in range(0, rows * digits, digits)]

    def map_rows(self, rows: int) -> NDArray[np.uint8]:
        """Map the first rows for reading: uint8 (rows, height, width, 3), outside this process's own memory."""
        shape = (rows, self.height, self.width, 3)
        if rows == 0:  # an empty file cannot be mapped
            return np.empty(shape, np.uint8)
        try:
            return np.asarray(np.memmap(self.pixels, np.uint8, "r", shape=shape))
        except OSError as error:
            raise PolyheadError(f"{self.pixels}: the image cache cannot be read: {error.strerror}") from error

    @contextmanager
    def hold_lock(self, progress: Progress) -> Iterator[None]:
        """Become the only writer; waits for another one, and says so.

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
            raise self._write_error(error) from error
        try:
            yield
        finally:
            lock.release()

    def cut_leftovers(self) -> None:
        """Cut off the incomplete row that a stopped writer left. Only under the lock."""
        rows = len(self.list_digests())
        for path, unit in ((self.pixels, self.row_bytes), (self.index, DIGEST_BYTES)):
            if path.exists() and path.stat().st_size > rows * unit:
                os.truncate(path, rows * unit)

    def check_space(self, rows: int) -> None:
        """Refuse, before the work, to add more rows than the disk has room for.

        Raises:
            PolyheadError: with what is needed, what is free and what to do.
        """
        free, needed = shutil.disk_usage(self.folder).free, rows * (self.row_bytes + DIGEST_BYTES)
        if needed > free:
            raise PolyheadError(
                f"{self.folder}: the image cache needs {_format_size(needed)} more, and its disk has "
                f"{_format_size(free)} free: point `image.cache` elsewhere, or clear it (`cache`)"
            )

    def append(self, digests: Sequence[str], pixels: NDArray[np.uint8]) -> None:
        """Append rows durably. Only under the lock.

        Raises:
            PolyheadError: they could not be written; the store is as before.
        """
        try:
            _append(self.pixels, pixels.tobytes())
            _append(self.index, bytes.fromhex("".join(digests)))
        except OSError as error:
            with suppress(OSError):
                self.cut_leftovers()
            raise self._write_error(error, pixels.nbytes) from error

    def remove(self) -> None:
        """Delete the rows, and the folder if nothing else is in it. Mapped rows stay readable.

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
        with suppress(OSError):
            self.folder.rmdir()

    def _write_error(self, error: OSError, needed: int = 0) -> PolyheadError:
        what = f"cannot take {_format_size(needed)} more" if needed else "cannot be written"
        return PolyheadError(
            f"{self.folder}: the image cache {what} ({error.strerror or error}): point `image.cache` elsewhere, "
            "or clear it (`cache`)"
        )


def _append(path: Path, data: bytes) -> None:
    """Append all of it to the file and wait until it is on disk."""
    with open(path, "ab", buffering=0) as file:
        left = memoryview(data)
        while left:
            left = left[file.write(left) :]  # a write may be partial
        os.fsync(file.fileno())


def _format_size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


Files = list[tuple[str, Path]]  # digests, each with a file of that content

CHUNK_IMAGES, CHUNK_BYTES = 64, 4 * 2**20  # what a worker takes at a time, and returns at most
FEW = 64  # fewer images than this are decoded before worker processes would have started


@dataclass(frozen=True)
class Chunk:
    """The result of `count` files: digests and pixels of those that were decoded, and why the others failed."""

    count: int
    digests: list[str]
    pixels: NDArray[np.uint8]
    reasons: dict[str, str]


def decode_files(files: Files, size: tuple[int, int], resize: Resize, keep: bool) -> Generator[Chunk, None, None]:
    """Decode files, each only if it still has its digest; close the generator to stop the processes early.

    Args:
        files: few are decoded in this process, many in one process per core.
        size: (height, width).
        resize: as in `to_array`.
        keep: whether the pixels are wanted, or only the reasons.

    Yields:
        Chunks, in the order of the files.

    Raises:
        PolyheadError: a process was killed.
    """
    step = min(CHUNK_IMAGES, max(1, CHUNK_BYTES // (size[0] * size[1] * 3)))
    chunks = [files[start : start + step] for start in range(0, len(files), step)]
    if len(files) < FEW:
        for chunk in chunks:
            yield _decode_chunk(chunk, size, resize, keep)
        return
    require("reading many images", "report")
    # loky's processes start clean, whatever threads run here, and need no `if __name__ == "__main__"`.
    from joblib import cpu_count
    from joblib.externals.loky import Future, ProcessPoolExecutor

    processes = min(cpu_count(), len(chunks))
    with safe_imports():  # loky starts a process that tracks what others share, and hands that one no `env`
        executor = ProcessPoolExecutor(processes, initializer=_follow_parent, initargs=(os.getpid(),), env=SAFE_IMPORTS)
    waiting: deque[Future] = deque()
    try:
        for chunk in chunks:
            with safe_imports():  # and another one here
                waiting.append(executor.submit(_decode_chunk, chunk, size, resize, keep))
            if len(waiting) > 2 * processes:  # no more than these are ever in memory, however slow the disk
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise PolyheadError("a process that decodes images was killed: most likely the memory is full") from error
    finally:
        executor.shutdown(kill_workers=True)


def _follow_parent(parent: int) -> None:
    """Make a worker end with its parent, also when that is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the parent answers it
    end_with_parent(parent)


def _decode_chunk(files: Files, size: tuple[int, int], resize: Resize, keep: bool) -> Chunk:
    images: dict[str, NDArray[np.uint8]] = {}
    reasons: dict[str, str] = {}
    for key, path in files:
        try:
            content = read_file(path)
            if digest_bytes(content) != key:  # pixels are never kept under the digest of other content
                raise ImageError("it changed while it was being read")
            image = decode(content, size, resize)
            if keep:
                images[key] = image
        except ImageError as error:
            reasons[key] = str(error)
    pixels = np.stack(list(images.values())) if images else np.empty((0, *size, 3), np.uint8)
    return Chunk(len(files), list(images), pixels, reasons)
