"""What is said of a data set before a network trains on it, and shown of it without one."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import polyhead
from pages import Page
from polyhead.data.table import load_dataset
from polyhead.progress import SILENT, Silent
from polyhead.recipe.loading import load_recipe
from polyhead.runs.remarks import remark_on_data

RECIPE = """
name: tied
data: {source: {kind: csv, file: labels.csv}, path: PLACE, split: {column: split, valid: 0}}
image: {size: [16, 16]}
tasks: {color: {kind: categorical}, category: {kind: categorical}}
network: {trunk: {blocks: [{filters: 4}]}}
"""


class Heard(Silent):
    """What is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, words: str) -> None:
        self.lines.append(words)


@pytest.fixture
def tied(tmp_path: Path) -> Path:
    """120 images; there are no red shoes, hats are PNG files, and one image is there twice, in two colours."""
    rng = np.random.default_rng(0)
    rows = ["image,color,category,split"]
    for number in range(120):
        category = ("hat", "shoe")[number % 2]
        color = "blue" if category == "shoe" or number % 4 else "red"
        name = f"{number}.{'png' if category == 'hat' else 'bmp'}"
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(tmp_path / name)
        rows.append(f"{name},{color},{category},{'test' if number >= 100 else 'train'}")
    (tmp_path / "6.png").write_bytes((tmp_path / "8.png").read_bytes())
    (tmp_path / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    (tmp_path / "tied.yaml").write_text(RECIPE.replace("PLACE", str(tmp_path)), encoding="utf-8")
    return tmp_path / "tied.yaml"


def test_a_line_each_on_ties_and_repeats_of_different_labels(tied: Path) -> None:
    heard = Heard()
    dataset = load_dataset(load_recipe(tied), tied.parent, SILENT)
    remark_on_data(dataset, heard)
    first, second = heard.lines
    assert first.startswith("color and category are tied:")
    assert "no red shoe among 120 images" in first
    assert second.startswith("1 image is there more than once, byte for byte, with different labels")


def test_an_explored_data_set_shows_its_shortcuts(tied: Path) -> None:
    page = Page(polyhead.explore(tied, tied.parent / "page", progress=False))
    assert "file format alone tells category of 100.0 % of 119 images" in page.text
