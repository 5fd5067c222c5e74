"""Requests that arrive together are worked on together."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Collects items into batches, `workers` of which are under way at once.

    While those are worked on, the next one gathers: batches grow with the load, a lone item never waits, and no item
    waits longer than for the batches before it.

    Args:
        work: gives one result for each item, in order; called in `executor`.
        executor: of `workers` threads.
        size: items in a batch, at most.
    """

    def __init__(
        self, work: Callable[[Sequence[Item]], Sequence[Result]], executor: Executor, workers: int, size: int
    ) -> None:
        self._work, self._executor, self._workers, self._size = work, executor, workers, size
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self.under_way = 0

    def submit(self, item: Item) -> asyncio.Future[Result]:
        """The result for an item, to be awaited; what the work raises is raised there."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._start)  # not at once: what arrives at the same time belongs together
        self._waiting.append((item, future))
        return future

    def _start(self) -> None:
        """Begin as many batches as may be under way."""
        while self._waiting and self.under_way < self._workers:
            batch = [(item, future) for item, future in self._waiting[: self._size] if not future.done()]
            del self._waiting[: self._size]
            if batch:
                self.under_way += 1
                loop = asyncio.get_running_loop()
                done = loop.run_in_executor(self._executor, self._work, [item for item, _ in batch])
                done.add_done_callback(partial(self._deliver, [future for _, future in batch]))

    def _deliver(self, futures: Sequence[asyncio.Future[Result]], done: asyncio.Future[Sequence[Result]]) -> None:
        self.under_way -= 1
        # After those who now get their results have been answered, and may have asked again.
        asyncio.get_running_loop().call_soon(self._start)
        if done.cancelled():
            for future in futures:
                future.cancel()
        elif error := done.exception():  # whatever it is, it belongs to these requests, and the next batch is another
            for future in futures:
                if not future.done():
                    future.set_exception(error)
        else:
            for future, result in zip(futures, done.result(), strict=True):
                if not future.done():
                    future.set_result(result)
