"""Seconds to answer, group and show many drawn garments, memory of an eigenface, and how quick the page then is.

    python benchmarks/clustering.py RUN [--images 20000]

RUN is a run of the recipe `demo`. The page is opened from disk in headless Chromium, where there is one.
"""

import argparse
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from memory import watch_memory

import polyhead
from polyhead.clustering.eigenfaces import find_eigenface
from polyhead.data.drawn.synthetic import draw_garments
from polyhead.progress import SILENT

QUERIES = ["belt yes, badge no, unsure first", "category dress, color red", "by belt", "length > 80, by length", "00"]
PROBE = """
addEventListener("load", () => {
  const opened = performance.now();
  const times = QUERIES.map((words) => {
    const begun = performance.now();
    gallery.show(words, false);
    return performance.now() - begun;
  });
  gallery.show("", false);
  const begun = performance.now();
  for (let step = 0; step < 50; step++) {
    gallery.scroller.scrollTop = step * gallery.space.clientHeight / 50;
    gallery.draw();
  }
  const drawn = (performance.now() - begun) / 50;
  document.title = `${opened.toFixed()} ${Math.max(...times).toFixed()} ${drawn.toFixed(1)}`;
});
"""


class Clock:
    """A progress that notes how long each piece of work took."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, float]] = []

    def track(self, words: str, total: int) -> Callable[[int], None]:
        """A piece of work begins, and the one before ends."""
        self.say(f"{words} ({total:,})")
        return lambda done: None

    def say(self, words: str) -> None:
        """The same."""
        self.begun.append((words, time.monotonic()))


def time_pipeline(run: Path, images: Path, out: Path) -> None:
    """Print the seconds of every piece of `polyhead cluster`."""
    clock = Clock()
    grouping = polyhead.Grouping(tasks=["category", "color"], k="2..40")
    polyhead.cluster(run, [images], out, grouping, progress=clock)
    ends = [when for _, when in clock.begun[1:]] + [time.monotonic()]
    for (words, begun), end in zip(clock.begun, ends, strict=True):
        print(f"{words:45} {end - begun:7.1f} s")
    print(f"{'all of it':45} {ends[-1] - clock.begun[0][1]:7.1f} s")
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{'the folder':45} {size / 1e6:7.1f} MB")


def measure_eigenface(count: int) -> None:
    """Print the largest RssAnon while the eigenface of random images of 96x96 is found, less what was there before."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryFile() as file:
        for _ in range(0, count, 1000):
            file.write(rng.integers(0, 256, (1000, 96, 96, 3), np.uint8).tobytes())
        images = np.memmap(file, np.uint8, "r", shape=(count, 96, 96, 3))
    find_eigenface(lambda rows: images[rows], np.arange(2))  # loads what it needs
    with watch_memory() as largest:
        begun = time.monotonic()
        find_eigenface(lambda rows: images[rows], np.arange(count))
        seconds = time.monotonic() - begun
    print(
        f"{f'eigenface of {count:,} images of 96x96':45} {seconds:7.1f} s, RssAnon {largest[0] / 1000:.0f} MB at most"
    )


def time_page(out: Path) -> None:
    """Print how long the page takes to open, to filter and to draw rows, the median of three."""
    if not shutil.which("chromium"):
        print("no Chromium: the page is not timed")
        return
    source = (out / "index.html").read_text(encoding="utf-8")
    probe = PROBE.replace("QUERIES", str(QUERIES))
    (out / "timed.html").write_text(source.replace("</body>", f"<script>{probe}</script></body>"), encoding="utf-8")
    found = []
    for _ in range(3):
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
        command = ["chromium", *flags, "--dump-dom", (out / "timed.html").absolute().as_uri()]
        dump = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found.append([float(number) for number in re.findall(r"<title>([\d. ]+)</title>", dump)[0].split()])
    (out / "timed.html").unlink()
    opened, filtered, drawn = np.median(found, axis=0)
    print(f"{'the page has opened':45} {opened:7.0f} ms")
    print(f"{'slowest of the filters':45} {filtered:7.0f} ms")
    print(f"{'rows drawn after a jump':45} {drawn:7.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--eigenface", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.eigenface:
        measure_eigenface(options.images)
        return
    command = [sys.executable, __file__, str(options.run), "--images", str(options.images), "--eigenface"]
    subprocess.run(command, check=True)
    with tempfile.TemporaryDirectory() as folder:
        draw_garments(Path(folder), options.images, seed=1, progress=SILENT)
        time_pipeline(options.run, Path(folder) / "images", Path(folder) / "out")
        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(f"{'largest resident memory of all that':45} {largest:7.0f} MB")
        time_page(Path(folder) / "out")


if __name__ == "__main__":
    main()
