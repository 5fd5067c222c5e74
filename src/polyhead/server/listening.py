"""Serve the application on a socket."""

import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from polyhead.errors import PolyheadError, shorten
from polyhead.server.connections import BoundedRequests, PendingConnections
from polyhead.server.limits import Limits

GRACE = 5  # seconds beyond a request's time limit that a stopping server waits for it
CONNECTIONS = 1000  # at once


def listen(app: FastAPI, address: tuple[str, int], limits: Limits, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C, then finish the requests in progress.

    Args:
        app: the application.
        address: host and port; port 0 takes one that is free.
        limits: of requests.
        say: called with the URL once the server is ready.

    Raises:
        PolyheadError: the address is not available.
    """
    connections = min(CONNECTIONS, _count_files() // 3)  # another third may be waiting to be accepted
    with _open_socket(*address, backlog=connections) as opened:
        host, port = opened.getsockname()[:2]
        grace = int(2 * limits.seconds) + GRACE
        config = uvicorn.Config(
            app,
            http=type("Requests", (BoundedRequests,), {"pending": PendingConnections(limits, connections)}),
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
    except (OSError, OverflowError, ValueError) as error:  # ValueError: an invalid name, or a NUL in it
        reason = error.strerror if isinstance(error, OSError) else "no such host, or no such port"
        words = f"{shorten(host, 100)}, port {port}: cannot listen there ({reason}); choose another `host` or `port`"
        raise PolyheadError(words) from None
    # An answer is sent as head and body; the body would wait 40 ms for the head to be acknowledged.
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened
