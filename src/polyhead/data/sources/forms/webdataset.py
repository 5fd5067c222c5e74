"""Tar shards of WebDataset (https://github.com/webdataset/webdataset): files of one name are one row."""

import json
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from polyhead.data.images.files import MAX_BYTES
from polyhead.data.images.formats import USUAL_SUFFIXES
from polyhead.data.sources.forms.cells import CellRows, give_records
from polyhead.errors import PolyheadError
from polyhead.files import open_regular

TEXTS = (".cls", ".json", ".txt")
LONGEST_TEXT = 2**24  # bytes
LOOKED_AT = 1000  # files of a tar file by which it is told what it is
IMAGE, KEY = "image", "key"


def is_shard(file: Path) -> bool:
    """Whether a tar file holds images with files of labels beside them, of the same names."""
    kinds: dict[str, set[bool]] = {}
    with suppress(PolyheadError), open_tar(file) as archive:
        for number, member in enumerate(archive):
            key, suffix = _split(member.name)
            if member.isreg() and (suffix in TEXTS or suffix in USUAL_SUFFIXES):
                kinds.setdefault(key, set()).add(suffix in TEXTS)
            if number > LOOKED_AT:
                break
    return any(len(found) == 2 for found in kinds.values())


def read_shard(file: Path, table: str | None) -> CellRows:
    """The rows of a shard: `image`, `key`, the keys of its `.json`, and `cls` and `txt` as text. Nothing else is read.

    Raises:
        PolyheadError: it is broken or no tar file, or has no images.
    """
    records: dict[str, dict[str, Any]] = {}
    with open_tar(file) as archive:
        for member in archive:
            key, suffix = _split(member.name)
            if not member.isreg():
                continue
            if suffix in USUAL_SUFFIXES:
                records.setdefault(key, {}).setdefault(IMAGE, member.name)
            elif suffix in TEXTS:
                records.setdefault(key, {}).update(_read_text(archive, member, suffix, file))
    found = {key: {KEY: key} | record for key, record in records.items() if IMAGE in record}
    if not found:
        raise PolyheadError(f"{file}: expected images in the tar file, with their labels beside them; it has none")
    rows = give_records(list(found.values()), file)
    _, names = next(rows)
    yield 0, names
    place = list(names).index(IMAGE)
    cells = {str(cells[place]): (number, cells) for number, cells in rows}
    with open_tar(file) as archive:
        for member in archive:
            if member.name in cells and member.isreg():
                number, row = cells.pop(member.name)
                content = {"bytes": _read(archive, member, MAX_BYTES, file), "path": member.name}
                yield number, [*row[:place], content, *row[place + 1 :]]


def _split(name: str) -> tuple[str, str]:
    """What files of one row have in common, and the suffix in small letters."""
    path = PurePosixPath(name)
    return str(path.with_name(path.name.partition(".")[0] or "_")) if path.name else "", path.suffix.lower()


def _read_text(archive: tarfile.TarFile, member: tarfile.TarInfo, suffix: str, file: Path) -> dict[str, Any]:
    try:
        text = _read(archive, member, LONGEST_TEXT, file).decode()
        found = json.loads(text) if suffix == ".json" else text.strip()
    except (ValueError, RecursionError) as error:
        raise PolyheadError(f"{file}: {member.name} in it is not what its suffix says: {error}") from None
    own = found if isinstance(found, dict) else {suffix[1:]: found}
    return {name: value for name, value in own.items() if name not in (IMAGE, KEY)}


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo, most: int, file: Path) -> bytes:
    if member.size > most:
        raise PolyheadError(f"{file}: {member.name} in it has {member.size:,} bytes; {most:,} are the most")
    stream = archive.extractfile(member)
    return stream.read() if stream else b""


@contextmanager
def open_tar(file: Path) -> Iterator[tarfile.TarFile]:
    """A tar file, compressed or not.

    Raises:
        PolyheadError: it cannot be read, or is none; also if that is seen within the block.
    """
    try:
        with open_regular(file) as stream, tarfile.open(fileobj=stream, mode="r:*") as archive:
            yield archive
    except (tarfile.TarError, EOFError, zlib.error, ValueError, OverflowError, MemoryError) as error:
        raise PolyheadError(f"{file}: cannot be read as a tar file: {' '.join(str(error).split())}") from None
    except OSError as error:
        raise PolyheadError(f"{file}: cannot be read: {error.strerror or error}") from None
