"""Requests, by raw sockets, to a real `polyhead serve`: it answers each in valid HTTP, and stays as it was."""

import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from attack.campaign import Campaign
from attack.hostile_requests import Exchange, make_exchange, write_request
from attack.http_answers import Answer, Wrong, take_answer
from tiny_model import write_tiny_model

AT_ONCE = 8  # connections
ROUND = 500  # cases between two looks at the server
WARM_UP = 400  # cases, of numbers that no campaign reaches, before memory is first looked at
GROWTH = 50  # MB
PATIENCE = 20  # seconds
LIMITS = ("--timeout", "2", "--max-bytes", "200000", "--max-pixels", "1000000")


class Server:
    """`polyhead serve` in a process of its own."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self._process, self._port, self._log, self._seen = process, port, log, len(log.read_bytes())

    def connect(self) -> socket.socket:
        """A connection to it."""
        return socket.create_connection(("127.0.0.1", self._port), PATIENCE)

    def exchange(self, exchange: Exchange) -> None:
        """Send it, and read what is due.

        Raises:
            Wrong: an answer is wrong, or is not there.
        """
        with self.connect() as connection:
            with contextlib.suppress(OSError):  # it may have refused, and gone, before the last byte
                for piece in exchange.sent:
                    connection.sendall(piece)
                    time.sleep(0.002 if len(exchange.sent) > 1 else 0)
                if not exchange.wait and not exchange.leave:
                    connection.shutdown(socket.SHUT_WR)
            if not exchange.leave:
                answers = list(read_answers(connection, exchange.heads_only))
                if exchange.answers is None and not answers:
                    raise Wrong("has no answer")
                if exchange.answers and exchange.answers != len(answers):
                    raise Wrong(f"has {len(answers)} answers, not {exchange.answers}")

    def check(self) -> None:
        """That it is there, and made no mistake.

        Raises:
            Wrong: it is not, or did.
        """
        self.exchange(Exchange([write_request("GET", "/health")], 1))
        said = self._log.read_bytes()[self._seen :]
        self._seen += len(said)
        if b"Traceback" in said:
            raise Wrong(f"made the server complain: {said.decode(errors='replace')[-600:]}")

    def megabytes(self) -> float:
        """Its resident memory."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1000


def read_answers(connection: socket.socket, heads_only: bool) -> Iterator[Answer]:
    """All answers, until the server closes the connection.

    Raises:
        Wrong: one is no valid answer, or is cut off.
    """
    received = b""
    while True:
        while taken := take_answer(received, heads_only):
            answer, received = taken
            yield answer
        try:
            part = connection.recv(65536)
        except TimeoutError:
            raise Wrong("keeps the connection for ever") from None
        except ConnectionError:
            part = b""
        if not part:
            break
        received += part
    if received:
        raise Wrong(f"is cut off: {received[:200]!r}")


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Server]:
    """A server of the tiny model, with options of `polyhead serve`."""
    model, log = write_tiny_model(folder / "tiny.onnx"), folder / "stderr"
    command = [sys.executable, "-m", "polyhead", "serve", str(model), "--port", "0", *options]
    with log.open("wb") as sink, subprocess.Popen(command, stderr=sink) as process:
        try:
            while not (found := re.search(r"127\.0\.0\.1:(\d+)/", log.read_text())):
                if process.poll() is not None:
                    raise RuntimeError(log.read_text())
                time.sleep(0.05)
            yield Server(process, int(found[1]), log)
        finally:
            process.terminate()


def attack(numbers: range, folder: Path) -> Iterator[str]:
    """Many connections at once; see `Campaign`."""

    def try_one(number: int) -> str | None:
        try:
            server.exchange(make_exchange(number))
        except Wrong as wrong:
            return f"{number}: {wrong}"
        return None

    with serving(folder, *LIMITS) as server, ThreadPoolExecutor(AT_ONCE) as pool:
        warm = range(10**9, 10**9 + min(WARM_UP, 2 * len(numbers)))
        yield from filter(None, pool.map(try_one, warm))
        before = server.megabytes()
        for first in range(0, len(numbers), ROUND):
            part = numbers[first : first + ROUND]
            yield from filter(None, pool.map(try_one, part))
            try:
                server.check()
            except Wrong as wrong:
                yield f"{part[0]}-{part[-1]}: {wrong}"
        if (after := server.megabytes()) > before + GROWTH:
            yield f"{numbers[-1]}: the server's memory was {before:.0f} MB and is {after:.0f} MB"


CAMPAIGN = Campaign("requests", 20_000, 400, attack)
