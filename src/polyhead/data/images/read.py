"""Many image files, read in threads: each once, digested, and decoded if its content is new.

All decoders let other threads run meanwhile (JPEG 2000's apart), and threads are there at once: processes would take as
long to start as several thousand small images take to be decoded.
"""

import hashlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock

import numpy as np
from numpy.typing import NDArray

from polyhead.data.images.files import ImageError, read_file
from polyhead.data.threads import count_cores, map_ordered
from polyhead.progress import Progress

CHUNK_IMAGES, CHUNK_BYTES = 16, 4 * 2**20  # what a thread takes at a time, and holds at most
DIGEST_CHUNK = 64  # paths that a thread takes where they are only digested
DIGEST_BYTES = 16

Pixels = NDArray[np.uint8]


def digest_bytes(content: bytes) -> str:
    """Digest a file's bytes with BLAKE2b: the 32 hexadecimal digits under which its row is kept."""
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).hexdigest()


@dataclass
class Digests:
    """What is known of some paths: each one's digest, None if it failed; failures by index, and by digest.

    The first are files that cannot be read, the second contents that cannot be decoded.
    """

    of: list[str | None]
    failures: dict[int, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def note(self, index: int, result: "str | ImageError") -> None:
        """Keep what came of reading a path."""
        self.failures.pop(index, None)
        self.of[index] = None if isinstance(result, ImageError) else result
        if isinstance(result, ImageError):
            self.failures[index] = str(result)

    def list_failures(self) -> dict[int, str]:
        """Why each image cannot be read, or cannot be decoded, by its index, in order."""
        undecoded = {index: self.reasons[key] for index, key in enumerate(self.of) if key in self.reasons and key}
        return dict(sorted((self.failures | undecoded).items()))

    def find_missing(self, kept: set[str]) -> list[int]:
        """The index of the first path of each digest that is not kept, in order."""
        first: dict[str, int] = {}
        for index, key in enumerate(self.of):
            if key and key not in kept:
                first.setdefault(key, index)
        return list(first.values())


def digest_all(paths: Sequence[Path], progress: Progress) -> Digests:
    """Digest many files."""
    found = Digests([None] * len(paths))
    advance = progress.track("Reading image files", len(paths))
    chunks = (paths[start : start + DIGEST_CHUNK] for start in range(0, len(paths), DIGEST_CHUNK))
    index = 0
    for results in map_ordered(_digest_chunk, chunks, count_cores() + 1):
        for result in results:
            found.note(index, result)
            index += 1
        advance(len(results))
    return found


def _digest_chunk(paths: Sequence[Path]) -> list[str | ImageError]:
    return [_try_digest(path) for path in paths]


def _try_digest(path: Path) -> str | ImageError:
    try:
        return digest_bytes(read_file(path))
    except ImageError as error:
        return error


@dataclass(frozen=True)
class Chunk:
    """What came of some files: each one's digest or fault; the new contents' digests and pixels, or their faults."""

    results: list[str | ImageError]
    digests: list[str]
    pixels: Pixels
    reasons: dict[str, str]


def decode_files(
    paths: Sequence[Path], decoder: Callable[[bytes], Pixels], size: tuple[int, int], keep: bool
) -> Generator[Chunk, None, None]:
    """Read files, and decode each content once; close the generator to stop early.

    Args:
        paths: of the files.
        decoder: a file's bytes to uint8 (height, width, 3); raises an ImageError for what it cannot decode.
        size: (height, width).
        keep: whether the pixels are wanted, or only the reasons.

    Returns:
        Chunks, in the order of the paths.
    """
    step = min(CHUNK_IMAGES, max(1, CHUNK_BYTES // (size[0] * size[1] * 3)))
    chunks = (paths[start : start + step] for start in range(0, len(paths), step))
    work = Work(decoder, size, keep)
    return map_ordered(work.decode_chunk, chunks, count_cores() + 1, work.stopped)


class Work:
    """What threads do with files; and the contents that are no longer new, because one of them is at them."""

    def __init__(self, decoder: Callable[[bytes], Pixels], size: tuple[int, int], keep: bool) -> None:
        self.stopped = Event()
        self._decoder, self._size, self._keep = decoder, size, keep
        self._known: set[str] = set()
        self._lock = Lock()

    def _claim(self, key: str) -> bool:
        with self._lock:
            new = key not in self._known
            self._known.add(key)
        return new

    def decode_chunk(self, paths: Sequence[Path]) -> Chunk:
        """Read files, and decode those whose content is new; fewer than all once `stopped` is set."""
        results: list[str | ImageError] = []
        images: dict[str, Pixels] = {}
        reasons: dict[str, str] = {}
        for path in paths:
            if self.stopped.is_set():
                break
            try:
                content = read_file(path)
                results.append(key := digest_bytes(content))
            except ImageError as error:
                results.append(error)
                continue
            try:
                if self._claim(key):
                    images[key] = self._decoder(content)
            except ImageError as error:
                reasons[key] = str(error)
        kept = images if self._keep else {}
        pixels = np.stack(list(kept.values())) if kept else np.empty((0, *self._size, 3), np.uint8)
        return Chunk(results, list(kept), pixels, reasons)
