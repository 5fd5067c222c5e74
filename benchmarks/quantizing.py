"""`polyhead export --format onnx-int8`: size, accuracy, and how fast the smaller file answers beside the original.

    python benchmarks/quantizing.py RUN...

Decoded images, so that it is the model that is timed; the two take turns, each pass over the same 1,024 random images.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from polyhead.model.predictor import Predictor
from polyhead.runs.export import export

ROUNDS, IMAGES = 7, 1024


def main() -> None:
    for run in map(Path, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as folder:
            made: Any = export(run, "onnx-int8", out=Path(folder) / "model.onnx")
            predictors = [Predictor(run), Predictor(made["path"])]
            shape = (IMAGES, *predictors[0].card.image.size, 3)
            pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
            seconds: list[list[float]] = [[], []]
            for turn in range(ROUNDS + 1):
                for predictor, spent in zip(predictors, seconds, strict=True):
                    begun = time.monotonic()
                    predictor.run(pixels)
                    if turn:
                        spent.append(time.monotonic() - begun)
        faster = statistics.median(was / now for was, now in zip(*seconds, strict=True))
        rate = IMAGES / statistics.median(seconds[0])
        print(f"{run.name}: {rate:.0f} images/s, in whole numbers {faster:.2f} times as many;", end=" ")
        print(f"size {made['bytes'] / made['original_bytes']:.2f} of {made['original_bytes'] / 1e6:.1f} MB")
        for name, task in made["tasks"].items():
            figures = [f"{figure} {was:.3f} -> {now:.3f}" for figure, (was, now) in task["figures"].items()]
            print(f"  {name}: {', '.join(figures)}", flush=True)


if __name__ == "__main__":
    main()
