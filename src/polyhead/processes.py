"""Processes that are started here import nothing from the current folder, and end with the one that started them.

`python -m` and `python -c` look for modules in the current folder first, whoever put an `onnx.py` into it, unless they
are told not to. And nothing ends a process whose parent is killed.
"""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Thread

SAFE_IMPORTS = {"PYTHONSAFEPATH": "1"}  # for the environment of a process; those that it starts inherit it


@contextmanager
def safe_imports() -> Iterator[None]:
    """Start processes safely where a library starts them, and takes no environment for them."""
    before = {name: os.environ.get(name) for name in SAFE_IMPORTS}
    os.environ.update(SAFE_IMPORTS)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def search_last(folders: Iterable[str]) -> None:
    """Import from these folders, too, what is nowhere else: nothing in them takes the place of another module."""
    sys.path.extend(folder for folder in folders if folder not in sys.path)


def end_with_parent(parent: int | None = None) -> None:
    """Make this process end when the one that started it does, however that ends: the process `parent`, if known."""
    parent = parent or os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    Thread(target=watch, daemon=True).start()
