"""The whole way on every Keras backend that is installed here: train, go on, export, judge."""

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
from polyhead import workflow
from polyhead.learn import choose_backend
from polyhead.progress import Silent
choose_backend()
from polyhead.learn import training
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
workflow.train(recipe, out + "/whole", data=data, overrides=settings)
try:
    workflow.train(recipe, out + "/broken", data=data, overrides=settings, progress=Stopper())
except KeyboardInterrupt:
    workflow.resume(out + "/broken")
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
        ["training.ema=0.5", "training.precision=bfloat16", "training.augment={shift: 0.1, hue: 0.1, erase: 0.5}"],
    ],
    ids=["plain", "uncertainty", "dynamic_average", "average"],
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
        assert "Rows counted in losses as much as trust says" in page
