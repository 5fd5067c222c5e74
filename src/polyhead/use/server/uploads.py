"""From an HTTP request to the bytes of its images. What is wrong with it becomes a 4xx answer with a sentence."""

import re
from collections.abc import Iterator
from itertools import takewhile
from typing import NamedTuple
from urllib.parse import unquote

from fastapi import Request

from polyhead.errors import shorten, show_text
from polyhead.use.server.limits import Limits, refuse

LONGEST_NAME = 255  # characters
LONGEST_HEAD = 8192  # bytes before the content of a form's part
LONGEST_BOUNDARY = 70  # characters, by RFC 2046
CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii")
PARAMETER = re.compile(r""";\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;"]*)""", re.DOTALL)
QUOTED = re.compile(r'\\(["\\])')


class Upload(NamedTuple):
    """An image file's bytes, and its name where the request gives one: one line of text."""

    name: str | None
    content: bytes


async def read_body(request: Request, limit: int) -> bytes:
    """The request's body.

    A larger one is read on for as much again, and none of it kept: a connection that is closed while its client still
    sends is reset, and the client may lose the answer.

    Raises:
        HTTPException: 413 where it has more than `limit` bytes.
    """
    body, taken = bytearray(), 0
    async for chunk in request.stream():
        taken += len(chunk)
        if taken <= limit:
            body += chunk
        else:
            body.clear()
        if taken > 2 * limit:
            break
    if taken > limit:
        refuse(413, f"the request is larger than {limit:,} bytes, the most that is read")
    return bytes(body)


async def discard_body(request: Request, limit: int) -> None:
    """Read what is still to come, at most `limit` bytes, and keep none of it; why, `read_body` tells."""
    left = limit
    async for chunk in request.stream():
        left -= len(chunk)
        if left < 0:
            return


def split_uploads(content_type: str, body: bytes, limits: Limits) -> list[Upload]:
    """The images of a request: the files of a multipart form, or else the whole body as one.

    Raises:
        HTTPException: 400 where the form is malformed, 413 where it holds too many images, 422 where it holds none.
    """
    if not content_type.lower().startswith("multipart/form-data"):
        if not body:
            refuse(422, "the request is empty; send an image file as its body, or several as a multipart form")
        return [Upload(None, body)]
    return [_read_part(part) for part in _split_form(content_type, body, limits.images)]


def _split_form(content_type: str, body: bytes, most: int) -> list[bytes]:
    """The parts of a form (RFC 7578), each with its head."""
    boundary = _find_boundary(content_type)
    # As many splits as show that there are too many parts, so that a body of boundaries costs no memory.
    _, *pieces = (b"\r\n" + body).split(b"\r\n--" + boundary, most + 2)
    parts = list(takewhile(lambda piece: not piece.startswith(b"--"), pieces))
    if len(parts) > most:
        refuse(413, f"the request holds more than {most} images, the most that are read at once")
    if (body and not pieces) or not all(part.lstrip(b" \t").startswith(b"\r\n") for part in parts):
        refuse(400, "the body is no multipart form with the boundary that its Content-Type names")
    if not parts:
        refuse(422, "the form holds no file; send each image as one")
    if len(parts) == len(pieces):
        refuse(422, "the form is cut off: no file of it is read, as it does not end with its boundary and --")
    return parts


def _find_boundary(content_type: str) -> bytes:
    parameters = _read_parameters(content_type)
    boundary = parameters.get("boundary", "").encode("latin-1", "replace")
    if not 0 < len(boundary) <= LONGEST_BOUNDARY:
        refuse(400, f"the form's Content-Type names no boundary of 1 to {LONGEST_BOUNDARY} characters")
    if parameters.get("charset", CHARSETS[0]).lower() not in CHARSETS:
        refuse(400, "the form's charset is not read, but UTF-8 alone; leave it out")
    return boundary


def _read_part(part: bytes) -> Upload:
    head, separator, content = part.partition(b"\r\n\r\n")
    if not separator or len(head) > LONGEST_HEAD:
        refuse(400, f"a part of the multipart form has no head of at most {LONGEST_HEAD:,} bytes")
    parameters: dict[str, str] = {}
    for name, value in _read_lines(head):
        if name == "content-disposition":
            parameters = _read_parameters(value)
    if "name" not in parameters:
        refuse(400, 'a part of the multipart form has no name; it needs Content-Disposition: form-data; name="image"')
    if "filename" not in parameters:
        field = shorten(show_text(parameters["name"]), 40)
        refuse(422, f"the form's field {field!r} is not a file; send each image as a file")
    return Upload(shorten(show_text(parameters["filename"]), LONGEST_NAME) or None, content)


def _read_lines(head: bytes) -> Iterator[tuple[str, str]]:
    """The lines of a part's head; what is no UTF-8 in them is replaced."""
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        yield name.strip().lower(), value


def _read_parameters(value: str) -> dict[str, str]:
    """Of a header such as `form-data; name="image"; filename="a.jpg"`."""
    found: dict[str, str] = {}
    for name, text in PARAMETER.findall(value):
        if text.startswith('"'):
            found[name.lower()] = QUOTED.sub(r"\1", text[1:-1])
        elif name.endswith("*"):  # RFC 5987: charset'language'text
            found[name[:-1].lower()] = unquote(text.rpartition("'")[2].strip())
        else:
            found[name.lower()] = text.strip()
    return found
