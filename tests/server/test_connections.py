"""By raw sockets: whatever a client sends, or does not send, the server's memory, time and places are bounded."""

import asyncio
import contextlib
import io
import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest
from PIL import Image

from attack.hostile_requests import write_request
from attack.http_answers import Answer
from attack.server import Server, read_answers, serving
from polyhead.server.connections import LARGEST_HEAD, BoundedRequests, PendingConnections
from polyhead.server.limits import Limits

BYTES = 100_000
HEALTH = write_request("GET", "/health")
CHUNKED = write_request("GET", "/health", [("Transfer-Encoding", "chunked")])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It gives up after half a second, and answers two requests at once."""
    options = ("--timeout", "2", "--max-bytes", str(BYTES), "--queue", "2")
    with serving(tmp_path_factory.mktemp("served"), *options) as server:
        yield server


@pytest.fixture(scope="module")
def red() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(file, "PNG")
    return file.getvalue()


def ask(server: Server, sent: bytes, half_close: bool = False) -> list[Answer]:
    """All answers, until the server closes the connection."""
    with server.connect() as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(sent)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        return list(read_answers(connection, heads_only=False))


@pytest.mark.parametrize(
    ("started", "more"),
    [
        (CHUNKED + b"0\r\n", b"X: y\r\n" * 10_000),
        (CHUNKED + b"0\r\nX: ", b"y" * 60_000),
        (CHUNKED + b"5;", b"y" * 60_000),
        (CHUNKED, b"1\r\nx\r\n" * 10_000),
        (b"GET / HTTP/1.1\r\n", b"X: y\r\n" * 10_000),
        (b"GET /", b"x" * 60_000),
        (write_request("POST", "/predict", [("Content-Length", "9999999999")]), b"x" * 60_000),
        (HEALTH, b"\r\n" * 30_000),
    ],
    ids=["trailers", "a trailer", "an extension", "chunks", "headers", "a URL", "a body", "empty lines"],
)
def test_what_has_no_end_is_ended(server: Server, started: bytes, more: bytes) -> None:
    before = server.megabytes()
    with server.connect() as connection, pytest.raises(ConnectionError):  # noqa: PT012 - it may take a few parts
        connection.sendall(started)
        for _ in range(100_000):  # of 60 kB
            connection.sendall(more)
    assert server.megabytes() < before + 20
    server.check()


@pytest.mark.parametrize(
    "started",
    [
        CHUNKED + b"0\r\nX",
        write_request("GET", "/health", [("Content-Length", "99")]) + b"x",
        write_request("POST", "/predict", [("Content-Length", "99")]) + b"x",
        HEALTH + b"GET / HTTP/1.1\r\n",
    ],
    ids=["trailers", "a body that nobody reads", "a body", "a second head"],
)
def test_what_does_not_come_in_time_is_ended(server: Server, started: bytes) -> None:
    assert {answer.status for answer in ask(server, started)} <= {200, 408}


def test_slow_bodies_keep_nobody_out(server: Server, red: bytes) -> None:
    slow = [server.connect() for _ in range(70)]
    for connection in slow:
        connection.sendall(write_request("POST", "/predict", [("Content-Length", "999")]) + b"x")
    (answer,) = ask(server, write_request("POST", "/predict", [("Connection", "close")], red))
    assert answer.status == 200
    for connection in slow:
        connection.close()


def test_requests_of_one_connection_are_answered_in_order(server: Server, red: bytes) -> None:
    many = HEALTH + write_request("POST", "/predict", body=red) + HEALTH + write_request("GET", "/nothing")
    assert [answer.status for answer in ask(server, many, half_close=True)] == [200, 200, 200, 404]
    flood = ask(server, HEALTH * 5000)
    assert 1 <= len(flood) < 100  # answered, and then closed: so many are not kept
    assert {answer.status for answer in flood} == {200}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (write_request("POST", "/nothing", [("Connection", "close")], b"x" * BYTES), 404),
        (write_request("GET", "/health", [("Connection", "upgrade"), ("Upgrade", "websocket")]), 200),
        (write_request("GET", "/health", [("X", "y")] * 101), 431),
        (write_request("GET", "/health", [("X", "y" * 9 * LARGEST_HEAD)]), 431),
        (write_request("GET", "http://[/"), 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (write_request("POST", "/predict", body=b"x" * BYTES)[:-1], 400),
    ],
)
def test_a_client_that_is_wrong_is_told(server: Server, sent: bytes, status: int) -> None:
    (answer,) = ask(server, sent, half_close=True)
    assert answer.status == status


class Waiting:
    """A connection that notes when it is ended."""

    def __init__(self, arrivals: PendingConnections, started: float = 0.0) -> None:
        self.started, self.ended, self._arrivals = started, False, arrivals
        arrivals.begin(cast("Any", self))

    def evict(self) -> None:
        self.ended = True
        self._arrivals.end(cast("BoundedRequests", self))


def test_who_has_waited_longest_gives_way_to_new_connections() -> None:
    arrivals = PendingConnections(Limits(), connections=2)
    waiting = []
    for number in range(4):
        waiting.append(Waiting(arrivals))
        arrivals.make_room(min(number + 1, 3))
    assert [one.ended for one in waiting] == [True, True, False, False]


def test_the_slowest_gives_way_where_those_that_arrive_hold_too_much() -> None:
    async def hold() -> list[bool]:
        now = asyncio.get_running_loop().time()
        arrivals = PendingConnections(Limits(bytes=BYTES, queue=1), connections=99)
        ages = {"small": 90.0, "slow": 60.0, "quick": 2.0, "new": 0.0}
        waiting = [Waiting(arrivals, now - age) for age in ages.values()]
        room = 2 * arrivals.longest
        for one, held in zip(waiting, (10, room // 3, room // 3, room // 3), strict=True):
            arrivals.receive(cast("Any", one), held)
        return [one.ended for one in waiting]

    assert asyncio.run(hold()) == [False, True, False, False]
