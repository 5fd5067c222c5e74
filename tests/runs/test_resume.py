"""A run that is killed goes on where it was, and ends as one that was never broken off."""

import csv
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import call
from polyhead.errors import PolyheadError
from polyhead.run_folder import RunFolder, lock_run
from polyhead.runs.train import resume, train

STATE = "state/last.npz"
SETTINGS = ["training.epochs=4", "training.patience=3"]

# A real process that trains or goes on, saving at every step, and kills itself after so many steps of work.
CHILD = """
import os, signal, sys
from pathlib import Path
from polyhead.runs.train import resume, train
from polyhead.training import choose_backend
from polyhead.progress import Silent
choose_backend()
from polyhead.training import checkpoint_callback as training
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
    resume(run, progress=Killer())
else:
    train(recipe, run, data=sys.argv[4], overrides=sys.argv[5:], progress=Killer())
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
    assert RunFolder(broken).model.read_bytes() == RunFolder(whole).model.read_bytes()
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
        resume(tmp_path / "none")
    with pytest.raises(PolyheadError, match="is not a run folder"):
        resume(tmp_path)


# A process that trains until an epoch is whole, and may write no file larger than so many bytes.
LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.argv[1:] = sys.argv[2:]
from polyhead.cli.app import main
main()
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run of two epochs; its images lie beside it."""
    from conftest import TINY_RECIPE, draw_shapes

    folder = tmp_path_factory.mktemp("whole")
    (folder / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    os.environ["POLYHEAD_CACHE"] = str(folder / "cache")
    draw_shapes(folder / "shapes", 48)
    settings = ["training.epochs=2"]
    return train(folder / "tiny.yaml", folder / "run", data=folder / "shapes", overrides=settings).path


def unfinish(whole: Path, run: Path, *removed: str) -> Path:
    """A copy of a whole run that has still to be exported, or what is removed besides to be made."""
    shutil.copytree(whole, run)
    shutil.rmtree(run / "report")
    for name in ("model.onnx", "evaluation.json", *removed):
        (run / name).unlink()
    return run


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "a bit flipped": lambda content: content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_replaced_by_the_one_before(
    whole: Path, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    run = unfinish(whole, tmp_path / "run", "history.csv")
    (run / STATE).write_bytes(DAMAGES[damage]((run / STATE).read_bytes()))
    resume(run)
    assert f"{run / STATE}: is damaged; resuming from the state before it" in caplog.messages
    assert history(run) == history(whole)
    for name in ("model.onnx", "evaluation.json", "predictions.csv"):
        assert (run / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.slow
def test_what_a_run_needs_and_has_not_is_one_line(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def flip(run: Path, *names: str) -> None:
        for name in names:
            content = (run / name).read_bytes()
            (run / name).write_bytes(content[: len(content) // 2] + b"\xff")

    kept, before = "state/kept.weights.h5", "state/before.npz"
    for number, (names, words) in enumerate(
        {
            (STATE, before): "state before it; train again",
            (kept,): "kept.weights.h5: is damaged; train again",
            ("table.csv",): "table.csv",
            ("recipe.yaml",): "recipe.yaml",
        }.items()
    ):
        run = unfinish(whole, tmp_path / f"{number}")
        flip(run, *names)
        assert call("resume", run) == 2, names
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert line.startswith("polyhead: ")
        assert words in line
    run = unfinish(whole, tmp_path / "missing", kept)
    assert call("resume", run) == 2
    assert "kept.weights.h5: is missing; train again" in capsys.readouterr().err


@pytest.mark.slow
def test_a_damaged_figure_file_is_one_line(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    (run / "evaluation.json").write_text('{"test": {')
    assert call("resume", run) == 2
    assert "evaluation.json: is damaged or missing" in capsys.readouterr().err
    shutil.rmtree(run / "report")
    (run / "history.csv").write_bytes(b"\xff\xfe,,\n")
    assert call("resume", run) == 2
    assert "history.csv: is damaged" in capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.slow
def test_two_do_not_train_one_run(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = unfinish(whole, tmp_path / "run")
    with lock_run(RunFolder(run)):
        assert call("resume", run) == 2
        assert f"{run}: another process is training it" in capsys.readouterr().err
        assert call("train", run / "recipe.yaml", "--out", run, "--force") == 2
        assert f"{run}: another process is training it" in capsys.readouterr().err
    assert call("resume", run) == 0


@pytest.mark.slow
@pytest.mark.parametrize("size", [2_000, 20_000, 60_000, 150_000])
def test_a_full_disk_is_one_line_and_the_run_can_be_resumed(whole: Path, tmp_path: Path, size: int) -> None:
    """No file may be larger than `size` bytes: the state, the weights, the model, the page fail one after another."""
    run = tmp_path / "run"
    command = [sys.executable, "-c", LIMITED, str(size)]
    settings = ["--data", str(whole.parent / "shapes"), "--set", "training.epochs=2"]
    given = [*command, "train", str(whole.parent / "tiny.yaml"), "--out", str(run), *settings]
    done = subprocess.run(given, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("polyhead: ")
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr
    left = {path.name for path in tmp_path.rglob("*") if path.name.startswith(".")}
    assert left == set()
    if run.exists():
        assert RunFolder(run).has_trained
        resume(run)
    else:
        train(whole.parent / "tiny.yaml", run, data=whole.parent / "shapes", overrides=settings[-1:])
    assert history(run) == history(whole)
    for name in ("model.onnx", "evaluation.json", "predictions.csv"):
        assert (run / name).read_bytes() == (whole / name).read_bytes()
