"""Limits of single requests, and of requests in progress at once."""

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
    """What is refused: bodies of more than `bytes`, images of more than `pixels`, requests of more than `images`, those
    that take longer than `seconds` to arrive or to be answered, and any while `queue` requests are in progress.

    Raises:
        PolyheadError: a limit would refuse every request, or allow requests that never end.
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
    """Counts the requests in progress, at most `queue` at once.

    Requests that are still arriving do not count: slow clients keep nobody out.
    """

    def __init__(self, queue: int) -> None:
        self._queue = queue
        self.inside = 0

    @property
    def full(self) -> bool:
        """Whether the next request will be refused."""
        return self.inside >= self._queue

    def refuse(self) -> NoReturn:
        """Refuse a request for lack of room."""
        refuse(503, f"{self._queue} requests are in progress, which is the limit; try again in a second")

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Count a request while the `with` block lasts.

        Raises:
            HTTPException: 503 if there is no room.
        """
        if self.full:
            self.refuse()
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1


def refuse(status: int, words: str) -> NoReturn:
    """Refuse a request with a sentence."""
    raise HTTPException(status, words, RETRY_AFTER if status == 503 else None)
