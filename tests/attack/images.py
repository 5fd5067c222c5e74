"""Mangled images of every format: each becomes pixels or one line that says why not, in bounded time and memory."""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from attack.campaign import Campaign
from tiny_model import write_tiny_model

CHUNK = 500  # cases that a child process reads
PATIENCE = 60.0  # seconds that a case may take before its process is ended, on a machine with other things to do


def attack(numbers: range, folder: Path) -> Iterator[str]:
    """Hand the cases to child processes; one that dies or hangs is a failure, and the next goes on behind its case."""
    write_tiny_model(folder / "model.onnx")
    first = numbers.start
    while first < numbers.stop:
        end, reached = min(first + CHUNK, numbers.stop), first
        with _start(folder, first, end) as child:
            lines: queue.Queue[str] = queue.Queue()
            reader = threading.Thread(target=_pass_on, args=(child, lines))
            reader.start()
            try:
                while line := lines.get(timeout=PATIENCE):
                    number, _, fault = line.partition(" ")
                    reached = int(number)
                    if fault.strip():
                        yield line.strip()
            except queue.Empty:
                child.kill()
                yield f"{reached} hangs"
            reader.join()
        if child.returncode not in (0, -9):
            yield f"{reached} ends the process with {child.returncode}"
        first = reached + 1


def _start(folder: Path, first: int, end: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "attack.image_reader", str(folder), str(first), str(end)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def _pass_on(child: "subprocess.Popen[str]", lines: "queue.Queue[str]") -> None:
    """Its whole lines, and an empty one when it has ended."""
    assert child.stdout
    for line in child.stdout:
        lines.put(line)
    lines.put("")


CAMPAIGN = Campaign("images", 10_000, 150, attack)
