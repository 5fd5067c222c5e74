"""Packages that bring kinds and sources, as if they were installed: drawn into a folder that is on the path."""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polyhead.recipe.sources import PLUGIN_SOURCES
from polyhead.tasks import KINDS

GUIDE = (Path(__file__).parent.parent / "docs/own_parts.md").read_text(encoding="utf-8")


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
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    lines = []
    for group, found in entries.items():
        lines += [f"[{group}]", *(f"{key} = {place}" for key, place in found.items())]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")


def install_guide(folder: Path) -> None:
    """Write the examples of docs/own_parts.md: the module `my_parts`, and the installed package `my-package`."""
    modules = {"my_package/__init__.py": ""}
    for block in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL):
        named = re.match(r"# (my_package/\S+\.py)\n", block)
        name = named[1] if named else "my_parts.py"
        modules[name] = modules.get(name, "") + block
    (toml,) = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    install_package(folder, "my-package", modules, tomllib.loads(toml)["project"]["entry-points"])


@contextmanager
def forgotten(folder: Path) -> Iterator[None]:
    """What the block imports of a folder, and the kinds that its packages bring, are unknown again after it."""
    known: list[tuple[dict[str, Any], dict[str, Any]]] = [(found, dict(found)) for found in (KINDS, PLUGIN_SOURCES)]
    try:
        yield
    finally:
        for found, before in known:
            found.clear()
            found.update(before)
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", "")).startswith(str(folder)):
                del sys.modules[name]
