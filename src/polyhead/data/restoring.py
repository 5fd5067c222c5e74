"""Images that were taken out of other files, found again after the folder of caches was cleared or has moved."""

import os
from collections.abc import Iterable
from pathlib import Path

from polyhead.data.images.kept import find_kept
from polyhead.data.sources.fetching import read_and_fetch
from polyhead.recipe.schema import Recipe


def find_moved(recipe: Recipe, root: Path, paths: Iterable[str]) -> dict[str, str]:
    """The new paths of kept images that are no longer where a table says; they are taken from their source again.

    Raises:
        PolyheadError: the source cannot be read any more.
    """
    gone = {path: find_kept(path) for path in paths if not os.path.isfile(root / path)}
    moved = {path: place.as_posix() for path, place in gone.items() if place}
    if not all(os.path.isfile(place) for place in moved.values()):
        read_and_fetch(recipe, recipe.data_root())
    return moved
