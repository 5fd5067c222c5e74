"""Packages that bring kinds and sources, as if they were installed: drawn into a folder that is on the path."""

from collections.abc import Mapping
from pathlib import Path


def install_package(
    folder: Path, name: str, modules: Mapping[str, str], entries: Mapping[str, Mapping[str, str]]
) -> None:
    """Write a package's modules, and beside them what `importlib.metadata` knows it by.

    Args:
        folder: on the path, as site-packages is.
        modules: their texts by file name.
        entries: by group of entry points, the objects by name.
    """
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    for file, text in modules.items():
        (folder / file).write_text(text, encoding="utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    lines = []
    for group, found in entries.items():
        lines += [f"[{group}]", *(f"{key} = {place}" for key, place in found.items())]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")


# A kind of task, and the half of it that needs Keras: a number of stars, 1 to 5, which an answer never leaves.
STARS = {
    "stars.py": """
from typing import ClassVar, Literal

from polyhead.tasks import Regression


class Stars(Regression):
    \"\"\"A number of stars, from 1 to 5.\"\"\"

    HEAD: ClassVar[str] = "stars_head:StarsHead"

    kind: Literal["stars"] = "stars"
    most: int = 5
""",
    "stars_head.py": """
from keras import ops

from polyhead.training.heads import RegressionHead


class StarsHead(RegressionHead):
    def activate(self, logits):
        return ops.clip(super().activate(logits), 1, self.task.most)
""",
}
STARS_ENTRIES = {"polyhead.tasks": {"stars": "stars:Stars"}}
