"""Between HTTP and the predictor: batches of simultaneous requests, and heat maps. Knows nothing of HTTP."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from polyhead.data.images.decode import ImageError, check_pixels, decode
from polyhead.data.threads import count_cores
from polyhead.errors import PolyheadError
from polyhead.model.predictor import BATCH, Outputs, Predictor
from polyhead.model.records import Prediction
from polyhead.server.batching import Batcher
from polyhead.server.limits import Limits
from polyhead.server.metering import ServerMetrics
from polyhead.server.occlusion import cover_each, list_covers
from polyhead.server.uploads import Upload

Result = TypeVar("Result")
NO_ANSWER = "the model has no answer for it"
logger = logging.getLogger("uvicorn.error")


class Service:
    """Answers for images, as by `Predictor.predict`, for many requests at once."""

    def __init__(self, predictor: Predictor, limits: Limits, meter: ServerMetrics) -> None:
        self.card = predictor.card
        self._limits, self._meter = limits, meter
        # A single image uses all cores; under load, each core has a batch of its own and waits for no other.
        self._all_cores, self._one_core = predictor, Predictor(predictor.path, cores=1)
        if self._one_core.card.digest != predictor.card.digest:
            raise PolyheadError(f"{predictor.path}: was replaced by another model while it was being opened")
        workers = count_cores() + 1  # so that no core idles while the answers of a batch are handed out
        self._threads = ThreadPoolExecutor(workers, "model")
        self._batcher: Batcher[bytes, Prediction] = Batcher(self._answer_batch, self._threads, workers, BATCH)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer while the block lasts."""
        blank = np.zeros((BATCH, *self.card.image.size, 3), np.uint8)  # warms up: the first call is slow
        with suppress(PolyheadError):  # requests will report it
            self._all_cores.run(blank[:1])
            self._one_core.run(blank)
        try:
            yield
        finally:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def answer(self, uploads: Sequence[Upload]) -> list[Prediction]:
        """A record for each image, in order."""
        records = await asyncio.gather(*(self._batcher.submit(upload.content) for upload in uploads))
        return [{**record, "image": upload.name} for record, upload in zip(records, uploads, strict=True)]

    async def explain(self, upload: Upload, task_name: str, label: str | None) -> dict[str, Any]:
        """The heat map of one task's answer; see `HeatmapSchema`.

        Raises:
            ImageError: the image cannot be read, or the model has no answer for it, or for a part.
        """
        task = self.card.tasks[task_name]
        pixels = await self._in_thread(partial(self._decode, upload.content))
        outputs = await self._run(lambda: pixels[np.newaxis])
        whole = outputs[task_name]
        if label is None:
            label = task.decode(self._one_core.obey(outputs).outputs[task_name])[0].main_label
        value = float(task.evidence(whole, label)[0])
        covers, shape = list_covers(self.card.image.size)
        batches = [covers[first : first + BATCH] for first in range(0, len(covers), BATCH)]
        parts = await asyncio.gather(*(self._run(partial(cover_each, pixels, batch)) for batch in batches))
        changes = task.evidence(np.concatenate([part[task_name] for part in parts]), label).reshape(shape) - value
        if not np.isfinite(changes).all():
            raise ImageError(NO_ANSWER)
        found = {"image": upload.name, "task": task_name, "label": label, "value": value}
        return found | {"changes": changes.round(4).tolist()}

    async def _run(self, draw: Callable[[], NDArray[np.uint8]]) -> Outputs:
        """Run images, which are drawn when it is their turn among other batches, on one core."""
        try:
            return await self._in_thread(lambda: self._one_core.run(draw()))
        except PolyheadError as error:
            logger.error("%s", error)
            raise ImageError(NO_ANSWER) from None

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _decode(self, content: bytes) -> NDArray[np.uint8]:
        check_pixels(content, self._limits.pixels)
        return decode(content, self.card.image.size, self.card.image.resize)

    def _answer_batch(self, contents: Sequence[bytes]) -> list[Prediction]:
        errors = [self._refuse(content) for content in contents]
        accepted = [content for content, error in zip(contents, errors, strict=True) if error is None]
        alone = len(accepted) == 1 and self._batcher.under_way == 1
        with self._meter.seconds_of(len(accepted)):
            answered = iter(self._predict(self._all_cores if alone else self._one_core, accepted))
        records: list[Prediction] = [
            {"image": None, "error": error, "answers": {}} if error else next(answered) for error in errors
        ]
        unreadable = sum(record["error"] is not None for record in records)
        self._meter.unreadable.inc(unreadable)
        self._meter.images.inc(len(records) - unreadable)
        self._meter.answers.count(records)
        return records

    def _predict(self, predictor: Predictor, contents: Sequence[bytes]) -> list[Prediction]:
        try:
            return list(predictor.predict(contents))
        except PolyheadError as error:  # the model's fault, not the client's
            logger.error("%s", error)
            return [{"image": None, "error": NO_ANSWER, "answers": {}} for _ in contents]

    def _refuse(self, content: bytes) -> str | None:
        try:
            check_pixels(content, self._limits.pixels)
        except ImageError as error:
            return str(error)
        return None
