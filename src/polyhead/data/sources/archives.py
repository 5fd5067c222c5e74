"""Data sets in one zip or tar file: unpacked once into a folder beside the cache, and then read like any folder.

The folder is called by the archive's digest. Nothing but images and label files is unpacked, no link, and
nothing to anywhere else.
"""

import hashlib
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from filelock import FileLock

from polyhead.data.images.formats import SUFFIXES
from polyhead.data.images.kept import kept_root
from polyhead.data.sources.forms.reading import LABEL_SUFFIXES
from polyhead.data.sources.forms.webdataset import is_shard, open_tar
from polyhead.errors import PolyheadError, shorten
from polyhead.files import find_path_fault, open_regular

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
ARCHIVES = (".zip", *TARS)
FOLDER = "archives"  # among the kept files
WANTED = frozenset(SUFFIXES | set(LABEL_SUFFIXES)) - {".tar"}
MOST_FILES = 20_000_000
MOST_BYTES, MOST_TIMES = 2**30, 100  # that it may unpack to: so many, and so many times its own size
PIECE = 2**20


class Member(NamedTuple):
    """A file in an archive: its path there, its size, and how it is opened."""

    path: str
    size: int
    open: Callable[[], IO[bytes] | None]


def is_archive(path: Path) -> bool:
    """Whether it is an archive of a folder; a shard of WebDataset is a label file."""
    if not (path.name.lower().endswith(ARCHIVES) and path.is_file()):
        return False
    return path.suffix.lower() != ".tar" or not is_shard(path)


def unpack_archive(file: Path) -> Path:
    """The folder with the images and label files of an archive, which is unpacked if it was not before.

    Raises:
        PolyheadError: it is broken or encrypted, names a place outside of itself, or unpacks to too much.
    """
    with _tell_faults(file):
        found = file.stat()
        folder = kept_root() / FOLDER / _digest(os.path.realpath(file), found.st_size, found.st_mtime_ns)
        if folder.is_dir():
            return folder
        part = folder.with_name(f".{folder.name}.part")
        part.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if not folder.is_dir():
                _unpack(file, part)
                part.rename(folder)
        return folder


def _unpack(file: Path, folder: Path) -> None:
    limit = MOST_BYTES + MOST_TIMES * file.stat().st_size
    total = 0
    seen: set[str] = set()
    for member in _list_members(file):
        path = _check_path(member.path, file)
        total += member.size
        if total > limit or len(seen) > MOST_FILES:
            raise PolyheadError(
                f"{file}: unpacks to more than {limit:,} bytes; unpack it yourself, and give the folder"
            )
        if path is None or path in seen:
            continue
        seen.add(path)
        target = folder / path
        if target.is_file() and target.stat().st_size == member.size:
            continue  # of a try that was stopped
        if shutil.disk_usage(folder).free < member.size:
            raise PolyheadError(f"{folder}: the disk is too full to unpack {file.name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as sink:
            _copy(member, sink, file)


def _copy(member: Member, sink: IO[bytes], file: Path) -> None:
    stream, left = member.open(), member.size
    while stream and (piece := stream.read(PIECE)):
        left -= len(piece)
        if left < 0:
            raise PolyheadError(f"{file}: {member.path} in it is larger than it says")
        sink.write(piece)


def _check_path(path: str, file: Path) -> str | None:
    """The path below the folder that it is unpacked to; None where the file is none that is wanted."""
    parts = PurePosixPath(path.replace("\\", "/")).parts
    if not parts or ".." in parts or parts[0].startswith("/") or ":" in parts[0] or find_path_fault("/".join(parts)):
        raise PolyheadError(f"{file}: a file in it is called {shorten(path, 60)!r}, which leads elsewhere")
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return None if hidden or PurePosixPath(parts[-1]).suffix.lower() not in WANTED else "/".join(parts)


def _list_members(file: Path) -> Iterator[Member]:
    if file.suffix.lower() == ".zip":
        with open_regular(file) as stream, zipfile.ZipFile(stream) as archive:
            for member in archive.infolist():
                kind = stat.S_IFMT(member.external_attr >> 16)
                if not member.is_dir() and kind in (0, stat.S_IFREG):
                    yield Member(member.filename, member.file_size, partial(archive.open, member))
        return
    with open_tar(file) as tar:
        for entry in tar:
            if entry.isreg():
                yield Member(entry.name, entry.size, partial(tar.extractfile, entry))


@lru_cache(maxsize=64)
def _digest(path: str, size: int, changed: int) -> str:
    """Of all its bytes: the checksums that a zip lists can be forged."""
    digest = hashlib.blake2b(digest_size=16)
    with open_regular(Path(path)) as stream:
        while piece := stream.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


@contextmanager
def _tell_faults(file: Path) -> Iterator[None]:
    try:
        yield
    except PolyheadError:
        raise
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, ValueError, RuntimeError) as error:
        # zipfile says by a RuntimeError that a password is missing, or a way of packing unknown
        raise PolyheadError(f"{file}: cannot be unpacked: {' '.join(str(error).split())}") from None
    except OSError as error:
        raise PolyheadError(f"{file}: cannot be unpacked: {error.strerror or error}") from None
