"""Mangled label files of every form: each becomes rows or one line that says why not, in bounded time and memory."""

import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from attack.campaign import Campaign
from attack.children import run_in_children
from drawn_labels import CASES, INSIDE, draw


def attack(numbers: range, folder: Path) -> Iterator[str]:
    """Read every case, in child processes."""
    draw(folder)
    for form, (name, write, _) in CASES.items():
        whole = folder / "whole" / form / Path(name).name
        whole.parent.mkdir(parents=True)
        write(whole)
    inside = folder / "whole" / "inside"
    inside.mkdir()
    draw(inside)
    for name, write_whole in INSIDE.values():
        (inside / name).parent.mkdir(exist_ok=True)
        write_whole(inside / name)
    with patch.dict(os.environ, {"POLYHEAD_CACHE": str(folder / "cache")}):
        yield from run_in_children("attack.label_reader", numbers, folder)


CAMPAIGN = Campaign("labels", 6000, 150, attack)
