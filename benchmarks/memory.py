"""Anonymous resident memory (RssAnon) of training on 4,000 and on 40,000 drawn images of 96x96: it must not grow."""

import argparse
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

RECIPE = """
name: memory
data: {source: {kind: csv, file: labels.csv}, split: {test: 0.05, valid: 0.05}}
image: {size: [96, 96]}
tasks: {color: {kind: categorical}}
network: {trunk: {blocks: [{filters: 4, pool: 4}, {filters: 8, pool: 4}], end: average}}
training: {epochs: 1}
"""


def draw(folder: Path, count: int) -> None:
    """Noise in three colours: every file of another content, so that each has a row of its own in the cache."""
    rng = np.random.default_rng(count)
    (folder / "images").mkdir(parents=True)
    rows = ["image,color"]
    for number in range(count):
        color = number % 3
        pixels = rng.integers(0, 80, (96, 96, 3), np.uint8)
        pixels[..., color] += 120
        Image.fromarray(pixels).save(folder / f"images/{number:05}.jpg", quality=60)
        rows.append(f"images/{number:05}.jpg,{'rgb'[color]}")
    (folder / "labels.csv").write_text("\n".join(rows))


def anonymous() -> int:
    """This process's RssAnon in kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


@contextmanager
def watch_memory() -> Iterator[list[int]]:
    """A list of one number: the largest RssAnon while the block lasts, in kB."""
    largest, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            largest[0] = max(largest[0], anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield largest
    finally:
        done.set()
        watcher.join()


def train(folder: Path) -> None:
    """Train, and print the largest RssAnon seen, in MB."""
    import polyhead

    (folder / "memory.yaml").write_text(RECIPE)
    with watch_memory() as largest:
        cache = f"image.cache={folder / 'cache'}"
        polyhead.train(folder / "memory.yaml", folder / "run", data=folder, overrides=[cache])
    print(largest[0] / 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", type=Path)
    options = parser.parse_args()
    if options.child:
        train(options.child)
        return
    found = {}
    for count in (4_000, 40_000):
        with tempfile.TemporaryDirectory() as folder:
            draw(Path(folder), count)
            done = subprocess.run(
                [sys.executable, __file__, "--child", folder], capture_output=True, text=True, check=True
            )
            found[count] = float(done.stdout.splitlines()[-1])
            print(f"{count:6,} images: {found[count]:6.0f} MB", flush=True)
    print(f"difference: {found[40_000] - found[4_000]:.0f} MB")


if __name__ == "__main__":
    main()
