"""Mangled model files: each answers in strict JSON, or is refused in one line, in bounded time and memory."""

from collections.abc import Iterator
from pathlib import Path

from attack.campaign import Campaign
from attack.children import run_in_children


def attack(numbers: range, folder: Path) -> Iterator[str]:
    """Open every case and ask it for two images, in child processes."""
    return run_in_children("attack.model_opener", numbers, folder)


CAMPAIGN = Campaign("models", 2_000, 60, attack)
