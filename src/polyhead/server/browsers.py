"""Keeps other websites, open in the same browser, from using the server."""

import ipaddress
import re
import socket
from collections.abc import Collection, Iterable

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from polyhead.errors import PolyheadError, shorten, show_text

ANY = "*"
NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")
HOST = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(:\d{0,5})?")


def name_hosts(host: str, allowed: Iterable[str]) -> set[str]:
    """The names that a server answers to besides IP addresses and localhost: its host, and those allowed.

    If it listens to other machines, it also answers to this machine's name.

    Raises:
        PolyheadError: one of `allowed` is neither a name nor `*`.
    """
    names = {host.lower()}
    if not (_is_local(host.lower()) or (_is_address(host) and ipaddress.ip_address(host).is_loopback)):
        names.add(socket.gethostname().lower())
    for name in allowed:
        if name != ANY and not NAME.fullmatch(name.lower()):
            raise PolyheadError(
                f"`allow_hosts`: expected a name without port, such as images.example.org, or {ANY} for any; "
                f"got {name!r}"
            )
        names.add(name.lower())
    return names


class BrowserSafety:
    """ASGI middleware: refuses requests for other host names, and forbids browsers to guess content types.

    The owner of evil.example can point its name at this machine; for the browser, its pages and the server are then of
    one origin (DNS rebinding). But the browser sends the name that it used. IP addresses cannot be abused that way.

    Args:
        hosts: the names, in lower case; any, if None or if `*` is among them.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None = None) -> None:
        self._app = app
        self._hosts = None if hosts is None or ANY in hosts else frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Content-Type-Options"] = "nosniff"
            await send(message)

        problem = self._find_problem(Headers(scope=scope).getlist("host"))
        if problem:
            await JSONResponse({"detail": problem}, 403)(scope, receive, send_on)
        else:
            await self._app(scope, receive, send_on)

    def _find_problem(self, hosts: list[str]) -> str | None:
        if self._hosts is None or not hosts:  # every browser sends it
            return None
        found = HOST.fullmatch(hosts[0].strip().lower())
        if len(hosts) > 1 or not found:
            return "the request does not say which host it is for"
        name = found[1].rstrip(".")
        if not name or _is_local(name) or name in self._hosts or _is_address(name.strip("[]")):
            return None
        shown = shorten(show_text(name), 100)
        return f"this server does not answer to the name {shown!r}; whoever runs it can add it to `allow_hosts`"


def _is_local(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
