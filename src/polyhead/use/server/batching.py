"""Requests that arrive together are worked on together."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Collects items into batches, one batch at a time.

    While a batch is worked on, the next one gathers: batches grow with the load, a lone item never waits, and no item
    waits longer than for the batches before it.

    Args:
        work: gives one result for each item, in order; called in `executor`.
        executor: of one thread.
        size: items in a batch, at most.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Result]], executor: Executor, size: int) -> None:
        self._work, self._executor, self._size = work, executor, size
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._arrived = asyncio.Event()

    def submit(self, item: Item) -> asyncio.Future[Result]:
        """The result for an item, to be awaited; what the work raises is raised there."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._arrived.set()
        return future

    async def run(self) -> None:
        """Work on what is submitted until it is cancelled."""
        while True:
            await self._arrived.wait()
            batch = [(item, future) for item, future in self._waiting[: self._size] if not future.done()]
            del self._waiting[: self._size]
            if not self._waiting:
                self._arrived.clear()
            if batch:
                await self._work_on(batch)

    async def _work_on(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        items = [item for item, _ in batch]
        loop = asyncio.get_running_loop()
        try:
            results = await loop.run_in_executor(self._executor, self._work, items)
        except Exception as error:  # whatever it is, it belongs to these requests, and the next batch is another
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)
