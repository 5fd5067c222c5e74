"""The rooms of the house, and what may know what."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import polyhead

ROOT = Path(polyhead.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
FOUNDATION = {
    "errors",
    "files",
    "processes",
    "progress",
    "measures",
    "calibration",
    "tasks",
    "recipe",
    "recipe_file",
    "recipes",
}
FOUNDATION |= {"run_folder", "replacing", "recipe_part", "recipe_network", "recipe_sources", "recipe_training"}
MAY_IMPORT = {
    "data": FOUNDATION | {"data"},
    "learn": FOUNDATION | {"data", "learn", "use"},
    "use": FOUNDATION | {"use", "data.images"},
    "look": FOUNDATION | {"use", "look"},
    **dict.fromkeys(FOUNDATION, FOUNDATION),
}


def imported(path: Path) -> set[str]:
    """The modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_run_downwards(path: Path) -> None:
    allowed = MAY_IMPORT.get(room(path))
    if allowed is None:
        return
    for name in imported(path):
        if name.startswith("polyhead."):
            inner = name.removeprefix("polyhead.")
            assert any(f"{inner}.".startswith(f"{place}.") for place in allowed | {"__version__"}), (
                f"{path} imports {name}"
            )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_keras_is_imported_in_one_room_only(path: Path) -> None:
    frameworks = {name.partition(".")[0] for name in imported(path)} & {
        "keras",
        "tensorflow",
        "tf2onnx",
        "jax",
        "torch",
    }
    assert not frameworks or room(path) == "learn"
    assert not frameworks & {"tensorflow", "tf2onnx"} or path.name == "backend.py"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_command_line_prints_and_exits(path: Path) -> None:
    if path.name in ("cli.py", "cli_use.py"):
        return
    calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    names = {call.id for call in calls if isinstance(call, ast.Name)}
    assert "print" not in names or path.name in ("export.py", "conversion.py")  # processes whose stdout is an answer


@pytest.mark.parametrize(
    "module",
    ["polyhead.cli", "polyhead.use.predictor", "polyhead.use.server.app", "polyhead.judging", "polyhead.workflow"],
)
def test_keras_is_not_loaded_to_predict_or_judge(module: str) -> None:
    code = f"import sys, {module}; sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
