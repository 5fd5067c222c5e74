"""What `pip install polyhead` brings is enough to predict; for anything else, a line says what to install."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

import polyhead
from polyhead.errors import EXTRAS

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# Runs commands, and predicts in Python, where some modules cannot be found; prints what came of each.
CHILD = """
import contextlib, io, json, os, sys
from importlib.machinery import PathFinder

hidden, commands = json.load(sys.stdin)

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in hidden else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder

import polyhead
from polyhead.cli import main

def call(command):
    *settings, words = command.rpartition(";")
    os.environ["KERAS_BACKEND"] = settings[0]
    sys.argv = ["polyhead", *words.split()]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            main()
        except SystemExit as end:
            return end.code or 0, out.getvalue(), err.getvalue()

found = {command: call(command) for command in commands}
model = polyhead.load_model("run")
found["card"] = sorted(model.card.tasks)
found["features"] = model.embed("images/images/001.png").shape
found["run"] = [len(polyhead.load_run("run").history), polyhead.load_run("run").recipe.name]
found["columns"] = list(model.predict_table(["images/images/001.png"]))
print(json.dumps(found))
"""

WORKS = {
    "--help": "Usage: polyhead",
    "recipes": "fashionnet",
    "recipes --schema": '"properties"',
    "init demo": "name: demo",
    "cache": "MB in",
    "predict run images/images/001.png --json": '"answers"',
    "predict run images/images/001.png": "color: red",
    "predict run images/images/001.png --csv answers.csv": "",
    "predict run images/images/001.png --annotate drawn --json": '"answers"',
    "predict run photo.heic --json": "reading HEIC needs pillow-heif: pip install 'polyhead[heif]'",
}
TRAIN = "training needs TensorFlow: pip install 'polyhead[train]'"
LACKS = {
    "train demo --data images --out new": TRAIN,
    "resume half": TRAIN,
    "demo --out new": TRAIN,
    "jax; train demo --data images --out new": "training needs JAX: pip install 'polyhead[jax]'",
    "torch; train demo --data images --out new": "training needs PyTorch: pip install 'polyhead[torch]'",
    "evaluate run --data images": "evaluation needs scikit-learn: pip install 'polyhead[report]'",
    "explore demo --data images --out new": "exploring a data set needs scikit-learn: pip install 'polyhead[report]'",
    "cluster run images/images --out new": "clustering needs scikit-learn: pip install 'polyhead[report]'",
    "predict run images/images --gallery new": "a gallery needs scikit-learn: pip install 'polyhead[report]'",
    "predict run images/images --parquet new": "writing Parquet needs pyarrow: pip install 'polyhead[parquet]'",
    "predict run images/images --engine ray": "predicting on a cluster needs Ray: pip install 'polyhead[ray]'",
    "tune demo --data images --out new --minutes 1": "a search needs Optuna: pip install 'polyhead[tune]'",
    "serve run": "serving needs FastAPI: pip install 'polyhead[serve]'",
    "export run --format litert": "export to litert needs LiteRT: pip install 'polyhead[litert]'",
    "export run --format saved_model": "export to saved_model needs TensorFlow: pip install 'polyhead[train]'",
    "export run --format openvino": "export to openvino needs OpenVINO: pip install 'polyhead[openvino]'",
    "export run --format onnx-int8": "export to onnx-int8 needs TensorFlow: pip install 'polyhead[train]'",
}


def expand(requirements: Iterable[str]) -> set[str]:
    """The names of distributions that requirements name, those of the extras in them included."""
    found = set()
    for requirement in map(Requirement, requirements):
        if requirement.name == "polyhead":
            for extra in requirement.extras:
                found |= expand(PROJECT["optional-dependencies"][extra])
        else:
            found.add(canonicalize_name(requirement.name))
    return found


def close(names: Iterable[str]) -> set[str]:
    """The same, and what pip installs along with them."""
    found: set[str] = set()
    left = set(names)
    while left:
        name = left.pop()
        found.add(name)
        needed = [Requirement(other) for other in metadata.requires(name) or ()]
        left |= {canonicalize_name(other.name) for other in needed if not other.marker or other.marker.evaluate()}
        left -= found
    return found


def modules_of(names: set[str]) -> set[str]:
    return {
        module
        for module, others in metadata.packages_distributions().items()
        if names.intersection(map(canonicalize_name, others))
    }


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_brings_what_is_asked_of_it(extra: str) -> None:
    brought = expand(PROJECT["optional-dependencies"][extra])
    known = metadata.packages_distributions()
    for module in EXTRAS[extra]:
        assert brought.intersection(map(canonicalize_name, [*known.get(module, []), module])), module


def test_all_holds_every_extra_that_users_may_want_together() -> None:
    extras = PROJECT["optional-dependencies"]
    left = {name for name in extras if not expand(extras[name]) <= expand(extras["all"])}
    others = {"jax", "torch", "cuda", "cuda12", "hub"}
    assert left <= others | {"tensorboard", "mlflow", "wandb", "trackio"} | {"dev", "docs"}


def test_the_readme_tells_every_extra() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for extra in set(PROJECT["optional-dependencies"]) - {"dev", "docs"}:
        assert re.search(rf"^\|.*`{extra}`.*\|.*\|$", readme, re.M), extra


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of each command in an environment of the base install alone: exit code, stdout and stderr."""
    folder = tmp_path_factory.mktemp("base")
    with zipfile.ZipFile(ROOT / "tests/before/before.zip") as archive:
        archive.extractall(folder)
    pytest.importorskip("pillow_heif").from_pillow(Image.new("RGB", (64, 32))).save(folder / "photo.heic")
    hidden = set(metadata.packages_distributions()) - modules_of(close(expand(PROJECT["dependencies"]))) - {"polyhead"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=json.dumps([sorted(hidden), [*LACKS, *WORKS]]),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(polyhead.__file__).parents[1])},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found | {"made": sorted(path.name for path in folder.iterdir())}


@pytest.mark.parametrize("command", WORKS)
def test_the_base_install_predicts(base: dict[str, Any], command: str) -> None:
    code, out, _ = base[command]
    assert code == ("heic" in command)
    assert WORKS[command] in out


def test_the_base_install_predicts_in_python(base: dict[str, Any]) -> None:
    assert base["card"] == ["color", "marks", "shape", "size", "width"]
    assert base["features"][0] == 1
    assert base["run"] == [2, "before"]
    assert base["columns"][:3] == ["image", "error", "color.answer"]


@pytest.mark.parametrize("command", LACKS)
def test_what_needs_more_says_in_a_line_what_to_install(base: dict[str, Any], command: str) -> None:
    assert base[command] == [2, "", f"polyhead: {LACKS[command]}\n"]


def test_nothing_is_made_where_an_extra_is_missing(base: dict[str, Any]) -> None:
    assert base["made"] == ["answers.csv", "answers.jsonl", "drawn", "half", "images", "photo.heic", "run"]
