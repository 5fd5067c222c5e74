"""How images become rows, and where rows are kept."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from platformdirs import user_cache_dir

from polyhead.data.images.resizing import Resize
from polyhead.data.images.store import Store

PILLOW, FAST = 1, 2  # versions of rows: other numbers when decoding yields other pixels
NAME = re.compile(rf"(\d+)x(\d+)-({'|'.join(get_args(Resize))})-v\d+")
SHARD = re.compile(r"[\w.]{0,40}", re.ASCII)


@dataclass(frozen=True)
class ImageSettings:
    """How images become rows.

    Attributes:
        size: (height, width).
        resize: `stretch`, `fit` or `cover`.
        cache: `auto`, `off` or the path of a folder, which any number of machines may share.
        shard: the part of the cache that new rows are added to. Processes that fill a cache at the same time have one
            each (their number, say), so that none waits for another; each of them reads all parts.
    """

    size: tuple[int, int]
    resize: Resize = "stretch"
    cache: str = "auto"
    shard: str = ""

    def __post_init__(self) -> None:
        if not SHARD.fullmatch(self.shard):
            raise ValueError(f"shard: expected at most 40 letters, digits, `_` and `.`; got {self.shard!r}")

    def open_store(self, version: int) -> Store:
        """The store of the rows that were resized by Pillow, or by the libraries of the extra `fast`."""
        name = f"{self.size[0]}x{self.size[1]}-{self.resize}-v{version}"
        return Store(cache_root(self.cache) / name, *self.size)


def cache_root(cache: str = "auto") -> Path:
    """The folder of the caches: the given path; for `auto`, $POLYHEAD_CACHE or else the user's cache folder."""
    automatic = os.environ.get("POLYHEAD_CACHE") or user_cache_dir("polyhead", appauthor=False)
    return Path(os.path.expanduser(automatic if cache == "auto" else cache))
