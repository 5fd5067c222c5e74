"""Between HTTP and the predictor: batches of those who ask at once, and heat maps. Knows no HTTP."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyhead.data.images import ImageError, check_pixels, decode
from polyhead.use.predictor import Outputs, Predictor
from polyhead.use.server.batching import Batcher
from polyhead.use.server.limits import Limits
from polyhead.use.server.metering import Meter
from polyhead.use.server.occlusion import cover_parts, list_covers
from polyhead.use.server.uploads import Upload

BATCH = 64  # images at most; the predictor shares them out over the cores
Record = dict[str, Any]


class Service:
    """Answers for images, as `Predictor.predict` does, for many who ask at once."""

    def __init__(self, predictor: Predictor, limits: Limits, meter: Meter) -> None:
        self.card = predictor.card
        self._predictor, self._limits, self._meter = predictor, limits, meter
        self._thread = ThreadPoolExecutor(1, "model")  # one at a time, since the predictor takes all cores
        self._batcher: Batcher[bytes, Record] = Batcher(self._answer_batch, self._thread, BATCH)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer for as long as the block lasts."""
        await self._run(np.zeros((BATCH, *self.card.image.size, 3), np.uint8))  # the first call is slow
        work = asyncio.create_task(self._batcher.run())
        try:
            yield
        finally:
            work.cancel()
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def answer(self, uploads: Sequence[Upload]) -> list[Record]:
        """A record for each image, in order."""
        records = await asyncio.gather(*(self._batcher.submit(upload.content) for upload in uploads))
        return [record | {"image": upload.name} for record, upload in zip(records, uploads, strict=True)]

    async def explain(self, upload: Upload, task_name: str, label: str | None) -> Record:
        """The heat map of one task's answer; see `HeatForm`.

        Raises:
            ImageError: the image cannot be read.
        """
        task = self.card.tasks[task_name]
        pixels = await asyncio.to_thread(self._decode, upload.content)
        whole = (await self._run(pixels[np.newaxis]))[task_name]
        label = task.main_label(task.decode(whole)[0]) if label is None else label
        value = float(task.support(whole, label)[0])
        covers, shape = list_covers(self.card.image.size)
        parts = [(await self._run(part))[task_name] for part in cover_parts(pixels, covers, BATCH)]
        changes = task.support(np.concatenate(parts), label).reshape(shape) - value
        found = {"image": upload.name, "task": task_name, "label": label, "value": value}
        return found | {"changes": changes.round(4).tolist()}

    async def _run(self, pixels: NDArray[np.uint8]) -> Outputs:
        """In the model's thread, between the batches of others."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._predictor.run, pixels)

    def _decode(self, content: bytes) -> NDArray[np.uint8]:
        check_pixels(content, self._limits.pixels)
        return decode(content, self.card.image.size, self.card.image.resize)

    def _answer_batch(self, contents: Sequence[bytes]) -> list[Record]:
        errors = [self._refuse(content) for content in contents]
        accepted = [content for content, error in zip(contents, errors, strict=True) if error is None]
        with self._meter.seconds_of(len(accepted)):
            answered = iter(list(self._predictor.predict(accepted)))
        records: list[Record] = [
            {"image": None, "error": error, "answers": {}} if error else next(answered) for error in errors
        ]
        unreadable = sum(record["error"] is not None for record in records)
        self._meter.unreadable.inc(unreadable)
        self._meter.images.inc(len(records) - unreadable)
        return records

    def _refuse(self, content: bytes) -> str | None:
        try:
            check_pixels(content, self._limits.pixels)
        except ImageError as error:
            return str(error)
        return None
