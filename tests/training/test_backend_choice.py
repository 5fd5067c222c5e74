"""Training goes to the backend that can use the accelerator, says what it runs on, and what it leaves idle."""

from collections.abc import Callable
from pathlib import Path

import pytest

import polyhead.training as training
from polyhead.model.hardware import Accelerator
from polyhead.progress import Silent
from polyhead.training import backend

GPU = Accelerator("nvidia", "NVIDIA L4")
Lay = Callable[..., None]


class Told(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, words: str) -> None:
        self.lines.append(words)


@pytest.fixture
def lay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lay:
    """Makes a machine with this accelerator and these packages, of those that JAX is made of."""

    def lay(accelerator: Accelerator | None, *packages: str) -> None:
        for name in ("jax_cuda12_plugin", "jax_cuda13_plugin", "jax"):
            (tmp_path / name).mkdir(exist_ok=True)
        for module in (training, backend):
            monkeypatch.setattr(module, "find_accelerator", lambda: accelerator)
        installed = {name: tmp_path / name for name in packages}
        monkeypatch.setattr(training, "find_spec", installed.get)

    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    return lay


@pytest.mark.parametrize(
    ("accelerator", "packages", "expected"),
    [
        (None, ["jax", "jax_cuda13_plugin"], "tensorflow"),
        (GPU, ["jax", "jax_cuda13_plugin"], "jax"),
        (GPU, ["jax", "jax_cuda12_plugin"], "jax"),
        (GPU, ["jax"], "tensorflow"),
        (GPU, [], "tensorflow"),
        (Accelerator("amd", "AMD GPU"), ["jax", "jax_cuda13_plugin"], "tensorflow"),
        (Accelerator("amd", "AMD GPU"), ["jax", "jax_rocm7_plugin"], "jax"),
        (Accelerator("google", "TPU"), ["jax", "libtpu"], "jax"),
        (Accelerator("apple", "Apple GPU"), ["jax"], "tensorflow"),
    ],
)
def test_jax_is_taken_where_it_is_made_for_the_accelerator(
    lay: Lay, accelerator: Accelerator | None, packages: list[str], expected: str
) -> None:
    lay(accelerator, *packages)
    assert training.suggest_backend() == expected


def test_a_run_goes_on_where_it_began_unless_told_otherwise(
    lay: Lay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(GPU, "jax", "jax_cuda13_plugin")
    run = tmp_path / "run"
    (run / "state").mkdir(parents=True)
    monkeypatch.setattr("importlib.import_module", lambda name: None)
    monkeypatch.setattr(training, "require", lambda purpose, extra: None)

    def choose() -> str:
        chosen = training.choose_backend(run)
        monkeypatch.delenv("KERAS_BACKEND")
        return chosen

    assert choose() == "jax"  # it has only been begun
    (run / "state/last.npz").touch()
    assert choose() == "tensorflow"  # of a version that kept to TensorFlow
    for name, expected in {"torch": "torch", "jax": "jax", "other\n": "jax"}.items():
        (run / training.BACKEND).write_text(name)
        assert choose() == expected
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert choose() == "tensorflow"


@pytest.mark.parametrize(
    ("accelerator", "packages", "warning"),
    [
        (None, [], ""),
        (GPU, [], "NVIDIA L4 is not used: pip install 'polyhead[cuda]', or see docs/guides/gpus.md"),
        (Accelerator("apple", "Apple GPU"), [], "Apple GPU is not used: see docs/guides/gpus.md"),
        (GPU, ["jax", "jax_cuda13_plugin"], "NVIDIA L4 is not used: JAX "),
    ],
)
def test_it_says_what_it_runs_on_and_warns_of_what_is_idle(
    lay: Lay, caplog: pytest.LogCaptureFixture, accelerator: Accelerator | None, packages: list[str], warning: str
) -> None:
    lay(accelerator, *packages)
    told = Told()
    backend.tell_device(told)
    assert told.lines == [f"training on the CPU, with {backend.NAMES[backend.NAME]}"]
    assert len(caplog.messages) == bool(warning)
    assert all(warning in message for message in caplog.messages)
