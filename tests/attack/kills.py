"""Processes that are killed at random moments, with all that they have started, and what continues their work.

Whatever the moment, the end must be that of an unbroken command, byte for byte; nothing may be left beside it; and what
`--force` replaces must be there at every moment. A case says what is killed and after which share of its usual time;
where that falls within the work depends on the machine.
"""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np

from attack.campaign import Campaign
from conftest import TINY_RECIPE, draw_shapes
from tiny_model import write_tiny_model

SEED = 11
AT_ONCE = 2  # processes
IMAGES = 80  # enough to be decoded by several processes
# What is killed; the cheap ones more often, and first.
STAGES = ("predict", "cluster", "gallery", "quantize", "train", "evaluate", "predict", "force", "judge again", "train")
ONCE_MORE = 0.4  # how often what continues is killed as well


class Failure(Exception):
    """What should not have happened."""


@dataclass(frozen=True)
class Ground:
    """Where cases take place: `folder` holds the images and the recipe, and the unbroken results."""

    folder: Path
    lock: Lock
    seconds: dict[str, float]  # that unbroken commands took

    def whole(self, stage: str) -> Path:
        """The folder in which an unbroken command of a stage was run; it is run when it is first asked for."""
        place = self.folder / f"unbroken {stage}"
        with self.lock:
            if stage not in self.seconds:
                self._prepare()
                place.mkdir()
                begun = time.monotonic()
                code, said = self.call(place, command_of(self, stage, place), None)
                if code:
                    raise Failure(f"unbroken {stage} ended with {code}: {said}")
                self.seconds[stage] = time.monotonic() - begun
        return place

    def run(self) -> Path:
        """An unbroken run."""
        return self.whole("train") / "run"

    def call(self, place: Path, arguments: Sequence[str], seconds: float | None) -> tuple[int, str]:
        """Run the program, and kill it and all that it started after so many seconds: its exit code, its last words."""
        environment = os.environ | {"POLYHEAD_CACHE": str(place / "cache")}
        with subprocess.Popen(
            [sys.executable, "-m", "polyhead", *arguments],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                _, said = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                _, said = process.communicate()
        return process.returncode, said.decode(errors="replace").strip()[-500:]

    def _prepare(self) -> None:
        if not (self.folder / "tiny.yaml").exists():
            draw_shapes(self.folder / "shapes", IMAGES)
            write_tiny_model(self.folder / "model.onnx")
            (self.folder / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")


def command_of(ground: Ground, stage: str, place: Path) -> list[str]:
    """The arguments of a stage's command, whose result is in `place`."""
    model, images = str(ground.folder / "model.onnx"), str(ground.folder / "shapes/images")
    recipe = [str(ground.folder / "tiny.yaml"), "--data", str(ground.folder / "shapes"), "--set", "training.epochs=3"]
    own = ["--method", "kmeans", "--k", "2..3"]
    return {
        "predict": ["predict", model, images, "--csv", f"{place}/out.csv"],
        "cluster": ["cluster", model, images, *own, "--out", f"{place}/groups"],
        "gallery": ["predict", model, images, "--gallery", f"{place}/gallery"],
        "quantize": ["export", model, images, "--format", "onnx-int8", "--out", f"{place}/int8.onnx"],
        "train": ["train", *recipe, "--out", f"{place}/run"],
        "force": ["train", *recipe, "--out", f"{place}/run", "--force"],
        "evaluate": ["evaluate", f"{ground.folder}/unbroken train/run", "--out", f"{place}/judged"],
        "judge again": ["evaluate", f"{ground.folder}/unbroken train/run", "--out", f"{place}/judged", "--force"],
    }[stage]


def attack_case(ground: Ground, number: int) -> None:
    """One case.

    Raises:
        Failure: what went wrong.
    """
    rng = np.random.default_rng((SEED, number))
    stage = STAGES[number % len(STAGES)]
    if stage in ("evaluate", "force", "judge again"):
        ground.run()
    expected = ground.whole({"force": "train", "judge again": "evaluate"}.get(stage, stage))
    seconds = ground.seconds[{"force": "train", "judge again": "evaluate"}.get(stage, stage)]
    place = ground.folder / f"case {number}"
    place.mkdir()
    old = {"force": place / "run", "judge again": place / "judged"}.get(stage)
    if old:
        shutil.copytree(expected / old.name, old)
        (old / "mine.txt").write_text("the older one", encoding="utf-8")
    command = command_of(ground, stage, place)
    _run(ground, place, command, rng.uniform(0, 1.05) * seconds)
    _check_old(old)
    resumes = stage == "train" or (stage == "force" and rng.random() < 0.5)
    again = _continue(command, place, resumes)
    if rng.random() < ONCE_MORE:
        _run(ground, place, again, rng.uniform(0, 1) * seconds)
        _check_old(old)
        again = _continue(command, place, resumes)
    _run(ground, place, again, None)
    if old and again[0] == "resume" and (old / "mine.txt").exists():
        (old / "mine.txt").unlink()  # restored: its successor was killed before it was of any use
    _compare(expected, place)
    shutil.rmtree(place)


def _run(ground: Ground, place: Path, command: Sequence[str], seconds: float | None) -> None:
    code, said = ground.call(place, command, seconds)
    finished = code == 2 and said.endswith("or --force to replace it")  # killed when all was done
    killed = code == -signal.SIGKILL and seconds is not None
    if not (code == 0 or finished or killed):
        raise Failure(f"{command[0]} ended with {code}: {said}")


def _continue(command: list[str], place: Path, resumes: bool) -> list[str]:
    """What a user does next: the same again, or `resume` where there is something to resume."""
    there = (place / "run/recipe.yaml").exists() or (place / ".run.replaced").exists()
    return ["resume", f"{place}/run"] if resumes and there else command


def _check_old(old: Path | None) -> None:
    """What is to be replaced is whole, here or aside, unless its whole successor is there."""
    if old is None:
        return
    for folder in (old, old.with_name(f".{old.name}.replaced")):
        files = ("mine.txt", "evaluation.json", "predictions.csv", "report/index.html")
        if all((folder / name).exists() for name in files):
            return
    if not (old / "report/index.html").exists():
        raise Failure("what was to be replaced is lost")


def _compare(expected: Path, place: Path) -> None:
    """The same files with the same content in both."""
    wanted, found = _list_files(expected), _list_files(place)
    if wanted.keys() != found.keys():
        raise Failure(f"other files are there: {sorted(wanted.keys() ^ found.keys())[:5]}")
    for name in wanted:
        if name.endswith("history.csv") and _history(wanted[name]) != _history(found[name]):
            raise Failure(f"{name} differs")
        if _is_compared(name) and wanted[name].read_bytes() != found[name].read_bytes():
            raise Failure(f"{name} differs")


def _list_files(place: Path) -> dict[str, Path]:
    found = {path.relative_to(place).as_posix(): path for path in place.rglob("*") if path.is_file()}
    return {name: path for name, path in found.items() if not name.startswith("cache/")}


def _is_compared(name: str) -> bool:
    """Whether a file's bytes are the same each time: not where seconds are told, or an archive holds the time."""
    return Path(name).name in (
        *("table.csv", "rejected.csv", "predictions.csv", "evaluation.json", "recipe.yaml", "model.onnx"),
        *("out.csv", "clusters.csv", "clusters.json", "int8.onnx", "data.js"),
    )


def _history(file: Path) -> str:
    with file.open(encoding="utf-8") as stream:
        rows = [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(stream)]
    return json.dumps(rows)


def attack(numbers: range, folder: Path) -> Iterator[str]:
    """Kill, continue, compare."""
    ground = Ground(folder, Lock(), {})

    def attempt(number: int) -> str | None:
        try:
            attack_case(ground, number)
        except Failure as failure:
            return f"{number} ({STAGES[number % len(STAGES)]}): {failure}"
        return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from filter(None, pool.map(attempt, numbers))


CAMPAIGN = Campaign("kills", cases=200, few=3, attack=attack)
