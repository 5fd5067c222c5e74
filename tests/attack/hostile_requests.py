"""Hostile HTTP requests, each a function of the random numbers that it is given."""

import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

Random = np.random.Generator

METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PRI", "BREW", "get", "M-SEARCH", "")
PATHS = ("/", "/predict", "/heatmap", "/model", "/health", "/metrics", "/openapi.json", "/docs", "/page/app.js")
ODD_PATHS = (
    *("/examples/0", "/examples/-1", "/examples/9" * 99, "/examples/1e9", "/page/..%2f..%2fapp.py", "/page/%00"),
    *("/page/%ff%fe", "/%ed%a0%80", "//evil.example//", "/predict/", "/model/?", "/..", "/%2e%2e/%2e%2e/etc/passwd"),
    *("*", "http://evil.example/", "http://[::1/health", "http://evil.example", "evil.example:443", "/a b", "?x", ""),
    *("/\x00", "/é", "/%", "/%zz", "/health#x", "/health;x", "/" + "x" * 9000, "/" + "%41" * 3000),
)
QUERIES = (
    *("task=color", "task=color&label=red", "task=color&label=", "task=", "task", "task=colour", "task=brightness"),
    *("task=brightness&label=red", "task=color&task=brightness", "task=%ed%a0%80", "task=%00", "task=%ff", "&&&=&"),
    *("task=color&label=%ed%a0%80", "task=color;label=red", "task=" + "x" * 5000, "task[]=color", "task=%1b%5b31m"),
)
HOSTS = (
    *("localhost", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST.", "a.localhost", "evil.example", "", " ", "a b", "["),
    *("]", "[::", "a:b:c", "x" * 5000, "localhost:99999999", "é.example", "\udcff", "@localhost", "localhost/evil"),
)
HEADER_NAMES = (
    *("Content-Type", "Content-Length", "Transfer-Encoding", "Expect", "Connection", "Upgrade", "Accept", "Cookie"),
    *("X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "Range", "TE", "Trailer", "Origin", "Authorization", "X"),
    *("Sec-WebSocket-Key", "HTTP2-Settings", "Content-Encoding", "Host", "X y", "X\x00", "", ":", "é", "x" * 3000),
)
HEADER_VALUES = (
    *("0", "1", "-1", "+5", "0x10", "99999999999999999999", "1, 2", "chunked", "gzip, chunked", "chunked, chunked"),
    *("identity", "100-continue", "close", "keep-alive", "upgrade", "websocket", "h2c", "multipart/form-data", "é"),
    *("multipart/form-data; boundary=", "multipart/form-data; boundary=x", "\x00", "\x1b[31m", "", " ", "x" * 20_000),
    *("bytes=0-1", "gzip", "a\r\n b", "a\rb", "a\nb", "\udcff", "application/json; charset=utf-7", '"', '"\\'),
)
CHARSETS = (
    *("utf-8", "utf-7", "unicode_escape", "raw_unicode_escape", "utf-16", "utf-32", "punycode", "idna", "undefined"),
    *("latin-1", "rot13", "hex", "zip", "mbcs", "x" * 300, "\udcff", ""),
)
FILE_NAMES = (
    *(b"photo.jpg", b"", b"+2AA-.png", b"\\ud800.png", b"\\udcff\\x1b[31m", b"\xed\xa0\x80.jpg", b"\xff\xfe", b"a\nb"),
    *(b"\x1b]0;x\x07", b"\x00", b"../../etc/passwd", b"C:\\x\\y.png", b'a\\"b', b"%0D%0A", b"x" * 7000, b"x" * 9000),
    *("\u202egnp.exe".encode(), "\u2028".encode(), b"a;b", b"a=b;c=d", b"=?utf-8?b?7aCA?=", b"\x85", b"\\", b'"'),
)
BOUNDARIES = ("x", "x" * 70, "x" * 71, "", '"a b"', '"', "--", "\r", "é", "x;y", "'()+_,-./:=?")
FORMS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000")


class Exchange(NamedTuple):
    """What is sent over one connection.

    Attributes:
        sent: the bytes, in the pieces that leave one after another.
        answers: how many must come back; None where it is at least one, 0 where it is none or any.
        heads_only: whether they answer HEAD.
        leave: without waiting for an answer.
        wait: leave the connection open after the last byte, rather than closing this half of it.
    """

    sent: list[bytes]
    answers: int | None = None
    heads_only: bool = False
    leave: bool = False
    wait: bool = False


def make_exchange(number: int) -> Exchange:
    """The hostile exchange of a number."""
    random = np.random.default_rng((number, 10))
    kinds = list(KINDS)
    weights = np.array([KINDS[kind] for kind in kinds], float)
    make = kinds[int(random.choice(len(kinds), p=weights / weights.sum()))]
    exchange = make(random)
    if isinstance(exchange, bytes):
        exchange = Exchange([exchange], None if exchange.strip(b"\r\n") else 0)
    if random.random() < 0.1:
        exchange = exchange._replace(sent=cut(random, b"".join(exchange.sent), 1 + int(random.integers(12))))
    if random.random() < 0.03:
        exchange = exchange._replace(leave=True)
    return exchange


def pick(random: Random, choices: Sequence[Any]) -> Any:
    """One of them."""
    return choices[int(random.integers(len(choices)))]


def cut(random: Random, whole: bytes, pieces: int) -> list[bytes]:
    """It, in so many pieces."""
    places = sorted(int(place) for place in random.integers(0, len(whole) + 1, pieces - 1))
    return [whole[start:end] for start, end in zip([0, *places], [*places, len(whole)], strict=True)]


def mangle(random: Random, content: bytes) -> bytes:
    """It with some bytes changed, cut out or put twice, and perhaps its end missing."""
    mangled = bytearray(content)
    for _ in range(int(random.integers(1, 8))):
        if not mangled:
            break
        place, how = int(random.integers(len(mangled))), random.integers(4)
        if how == 0:
            mangled[place] = int(random.integers(256))
        elif how == 1:
            del mangled[place : place + int(random.integers(1, 9))]
        elif how == 2:
            mangled[place:place] = mangled[place : place + int(random.integers(1, 99))]
        elif random.random() < 0.3:
            del mangled[place:]
    return bytes(mangled)


def encode(text: str) -> bytes:
    """Text with what is no Unicode in it as the byte that it stands for."""
    return text.encode("utf-8", "surrogateescape")


def write_request(method: str, path: str, headers: Sequence[tuple[str, str]] = (), body: bytes | None = None) -> bytes:
    """A request, well-formed where its parts are."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers)]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return encode("\r\n".join([*lines, "", ""])) + (body or b"")


def draw_image(random: Random) -> bytes:
    """A small image file in any format, whole or mangled."""
    file, side = io.BytesIO(), int(random.integers(1, 40))
    pixels = random.integers(0, 256, (side, int(random.integers(1, 40)), 3), np.uint8)
    Image.fromarray(pixels).save(file, pick(random, FORMS))
    content = file.getvalue()
    return mangle(random, content) if random.random() < 0.5 else content


def write_chunks(random: Random, body: bytes) -> bytes:
    """A chunked body, mostly right, with extensions and trailers."""
    pieces = cut(random, body, int(random.integers(1, 9)))
    written = b""
    for piece in filter(None, pieces):
        size = (
            f"{len(piece):x}" if random.random() < 0.95 else pick(random, ("0x5", "-1", "f" * 17, "", "5 ", "g", "1;"))
        )
        extension = pick(random, ("", "", "", ";a=b", ";" + "x" * 2000, ';a="\r\n"', ";\udcff"))
        written += encode(f"{size}{extension}\r\n") + piece + b"\r\n"
    trailers = (
        b"",
        b"X: y\r\n",
        b"Content-Length: 5\r\n" * 9,
        b"X: " + b"y" * 5000 + b"\r\n",
        b"X\x00: y\r\n",
        b"Host: x\r\n",
    )
    end: bytes = pick(random, (b"\r\n", b"\r\n", b"\r\n", b"\n", b"", b"\r\n\r\n"))
    trailer: bytes = pick(random, trailers)
    return written + b"0\r\n" + trailer + end


def any_image(random: Random) -> bytes:
    """An image as the whole body, to be answered or explained."""
    path = pick(
        random, ("/predict", "/heatmap?task=color", "/heatmap?task=brightness", "/heatmap?task=color&label=blue")
    )
    return write_request("POST", path, body=draw_image(random))


def wrong_question(random: Random) -> bytes:
    """Any query for any path."""
    path = pick(random, (*PATHS, *ODD_PATHS, "/heatmap", "/heatmap"))
    query = pick(random, QUERIES)
    body = draw_image(random) if random.random() < 0.5 else None
    return write_request(pick(random, METHODS), f"{path}?{query}" if random.random() < 0.6 else path, body=body)


def wrong_headers(random: Random) -> bytes:
    """Any header lines, few or many."""
    count = pick(random, (1, 2, 3, 9, 99, 101, 3000))
    headers = [(pick(random, HEADER_NAMES), pick(random, HEADER_VALUES)) for _ in range(min(count, 9))]
    headers += [(f"X-{place}", "y") for place in range(count - len(headers))]
    body = draw_image(random) if random.random() < 0.5 else None
    return write_request(pick(random, METHODS[:2]), pick(random, PATHS), headers, body)


def wrong_host(random: Random) -> bytes:
    """Any Host, or several, or none, at any path."""
    hosts = [pick(random, HOSTS) for _ in range(int(random.integers(0, 3)))]
    path = pick(random, (*PATHS, *ODD_PATHS))
    version = pick(random, ("1.1", "1.1", "1.0", "0.9", "2.0", "9.9", "1.", ""))
    return encode("\r\n".join([f"GET {path} HTTP/{version}", *(f"Host: {host}" for host in hosts), "", ""]))


def chunked_body(random: Random) -> bytes:
    """An image in chunks, where one is read and where none is."""
    path = pick(random, ("/predict", "/predict", "/health", "/model", "/nothing"))
    headers = [("Transfer-Encoding", "chunked")]
    if random.random() < 0.1:
        headers.append(("Content-Length", pick(random, HEADER_VALUES)))
    return write_request("POST", path, headers) + write_chunks(random, draw_image(random))


def wrong_form(random: Random) -> bytes:
    """A form of images with names, charsets and boundaries of all kinds."""
    boundary = pick(random, BOUNDARIES) if random.random() < 0.3 else "x"
    line = b"--" + encode(boundary.strip('"'))
    parts = b""
    for _ in range(int(random.choice([0, 1, 1, 1, 2, 3, 40]))):
        name = pick(random, FILE_NAMES)
        named = (
            pick(random, (b'filename="%b"', b'filename="%b"', b"filename=%b", b"filename*=utf-8''%b", b'x="%b"')) % name
        )
        head = pick(random, (b"Content-Disposition: form-data; name=", b"Content-Disposition:form-data;name="))
        field = pick(random, (b'"images"', b'"images"', b"images", b'""', b'"\xff"', b'"', b""))
        extra = pick(
            random, (b"", b"", b"Content-Type: image/png\r\n", b"X: " + b"y" * 9000 + b"\r\n", b"\r\n", b":\r\n")
        )
        parts += (
            line + b"\r\n" + head + field + b"; " + named + b"\r\n" + extra + b"\r\n" + draw_image(random) + b"\r\n"
        )
    body = parts + pick(random, (line + b"--\r\n", line + b"--", line + b"--\r\n", line, b""))
    body = mangle(random, body) if random.random() < 0.3 else body
    charset = f"; charset={pick(random, CHARSETS)}" if random.random() < 0.5 else ""
    kind = f"multipart/form-data; boundary={boundary}{charset}"
    path = pick(random, ("/predict", "/predict", "/heatmap?task=color"))
    return write_request("POST", path, [("Content-Type", kind)], body)


def mangled_request(random: Random) -> bytes:
    """A right request, with bytes of it changed."""
    makers: tuple[Callable[[Random], bytes], ...] = (any_image, chunked_body, wrong_form, wrong_headers, wrong_host)
    return mangle(random, pick(random, makers)(random))


def noise(random: Random) -> bytes:
    """Bytes that are no HTTP."""
    starts = (
        b"",
        b"\x16\x03\x01\x02\x00\x01",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\r\n" * 99,
        b"GET",
        b"SSH-2.0-x\r\n",
    )
    start: bytes = pick(random, starts)
    return start + random.bytes(int(random.integers(0, 300)))


def too_much(random: Random) -> bytes:
    """What seems to have no end: a URL, a header, headers, a body, chunks, an extension, a trailer."""
    chunked = write_request("POST", pick(random, ("/predict", "/health")), [("Transfer-Encoding", "chunked")])
    much = int(random.integers(70_000, 600_000))
    endless = (
        b"GET /" + b"x" * much,
        b"GET / HTTP/1.1\r\nX: " + b"y" * much,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (much // 6),
        write_request("POST", "/predict", body=b"x" * much),
        chunked + b"1\r\nx\r\n" * (much // 6),
        chunked + b"1;" + b"x" * much,
        chunked + b"1\r\nx\r\n0\r\n" + b"X: y\r\n" * (much // 6),
        chunked + b"1\r\nx\r\n0\r\nX: " + b"y" * much,
        b"\r\n" * (much // 2),
    )
    sent: bytes = pick(random, endless)
    return sent


def pipelined(random: Random) -> Exchange:
    """Several right requests at once."""
    count = int(random.integers(2, 13))
    requests = [write_request("GET", pick(random, PATHS)) for _ in range(count)]
    for place in range(count):
        if random.random() < 0.3:
            requests[place] = any_image(random)
    return Exchange([b"".join(requests)], count)


def flood(random: Random) -> Exchange:
    """More requests at once than wait on a connection."""
    return Exchange([write_request("GET", pick(random, PATHS)) * int(random.integers(20, 2000))])


def head(random: Random) -> Exchange:
    """A HEAD, which no body may follow."""
    return Exchange([write_request("HEAD", pick(random, (*PATHS, "/nothing")))], 1, heads_only=True)


def cut_off(random: Random) -> Exchange:
    """A request whose end does not come, from a client that waits."""
    whole = any_image(random)
    return Exchange([whole[: int(random.integers(1, len(whole)))]], wait=True)


def leave(random: Random) -> Exchange:
    """Go away, with or without a request begun, or an answer not taken."""
    sent = any_image(random) + write_request("GET", "/openapi.json") * int(random.integers(0, 9))
    return Exchange([sent[: int(random.integers(0, len(sent) + 1))]], leave=True)


KINDS: dict[Callable[[Random], bytes | Exchange], float] = {
    **dict.fromkeys((any_image, wrong_question, wrong_headers, wrong_host, chunked_body, wrong_form), 12.0),
    **dict.fromkeys((mangled_request, pipelined), 10.0),
    **dict.fromkeys((noise, head, leave), 3.0),
    **dict.fromkeys((too_much, flood), 1.0),
    cut_off: 0.3,
}
