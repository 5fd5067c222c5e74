"""The application behind a socket."""

import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from polyhead.errors import PolyheadError, shorten
from polyhead.server.arriving import Arrivals, BoundedRequests
from polyhead.server.limits import Limits

GRACE = 5  # seconds beyond a request's own limit, until a server that is to stop stops waiting for it
CONNECTIONS = 1000  # at once


def listen(app: FastAPI, address: tuple[str, int], limits: Limits, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C, and then finish what is under way.

    Args:
        app: the application.
        address: host and port; port 0 takes one that is free.
        limits: of requests.
        say: told the address in words, once it can be asked.

    Raises:
        PolyheadError: the address cannot be had.
    """
    connections = min(CONNECTIONS, _count_files() // 3)  # another third may be waiting to be let in
    with _open_socket(*address, backlog=connections) as opened:
        host, port = opened.getsockname()[:2]
        grace = int(2 * limits.seconds) + GRACE
        config = uvicorn.Config(
            app,
            http=type("Requests", (BoundedRequests,), {"arrivals": Arrivals(limits, connections)}),
            ws="none",
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=grace,
        )
        say(f"http://{f'[{host}]' if ':' in host else host}:{port}/")
        uvicorn.Server(config).run(sockets=[opened])


def _count_files() -> int:
    """How many files and sockets this process may have open."""
    try:
        import resource
    except ImportError:  # Windows, where there is no such limit
        return 3 * CONNECTIONS
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 3 * CONNECTIONS if limit == resource.RLIM_INFINITY else limit


def _open_socket(host: str, port: int, backlog: int) -> socket.socket:
    if not host.strip():
        raise PolyheadError("host: expected a name or an address, such as 127.0.0.1, or 0.0.0.0 for all; got nothing")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        opened = socket.create_server((host, port), family=family, backlog=backlog)
    except (OSError, OverflowError, ValueError) as error:  # of ValueError: a name that is none, or holds a NUL
        reason = error.strerror if isinstance(error, OSError) else "no host has such a name, or no port such a number"
        words = f"{shorten(host, 100)}, port {port}: cannot be listened at ({reason}); choose another `host` or `port`"
        raise PolyheadError(words) from None
    # An answer leaves as head and body; the body would wait 40 ms for the head to be acknowledged.
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened
