"""Decode many image files in several processes, portion by portion, in order, within a bounded memory."""

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

PORTION_IMAGES, PORTION_BYTES = 64, 4 * 2**20  # what a worker is handed at a time, and gives back
FEW = 64  # fewer images than this are decoded sooner than worker processes start


@dataclass(frozen=True)
class Portion:
    """What became of `count` files: digests and pixels of those that could be decoded, reasons of the others."""

    count: int
    digests: list[str]
    pixels: NDArray[np.uint8]
    reasons: dict[str, str]


def decode_files(files: Files, size: tuple[int, int], resize: Resize, keep: bool) -> Generator[Portion, None, None]:
    """Decode files, each only if it still has its digest; close the generator to stop the processes early.

    Args:
        files: few are decoded here, many in a process per core.
        size: (height, width).
        resize: as in `to_array`.
        keep: whether the pixels are wanted, or only the reasons.

    Yields:
        Portions, in the order of the files.

    Raises:
        PolyheadError: a process was killed.
    """
    step = min(PORTION_IMAGES, max(1, PORTION_BYTES // (size[0] * size[1] * 3)))
    portions = [files[start : start + step] for start in range(0, len(files), step)]
    if len(files) < FEW:
        for portion in portions:
            yield _decode_portion(portion, size, resize, keep)
        return
    require("reading many images", "report")
    # loky's processes start from nothing, whatever threads run here, and need no `if __name__ == "__main__"`.
    from joblib import cpu_count
    from joblib.externals.loky import Future, ProcessPoolExecutor

    processes = min(cpu_count(), len(portions))
    with safe_imports():  # loky starts a process that tracks what others share, and hands that one no `env`
        executor = ProcessPoolExecutor(processes, initializer=_serve, initargs=(os.getpid(),), env=SAFE_IMPORTS)
    waiting: deque[Future] = deque()
    try:
        for portion in portions:
            with safe_imports():  # and another one here
                waiting.append(executor.submit(_decode_portion, portion, size, resize, keep))
            if len(waiting) > 2 * processes:  # no more than these are ever in memory, however slow the disk
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise PolyheadError("a process that decodes images was killed: most likely the memory is full") from error
    finally:
        executor.shutdown(kill_workers=True)


def _serve(parent: int) -> None:
    """Make a worker live and die with its parent, which nothing else does when that is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the parent answers it
    end_with_parent(parent)


def _decode_portion(files: Files, size: tuple[int, int], resize: Resize, keep: bool) -> Portion:
    images: dict[str, NDArray[np.uint8]] = {}
    reasons: dict[str, str] = {}
    for key, path in files:
        try:
            content = read_file(path)
            if digest_bytes(content) != key:  # pixels never stand under the digest of another content
                raise ImageError("it changed while it was being read")
            image = decode(content, size, resize)
            if keep:
                images[key] = image
        except ImageError as error:
            reasons[key] = str(error)
    pixels = np.stack(list(images.values())) if images else np.empty((0, *size, 3), np.uint8)
    return Portion(len(files), list(images), pixels, reasons)
