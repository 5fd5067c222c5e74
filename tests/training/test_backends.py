"""The whole way on every Keras backend that is installed here: train, go on, export, judge."""

import csv
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

INSTALLED = [name for name in ("tensorflow", "jax", "torch") if importlib.util.find_spec(name)]

CHILD = """
import sys
from pathlib import Path
from polyhead.runs.train import resume, train
from polyhead.training import choose_backend
from polyhead.progress import Silent
choose_backend()
from polyhead.training import checkpoint_callback as training
training.SAVE_EVERY = 0.0

class Stopper(Silent):
    left = 6
    def track(self, words, total):
        return self.count if words.startswith("epoch") else super().track(words, total)
    def count(self, done):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

recipe, data, out, *settings = sys.argv[1:]
train(recipe, out + "/whole", data=data, overrides=settings)
try:
    train(recipe, out + "/broken", data=data, overrides=settings, progress=Stopper())
except KeyboardInterrupt:
    resume(out + "/broken")
"""


# What is done for rare labels and between tasks, all at once: each must run in a compiled step and be gone on with.
RARE = [
    "data.weight=trust",
    "tasks.color={kind: categorical, class_weight: balanced, label_smoothing: 0.1, min_count: 6}",
    "tasks.shape.loss=focal",
    "tasks.marks={kind: multilabel, loss: asymmetric, class_weight: effective_number}",
    "tasks.size={kind: ordinal, levels: [S, M, L], loss: focal, class_weight: balanced}",
    "training.sampler=balanced",
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        [],
        [*RARE, "training.balance=uncertainty"],
        ["tasks.marks.loss=cosine", "training.balance=dynamic_average"],
        [
            "training.ema=0.5",
            "training.precision=bfloat16",
            "training.mix={mixup: 0.2, cutmix: 1}",
            "tasks.width.bins=8",
            "training.augment={crop: 0.5, shift: 0.1, hue: 0.1, erase: 0.5, policy: randaugment}",
        ],
        [
            "network={backbone: {name: MobileNetV2, width: 0.35, weights: none}}",
            "image.size=[32, 32]",
            "training.epochs=2",
            "tasks.color.ignores=shape",
            "tasks.shape.ignores=color",
            "tasks.marks.ignores=color",
            "tasks.width.ignores=shape",
        ],
    ],
    ids=["plain", "uncertainty", "dynamic_average", "average", "views"],
)
@pytest.mark.parametrize("backend", INSTALLED)
def test_the_whole_way_runs_on_a_backend_and_goes_on_after_a_stop(
    backend: str, settings: list[str], shapes: Path, tmp_path: Path
) -> None:
    labels = (shapes / "labels.csv").read_text(encoding="utf-8").splitlines()
    rows = [[*line.split(","), str(place % 3 or "")] for place, line in enumerate(labels[1:])]
    for row in rows[::8]:
        row[1] = "pink"
    (shapes / "labels.csv").write_text("\n".join([f"{labels[0]},trust", *map(",".join, rows)]), encoding="utf-8")
    command = [sys.executable, "-c", CHILD, str(shapes.parent / "tiny.yaml"), str(shapes), str(tmp_path), *settings]
    environment = os.environ | {"KERAS_BACKEND": backend}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    whole, broken = (json.loads((tmp_path / name / "evaluation.json").read_text()) for name in ("whole", "broken"))
    assert whole == broken
    assert whole["test"]["tasks"]["color"]["n"] > 0
    page = (tmp_path / "whole/report/index.html").read_text(encoding="utf-8")
    assert ("Weights of the tasks" in page) == ("training.balance" in " ".join(settings))
    if "training.balance=uncertainty" in settings:
        assert whole["test"]["tasks"]["color"]["rare"] == {"counted_as": "other", "labels": ["pink"]}
        assert "Losses weight rows by trust" in page


def run_on_devices(backend: str, count: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A Python process on so many virtual devices, where the backend has such."""
    command = [sys.executable, *map(str, arguments)]
    environment = os.environ | {
        "KERAS_BACKEND": backend,
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={count}",
        "JAX_PLATFORMS": "cpu",
    }
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def figures(run: Path) -> list[list[float]]:
    """The history, without the seconds, which come last."""
    with (run / "history.csv").open(encoding="utf-8") as file:
        return [[float(value) for value in row[:-1]] for row in list(csv.reader(file))[1:]]


@pytest.mark.slow
@pytest.mark.skipif("jax" not in INSTALLED, reason="JAX is not installed")
def test_two_devices_have_the_losses_of_one_and_go_on_after_a_stop(shapes: Path, tmp_path: Path) -> None:
    tasks = "tasks={color: {kind: categorical}, marks: {kind: multilabel, labels: [dot, bar]}}"
    data = [shapes.parent / "tiny.yaml", shapes, tmp_path, tasks]  # 27 rows in batches of 8: the last is of 3
    for done in (
        run_on_devices("jax", 2, "-c", CHILD, *data, "training.devices=all"),
        run_on_devices(
            "jax", 2, "-m", "polyhead", "train", data[0], "--data", shapes, "--out", tmp_path / "one", "--set", tasks
        ),
    ):
        assert done.returncode == 0, done.stderr[-3000:]
    one, two, broken = (figures(tmp_path / run) for run in ("one", "whole", "broken"))
    for row, other in zip(one, two, strict=True):
        assert other == pytest.approx(row, rel=1e-3, abs=1e-4)  # floats added up in another order, three epochs long
    assert broken == two
    assert (tmp_path / "broken/evaluation.json").read_bytes() == (tmp_path / "whole/evaluation.json").read_bytes()


SHARE = """
import logging
import sys
from polyhead.training import choose_backend
choose_backend()
from keras import ops
from polyhead.training.backend import split_batch
from polyhead.training.backend import use_devices
from polyhead.progress import Progress
from polyhead.progress import Silent
from polyhead.recipe.schema import TrainingRecipe

logging.basicConfig(stream=sys.stdout, format="%(message)s")

class Told(Silent):
    def say(self, words):
        print(words)

use_devices(TrainingRecipe(devices="all"), Told())
for count in (4, 3):
    print([part.data.shape for part in split_batch(ops.ones((count, 2, 2, 3))).addressable_shards])
"""


@pytest.mark.slow
@pytest.mark.skipif("jax" not in INSTALLED, reason="JAX is not installed")
@pytest.mark.parametrize(
    ("count", "told"),
    [
        (2, ["training on 2 devices: cpu:0, cpu:1", "[(2, 2, 2, 3), (2, 2, 2, 3)]", "[(3, 2, 2, 3)]"]),
        (
            1,
            [
                "training.devices: this machine has one device; training on that",
                "[(4, 2, 2, 3)]",
                "[(3, 2, 2, 3)]",
            ],
        ),
    ],
)
def test_each_device_computes_its_part_of_a_batch_that_they_divide(count: int, told: list[str]) -> None:
    assert run_on_devices("jax", count, "-c", SHARE).stdout.splitlines() == told


@pytest.mark.slow
@pytest.mark.parametrize("backend", INSTALLED)
def test_devices_that_cannot_be_used_are_refused_before_an_image_is_read(
    backend: str, shapes: Path, tmp_path: Path
) -> None:
    (shapes / "labels.csv").unlink()
    settings = ["--set", "training.devices=all", "--set", "training.batch_size=9"]
    data = [shapes.parent / "tiny.yaml", "--data", shapes, "--out", tmp_path / "run"]
    done = run_on_devices(backend, 2, "-m", "polyhead", "train", *data, *settings)
    reason = {
        "jax": "training.batch_size: the 2 devices of this machine do not divide 9; take 8 or 10, or training.devices",
        "tensorflow": "training.devices: `all` needs the jax backend (KERAS_BACKEND=jax): TensorFlow gives each device",
        "torch": "training.devices: `all` needs the jax backend (KERAS_BACKEND=jax): Keras on PyTorch trains on one",
    }
    assert done.returncode == 2
    assert reason[backend] in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
