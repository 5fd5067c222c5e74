"""Files: read where they are regular ones, written beside and then renamed, so that they are there whole or not at all.

Nothing is waited for that may never come (a pipe's other end), and nothing is replaced that is no file (a device).
"""

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from polyhead.errors import PolyheadError

LONGEST_NAME = 255  # bytes, on all usual file systems
LONGEST_PATH = 4000  # bytes, with room for what is made beside it
PART = ".part-"  # before the name of a file that is being written


def find_path_fault(path: str) -> str:
    """Why no file can be called so, whatever is on the disk; blank where one can."""
    if not path:
        return "is empty"
    if "\0" in path:
        return "holds a NUL"
    try:
        names = os.fsencode(path).split(os.fsencode(os.sep))
    except UnicodeEncodeError:
        return "is no name that a file can have"
    if len(longest := max(names, key=len)) > LONGEST_NAME:
        return f"has a name of {len(longest):,} bytes in it; {LONGEST_NAME} is the most"
    return f"is longer than {LONGEST_PATH:,} bytes" if len(os.fsencode(path)) > LONGEST_PATH else ""


def open_regular(path: Path) -> BinaryIO:
    """Open a file to read its bytes, without ever waiting for another process.

    Raises:
        OSError: it cannot be opened, or is a folder, a pipe, a socket or a device; `strerror` is the reason.
    """
    try:
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError as error:  # a NUL in its name
        raise OSError(0, str(error), str(path)) from None
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(0, "is not a regular file", str(path))
    return os.fdopen(number, "rb")


@contextmanager
def write_beside(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` when the block ends well, and is gone if it does not.

    A link stays, and what it points to is replaced. What is there and is no regular file (a device, a pipe) is written
    to, not replaced.

    Raises:
        PolyheadError: it is a folder, or cannot be written.
    """
    try:
        target = Path(os.path.realpath(path))
        if not path.name or target.is_dir():
            raise PolyheadError(f"{path}: is a folder; name a file in it")
        if target.exists() and not target.is_file():
            with tempfile.TemporaryDirectory() as folder:
                made = Path(folder) / target.name
                yield made
                with made.open("rb") as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
            return
        beside = name_beside(target)
        try:
            yield beside
            os.replace(beside, target)
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.strerror:
            raise PolyheadError(f"{path}: cannot be written: {error.strerror}") from None
        if "\0" in str(path):
            raise PolyheadError(f"{path}: cannot be written: there is a NUL in its name") from None
        raise  # a library's own, about what was to be written


def name_beside(path: Path) -> Path:
    """The hidden name beside `path` under which it is written, with its suffix.

    Always the same one: what a killed process leaves there, the next one writes over.
    """
    name = f"{PART}{path.name}"
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f"{PART}{hashlib.blake2b(os.fsencode(path.name), digest_size=16).hexdigest()}{path.suffix[:16]}"
    return path.with_name(name)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file whole or not at all; what cannot be encoded is written as `?`.

    Raises:
        PolyheadError: it cannot be written.
    """
    with write_beside(path) as beside:
        beside.write_bytes(text.encode("utf-8", "replace"))
