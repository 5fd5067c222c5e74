"""A run that is killed goes on where it was, and ends as one that was never broken off."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from polyhead import workflow
from polyhead.errors import PolyheadError
from polyhead.run_folder import RunFolder

SETTINGS = ["training.epochs=4", "training.patience=3"]

# A real process that trains or goes on, saving at every step, and kills itself after so many steps of work.
CHILD = """
import os, signal, sys
from pathlib import Path
from polyhead import workflow
from polyhead.learn import choose_backend
from polyhead.progress import Silent
choose_backend()
from polyhead.learn import training
training.SAVE_EVERY = 0.0

class Killer(Silent):
    left = int(sys.argv[2])
    def track(self, words, total):
        return self.count if words.startswith("epoch") else super().track(words, total)
    def count(self, done):
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

run, recipe = Path(sys.argv[1]), sys.argv[3]
if (run / "recipe.yaml").exists():
    workflow.resume(run, progress=Killer())
else:
    workflow.train(recipe, run, data=sys.argv[4], overrides=sys.argv[5:], progress=Killer())
"""


def run_child(run: Path, steps: int, shapes: Path) -> int:
    command = [sys.executable, "-c", CHILD, str(run), str(steps), str(shapes.parent / "tiny.yaml"), str(shapes)]
    done = subprocess.run([*command, *SETTINGS], capture_output=True, text=True, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def history(run: Path) -> list[dict[str, str]]:
    with RunFolder(run).history.open(encoding="utf-8") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


@pytest.mark.slow
def test_a_killed_run_ends_with_the_history_and_the_model_of_an_unbroken_one(shapes: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run_child(whole, 10**6, shapes) == 0
    kills = 0
    for steps in (2, 5, 4, 1, 7, 10**6):  # in an epoch's middle, at its end and at its beginning
        kills += run_child(broken, steps, shapes) != 0
    assert kills >= 4
    assert history(broken) == history(whole)
    assert len(history(whole)) == 4
    assert RunFolder(broken).evaluation.read_bytes() == RunFolder(whole).evaluation.read_bytes()
    assert RunFolder(broken).predictions.read_bytes() == RunFolder(whole).predictions.read_bytes()


@pytest.mark.slow
def test_a_run_killed_before_it_trained_can_be_gone_on_with(shapes: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert run_child(run, 0, shapes) == -signal.SIGKILL
    os.remove(RunFolder(run).table)  # as if the images had still been being read
    assert run_child(run, 10**6, shapes) == 0
    assert len(history(run)) == 4


def test_what_is_no_run_cannot_be_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(PolyheadError, match="there is no such run folder"):
        workflow.resume(tmp_path / "none")
    with pytest.raises(PolyheadError, match="is not a run folder"):
        workflow.resume(tmp_path)
