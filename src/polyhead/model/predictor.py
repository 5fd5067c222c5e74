"""Images in, answers out, through ONNX Runtime: in order, by several threads. Knows no labels and no server."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property, partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyhead.data.images.decode import ImageError
from polyhead.data.threads import count_cores, map_ordered
from polyhead.errors import PolyheadError
from polyhead.model.file import find_model, open_model
from polyhead.model.hardware import GUIDE, find_accelerator
from polyhead.model.inputs import ImageLike, ImagesLike, name_image, read_pixels, split_images
from polyhead.model.records import Prediction, Record, flat_columns, flatten_record
from polyhead.progress import warn
from polyhead.tasks import Array
from polyhead.tasks.agreed import Agreed, decode_answers
from polyhead.tasks.agreement import Agreement

if TYPE_CHECKING:
    import pandas

BATCH = 8  # images a call: on a CPU more of them only fall out of its caches, and cost memory
GPU_BATCH = 32
ROUNDING = 1e-3  # by which what is computed as a probability may be below 0 or above 1
Outputs = dict[str, NDArray[np.float32]]


class Batch(NamedTuple):
    """Images, why each of them has no answer, their pixels, and the graph's outputs.

    One without an answer cannot be read, and its pixels are void; or the graph gives no numbers for it. Its outputs
    are 0.
    """

    images: Sequence[ImageLike]
    errors: list[str | None]
    pixels: NDArray[np.uint8]
    agreed: Agreed

    @property
    def outputs(self) -> Outputs:
        """Where answers obey rules, those by which they do."""
        return self.agreed.outputs


class Predictor:
    """A model file, opened. It may be used by several threads at once.

    Args:
        path: a model file or a run folder.
        cores: how many cores to work with; all that this process may use, if absent.

    Raises:
        PolyheadError: there is no such file, or it is not one of Polyhead's.
    """

    def __init__(self, path: str | os.PathLike[str], cores: int | None = None) -> None:
        self.path = find_model(path)
        self._cores = cores or count_cores()
        self._session, self.card = open_model(self.path, threads=cores or 0)
        self._on_gpu = self._session.get_providers()[0] != "CPUExecutionProvider"
        self._batch = GPU_BATCH if self._on_gpu else BATCH
        self._agreement = Agreement(self.card.resolved_rules, self.card.tasks) if self.card.obey_rules else None

    def run(self, pixels: NDArray[np.uint8]) -> Outputs:
        """The graph's outputs, by task, and `features`, for decoded images (n, height, width, 3) of the card's size.

        Raises:
            PolyheadError: the graph cannot be worked out, or gives no numbers for an image.
        """
        if len(pixels) <= self._batch:
            return self._require(self._run(self._session, pixels))
        return self._join(lambda rows: pixels[rows], len(pixels))

    def run_all(self, pixels: Callable[[NDArray[np.intp]], NDArray[np.uint8]], count: int) -> Outputs:
        """The same for `count` images, fetched in batches by their numbers, by several threads."""
        return self._join(pixels, count)

    def obey(self, outputs: Mapping[str, Array]) -> Agreed:
        """The graph's outputs (n, width) of every task, and those by which answers keep the card's rules, if they do.

        Without `obey_rules` they are the same.
        """
        return self._agreement.apply(outputs) if self._agreement else Agreed(dict(outputs), dict(outputs))

    def run_files(self, images: "ImagesLike") -> Iterator[Batch]:
        """The graph's outputs for images (see `predict`), batch after batch, in order.

        Each thread reads, decodes and works out a batch of its own, so that none waits for another.
        """
        portions = split_images(images, self._batch)
        begun = list(islice(portions, 2))
        if len(begun) < 2:
            yield from (self._run_portion(self._session, portion) for portion in begun)
        else:
            run = partial(self._run_portion, self._stream)
            # One more than there are cores: while a thread waits for Python's lock, another has its core.
            yield from map_ordered(run, chain(begun, portions), self._cores + 1)

    def predict(self, images: "ImagesLike") -> Iterator[Prediction]:
        """The answers to images, one for each, in order, worked out as they are asked for; ready for JSON.

        Args:
            images: paths, bytes of image files, Pillow images, or uint8 arrays (height, width), (height, width, 3),
                (height, width, 4) from 0 to 255; one of them, or any iterable of them; a folder; or a DataFrame or
                Hugging Face Dataset with a column of images.

        Returns:
            See `Prediction`. An image that cannot be read has the reason as its `error`, and no answers.

        Raises:
            PolyheadError: there is no image in a folder, no column of images in a table, or the model is damaged.
        """
        return (record.to_dict() for record in self.answer(images))

    def answer(self, images: "ImagesLike") -> Iterator[Record]:
        """The same with typed answers."""
        for batch in self.run_files(images):
            yield from self._answer(batch)

    def predict_table(self, images: "ImagesLike") -> "pandas.DataFrame":
        """The same as a DataFrame: one row an image, with the index of the DataFrame that was given, if it was one.

        Columns: `image`, `error`, where the file can tell `unfamiliar` and `unfamiliarity`, and for each task
        `TASK.answer`, `TASK.probability`, `TASK.unsure` and the rest of its answer, as in predictions.csv.
        Several labels stand in one cell with `|` between them, `none` for none.
        """
        import pandas

        rows = [flatten_record(record) for record in self.answer(images)]
        index = images.index if isinstance(images, pandas.DataFrame) else None
        with pandas.option_context("mode.string_storage", "python"):  # a file's name may be no Unicode
            columns = flat_columns(self.card.tasks, self.card.changeable, rated=bool(self.card.familiarity))
            return pandas.DataFrame(rows, columns=columns, index=index)

    def embed(self, images: "ImagesLike") -> NDArray[np.float32]:
        """The vectors that the network's heads read, one an image: images that look alike lie near each other.

        Args:
            images: as in `predict`.

        Returns:
            float32 (n, width); NaN for an image that cannot be read, of which a warning is logged.
        """
        parts, failed = [], 0
        for batch in self.run_files(images):
            void = np.array([error is not None for error in batch.errors])
            parts.append(np.where(void[:, np.newaxis], np.float32(np.nan), batch.outputs["features"]))
            failed += int(void.sum())
        if failed:
            warn(f"{failed:,} images could not be read: their features are NaN")
        return np.concatenate(parts) if parts else np.empty((0, 0), np.float32)

    @cached_property
    def _stream(self) -> Any:
        """The session for many batches: one core a call, for as many calls as there are cores.

        Cores that share a call wait for each other at every layer: that costs up to half of their time.
        """
        if self._on_gpu:
            return self._session
        _warn_of_unused_gpu()
        session, card = open_model(self.path, threads=1)
        if card.digest != self.card.digest:
            raise PolyheadError(f"{self.path}: was replaced by another model while it was in use")
        return session

    @property
    def _names(self) -> list[str]:
        return [*self.card.tasks, "features"]

    def _join(self, pixels: Callable[[NDArray[np.intp]], NDArray[np.uint8]], count: int) -> Outputs:
        stream = self._stream
        batches = (np.arange(at, min(at + self._batch, count)) for at in range(0, count, self._batch))
        parts = list(map_ordered(lambda rows: self._require(self._run(stream, pixels(rows))), batches, self._cores))
        return {name: np.concatenate([part[name] for part in parts]) for name in self._names}

    def _run(self, session: Any, pixels: NDArray[np.uint8]) -> Outputs:
        try:
            outputs = dict(zip(self._names, session.run(self._names, {"images": pixels}), strict=True))
        except Exception as error:  # ONNX Runtime's own exceptions share no base class
            raise PolyheadError(f"{self.path}: cannot be worked out: {' '.join(str(error).split())[:160]}") from error
        for name, values in outputs.items():
            if len(values) != len(pixels):
                raise PolyheadError(f"{self.path}: gives {len(values)} values of {name} for {len(pixels)} images")
        return outputs

    def _find_void(self, outputs: Outputs) -> list[str | None]:
        """For each image why the outputs are no answer, None where they are one."""
        reasons: list[str | None] = [None] * len(outputs["features"])
        for name, values in outputs.items():
            task = self.card.tasks.get(name)
            limit = 0.5 + ROUNDING if task and task.has_probabilities else np.inf
            for row in np.flatnonzero(~(np.isfinite(values) & (abs(values - 0.5) <= limit)).all(axis=1)):
                known = np.isfinite(values[row]).all()
                found = f"for {name} a number that is no probability" if known else f"no number for {name}"
                reasons[row] = reasons[row] or f"the model gives {found}"
        return reasons

    def _require(self, outputs: Outputs) -> Outputs:
        for reason in filter(None, self._find_void(outputs)):
            raise PolyheadError(f"{self.path}: cannot be evaluated or used: for some images {reason}; train it again")
        return outputs

    def _run_portion(self, session: Any, images: list[ImageLike]) -> Batch:
        size, resize = self.card.image.size, self.card.image.resize
        pixels = np.zeros((len(images), *size, 3), np.uint8)
        errors: list[str | None] = [None] * len(images)
        for row, image in enumerate(images):
            try:
                pixels[row] = read_pixels(image, size, resize)
            except ImageError as error:
                errors[row] = str(error)
        outputs = self._run(session, pixels)
        errors = [error or reason for error, reason in zip(errors, self._find_void(outputs), strict=True)]
        void = [error is not None for error in errors]
        cleared = {name: _clear(values, void) for name, values in outputs.items()}
        return Batch(images, errors, pixels, self.obey(cleared))

    def _answer(self, batch: Batch) -> Iterator[Record]:
        answers = decode_answers(self.card.tasks, batch.agreed)
        familiarity = self.card.familiarity
        rates = familiarity.rate(batch.outputs["features"]).tolist() if familiarity else []
        for row, (image, error) in enumerate(zip(batch.images, batch.errors, strict=True)):
            found = {} if error else {name: column[row] for name, column in answers.items()}
            if error or not familiarity:
                yield Record(name_image(image), error, found)
            else:
                yield Record(name_image(image), None, found, rates[row] > familiarity.threshold, rates[row])


def _clear(values: NDArray[np.float32], rows: list[bool]) -> NDArray[np.float32]:
    """The same with 0 in the rows."""
    return np.where(np.array(rows)[:, np.newaxis], np.float32(0), values) if any(rows) else values


@cache
def _warn_of_unused_gpu() -> None:
    """Where there are many images, and ONNX Runtime is without the GPU that this machine has: said once."""
    accelerator = find_accelerator()
    if accelerator and accelerator.maker == "nvidia":
        warn(f"this machine's {accelerator.name} does not answer: it takes onnxruntime-gpu; see {GUIDE}")
