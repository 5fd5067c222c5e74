"""What all tests stand on: no cache but the test's own, and small drawn data sets."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import polyhead.data.sources.rows  # noqa: F401  (sets how pandas keeps text, as in every run)
from polyhead.cli.app import main
from polyhead.training import choose_backend

choose_backend()

COLORS = {"red": (220, 40, 40), "green": (40, 180, 60), "blue": (50, 70, 220)}

TINY_RECIPE = """
name: tiny
data:
  source: {kind: csv, file: labels.csv}
  split: {test: 0.25, valid: 0.25}
image: {size: [16, 16]}
tasks:
  color: {kind: categorical}
  shape: {kind: binary, labels: [disc, square]}
  marks: {kind: multilabel, labels: [dot, bar]}
  width: {kind: regression, unit: px, minimum: 0}
  size: {kind: ordinal, levels: [S, M, L]}
network:
  trunk: {blocks: [{filters: 8}, {filters: 8, dropout: 0.1}], end: flatten, dense: [16], dropout: 0.1}
training:
  {epochs: 3, batch_size: 8, learning_rate: 3.0e-3, schedule: cosine, augment: {flip: horizontal, brightness: 0.1}}
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYHEAD_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def draw_shapes(folder: Path, count: int, seed: int = 0) -> Path:
    """Draw `count` discs and squares with labels for the tiny recipe, some of them blank; the CSV file."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    rows = ["image,color,shape,marks,width,size"]
    down, across = np.mgrid[:24, :24]
    for number in range(count):
        color, square, width = rng.choice(list(COLORS)), bool(rng.integers(2)), int(rng.integers(4, 12))
        pixels = np.full((24, 24, 3), rng.integers(0, 60), np.uint8)
        away = np.maximum(abs(down - 12), abs(across - 12)) if square else np.hypot(down - 12, across - 12)
        pixels[away < width] = COLORS[str(color)]
        marks = [mark for mark in ("dot", "bar") if rng.integers(2)]
        pixels[:3, :3] = 255 * ("dot" in marks)
        pixels[-3:] = 255 * ("bar" in marks)
        Image.fromarray(pixels).save(folder / "images" / f"{number:03}.png")
        size = "SML"[(width - 4) // 3 if width < 12 else 2]
        cells = [str(color), "square" if square else "disc", "|".join(marks) or "none", str(2 * width), size]
        cells = ["" if rng.random() < 0.1 else cell for cell in cells]
        rows.append(",".join([f"images/{number:03}.png", *(cells if any(cells) else ["red", *cells[1:]])]))
    (folder / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder / "labels.csv"


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """A folder of 48 drawn shapes, and `tiny.yaml` beside it."""
    (tmp_path / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    return draw_shapes(tmp_path / "shapes", 48).parent


def list_leaves(value: Any) -> list[Any]:
    """The texts and numbers of a record, and the keys before them, in order: what `pytest.approx` can compare."""
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in (key, *list_leaves(inner))]
    return [leaf for inner in value for leaf in list_leaves(inner)] if isinstance(value, list) else [value]


def call(*arguments: object) -> int:
    """Exit code of the command line, in this process."""
    sys.argv = ["polyhead", *map(str, arguments)]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0
