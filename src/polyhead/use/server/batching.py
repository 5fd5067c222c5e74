"""Requests that arrive together are worked on together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_WAIT = 0.005  # seconds that a batch waits for items that are being prepared


class Batcher(Generic[Item, Result]):
    """Collects items into batches, one batch at a time.

    While a batch is worked on, the next one gathers, so that batches grow with the load and a lone item never waits.
    A batch that is not full waits for items that are being prepared, but no longer than `MAX_WAIT`.

    Args:
        work: gives one result for each item, in order; called in `executor`.
        executor: of one thread.
        size: items in a batch, at most.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Result]], executor: Executor, size: int) -> None:
        self._work, self._executor, self._size = work, executor, size
        self._ready: list[tuple[Item, asyncio.Future[Result]]] = []
        self._coming = 0
        self._changed = asyncio.Event()

    async def submit(self, preparing: Awaitable[Item]) -> Result:
        """The result for an item that is being prepared. What preparing it or the work raises is raised here."""
        self._coming += 1
        try:
            item = await preparing
            future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
            self._ready.append((item, future))
        finally:
            self._coming -= 1
            self._changed.set()
        return await future

    async def run(self) -> None:
        """Work on what is submitted until it is cancelled."""
        while True:
            await self._gather()
            batch = [(item, future) for item, future in self._ready[: self._size] if not future.done()]
            del self._ready[: self._size]
            if batch:
                await self._work_on(batch)

    async def _gather(self) -> None:
        while not self._ready:
            await self._change()
        try:
            async with asyncio.timeout(MAX_WAIT):
                while self._coming and len(self._ready) < self._size:
                    await self._change()
        except TimeoutError:
            pass

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

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
