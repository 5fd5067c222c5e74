"""A child process that reads mangled images: `python -m attack.image_reader FOLDER FIRST END`.

On stdout the number of each case before it is read, and again behind it with what is wrong, if anything is: what
crashes or hangs is told by the last line. Bounded in memory: what needs more fails.
"""

import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from attack.pictures import mangle
from polyhead.data.images.decode import ImageError, check_pixels, decode, read_upright
from polyhead.model.predictor import Predictor
from tiny_model import SIZE

MEMORY = 3 * 2**30  # bytes that reading the images may take; what Python and ONNX Runtime map comes on top
SECONDS = 10.0  # that reading one image in all ways may take
BATCH = 20  # cases that are predicted together
GOOD = {"red": (220, 40, 40), "blue": (50, 70, 220)}


def main(folder: Path, numbers: range) -> None:
    """Read every case alone, and all of them in batches, among images that are whole."""
    predictor = Predictor(folder / "model.onnx", cores=2)
    resource.setrlimit(resource.RLIMIT_AS, (_mapped() + MEMORY,) * 2)
    errors = _divert_stderr(folder)
    good = {name: folder / f"{name}.png" for name in GOOD}
    for name, color in GOOD.items():
        Image.new("RGB", (8, 8), color).save(good[name])
    seen: dict[Path, tuple[int, str | None]] = {}
    for number in numbers:
        print(number, flush=True)
        content, suffix = mangle(number)
        path = folder / f"{number}{suffix}"
        path.write_bytes(content)
        begun = time.monotonic()
        faults, seen[path] = [], (number, None)
        for fault, reason in _read(path, content):
            faults += [fault] if fault else []
            seen[path] = (number, reason)
        if time.monotonic() - begun > SECONDS:
            faults.append(f"took {time.monotonic() - begun:.0f} s")
        if noise := errors():
            faults.append(f"stderr: {noise}")
        print(number, "; ".join(faults), flush=True)
        if len(seen) == BATCH or number == numbers[-1]:
            print(number, flush=True)
            print(number, "; ".join(_predict(predictor, seen, good)), flush=True)
            for path in seen:
                path.unlink()
            seen = {}


def _read(path: Path, content: bytes) -> Iterator[tuple[str, str | None]]:
    """Each way to read a file: what is wrong about it, and the reason that was given where it cannot be read."""
    outcomes: list[bytes | str] = []
    for way, source in (("file", path), ("bytes", content)):
        try:
            pixels = decode(source, (SIZE, SIZE), ("stretch", "fit", "cover")[len(content) % 3])
            sound = pixels.dtype == np.uint8 and pixels.shape == (SIZE, SIZE, 3)
            outcomes.append(pixels.tobytes())
            yield ("" if sound else f"decode({way}): {pixels.dtype} {pixels.shape}"), None
        except ImageError as error:
            outcomes.append(str(error))
            yield _judge(f"decode({way})", error), str(error)
        except BaseException as error:
            yield f"decode({way}): {type(error).__name__}: {error}", None
    same = len(set(outcomes)) == 1
    reason = outcomes[0] if outcomes and isinstance(outcomes[0], str) else None
    yield ("" if same else "a file and its bytes are read differently"), reason
    others: tuple[Callable[[], object], ...] = (lambda: read_upright(path), lambda: check_pixels(content, 10_000))
    for read in others:
        try:
            read()
        except ImageError as error:
            yield _judge("read_upright or check_pixels", error), reason
        except BaseException as error:
            yield f"read_upright or check_pixels: {type(error).__name__}: {error}", reason


def _judge(way: str, error: ImageError) -> str:
    text = str(error)
    return "" if text.isprintable() and 5 < len(text) <= 300 else f"{way}: not one fit line: {text!r}"


def _predict(predictor: Predictor, seen: dict[Path, tuple[int, str | None]], good: dict[str, Path]) -> Iterator[str]:
    """Rows in order, good images with their right answers, bad ones with their reasons."""
    given: list[Path] = []
    for path in seen:
        given += [good["red"], path, good["blue"]]
    records = list(predictor.predict(given))
    if [record["image"] for record in records] != [str(path) for path in given]:
        yield "rows are in another order than the images"
    for path, record in zip(given, records, strict=True):
        if path in seen:
            number, reason = seen[path]
            if bool(record["error"]) != bool(reason):
                yield f"case {number}: predict says {record['error']!r}, decode {reason!r}"
        elif record["error"] or record["answers"]["color"]["answer"] != path.stem:
            yield f"{path.stem} beside bad images: {record}"


def _mapped() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _divert_stderr(folder: Path) -> Callable[[], str]:
    """Send what C libraries and Python print to stderr to a file; the function tells what came since the last call."""
    file = (folder / f"stderr-{os.getpid()}").open("w+b", buffering=0)
    os.dup2(file.fileno(), 2)
    read = 0

    def fresh() -> str:
        nonlocal read
        text = os.pread(file.fileno(), 300, read)
        read = os.fstat(file.fileno()).st_size
        return repr(text) if text else ""

    return fresh


if __name__ == "__main__":
    main(Path(sys.argv[1]), range(int(sys.argv[2]), int(sys.argv[3])))
