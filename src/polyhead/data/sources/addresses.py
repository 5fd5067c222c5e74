"""Addresses of images on other machines: which of them a recipe allows, and what is read from one.

A label file may come from a stranger, and name whatever it likes. So only hosts and buckets that the recipe names are
asked; none inside the own network, unless it is named by its number; redirects are held to the same; and what is read
is bounded in size and time.
"""

import http.client
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import closing, suppress
from functools import cache
from typing import Any
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from polyhead.data.images.files import MAX_BYTES
from polyhead.errors import PolyheadError, require, shorten

WEB = ("http", "https")
BUCKETS = ("s3", "gs", "gcs", "az", "abfs")
ADDRESS = re.compile(rf"({'|'.join((*WEB, *BUCKETS))})://", re.IGNORECASE)
LIMIT = 60.0  # seconds for one image, from the first word to the last byte
PATIENCE = 20.0  # seconds that a host may be silent
MOST_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
PIECE = 2**16
PLAIN = "/?%:@!$&'()*+,;=~"  # what may stand in a path or a query as it is
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class AddressError(Exception):
    """Why an image cannot be had from its address; `again` where another try may help."""

    def __init__(self, words: str, again: bool = False) -> None:
        super().__init__(shorten(words, 300))
        self.again = again


def is_address(text: str) -> bool:
    """Whether a text is the address of something on another machine."""
    return bool(ADDRESS.match(text))


def name_source(address: str) -> str | None:
    """What `data.source.fetch` has to hold for an address; None for what a label file alone should never lead to."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.scheme.lower() in BUCKETS:
        return f"{parts.scheme.lower()}://{parts.netloc}"
    with suppress(ValueError):
        ipaddress.ip_address(host)
        return None
    return None if host in ("", "localhost") else f"{host}:{port}" if port else host


def read_address(address: str, allowed: Sequence[str]) -> bytes:
    """What is at an address.

    Args:
        allowed: hosts and buckets, as in `data.source.fetch`.

    Raises:
        AddressError: it is not allowed, cannot be had, or is too large.
        PolyheadError: a library that it needs is missing.
    """
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError as error:
        raise AddressError(f"is no address: {error}") from None
    if parts.scheme.lower() in BUCKETS:
        return _read_bucket(address, parts, allowed)
    for _ in range(MOST_REDIRECTS + 1):
        found = _ask(parts, allowed)
        if isinstance(found, bytes):
            return found
        following = urlsplit(urljoin(parts.geturl(), found))
        if parts.scheme == "https" and following.scheme != "https":
            raise AddressError("is redirected from https to what is not")
        parts = following
    raise AddressError(f"is redirected more than {MOST_REDIRECTS} times")


def _ask(parts: SplitResult, allowed: Sequence[str]) -> bytes | str:
    """The bytes at an address; or where it is redirected to."""
    connection = _connect(parts, allowed)
    with closing(connection):
        timer = threading.Timer(LIMIT, _cut, [connection])
        timer.daemon = True
        timer.start()
        try:
            path = quote(parts.path or "/", safe=PLAIN) + (f"?{quote(parts.query, safe=PLAIN)}" if parts.query else "")
            headers = {"User-Agent": "polyhead", "Accept": "image/*", "Accept-Encoding": "identity"}
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            if response.status in REDIRECTS and response.getheader("Location"):
                return str(response.getheader("Location"))
            if response.status != 200:
                again = response.status == 429 or response.status >= 500
                raise AddressError(f"its host answers {response.status} {shorten(response.reason, 60)}", again)
            return _read_bounded(response)
        except (OSError, http.client.HTTPException, ValueError) as error:
            late = not timer.is_alive()
            words = f"takes longer than {LIMIT:.0f} seconds" if late else f"cannot be fetched: {_tell(error)}"
            raise AddressError(words, again=True) from None
        finally:
            timer.cancel()


def _cut(connection: http.client.HTTPConnection) -> None:
    with suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def _read_bounded(stream: Any) -> bytes:
    content = bytearray()
    while piece := stream.read(PIECE):
        content += piece
        if len(content) > MAX_BYTES:
            raise AddressError(f"has more than {MAX_BYTES:,} bytes")
    return bytes(content)


class _Plain(http.client.HTTPConnection):
    """A connection to one of a host's numbers, which was looked at."""

    number = ""

    def connect(self) -> None:
        self.sock = socket.create_connection((self.number, self.port), self.timeout)


class _Secure(http.client.HTTPSConnection):
    number = ""

    def connect(self) -> None:
        plain = socket.create_connection((self.number, self.port), self.timeout)
        self.sock = _trust().wrap_socket(plain, server_hostname=self.host)


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


def _connect(parts: SplitResult, allowed: Sequence[str]) -> http.client.HTTPConnection:
    if parts.scheme not in WEB or not parts.hostname or parts.username is not None:
        raise AddressError("is redirected to what is no plain http or https address")
    host, secure = parts.hostname, parts.scheme == "https"
    try:
        port = parts.port or (443 if secure else 80)
    except ValueError as error:
        raise AddressError(f"is no address: {error}") from None
    own = None if port == (443 if secure else 80) else port
    if not is_allowed(host, own, allowed):
        raise AddressError(f"data.source.fetch does not name its host, {shorten(host, 100)}")
    connection = (_Secure if secure else _Plain)(host, port, timeout=PATIENCE)
    connection.number = _find_number(host, port)
    return connection


def is_allowed(host: str, port: int | None, allowed: Sequence[str]) -> bool:
    """Whether a host, at a port of its own, is named; `*.example.org` names all hosts below example.org."""
    named = f"{host}:{port}" if port else host
    for entry in allowed:
        inner = entry.lower().removeprefix("*")
        if named == entry.lower() or (entry.startswith("*.") and named.endswith(inner)):
            return True
    return False


def _find_number(host: str, port: int) -> str:
    """The number of a host, if it is one of the open net, or the recipe names it as such."""
    with suppress(ValueError):
        return str(ipaddress.ip_address(host))  # named in the recipe as it is
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise AddressError(f"there is no host {shorten(host, 100)}", again=True) from None
    numbers = [str(entry[4][0]) for entry in found]
    for number in numbers:
        if host != "localhost" and not is_open(number):
            raise AddressError(
                f"its host {shorten(host, 100)} is in a network of its own ({number}), where nothing is fetched by name"
            )
    return numbers[0]


def is_open(number: str) -> bool:
    """Whether an IP address is one of the open net, and not of this machine, its network, or a group."""
    address = ipaddress.ip_address(number.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_open(str(inner))
    return address.is_global and not address.is_multicast


def _read_bucket(address: str, parts: SplitResult, allowed: Sequence[str]) -> bytes:
    bucket = f"{parts.scheme.lower()}://{parts.netloc}"
    if bucket not in allowed or "::" in address:
        raise AddressError(f"data.source.fetch does not name its bucket, {shorten(bucket, 100)}")
    require(f"reading {parts.scheme}://", "remote")
    import fsspec

    try:
        with fsspec.open(address, "rb") as stream:
            return _read_bounded(stream)
    except ImportError as error:
        raise PolyheadError(f"reading {parts.scheme}:// needs another library: {_tell(error)}") from None
    except AddressError:
        raise
    except Exception as error:  # each library has its own
        raise AddressError(f"cannot be read: {_tell(error)}", again=not isinstance(error, FileNotFoundError)) from None


def _tell(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
