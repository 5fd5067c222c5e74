"""Work in threads, in order, and never far ahead of who asks for it."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def count_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_ordered(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int, stopped: Event | None = None
) -> Generator[Result, None, None]:
    """The results of `function`, in the order of the items.

    No more than two items a thread are under way or waiting to be asked for, so a million items cost no more memory
    than a few. `items` are drawn in the caller's thread. An exception ends it where its item stood.
    However it ends, `stopped` is set then, so that what is under way need not be finished.
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                while waiting and (len(waiting) >= 2 * threads or waiting[0].done()):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            if stopped:
                stopped.set()
            for future in waiting:
                future.cancel()
