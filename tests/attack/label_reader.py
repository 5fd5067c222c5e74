"""A child process that reads mangled label files: `python -m attack.label_reader FOLDER FIRST END`.

On stdout the number of each case before it is read, and again behind it with what is wrong, if anything is. Bounded in
memory: what needs more fails.
"""

import io
import json
import resource
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from attack.pictures import Random, flip, insert, remove, truncate
from drawn_labels import CASES, INSIDE, recipe
from polyhead.data.inspect.label_files import read_label_layouts
from polyhead.data.table import read_table
from polyhead.errors import PolyheadError
from polyhead.prediction.gather import gather_files
from polyhead.progress import SILENT

MEMORY = 3 * 2**30  # bytes that reading may take; what Python and pyarrow map comes on top
SECONDS = 15.0
ODD: tuple[Any, ...] = (
    None,
    [],
    {},
    [[]],
    {"": {}},
    "",
    "x" * 200_000,
    "\0",
    "\ud800",
    -1,
    10**400,
    1e308,
    float("nan"),
    True,
    [{}],
    "../a",
)


def main(folder: Path, numbers: range) -> None:
    """Read every case: as a source, as a proposal does, and as a list of images to predict."""
    import openpyxl  # noqa: F401, before memory is bounded
    import pyarrow.parquet  # noqa: F401

    resource.setrlimit(resource.RLIMIT_AS, (_mapped() + MEMORY,) * 2)
    for number in numbers:
        print(number, flush=True)
        name, content, keys = mangle(number, folder)
        (folder / name).write_bytes(content)
        source = recipe("attack", {"kind": "table", "file": name} | keys)
        ways: dict[str, Callable[[], object]] = {
            "read": lambda source=source: read_table(source, folder, SILENT),  # type: ignore[misc]
            "propose": lambda name=name: read_label_layouts(folder, name),  # type: ignore[misc]
            "gather": lambda name=name: gather_files([folder / name]),  # type: ignore[misc]
        }
        begun = time.monotonic()
        faults = [fault for way, call in ways.items() if (fault := _try(way, call))]
        if time.monotonic() - begun > SECONDS:
            faults.append(f"took {time.monotonic() - begun:.0f} s")
        print(number, name, "; ".join(faults) if faults else "", flush=True) if faults else print(number, flush=True)
        (folder / name).unlink()


def _try(way: str, call: Callable[[], object]) -> str:
    try:
        call()
    except PolyheadError as error:
        text = str(error)
        return "" if text.isprintable() and 5 < len(text) <= 1100 else f"{way}: not one fit line: {text[:200]!r}"
    except BaseException as error:
        return f"{way}: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return ""


def mangle(number: int, folder: Path) -> tuple[str, bytes, dict[str, Any]]:
    """The name and the bytes of a case, and keys of its source: a function of the number."""
    rng = np.random.default_rng((6, number))
    files = {folder / "whole" / form / Path(name).name: keys for form, (name, _, keys) in CASES.items()}
    files |= {folder / "whole" / "inside" / name: {} for name, _ in INSIDE.values()}
    file = list(files)[int(rng.integers(len(files)))]
    content, keys, name = file.read_bytes(), files[file], file.name
    suffix = Path(name).suffix
    if suffix == ".json" and rng.random() < 0.6:
        content = json.dumps(_replace(json.loads(content), rng)).encode("utf-8", "replace")
    elif suffix == ".jsonl" and rng.random() < 0.6:
        content = b"\n".join(json.dumps(_replace(json.loads(line), rng)).encode() for line in content.splitlines())
    elif suffix == ".xlsx" and rng.random() < 0.8:
        content = _mangle_part(content, rng)
    else:
        content = _mangle_bytes(content, rng)
    if rng.random() < 0.1:
        suffix = Path(CASES[str(rng.choice(list(CASES)))][0]).suffix
    return f"case-{number}{suffix}", content, keys


def _mangle_bytes(content: bytes, rng: Random) -> bytes:
    for _ in range(int(rng.integers(1, 4))):
        manglers = (flip, truncate, insert, remove)
        content = manglers[int(rng.integers(len(manglers)))](content or b"\0", rng)
    return content


def _mangle_part(content: bytes, rng: Random) -> bytes:
    """An archive that is whole, with one part that is not."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as whole, zipfile.ZipFile(made, "w") as archive:
        names = whole.namelist()
        chosen = str(rng.choice([name for name in names if "sheet" in name or "workbook" in name or "Strings" in name]))
        for name in names:
            part = whole.read(name)
            archive.writestr(name, _mangle_bytes(part, rng) if name == chosen else part)
    return made.getvalue()


def _replace(found: Any, rng: Random) -> Any:
    """The same with an odd value in one place, somewhere below."""
    if isinstance(found, dict | list) and found and rng.random() < 0.85:
        keys: list[Any] = list(found) if isinstance(found, dict) else list(range(len(found)))
        key = keys[int(rng.integers(len(keys)))]
        if rng.random() < 0.05 and isinstance(found, dict):
            found[str(ODD[int(rng.integers(len(ODD)))])] = found.pop(key)
        else:
            found[key] = _replace(found[key], rng)
        return found
    return ODD[int(rng.integers(len(ODD)))]


def _mapped() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    main(Path(sys.argv[1]), range(int(sys.argv[2]), int(sys.argv[3])))
