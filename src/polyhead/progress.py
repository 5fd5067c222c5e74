"""How long work tells of itself. Whoever calls may hand in an object that draws bars; the library is silent."""

from collections.abc import Callable
from typing import Protocol


class Progress(Protocol):
    """What every room may be handed to say how far it is."""

    def track(self, words: str, total: int) -> Callable[[int], None]:
        """Begin a piece of work of `total` items; call the result with how many more of them are done."""
        ...

    def say(self, words: str) -> None:
        """One line that a person reads."""
        ...


class Silent:
    """A `Progress` that says nothing."""

    def track(self, words: str, total: int) -> Callable[[int], None]:
        """Count nothing."""
        return lambda done: None

    def say(self, words: str) -> None:
        """Say nothing."""


SILENT = Silent()
