"""Images/s of fine-tuning MobileNetV2 at 96x96 for two tasks: Polyhead, plain Keras, plain PyTorch; and frozen epochs.

All train the same network whole, with batch normalisation frozen, by Adam, on the same random images in memory, in
processes that take turns; what is timed are whole epochs after the first. PyTorch runs channels-last under bfloat16
autocast, as its own tuning guide has it for CPUs. The second table is a stage of `train: heads`, from its beginning to
its end: with features computed once, and with a change of brightness too small to see, which has them computed at
every step.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from polyhead.recipe.loading import check_recipe
from polyhead.recipe.schema import Recipe
from polyhead.tasks import Task
from polyhead.training import choose_backend

CLASSES = {"category": 4, "color": 3}
SIZE, BATCH, EPOCHS = 96, 32, 4
# Of MobileNetV2: how much wider a block is inside, its channels, how many there are, the first one's stride.
BLOCKS = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


def make_data(
    count: int, training: dict[str, Any], weights: str = "none"
) -> tuple[Recipe, dict[str, Task], np.ndarray, dict[str, np.ndarray]]:
    """A recipe, its tasks, random images and random targets."""
    rng = np.random.default_rng(0)
    recipe = check_recipe(
        {
            "name": "finetuning",
            "data": {"source": {"kind": "folders", "pattern": "{color}_{category}"}},
            "image": {"size": [SIZE, SIZE]},
            "tasks": {task: {"kind": "categorical"} for task in CLASSES},
            "network": {"backbone": {"name": "MobileNetV2", "weights": weights}},
            "training": {"batch_size": BATCH, **training},
        },
        "benchmark",
    )
    labels = {task: [f"c{place}" for place in rng.integers(0, number, count)] for task, number in CLASSES.items()}
    tasks: dict[str, Task] = {task: spec.fit(task, labels[task]) for task, spec in recipe.tasks.items()}
    pixels = rng.integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)
    return recipe, tasks, pixels, {task: tasks[task].encode(labels[task]) for task in tasks}


def train(count: int, training: dict[str, Any]) -> tuple[list[float], float]:
    """Seconds of each epoch of `train_network`, and of all of it."""
    choose_backend()
    import keras

    from polyhead.training.batches import TrainingData
    from polyhead.training.checkpoint_callback import RunContext
    from polyhead.training.fit import train_network

    with tempfile.TemporaryDirectory() as folder:
        # From a file, though they are random: a network that came with no weights would learn its normalisation too.
        weights = str(Path(folder) / "random.weights.h5")
        keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3)).save_weights(
            weights
        )
        recipe, tasks, pixels, targets = make_data(count, training, weights)
        lesson = TrainingData(lambda rows: pixels[rows], targets, np.arange(count), np.arange(0))
        begun = time.monotonic()
        train_network(recipe, tasks, lesson, RunContext(Path(folder)))
        seconds = time.monotonic() - begun
        rows = (Path(folder) / "history.csv").read_text().splitlines()
    return [float(row.rpartition(",")[2]) for row in rows[1:]], seconds


def train_polyhead(count: int, precision: str = "float32") -> float:
    seconds, _ = train(count, {"epochs": EPOCHS, "precision": precision})
    return count / statistics.median(seconds[1:])


def train_bfloat16(count: int) -> float:
    return train_polyhead(count, "bfloat16")


def train_keras(count: int) -> float:
    """`model.fit` with Keras's own losses and metrics."""
    choose_backend()
    import keras

    _, _, pixels, targets = make_data(count, {"epochs": EPOCHS})
    base = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3))
    for layer in base.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    images = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    found = base(keras.layers.Rescaling(1 / 127.5, -1)(keras.ops.cast(images, "float32")))
    pooled = keras.layers.GlobalAveragePooling2D()(found)
    model = keras.Model(images, {task: keras.layers.Dense(number)(pooled) for task, number in CLASSES.items()})
    losses = {task: keras.losses.SparseCategoricalCrossentropy(from_logits=True) for task in CLASSES}
    metrics = {task: ["sparse_categorical_accuracy"] for task in CLASSES}
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=losses, metrics=metrics)
    seconds: list[float] = []

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.begun = time.monotonic()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seconds.append(time.monotonic() - self.begun)

    model.fit(pixels, targets, batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=[Clock()])
    return count / statistics.median(seconds[1:])


def build_torch() -> Any:
    """MobileNetV2 with a linear layer for all tasks (Sandler et al. 2018), its batch normalisation frozen."""
    import torch
    from torch import nn

    def convolve(before: int, after: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
        convolution = nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)
        return [convolution, nn.BatchNorm2d(after), nn.ReLU6(inplace=True)]

    class Residual(nn.Module):
        def __init__(self, before: int, after: int, stride: int, wider: int) -> None:
            super().__init__()
            inner = before * wider
            first = convolve(before, inner) if wider > 1 else []
            self.steps = nn.Sequential(*first, *convolve(inner, inner, 3, stride, inner), *convolve(inner, after)[:-1])
            self.adds = stride == 1 and before == after

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.steps(x)
            return x + found if self.adds else found

    parts, channels = convolve(3, 32, 3, 2), 32
    for wider, after, repeats, stride in BLOCKS:
        for place in range(repeats):
            parts.append(Residual(channels, after, stride if place == 0 else 1, wider))
            channels = after
    parts += [*convolve(channels, 1280), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, sum(CLASSES.values()))]
    model = nn.Sequential(*parts).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval().requires_grad_(False)
    return model


def train_torch(count: int) -> float:
    """A plain loop: channels-last, bfloat16 autocast."""
    import torch
    from torch import nn

    _, _, pixels, targets = make_data(count, {"epochs": EPOCHS})
    model = build_torch().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam([each for each in model.parameters() if each.requires_grad], 1e-3)
    wanted = {task: torch.from_numpy(found[:, 0].astype(np.int64)) for task, found in targets.items()}
    images, seconds = torch.from_numpy(pixels), []
    for _ in range(EPOCHS):
        begun, order = time.monotonic(), torch.randperm(count)
        for at in range(0, count, BATCH):
            rows = order[at : at + BATCH]
            batch = images[rows].permute(0, 3, 1, 2).float().div(127.5).sub(1)
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(batch.contiguous(memory_format=torch.channels_last))
            parts = dict(zip(CLASSES, logits.float().split(list(CLASSES.values()), 1), strict=True))
            loss = sum(nn.functional.cross_entropy(parts[task], wanted[task][rows]) for task in CLASSES)
            loss.backward()
            optimizer.step()
        seconds.append(time.monotonic() - begun)
    return count / statistics.median(seconds[1:])


def time_heads(count: int, brightness: float = 0.0) -> float:
    """Seconds of a stage of 5 epochs that trains heads alone."""
    stages = [{"train": "heads", "epochs": 5}]
    return train(count, {"stages": stages, "augment": {"brightness": brightness}})[1]


def time_heads_changed(count: int) -> float:
    return time_heads(count, 1e-6)


WAYS = {
    "polyhead": train_polyhead,
    "polyhead bfloat16": train_bfloat16,
    "keras": train_keras,
    "pytorch bfloat16": train_torch,
    "features once": time_heads,
    "features at every step": time_heads_changed,
}


def measure(ways: list[str], options: argparse.Namespace) -> dict[str, float]:
    """Medians of several rounds in which the ways take turns."""
    found: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(options.rounds):
        for way in ways:
            python = options.torch if way.startswith("pytorch") else sys.executable
            command = [python, __file__, "--child", way, "--images", str(options.images)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            found[way].append(json.loads(done.stdout.splitlines()[-1]))
    return {way: statistics.median(values) for way, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=800)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--torch", default=sys.executable, help="a Python that has PyTorch")
    parser.add_argument("--child")
    options = parser.parse_args()
    if options.child:
        print(json.dumps(WAYS[options.child](options.images)))
        return
    rates = measure(list(WAYS)[:4], options)
    print("way                     images/s   Polyhead's best to it")
    best = max(rates["polyhead"], rates["polyhead bfloat16"])
    for way, rate in rates.items():
        print(f"{way:22} {rate:9.1f} {best / rate:13.2f}")
    seconds = measure(list(WAYS)[4:], options)
    once, every = seconds.values()
    print(
        f"5 epochs of heads: {once:.1f} s with features computed once, {every:.1f} s at every step: {once / every:.2f}"
    )


if __name__ == "__main__":
    main()
