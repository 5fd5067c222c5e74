"""The application behind a socket."""

import socket
from collections.abc import Callable

from fastapi import FastAPI

from polyhead.errors import PolyheadError

GRACE = 5  # seconds beyond a request's own limit, until a server that is to stop stops waiting for it


def listen(app: FastAPI, address: tuple[str, int], seconds: float, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C, and then finish what is under way.

    Args:
        app: the application.
        address: host and port; port 0 takes one that is free.
        seconds: how long a request may take.
        say: told the address in words, once it can be asked.

    Raises:
        PolyheadError: the address cannot be had.
    """
    import uvicorn

    with _open_socket(*address) as opened:
        host, port = opened.getsockname()[:2]
        config = uvicorn.Config(
            app,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=int(2 * seconds) + GRACE,
        )
        say(f"http://{f'[{host}]' if ':' in host else host}:{port}/")
        uvicorn.Server(config).run(sockets=[opened])


def _open_socket(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise PolyheadError(f"{host}, port {port}: cannot be listened at ({reason}); see --host and --port") from None
