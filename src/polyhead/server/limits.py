"""How much one request may ask for, and how much may be under way at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from fastapi import HTTPException

from polyhead.errors import PolyheadError

RETRY_AFTER = {"Retry-After": "1"}  # seconds
LONGEST = 86_400.0  # seconds


@dataclass(frozen=True)
class Limits:
    """What is refused: a request's body above `bytes`, an image above `pixels`, a request of more than `images`, one
    that takes longer than `seconds` to arrive or to be answered, and any while `queue` requests are under way.

    Raises:
        PolyheadError: none could be let in, or some could stay for ever.
    """

    bytes: int = 20_000_000
    pixels: int = 50_000_000
    images: int = 32
    seconds: float = 30.0
    queue: int = 64

    def __post_init__(self) -> None:
        for name in ("bytes", "pixels", "images", "queue"):
            if getattr(self, name) < 1:
                raise PolyheadError(f"limit of {name}: expected 1 or more; got {getattr(self, name)}")
        if not 0 < self.seconds <= LONGEST:
            raise PolyheadError(f"limit of seconds: expected more than 0, at most {LONGEST:g}; got {self.seconds:g}")


class Gate:
    """Counts the requests under way, of which `queue` may be at once.

    Those that are still arriving are not among them: who sends slowly keeps nobody out.
    """

    def __init__(self, queue: int) -> None:
        self._queue = queue
        self.inside = 0

    @property
    def full(self) -> bool:
        """Whether the next one is to be refused."""
        return self.inside >= self._queue

    def refuse(self) -> NoReturn:
        """End a request for which there is no room."""
        refuse(503, f"{self._queue} requests are under way, as many as are let in; try again in a second")

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Be counted for as long as the `with` block lasts.

        Raises:
            HTTPException: 503, where there is no room.
        """
        if self.full:
            self.refuse()
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1


def refuse(status: int, words: str) -> NoReturn:
    """End a request with a sentence."""
    raise HTTPException(status, words, RETRY_AFTER if status == 503 else None)
