"""Cases that are run in child processes: one that crashes or hangs is a failure, and the others go on."""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

CHUNK = 500  # cases that a child process runs
PATIENCE = 60.0  # seconds that a case may take before its process is ended, on a machine with other things to do


def run_in_children(module: str, numbers: range, folder: Path) -> Iterator[str]:
    """Hand the cases to child processes; one that dies or hangs is a failure, and the next goes on behind its case.

    Args:
        module: is run with the folder, the first case and the end. Prints the number of each case before it is run, and
            again behind it with what is wrong, if anything is.
    """
    first = numbers.start
    while first < numbers.stop:
        end, reached = min(first + CHUNK, numbers.stop), first
        with _start(module, folder, first, end) as child:
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


def _start(module: str, folder: Path, first: int, end: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", module, str(folder), str(first), str(end)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def _pass_on(child: "subprocess.Popen[str]", lines: "queue.Queue[str]") -> None:
    """Its whole lines, and an empty one when it has ended."""
    assert child.stdout
    for line in child.stdout:
        lines.put(line)
    lines.put("")
