"""What a campaign is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

Attack = Callable[[range, Path], Iterator[str]]


@dataclass(frozen=True)
class Campaign:
    """Many hostile inputs of one kind.

    Attributes:
        name: what is attacked, in a word.
        cases: how many `make attack` runs.
        few: how many `make test` runs, in a quarter of a minute.
        attack: takes the numbers of the cases to run and an empty folder to work in; yields a line a failure, which
            begins with the number. A case is a function of its number alone.
    """

    name: str
    cases: int
    few: int
    attack: Attack
