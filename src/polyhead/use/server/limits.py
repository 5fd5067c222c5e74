"""How much one request may ask for, and how much may be under way at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from fastapi import HTTPException

RETRY_AFTER = {"Retry-After": "1"}  # seconds


@dataclass(frozen=True)
class Limits:
    """What is refused: a request's body above `bytes`, an image above `pixels`, a request of more than `images`, one
    that takes longer than `seconds`, and any while `queue` requests are under way."""

    bytes: int = 20_000_000
    pixels: int = 50_000_000
    images: int = 32
    seconds: float = 30.0
    queue: int = 64


class Gate:
    """Counts the requests under way, of which `queue` may be at once."""

    def __init__(self, queue: int) -> None:
        self._queue = queue
        self.inside = 0

    @property
    def full(self) -> bool:
        """Whether the next one is to be refused."""
        return self.inside >= self._queue

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Be counted for as long as the `with` block lasts."""
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1


def refuse(status: int, words: str) -> NoReturn:
    """End a request with a sentence."""
    raise HTTPException(status, words, RETRY_AFTER if status == 503 else None)
