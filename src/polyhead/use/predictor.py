"""Images in, answers out, through ONNX Runtime. Knows no labels, no command line, no server."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyhead.data.images import ImageError, decode
from polyhead.tasks import Answer
from polyhead.use.model_file import find_model, open_model

BATCH = 32  # images a call: larger ones gain nothing on a CPU, and cost memory
Outputs = dict[str, NDArray[np.float32]]


class Batch(NamedTuple):
    """Images, why each of them cannot be read, their pixels, and the graph's outputs.

    The pixels and the outputs of one that cannot be read are void.
    """

    images: Sequence[str | Path | bytes]
    errors: list[str | None]
    pixels: NDArray[np.uint8]
    outputs: Outputs


class Predictor:
    """A model file, opened.

    Raises:
        PolyheadError: there is no such file, or it is not one of Polyhead's.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = find_model(path)
        self._session, self.card = open_model(self.path)

    def run(self, pixels: NDArray[np.uint8]) -> Outputs:
        """The graph's outputs, by task, and `features`, for decoded images (n, height, width, 3) of the card's size."""
        names = [*self.card.tasks, "features"]
        return dict(zip(names, self._session.run(names, {"images": pixels}), strict=True))

    def run_all(self, pixels: Callable[[NDArray[np.intp]], NDArray[np.uint8]], count: int) -> Outputs:
        """The same for `count` images, fetched in batches by their numbers."""
        parts = [self.run(pixels(np.arange(at, min(at + BATCH, count)))) for at in range(0, count, BATCH)]
        return {name: np.concatenate([part[name] for part in parts]) for name in (*self.card.tasks, "features")}

    def predict(self, images: Sequence[str | Path | bytes]) -> Iterator[Answer]:
        """One record for each image (a path, or a file's bytes), in order; decoding runs beside inference.

        A record is `{"image": name, "error": None, "answers": {task: answer}}`; an image that cannot be read has its
        reason under `error`, and no answers; `name` is None for bytes.
        """
        for batch in self.run_files(images):
            yield from self._answer(batch)

    def run_files(self, images: Sequence[str | Path | bytes]) -> Iterator[Batch]:
        """The graph's outputs for images, batch after batch; the next one is decoded meanwhile."""
        with ThreadPoolExecutor() as pool:
            chunks = [images[at : at + BATCH] for at in range(0, len(images), BATCH)]
            ahead = pool.map(self._decode, chunks[0]) if chunks else None
            for number, chunk in enumerate(chunks):
                decoded = list(ahead or ())
                ahead = pool.map(self._decode, chunks[number + 1]) if number + 1 < len(chunks) else None
                blank = np.zeros((*self.card.image.size, 3), np.uint8)
                pixels = np.stack([blank if isinstance(found, str) else found for found in decoded])
                errors = [found if isinstance(found, str) else None for found in decoded]
                yield Batch(chunk, errors, pixels, self.run(pixels))

    def _decode(self, image: str | Path | bytes) -> NDArray[np.uint8] | str:
        try:
            return decode(
                Path(image) if isinstance(image, str) else image, self.card.image.size, self.card.image.resize
            )
        except ImageError as error:
            return str(error)

    def _answer(self, batch: Batch) -> Iterator[Answer]:
        answers = {name: task.decode(batch.outputs[name]) for name, task in self.card.tasks.items()}
        for row, (image, error) in enumerate(zip(batch.images, batch.errors, strict=True)):
            found = {} if error else {name: column[row] for name, column in answers.items()}
            yield {"image": None if isinstance(image, bytes) else str(image), "error": error, "answers": found}
