"""How little of a training step is feeding, and how fast the first decode is.

The feed alone is read batch by batch, as training reads it, from the memory-mapped cache; a training step's time is
that of `benchmarks/training.py`. The first decode of photographs, with hashing, writing and syncing the cache, is
compared with OpenCV's `imread` + `resize` in one thread and with Keras's `image_dataset_from_directory`; both keep
nothing. The processor's time for an image tells, on a machine that is busy elsewhere, what a quiet one would give.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

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


def decode_with_pillow(folder: Path) -> float:
    """The same without the libraries of the extra `fast`."""
    with patch("polyhead.data.images.fill.is_fast", lambda: False):
        return decode_with_polyhead(folder)


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


DECODERS = {
    "polyhead": decode_with_polyhead,
    "Pillow alone": decode_with_pillow,
    "opencv": decode_with_opencv,
    "keras": decode_with_keras,
}
WAYS = DECODERS | {"feed": read_feed}


def run_child(way: str, folder: Path) -> tuple[float, float]:
    """What a way gave, and the seconds of processor time that it took."""
    command = [sys.executable, __file__, "--child", way, "--photos", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rate, seconds = json.loads(done.stdout.splitlines()[-1])
    return float(rate), float(seconds)


def compare_decoding(words: str, folder: Path, rounds: int) -> None:
    count = len(find_images(folder))
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in DECODERS}
    for _ in range(rounds):
        for way in found:
            found[way].append(run_child(way, folder))
    ours = statistics.median(rate for rate, _ in found["polyhead"])
    print(f"\n{words:28} images/s   polyhead /   processor, us an image")
    for way, results in found.items():
        rate = statistics.median(rate for rate, _ in results)
        spent = statistics.median(seconds for _, seconds in results) / count
        print(f"  {way:26} {rate:8,.0f} {ours / rate:12.2f} {spent * 1e6:12,.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--photos", type=Path, help="a folder of photographs of your own, in folders, to decode as well"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=8000, help="drawn images")
    parser.add_argument("--no-training", action="store_true", help="leave out the feed, and the step beside it")
    parser.add_argument("--child")
    options = parser.parse_args()
    if options.child:
        if options.child == "keras":
            import keras  # noqa: F401  its start is no work on images
        begun = time.process_time()
        print(json.dumps((WAYS[options.child](options.photos), time.process_time() - begun)))
        return
    with tempfile.TemporaryDirectory() as drawn:
        draw_photographs(Path(drawn) / "large", options.count // 4, 768, 1024)
        draw_photographs(Path(drawn) / "small", options.count, 120, 160)
        compare_decoding(f"{options.count // 4:,} drawn at 1024x768", Path(drawn) / "large", options.rounds)
        compare_decoding(f"{options.count:,} drawn at 160x120", Path(drawn) / "small", options.rounds)
        if options.photos:
            compare_decoding(f"{len(find_images(options.photos)):,} in --photos", options.photos, options.rounds)
        if options.no_training:
            return
        feed = statistics.median(run_child("feed", Path(drawn) / "small")[0] for _ in range(options.rounds))
    print(f"\nthe feed alone: {feed:,.0f} images/s of {SIZE[0]}x{SIZE[1]}")
    import training

    for name in training.SIZES:
        rate = training.run_child("polyhead", name, 1600)
        print(f"{name:12} trains at {rate:,.0f} images/s: feeding takes {rate / feed:.2%} of a step")


if __name__ == "__main__":
    # `training` runs itself as a child by its own file name.
    sys.path.insert(0, str(Path(__file__).parent))
    main()
