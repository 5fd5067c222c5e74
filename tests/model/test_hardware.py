"""What a machine computes on is found by its files alone, as they are on machines of each kind."""

from pathlib import Path

import pytest

import polyhead.model.predictor as predictor_module
from conftest import draw_shapes
from polyhead.model.hardware import Accelerator, find_accelerator
from polyhead.model.predictor import Predictor
from tiny_model import write_tiny_model

H100 = "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 1\n"
MACHINES = {
    "a CPU": ({"proc/cpuinfo": ""}, None),
    "NVIDIA": ({"proc/driver/nvidia/gpus/0000:01:00.0/information": H100}, ("nvidia", "NVIDIA H100 80GB HBM3")),
    "NVIDIA in a container": ({"dev/nvidia0": ""}, ("nvidia", "NVIDIA GPU")),
    "WSL": ({"dev/dxg": "", "usr/lib/wsl/lib/libcuda.so.1": ""}, ("nvidia", "NVIDIA GPU")),
    "WSL without NVIDIA": ({"dev/dxg": ""}, None),
    "AMD": (
        {f"sys/class/kfd/kfd/topology/nodes/{node}/gpu_id": f"{number}\n" for node, number in enumerate((0, 51966))},
        ("amd", "AMD GPU"),
    ),
    "AMD's CPU": ({"sys/class/kfd/kfd/topology/nodes/0/gpu_id": "0\n"}, None),
    "TPU": (
        {"sys/bus/pci/devices/1/vendor": "0x1ae0\n", "sys/bus/pci/devices/1/device": "0x0063\n"},
        ("google", "TPU"),
    ),
    "Google's network card": (
        {"sys/bus/pci/devices/1/vendor": "0x1ae0\n", "sys/bus/pci/devices/1/device": "0x0042\n"},
        None,
    ),
}


@pytest.fixture(autouse=True)
def _nothing_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "JAX_PLATFORMS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")


def lay(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize("machine", MACHINES)
def test_each_kind_of_machine_is_known_by_its_files(machine: str, tmp_path: Path) -> None:
    files, expected = MACHINES[machine]
    found = find_accelerator(lay(tmp_path, files))
    assert (found and (found.maker, found.name)) == expected


@pytest.mark.parametrize(
    ("variable", "value"), [("CUDA_VISIBLE_DEVICES", ""), ("CUDA_VISIBLE_DEVICES", "-1"), ("JAX_PLATFORMS", "cpu")]
)
def test_what_the_user_hides_is_not_there(
    variable: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert find_accelerator(lay(tmp_path, MACHINES["NVIDIA"][0])) is None


def test_a_mac_with_its_own_processor_has_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    for machine, expected in {"arm64": Accelerator("apple", "Apple GPU"), "x86_64": None}.items():
        monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
        assert find_accelerator(tmp_path) == expected


@pytest.mark.parametrize("has_gpu", [True, False])
def test_answers_to_many_images_that_leave_a_gpu_idle_say_so_once(
    has_gpu: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = Accelerator("nvidia", "NVIDIA L4") if has_gpu else None
    monkeypatch.setattr(predictor_module, "find_accelerator", lambda: found)
    predictor_module._warn_of_unused_gpu.cache_clear()
    predictor = Predictor(write_tiny_model(tmp_path / "tiny.onnx"))
    images = sorted((draw_shapes(tmp_path / "shapes", 12).parent / "images").iterdir())
    assert len(list(predictor.predict(images[:1]))) == 1
    assert caplog.messages == []
    for _ in range(2):
        assert len(list(predictor.predict(images))) == 12
    told = "this machine's NVIDIA L4 does not answer: it takes onnxruntime-gpu; see docs/guides/gpus.md"
    assert caplog.messages == [told] * has_gpu
