"""The application behind a socket."""

import asyncio
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from polyhead.errors import PolyheadError

GRACE = 5  # seconds beyond a request's own limit, until a server that is to stop stops waiting for it
LARGEST_HEAD = 512 * 1024  # bytes


class BoundedHeads(HttpToolsProtocol):
    """Ends a connection whose request's head does not end, or not in time; uvicorn would keep all of it, and wait."""

    seconds: float
    _head = 0
    _in_head = True
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._head = self._head + len(data) if self._in_head else 0
        if self._head > LARGEST_HEAD and not self.transport.is_closing():
            self.send_400_response("The request's head is too large.")

    def on_message_begin(self) -> None:
        self._in_head = True
        self._start_timer()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(self.seconds, self._give_up)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.send_400_response(f"The request's head did not arrive within {self.seconds:g} seconds.")


def listen(app: FastAPI, address: tuple[str, int], seconds: float, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C, and then finish what is under way.

    Args:
        app: the application.
        address: host and port; port 0 takes one that is free.
        seconds: how long a request may take to arrive, and to be answered.
        say: told the address in words, once it can be asked.

    Raises:
        PolyheadError: the address cannot be had.
    """
    with _open_socket(*address) as opened:
        host, port = opened.getsockname()[:2]
        grace = int(2 * seconds) + GRACE
        config = uvicorn.Config(
            app,
            http=type("Heads", (BoundedHeads,), {"seconds": seconds}),
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=grace,
        )
        say(f"http://{f'[{host}]' if ':' in host else host}:{port}/")
        uvicorn.Server(config).run(sockets=[opened])


def _open_socket(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        opened = socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise PolyheadError(f"{host}, port {port}: cannot be listened at ({reason}); see --host and --port") from None
    # An answer leaves as head and body; the body would wait 40 ms for the head to be acknowledged.
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened
