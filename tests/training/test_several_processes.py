"""Several processes train one network as one does, and one that is lost costs no more than what came behind the state.

They run on this machine's CPU, over its loopback, as they would on several machines that share a file system.
"""

import csv
import importlib.util
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from polyhead.errors import PolyheadError
from polyhead.training import processes
from polyhead.training.processes import Group, join_processes, share_rows

needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")

# A process of several: it trains, or goes on, saving at every step. The leader kills one of them after so many steps.
CHILD = """
import os, signal, sys
from pathlib import Path
from polyhead.progress import Silent
from polyhead.runs.train import resume, train
from polyhead.training import choose_backend

folder, recipe, data, steps, victim, *settings = sys.argv[1:]
(Path(folder).parent / f"pid{os.environ.get('KERAS_DISTRIBUTION_PROCESS_ID', 0)}").write_text(str(os.getpid()))

class Killer(Silent):
    left = int(steps)
    def track(self, words, total):
        return self.count if words.startswith("epoch") else super().track(words, total)
    def count(self, done):
        from polyhead.training import checkpoint_callback
        checkpoint_callback.SAVE_EVERY = 0.0
        self.left -= done
        if self.left < 0:
            os.kill(int((Path(folder).parent / f"pid{victim}").read_text()), signal.SIGKILL)
            self.left = 10**6

if (Path(folder) / "recipe.yaml").exists():
    resume(folder, progress=Killer())
else:
    train(recipe, folder, data=data, overrides=settings, progress=Killer())
"""

# Stages, frozen features, mixed images and a soup, 27 rows in batches of 8: the last is of 3. The rate is low since the
# normalisations of an untrained backbone make more of a rounding, over few values, than a history of losses can show.
SETTINGS = [
    "tasks={color: {kind: categorical}, marks: {kind: multilabel, labels: [dot, bar]}, width: {kind: regression}}",
    "network={backbone: {name: MobileNetV2, width: 0.35, weights: none}}",
    "image.size=[64, 64]",
    "training={batch_size: 8, keep: soup, mix: {mixup: 0.2}, stages: ["
    "{train: heads, epochs: 1, augment: false}, {train: all, epochs: 2, learning_rate: 1.0e-5, schedule: cosine}]}",
]
PLAIN = ["tasks={color: {kind: categorical}, marks: {kind: multilabel, labels: [dot, bar]}}", "training.ema=0.5"]


def find_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def run_processes(count: int, run: Path, shapes: Path, settings: list[str], kill: tuple[int, int]) -> list[int]:
    """Train with so many processes at once; how each ended. `kill`: after how many steps which is killed."""
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    if count > 1:
        environment |= {
            "KERAS_DISTRIBUTION_NUM_PROCESSES": str(count),
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{find_port()}",
        }
    recipe = shapes.parent / "tiny.yaml"
    command = [sys.executable, "-c", CHILD, *map(str, (run, recipe, shapes, *kill)), *settings]
    started = []
    for index in range(count):
        place = {"KERAS_DISTRIBUTION_PROCESS_ID": str(index)} if count > 1 else {}
        with (run.parent / f"errors{index}").open("w") as errors:
            started.append(subprocess.Popen(command, env=environment | place, stderr=errors, stdout=errors))
    return [process.wait(600) for process in started]


NEVER = (10**6, 0)


def figures(run: Path) -> list[list[float]]:
    """The history, without the seconds."""
    with (run / "history.csv").open(encoding="utf-8") as file:
        rows = [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]
    return [[float(value) for value in row.values()] for row in rows]


@pytest.mark.slow
@needs_jax
@pytest.mark.parametrize(("count", "settings"), [(2, SETTINGS), (4, PLAIN)], ids=["two", "four"])
def test_several_processes_have_the_history_of_one(
    count: int, settings: list[str], shapes: Path, tmp_path: Path
) -> None:
    for name, processes_of_it in {"one": 1, "several": count}.items():
        codes = run_processes(processes_of_it, tmp_path / name, shapes, settings, NEVER)
        assert codes == [0] * processes_of_it, (tmp_path / "errors0").read_text()[-3000:]
    one, several = figures(tmp_path / "one"), figures(tmp_path / "several")
    assert len(one) == 3
    for row, other in zip(one, several, strict=True):
        assert other == pytest.approx(row, rel=1e-3, abs=5e-3)  # floats added up in another order
    left = {path.name for path in (tmp_path / "several").iterdir()}
    assert left == {path.name for path in (tmp_path / "one").iterdir()}


@pytest.mark.slow
@needs_jax
@pytest.mark.parametrize("victim", [1, 0], ids=["a follower", "the leader"])
def test_a_process_that_is_killed_costs_nothing_but_time(victim: int, shapes: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run_processes(2, whole, shapes, PLAIN, NEVER) == [0, 0]
    codes = run_processes(2, broken, shapes, PLAIN, (6, victim))
    assert codes[victim] == -signal.SIGKILL
    assert codes[1 - victim] not in (0, -signal.SIGKILL)
    told = (tmp_path / f"errors{1 - victim}").read_text()
    assert "PolyheadError: another process of the 2 was lost" in told
    assert not (broken / "model.onnx").exists()
    assert run_processes(2, broken, shapes, PLAIN, NEVER) == [0, 0]
    assert figures(broken) == figures(whole)
    assert (broken / "evaluation.json").read_bytes() == (whole / "evaluation.json").read_bytes()


@pytest.mark.slow
@needs_jax
def test_where_the_leader_refuses_the_others_end_too(shapes: Path, tmp_path: Path) -> None:
    codes = run_processes(2, tmp_path / "run", shapes, ["training.batch_size=9"], NEVER)
    assert codes == [2, 2]
    assert "training.batch_size: the 2 devices of the 2 processes do not divide 9; take 8 or 10" in (
        tmp_path / "errors0"
    ).read_text().replace("\n", " ")
    assert "process 0 has ended with an error" in (tmp_path / "errors1").read_text()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"NUM_PROCESSES": "two"}, "KERAS_DISTRIBUTION_NUM_PROCESSES: expected a whole number; got 'two'"),
        ({"NUM_PROCESSES": "2"}, "KERAS_DISTRIBUTION_PROCESS_ID: expected a whole number; got ''"),
        (
            {"NUM_PROCESSES": "2", "PROCESS_ID": "1"},
            "KERAS_DISTRIBUTION_JOB_ADDRESSES: expected host:port of process 0",
        ),
        (
            {"NUM_PROCESSES": "2", "PROCESS_ID": "2", "JOB_ADDRESSES": "a:1"},
            "KERAS_DISTRIBUTION_PROCESS_ID: expected 0 to 1, below KERAS_DISTRIBUTION_NUM_PROCESSES; got 2",
        ),
    ],
)
def test_wrong_variables_are_one_line(variables: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "require", lambda purpose, extra: None)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    for name, value in variables.items():
        monkeypatch.setenv(f"KERAS_DISTRIBUTION_{name}", value)
    with pytest.raises(PolyheadError) as caught:
        join_processes("process")
    assert str(caught.value).startswith(words)


def test_another_backend_than_jax_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    with pytest.raises(PolyheadError, match="KERAS_BACKEND: several processes need jax; got 'tensorflow'"):
        join_processes("process")


@pytest.mark.parametrize(("rows", "count", "devices"), [(8, 2, 1), (3, 2, 1), (3, 4, 2), (17, 2, 4), (1, 4, 1)])
def test_the_shares_of_a_batch_are_the_batch(
    rows: int, count: int, devices: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, shares, marks = np.arange(100, 100 + rows), [], []
    for index in range(count):
        monkeypatch.setattr(processes, "GROUP", Group(index, count, devices))
        own, mark = share_rows(batch)
        assert mark is not None
        assert len(own) % devices == len(mark) % devices == 0
        shares.append(own)
        marks.append(mark)
    whole = np.concatenate(shares)
    assert len({len(own) for own in shares}) == 1
    assert len({mark.shape for mark in marks}) == 1
    assert whole[: len(whole) - (marks[0].shape[1] - 1)].tolist() == batch.tolist()


def test_a_process_alone_reads_every_row() -> None:
    own, mark = share_rows(np.arange(7))
    assert own.tolist() == list(range(7))
    assert mark is None
