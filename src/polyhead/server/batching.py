"""Batches of requests that arrive together."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Collects items into batches, of which `workers` run at once.

    Meanwhile the next one fills up: batches grow with the load, a single item never waits, and no item waits for longer
    than the batches before it take.

    Args:
        work: returns one result for each item, in order; runs in `executor`.
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
        """A future of the item's result, or of what `work` raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._start)  # not at once: items that arrive at the same time belong together
        self._waiting.append((item, future))
        return future

    def _start(self) -> None:
        """Start as many batches as may run."""
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
        # After those who now get their results were answered, and may have sent the next item.
        asyncio.get_running_loop().call_soon(self._start)
        if done.cancelled():
            for future in futures:
                future.cancel()
        elif error := done.exception():  # whatever it is, it concerns only this batch
            for future in futures:
                if not future.done():
                    future.set_exception(error)
        else:
            for future, result in zip(futures, done.result(), strict=True):
                if not future.done():
                    future.set_result(result)
