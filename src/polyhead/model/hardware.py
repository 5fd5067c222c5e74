"""Which accelerator this machine has, by what its system says of it: nothing is imported, started or woken for that."""

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MOST = 4096  # bytes that are read of a file of the system
TPU_VENDOR = "0x1ae0"  # Google's number on the PCI bus, which a network card may have too
TPUS = {"0x0027", "0x0056", "0x005e", "0x0062", "0x0063", "0x006f", "0x0076"}
GUIDE = "docs/guides/gpus.md"


@dataclass(frozen=True)
class Accelerator:
    """What computes faster than the CPU, and what it is called."""

    maker: Literal["nvidia", "amd", "apple", "google"]
    name: str


def find_accelerator(root: Path = Path("/")) -> Accelerator | None:
    """The accelerator of this machine; None where there is none, or where the user has hidden it.

    It is hidden by `CUDA_VISIBLE_DEVICES` (or, of AMD's, `HIP_VISIBLE_DEVICES`) that is empty or -1, and by
    `JAX_PLATFORMS=cpu`. That one is there does not say that a library can use it.

    Args:
        root: where the system's files are.
    """
    if os.environ.get("JAX_PLATFORMS") == "cpu":
        return None
    if _has_nvidia(root) and not _is_hidden("CUDA_VISIBLE_DEVICES"):
        return Accelerator("nvidia", _nvidia_name(root))
    if _has_amd(root) and not _is_hidden("HIP_VISIBLE_DEVICES"):
        return Accelerator("amd", "AMD GPU")
    if _has_tpu(root):
        return Accelerator("google", "TPU")
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return Accelerator("apple", "Apple GPU")
    return None


def _is_hidden(variable: str) -> bool:
    return os.environ.get(variable, "0").strip() in ("", "-1")


def _has_nvidia(root: Path) -> bool:
    """Whether NVIDIA's driver has found a GPU: on Linux, in a container, under WSL, on Windows."""
    found = [root / "dev/nvidia0", root / "proc/driver/nvidia/gpus", root / "Windows/System32/nvcuda.dll"]
    wsl = (root / "dev/dxg").exists() and (root / "usr/lib/wsl/lib/libcuda.so.1").exists()
    return wsl or any(path.exists() for path in found)


def _nvidia_name(root: Path) -> str:
    """The first one's model, such as `NVIDIA H100 80GB HBM3`, where the driver tells it."""
    for file in sorted(root.glob("proc/driver/nvidia/gpus/*/information")):
        for line in _read(file).splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "Model" and value.strip():
                return value.strip()
    return "NVIDIA GPU"


def _has_amd(root: Path) -> bool:
    """Whether the kernel's driver for computing lists a GPU; CPUs are in the same list, with the number 0."""
    nodes = root.glob("sys/class/kfd/kfd/topology/nodes/*/gpu_id")
    return any(_read(node).strip() not in ("", "0") for node in nodes)


def _has_tpu(root: Path) -> bool:
    devices = [path.parent for path in root.glob("sys/bus/pci/devices/*/vendor") if _read(path).strip() == TPU_VENDOR]
    return any(_read(device / "device").strip() in TPUS for device in devices)


def _read(file: Path) -> str:
    """The start of a file of the system; nothing where it cannot be read."""
    try:
        with file.open("rb") as opened:
            return opened.read(MOST).decode(errors="replace")
    except OSError:
        return ""
