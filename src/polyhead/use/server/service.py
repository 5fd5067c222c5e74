"""Between HTTP and the model: decode, answer in batches, heat maps. Knows no HTTP."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyhead.data.images import ImageError, decode
from polyhead.tasks import Answer
from polyhead.use.predictor import BATCH, Outputs, Predictor
from polyhead.use.server.batching import Batcher
from polyhead.use.server.limits import Limits
from polyhead.use.server.metering import Meter
from polyhead.use.server.occlusion import cover_parts, list_covers
from polyhead.use.server.uploads import Upload

Pixels = NDArray[np.uint8]


class Service:
    """Answers for images, as `Predictor.predict` does, for many who ask at once."""

    def __init__(self, predictor: Predictor, limits: Limits, meter: Meter) -> None:
        self.card = predictor.card
        self._predictor, self._limits, self._meter = predictor, limits, meter
        self._decoders = ThreadPoolExecutor(os.cpu_count(), "decode")
        self._model = ThreadPoolExecutor(1, "model")  # ONNX Runtime takes all cores for one batch
        self._batcher: Batcher[Pixels, dict[str, Answer]] = Batcher(self._answer_batch, self._model, BATCH)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer for as long as the block lasts."""
        work = asyncio.create_task(self._batcher.run())
        try:
            yield
        finally:
            work.cancel()
            self._decoders.shutdown(wait=False, cancel_futures=True)
            self._model.shutdown(wait=False, cancel_futures=True)

    async def answer(self, uploads: Sequence[Upload]) -> list[dict[str, Any]]:
        """A record for each image, in order."""
        return list(await asyncio.gather(*map(self._answer_one, uploads)))

    async def explain(self, upload: Upload, task_name: str, label: str | None) -> dict[str, Any]:
        """The heat map of one task's answer; see `HeatForm`.

        Raises:
            ImageError: the image cannot be read.
        """
        task = self.card.tasks[task_name]
        pixels = await self._decode(upload.content)
        whole = (await self._run(pixels[np.newaxis]))[task_name]
        label = task.main_label(task.decode(whole)[0]) if label is None else label
        value = float(task.support(whole, label)[0])
        covers, shape = list_covers(self.card.image.size)
        parts = [(await self._run(part))[task_name] for part in cover_parts(pixels, covers, BATCH)]
        changes = task.support(np.concatenate(parts), label).reshape(shape) - value
        found = {"image": upload.name, "task": task_name, "label": label, "value": value}
        return found | {"changes": changes.round(4).tolist()}

    async def _answer_one(self, upload: Upload) -> dict[str, Any]:
        try:
            answers, error = await self._batcher.submit(self._decode(upload.content)), None
            self._meter.images.inc()
        except ImageError as problem:
            answers, error = {}, str(problem)
            self._meter.unreadable.inc()
        return {"image": upload.name, "error": error, "answers": answers}

    async def _decode(self, content: bytes) -> Pixels:
        image, loop = self.card.image, asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._decoders, decode, content, image.size, image.resize, self._limits.pixels
        )

    async def _run(self, pixels: Pixels) -> Outputs:
        """In the model's one thread, between the batches of others."""
        return await asyncio.get_running_loop().run_in_executor(self._model, self._predictor.run, pixels)

    def _answer_batch(self, images: Sequence[Pixels]) -> list[dict[str, Answer]]:
        self._meter.batches.observe(len(images))
        with self._meter.model_seconds.time():
            outputs = self._predictor.run(np.stack(images))
        answers = {name: task.decode(outputs[name]) for name, task in self.card.tasks.items()}
        return [{name: column[row] for name, column in answers.items()} for row in range(len(images))]
