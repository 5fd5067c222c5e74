"""The rooms of the house, and what may know what."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

import polyhead
from polyhead.cli.app import app

ROOT = Path(polyhead.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
# A module may import from its own layer and from those below it.
LAYERS = (
    ("__main__",),
    ("cli",),
    ("clustering",),
    ("runs",),
    ("export",),
    ("report",),
    ("evaluation",),
    ("server",),
    ("prediction",),
    ("training",),
    ("model",),
    ("data",),
    ("recipe",),
    ("tasks",),
    ("folders", "run_folder", "fields"),
    ("files", "progress", "processes"),
    ("errors",),
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
# Which room may import which framework.
FRAMEWORKS = {"keras": {"training"}, "tensorflow": {"training", "export"}, "tf2onnx": {"export"}, "jax": {"training"}}
FRAMEWORKS["torch"] = {"training"}


def imported(path: Path) -> set[str]:
    """The modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def test_every_module_stands_in_a_room() -> None:
    assert {room(path) for path in MODULES} == {*LEVEL, "__init__"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_run_downwards(path: Path) -> None:
    """The public names apart, which come from every room and are imported by none but `__version__`."""
    for name in imported(path):
        package, _, inner = name.partition(".")
        if package == "polyhead" and inner and path != ROOT / "__init__.py":
            other = inner.partition(".")[0]
            assert other == "__version__" or LEVEL[other] >= LEVEL[room(path)], f"{path} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_framework_is_imported_in_its_rooms_only(path: Path) -> None:
    for name in imported(path):
        assert room(path) in FRAMEWORKS.get(name.partition(".")[0], {room(path)}), f"{path} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_command_line_prints(path: Path) -> None:
    calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    assert room(path) == "cli" or "print" not in {call.id for call in calls if isinstance(call, ast.Name)}


@pytest.mark.parametrize(
    "module", ["cli", "model.predictor", "server.app", "runs.train", "runs.evaluate", "clustering.cluster"]
)
def test_keras_is_not_loaded_to_predict_or_evaluate(module: str) -> None:
    code = f"import sys, polyhead.{module}; sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_command_line_knows_of_itself(path: Path) -> None:
    """Flags and commands are written by `cli/`; elsewhere stand arguments and calls. `var(--ink)` is a colour."""
    if room(path) not in ("cli", "__main__"):
        text = path.read_text(encoding="utf-8")
        commands = "|".join(get_command(app).commands)  # type: ignore[attr-defined]
        assert not re.findall(rf"(?<!var\()--[a-z][\w-]*|\bpolyhead (?:{commands})\b|command line", text)
