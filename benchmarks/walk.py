"""The walk of `polyhead train`: the modules that it enters between the command line and the report, by room.

A module is entered where a function of it is called in the main process. What runs while a module is imported, and what
only the report calls, does not count. A shorter walk is a program that is easier to follow.
"""

import inspect
import os
import sys
import tempfile
import threading
from collections import defaultdict
from contextlib import redirect_stdout
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from PIL import Image

RECIPE = """
name: walk
data: {source: {kind: csv, file: labels.csv}, split: {test: 0.25, valid: 0.25}}
image: {size: [16, 16]}
tasks:
  color: {kind: categorical}
  bright: {kind: binary, labels: [no, yes]}
  marks: {kind: multilabel, labels: [dot, bar]}
  light: {kind: regression}
  size: {kind: ordinal, levels: [S, M, L]}
network: {trunk: {blocks: [{filters: 4, pool: 4}], end: average}}
training: {epochs: 2, batch_size: 8, augment: {flip: horizontal}}
"""
# Paths in the package begin so: of the command line and its bars, and of the pages, before the rooms and since.
COMMAND_LINE = ("cli", "screen.py", "__main__.py")
REPORT = ("report/", "look/")
# What stood in `look/` and is no page.
NUMBERS = ("look/evaluation.py", "look/comparison.py", "look/cluster", "look/grouping.py")


def draw(folder: Path, count: int = 64) -> None:
    """Noise in three colours, with a label of each kind; every seventh cell is blank."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    rows = ["image,color,bright,marks,light,size"]
    for number in range(count):
        pixels = rng.integers(0, 80, (16, 16, 3), np.uint8)
        pixels[..., number % 3] += 120
        Image.fromarray(pixels).save(folder / f"{number}.png")
        cells = ["rgb"[number % 3], ["no", "yes"][number % 2], ["dot", "bar", "dot|bar", "none"][number % 4]]
        cells += [f"{pixels.mean():.1f}", "SML"[number % 3]]
        shown = ["" if (number * len(cells) + index) % 7 == 0 else cell for index, cell in enumerate(cells)]
        rows.append(",".join([f"{number}.png", *shown]))
    (folder / "labels.csv").write_text("\n".join(rows))


class Walk:
    """A profiler that notes the modules of a package in which functions are called."""

    def __init__(self, package: Path) -> None:
        self.modules: set[str] = set()
        self._start = f"{package}{os.sep}"

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """What Python calls at each call; a function's code is optimized, a class's or a module's body is not."""
        module = self._name(frame)
        function = event == "call" and frame.f_code.co_flags & inspect.CO_OPTIMIZED
        known = not module or module in self.modules or module.startswith(COMMAND_LINE)
        if function and not known and not self._is_aside(frame):
            self.modules.add(module)

    def _name(self, frame: FrameType) -> str:
        """The frame's module, such as `data/table.py`; blank outside of the package."""
        file = frame.f_code.co_filename
        return file.removeprefix(self._start).replace(os.sep, "/") if file.startswith(self._start) else ""

    def _is_aside(self, frame: FrameType | None) -> bool:
        """Whether it is called by the report, or while a module of the package is imported."""
        while frame is not None:
            module = self._name(frame)
            if module and frame.f_code.co_name == "<module>":
                return True
            if module.startswith(REPORT) and not module.startswith(NUMBERS):
                return True
            frame = frame.f_back
        return False


def walk(folder: Path) -> list[str]:
    """The modules, such as `data/table.py`, that `train` enters between the command line and the report."""
    os.environ["POLYHEAD_CACHE"] = str(folder / "cache")
    draw(folder / "images")
    (folder / "walk.yaml").write_text(RECIPE)
    import polyhead
    from polyhead.cli import main

    sys.argv = ["polyhead", "train", str(folder / "walk.yaml"), "--data", str(folder / "images")]
    sys.argv += ["--out", str(folder / "run")]
    noted = Walk(Path(polyhead.__file__).parent)
    threading.setprofile(noted)
    sys.setprofile(noted)
    try:
        with redirect_stdout(sys.stderr):
            main()
    except SystemExit as end:
        if end.code:
            raise
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return sorted(noted.modules)


def print_walk(modules: list[str]) -> None:
    """A line a room, then their number."""
    rooms: dict[str, list[str]] = defaultdict(list)
    for module in modules:
        room, slash, name = module.partition("/")
        rooms[room if slash else ""].append((name or room).removesuffix(".py"))
    for room, names in sorted(rooms.items()):
        print(f"{room or '(top)':12} {len(names):3}  {' '.join(names)}")
    print(f"{'modules':12} {len(modules):3}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        found = walk(Path(place))
    print_walk(found)
