"""No command runs code that lies in the current folder, in whichever of its processes."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from conftest import draw_shapes

TRAP = """
with open({mark!r}, "a") as file:
    file.write(__name__ + "\\n")
raise SystemExit(99)
"""


LIBRARIES = {*packages_distributions(), "sitecustomize", "usercustomize"}
MODULE = [sys.executable, "-m", "polyhead"]


def set_traps(folder: Path, mark: Path, names: set[str]) -> None:
    """Modules of these names; each says in `mark` that it was run."""
    folder.mkdir()
    for name in names:
        if name.isidentifier():
            (folder / f"{name}.py").write_text(TRAP.format(mark=str(mark)), encoding="utf-8")


def run_in(
    folder: Path, *arguments: object, program: Sequence[str] = (f"{Path(sys.executable).parent}/polyhead",)
) -> None:
    done = subprocess.run(
        [*program, *map(str, arguments)],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (arguments, done.stderr)


@pytest.mark.slow
def test_no_command_runs_code_of_the_current_folder(tmp_path: Path, shapes: Path) -> None:
    here, mark, run = tmp_path / "here", tmp_path / "ran", tmp_path / "run"
    set_traps(here, mark, {*LIBRARIES, *sys.stdlib_module_names})
    images = draw_shapes(tmp_path / "many", 80).parent / "images"  # enough to be decoded by several processes
    data = ("--data", images.parent, "--set", f"image.cache={tmp_path / 'cache'}")
    run_in(here, "explore", shapes.parent / "tiny.yaml", "--out", tmp_path / "page", *data)
    run_in(here, "train", shapes.parent / "tiny.yaml", "--out", run, *data, "--set", "training.epochs=1")
    (run / "model.onnx").unlink()
    shutil.rmtree(run / "report")
    run_in(here, "resume", run)
    run_in(here, "export", run, "--format", "saved_model")
    run_in(here, "evaluate", run)
    run_in(here, "predict", run, images, "--csv", tmp_path / "out.csv")
    run_in(here, "cluster", run, images, "--method", "kmeans", "--out", tmp_path / "groups")
    assert not mark.exists(), mark.read_text("utf-8")


@pytest.mark.slow
def test_started_by_pythons_m_it_runs_no_library_of_the_current_folder(tmp_path: Path, shapes: Path) -> None:
    here, mark = tmp_path / "here", tmp_path / "ran"
    set_traps(here, mark, LIBRARIES - {"polyhead"})  # Python's own modules are asked for before ours are
    run_in(here, "explore", shapes.parent / "tiny.yaml", "--data", shapes, "--out", tmp_path / "page", program=MODULE)
    assert not mark.exists(), mark.read_text("utf-8")


@pytest.mark.slow
def test_rays_workers_run_no_code_of_the_current_folder(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    from tiny_model import write_tiny_model

    here, mark = tmp_path / "here", tmp_path / "ran"
    set_traps(here, mark, {*LIBRARIES, *sys.stdlib_module_names})
    images = draw_shapes(tmp_path / "shapes", 8).parent / "images"
    run_in(here, "predict", write_tiny_model(tmp_path / "model.onnx"), images, "--json", "--engine", "ray")
    assert not mark.exists(), mark.read_text("utf-8")
