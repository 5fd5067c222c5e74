"""How little of a training step is feeding, and how fast the first decode is.

The feed alone is read batch by batch, as training reads it, from the memory-mapped cache; a training step's time is
that of `benchmarks/training.py`. The first decode of photographs, with hashing, writing and syncing the cache, is
compared with OpenCV's `imread` + `resize` in one thread and with Keras's `image_dataset_from_directory`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from polyhead.data.images.cache import ImageSettings, open_images
from polyhead.data.images.decode import find_images

SIZE = (96, 96)


def draw_photographs(folder: Path, count: int, height: int, width: int) -> None:
    """JPEG files with the statistics of photographs: smooth shapes, edges, and noise of a sensor."""
    rng = np.random.default_rng(0)
    (folder / "all").mkdir(parents=True)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        noise = rng.normal(0, 6, (height, width, 1)).astype(np.float32)
        pixels = np.clip(np.asarray(coarse, np.float32) + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "all" / f"{number:05}.jpg", quality=90)


def decode_with_polyhead(folder: Path) -> float:
    """Images/s of filling an empty cache."""
    files = find_images(folder)
    with tempfile.TemporaryDirectory() as cache:
        begun = time.monotonic()
        open_images(files, ImageSettings(SIZE, "stretch", cache))
        return len(files) / (time.monotonic() - begun)


def decode_with_opencv(folder: Path) -> float:
    """Images/s of `imread` and `resize` into an array."""
    import cv2

    files = find_images(folder)
    begun = time.monotonic()
    pixels = np.empty((len(files), *SIZE, 3), np.uint8)
    for row, file in enumerate(files):
        pixels[row] = cv2.resize(cv2.imread(str(file)), SIZE[::-1], interpolation=cv2.INTER_AREA)
    return len(files) / (time.monotonic() - begun)


def decode_with_keras(folder: Path) -> float:
    """Images/s of one pass over `image_dataset_from_directory`."""
    import keras

    data = keras.utils.image_dataset_from_directory(
        folder, image_size=SIZE, label_mode=None, shuffle=False, verbose=False
    )
    begun = time.monotonic()
    count = sum(len(batch) for batch in data)
    return count / (time.monotonic() - begun)


def read_feed(folder: Path, batch: int = 32, seconds: float = 3) -> float:
    """Images/s of shuffled batches from the cache, without any training."""
    from polyhead.training import choose_backend

    choose_backend()
    from polyhead.training.batches import Batches, TrainingData

    with tempfile.TemporaryDirectory() as cache:
        images = open_images(find_images(folder), ImageSettings(SIZE, "stretch", cache))
        targets = {"task": np.zeros((len(images), 1), np.float32)}
        batches = Batches(TrainingData(images.read, targets, np.arange(len(images)), np.arange(0)), batch, 0)
        begun, step = time.monotonic(), 0
        while time.monotonic() - begun < seconds:
            batches[step]
            step += 1
        return step * batch / (time.monotonic() - begun)


WAYS = {"polyhead": decode_with_polyhead, "opencv": decode_with_opencv, "keras": decode_with_keras, "feed": read_feed}


def run_child(way: str, folder: Path) -> float:
    command = [sys.executable, __file__, "--child", way, "--photos", str(folder)]
    return float(
        json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
    )


def compare_decoding(words: str, folder: Path, rounds: int) -> None:
    found: dict[str, list[float]] = {"polyhead": [], "opencv": [], "keras": []}
    for _ in range(rounds):
        for way in found:
            found[way].append(run_child(way, folder))
    ours, opencv, keras = (statistics.median(rates) for rates in found.values())
    print(f"{words:34} {ours:9.0f} {opencv:9.0f} {keras:9.0f} {ours / opencv:11.2f} {ours / keras:10.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--photos", type=Path, help="a folder of photographs of your own, in folders, to decode as well"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child")
    options = parser.parse_args()
    if options.child:
        print(json.dumps(WAYS[options.child](options.photos)))
        return
    with tempfile.TemporaryDirectory() as drawn:
        draw_photographs(Path(drawn) / "large", 2000, 768, 1024)
        print("first decode, images/s               polyhead    opencv     keras   / opencv    / keras")
        compare_decoding("2,000 drawn at 1024x768", Path(drawn) / "large", options.rounds)
        if options.photos:
            compare_decoding(f"{len(find_images(options.photos)):,} in --photos", options.photos, options.rounds)
        feed = statistics.median(run_child("feed", Path(drawn) / "large") for _ in range(options.rounds))
    print(f"\nthe feed alone: {feed:,.0f} images/s of {SIZE[0]}x{SIZE[1]}")
    import training

    for name in training.SIZES:
        rate = training.run_child("polyhead", name, 1600)
        print(f"{name:12} trains at {rate:,.0f} images/s: feeding takes {rate / feed:.2%} of a step")


if __name__ == "__main__":
    # `training` runs itself as a child by its own file name.
    sys.path.insert(0, str(Path(__file__).parent))
    main()
