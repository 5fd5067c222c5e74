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

recipe, data, out = sys.argv[1:]
workflow.train(recipe, out + "/whole", data=data)
try:
    workflow.train(recipe, out + "/broken", data=data, progress=Stopper())
except KeyboardInterrupt:
    workflow.resume(out + "/broken")
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", INSTALLED)
def test_the_whole_way_runs_on_a_backend_and_goes_on_after_a_stop(backend: str, shapes: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(shapes.parent / "tiny.yaml"), str(shapes), str(tmp_path)]
    environment = os.environ | {"KERAS_BACKEND": backend}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    whole, broken = (json.loads((tmp_path / name / "evaluation.json").read_text()) for name in ("whole", "broken"))
    assert whole == broken
    assert whole["test"]["tasks"]["color"]["n"] > 0
    assert (tmp_path / "whole/report/index.html").exists()
