"""Mangled images of every format: each becomes pixels or one line that says why not, in bounded time and memory."""

from collections.abc import Iterator
from pathlib import Path

from attack.campaign import Campaign
from attack.children import run_in_children
from tiny_model import write_tiny_model


def attack(numbers: range, folder: Path) -> Iterator[str]:
    """Read every case, in child processes."""
    write_tiny_model(folder / "model.onnx")
    return run_in_children("attack.image_reader", numbers, folder)


CAMPAIGN = Campaign("images", 10_000, 150, attack)
