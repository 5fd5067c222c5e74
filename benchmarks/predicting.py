"""Images/s from files to answers: Polyhead, the published way, and PyTorch with a DataLoader.

The network is `fashionnet`'s (two branches, 96x96), with the weights of the run that is given for Polyhead and Keras,
and any for PyTorch. All three read the same files, each in a process of its own; they take turns. What is timed is one
pass over all files, after a short one that compiles and starts what is to be started. Images/s mean something on an
idle machine alone; the processor's time for an image tells more of a busy one, but there PyTorch's threads spend most
of it waiting for each other.

- polyhead, int8: where the run has been exported to whole numbers;
- published: OpenCV's `imread` and `resize`, batch by batch, and `model.predict` on each batch;
- published, at once: all files first, then a single `model.predict`;
- torch: a `DataLoader` of two workers that read with OpenCV, and the network written by hand, in channels-last.

PyTorch is run by the Python of --torch, which needs torch, opencv-python-headless and nothing of Polyhead's.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

SIZE = (96, 96)
INT8 = "model.int8.onnx"
WARM = 128  # images of the short pass
Pass = Callable[[list[str]], object]


def prepare_polyhead(model: Path) -> Pass:
    import polyhead

    predictor = polyhead.load_model(model)
    return lambda files: list(predictor.predict(files))


def prepare_published(run: Path, batch: int) -> Pass:
    """`batch` files are read, then predicted, and so on."""
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    import cv2

    from polyhead.model.file import open_model
    from polyhead.recipe.loading import load_recipe
    from polyhead.training import WEIGHTS
    from polyhead.training.network import build_network

    network = build_network(load_recipe(run / "recipe.yaml"), open_model(run / "model.onnx")[1].tasks)
    if (run / WEIGHTS).exists():
        network.core.load_weights(run / WEIGHTS)
    model = network.answering()

    def answer(files: list[str]) -> None:
        for at in range(0, len(files), batch):
            pixels = [cv2.resize(cv2.imread(file), SIZE[::-1])[..., ::-1] for file in files[at : at + batch]]
            model.predict(np.array(pixels), verbose=0)

    return answer


def prepare_torch() -> Pass:
    import torch
    from torch.utils.data import DataLoader, Dataset

    network = write_network().eval().to(memory_format=torch.channels_last)

    class Files(Dataset):
        def __init__(self, files: list[str]) -> None:
            self.files = files

        def __len__(self) -> int:
            return len(self.files)

        def __getitem__(self, place: int) -> Any:
            import cv2

            cv2.setNumThreads(0)
            return torch.from_numpy(cv2.resize(cv2.imread(self.files[place]), SIZE[::-1])).permute(2, 0, 1)

    def answer(files: list[str]) -> None:
        with torch.inference_mode():
            for pixels in DataLoader(Files(files), batch_size=32, num_workers=2):
                for output in network(pixels.contiguous(memory_format=torch.channels_last)):
                    output.numpy()

    return answer


def write_network() -> Any:
    """`fashionnet`'s two branches, as PyTorch's own tutorials write such a network."""
    import torch
    from torch import nn

    def stack(channels: int, blocks: list[list[int]], width: int, classes: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        side = SIZE[0]
        for place, filters in enumerate(blocks):
            for count in filters:
                layers += [nn.Conv2d(channels, count, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(count)]
                channels = count
            pool = 2 if place else 3
            side //= pool
            layers += [nn.MaxPool2d(pool), nn.Dropout(0.25)]
        layers += [nn.Flatten(), nn.Linear(channels * side * side, width), nn.ReLU(), nn.BatchNorm1d(width)]
        return nn.Sequential(*layers, nn.Dropout(0.5), nn.Linear(width, classes), nn.Softmax(1))

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.category = stack(1, [[32], [64, 64], [128, 128]], 256, 4)
            self.color = stack(3, [[16], [32], [32]], 128, 3)
            self.register_buffer("gray", torch.tensor([0.2989, 0.587, 0.114]).reshape(1, 3, 1, 1))

        def forward(self, images: Any) -> Any:
            scaled = images.float() / 255
            return self.category((scaled * self.gray).sum(1, keepdim=True)), self.color(scaled)

    return Network()


def serve(way: str, run: Path, files: list[str]) -> None:
    """Time a pass whenever a line comes in."""
    ways: dict[str, Callable[[], Pass]] = {
        "polyhead": lambda: prepare_polyhead(run),
        "polyhead, int8": lambda: prepare_polyhead(run / INT8),
        "published": lambda: prepare_published(run, 32),
        "published, at once": lambda: prepare_published(run, len(files)),
        "torch": prepare_torch,
    }
    answer = ways[way]()
    answer(files[:WARM])
    for _ in sys.stdin:
        begun, used = time.monotonic(), sum(os.times()[:4])
        answer(files)
        spent = time.monotonic() - begun
        print(json.dumps([len(files) / spent, 1000 * (sum(os.times()[:4]) - used) / len(files)]), flush=True)


def measure(options: argparse.Namespace, files: list[str], folder: Path) -> dict[str, list[list[float]]]:
    """Images/s of each way, and its processor time in ms an image, `rounds` times, one after the other."""
    (folder / "files.json").write_text(json.dumps(files))
    ways = ["polyhead", *(["polyhead, int8"] if (options.run / INT8).exists() else [])]
    ways += ["published", "published, at once", *(["torch"] if options.torch else [])]
    children = {}
    for way in ways:
        python = options.torch if way == "torch" else sys.executable
        command = [python, __file__, str(options.run), "--child", way, "--files", str(folder / "files.json")]
        children[way] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    found: dict[str, list[list[float]]] = {way: [] for way in ways}
    for _ in range(options.rounds):
        for way, child in children.items():
            assert child.stdin
            assert child.stdout
            child.stdin.write("\n")
            child.stdin.flush()
            found[way].append(json.loads(child.stdout.readline()))
    for child in children.values():
        child.communicate()
    return found


def measure_one(run: Path, file: str) -> Iterator[tuple[str, float]]:
    """Milliseconds of one image: as a whole, and of its parts."""
    import polyhead
    from polyhead.model.inputs import read_pixels

    predictor = polyhead.load_model(run)
    image = predictor.card.image
    pixels = read_pixels(file, image.size, image.resize)[np.newaxis]
    steps: dict[str, Callable[[], object]] = {
        "predict": lambda: list(predictor.predict(file)),
        "decoding": lambda: read_pixels(file, image.size, image.resize),
        "session call": lambda: predictor.run(pixels),
    }
    for name, step in steps.items():
        seconds = []
        for _ in range(300):
            begun = time.monotonic()
            step()
            seconds.append(time.monotonic() - begun)
        yield name, 1000 * statistics.median(seconds)


def make_photographs(files: list[str], folder: Path) -> list[str]:
    """The same pictures as JPEG files of 1024x768."""
    from PIL import Image

    made = []
    for number, file in enumerate(files):
        with Image.open(file) as image:
            large = image.convert("RGB").resize((1024, 768), Image.Resampling.BICUBIC)
        made.append(str(folder / f"{number:05}.jpg"))
        large.save(made[-1], quality=90)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a finished run of the recipe fashionnet")
    parser.add_argument("--photos", type=Path, help="its folder of images")
    parser.add_argument("--torch", help="the Python that has torch")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child")
    parser.add_argument("--files", type=Path)
    options = parser.parse_args()
    if options.child:
        serve(options.child, options.run, json.loads(options.files.read_text()))
        return
    from polyhead.data.images.decode import find_images

    given = [str(path) for path in find_images(options.photos)]
    files = (given * (options.images // len(given) + 1))[: options.images]
    with tempfile.TemporaryDirectory() as folder:
        sets = {"as they are": files, "at 1024x768": make_photographs(files, Path(folder))}
        for words, paths in sets.items():
            print(f"\n{f'{len(paths):,} files {words}':26} images/s   ours / this's   CPU ms an image   this's / ours")
            found = measure(options, paths, Path(folder))
            for way, rounds in found.items():
                pairs = list(zip(found["polyhead"], rounds, strict=True))
                cells = [
                    statistics.median(rate for rate, _ in rounds),
                    statistics.median(ours[0] / theirs[0] for ours, theirs in pairs),
                    statistics.median(used for _, used in rounds),
                    statistics.median(theirs[1] / ours[1] for ours, theirs in pairs),
                ]
                print("{:26} {:8.0f} {:17.2f} {:17.2f} {:17.2f}".format(way, *cells), flush=True)
        for words, paths in sets.items():
            parts = ", ".join(f"{name} {spent:.2f} ms" for name, spent in measure_one(options.run, paths[0]))
            print(f"one image {words}: {parts}")


if __name__ == "__main__":
    main()
