"""Decode many image files in several processes, in order and in bounded memory."""

import os
import signal
from collections import deque
from collections.abc import Generator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyhead.data.images.decode import ImageError, Resize, decode, read_file
from polyhead.data.images.store import digest_bytes
from polyhead.errors import PolyheadError
from polyhead.extras import require
from polyhead.processes import SAFE_IMPORTS, end_with_parent, safe_imports

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
