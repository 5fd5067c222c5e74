"""A child process that opens mangled model files: `python -m attack.model_opener FOLDER FIRST END`.

On stdout the number of each case before it is opened, and again behind it with what is wrong, if anything is: what
crashes or hangs is told by the last line. Bounded in memory: what needs more fails.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from attack.broken_models import break_model
from drawn_model import write_model
from polyhead.errors import PolyheadError, show_text
from polyhead.model.familiarity import Familiarity
from polyhead.model.predictor import Predictor
from polyhead.model.records import flat_columns, flatten_record, tell_record
from polyhead.model.reference import Reference
from tiny_model import SIZE, write_tiny_model

MEMORY = 3 * 2**30  # bytes that a model may take; what Python and ONNX Runtime map comes on top
SECONDS = 20.0  # that opening it and two images may take
IMAGES = np.stack([np.zeros((SIZE, SIZE, 3), np.uint8), np.full((SIZE, SIZE, 3), 200, np.uint8)])


def main(folder: Path, numbers: range) -> None:
    """Open every case."""
    sources = [write_tiny_model(folder / "tiny.onnx"), write_model(folder / "drawn.onnx")]
    features = np.random.default_rng(0).uniform(0.1, 0.9, (60, 1)) + np.random.default_rng(1).normal(0, 0.01, (60, 3))
    familiarity = Familiarity.find(features, features)
    assert familiarity
    rated = Predictor(sources[0], cores=2)
    outputs = rated.run_all(lambda rows: IMAGES[rows % 2], 60)
    reference = Reference.find(rated.card.tasks, outputs, familiarity)
    assert reference
    told = {"familiarity": familiarity.model_dump(), "reference": reference.model_dump()}
    sources.append(write_tiny_model(folder / "rated.onnx", told))
    contents = [source.read_bytes() for source in sources]
    list(Predictor(sources[0], cores=2).predict(IMAGES))
    resource.setrlimit(resource.RLIMIT_AS, (_mapped() + MEMORY,) * 2)
    noise = folder / "stderr"
    os.dup2(os.open(noise, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC), 2)
    for number in numbers:
        print(number, flush=True)
        path = folder / f"{number}.onnx"
        path.write_bytes(break_model(number, contents))
        begun = time.monotonic()
        faults = [fault for fault in _ask(path) if fault]
        if time.monotonic() - begun > SECONDS:
            faults.append(f"took {time.monotonic() - begun:.0f} s")
        if said := noise.read_text(errors="replace"):
            faults.append(f"stderr: {said[:200]!r}")
            os.truncate(noise, 0)
        print(number, "; ".join(faults), flush=True)
        path.unlink()


def _ask(path: Path) -> Iterator[str]:
    """Everything that is wrong in how a file is opened and answers."""
    try:
        predictor = Predictor(path, cores=2)
        records = list(predictor.answer(IMAGES))
        if len(records) != len(IMAGES):
            yield f"{len(records)} records"
        columns = flat_columns(predictor.card.tasks, rated=bool(predictor.card.familiarity))
        for record in records:
            json.dumps(record.to_dict(), allow_nan=False)
            if tell_record(record) != show_text(tell_record(record)):
                yield f"no fit line: {tell_record(record)!r}"
            if record.error is None and list(flatten_record(record)) != columns:
                yield "other columns than those of the table"
        if all(record.error is None for record in records):
            predictor.run_all(lambda rows: IMAGES[rows % 2], 20)
    except PolyheadError as error:
        text = str(error)
        if text != show_text(text) or not 20 < len(text) <= 1000:
            yield f"not one fit line: {text!r}"
    except BaseException as error:
        yield f"{type(error).__name__}: {str(error)[:300]!r}"


def _mapped() -> int:
    """Bytes of address space that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    main(Path(sys.argv[1]), range(int(sys.argv[2]), int(sys.argv[3])))
