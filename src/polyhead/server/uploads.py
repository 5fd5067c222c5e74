"""From an HTTP request to the bytes of its images; what is wrong becomes a 4xx response with a sentence."""

from typing import TYPE_CHECKING, NamedTuple

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from polyhead.errors import shorten, show_text
from polyhead.server.limits import Limits, refuse

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

LONGEST_NAME = 255  # characters
CHARSETS = (b"utf-8", b"utf8", b"us-ascii", b"ascii")


class _Part(NamedTuple):
    """A part of a form: its headers by lower-case name, and its content."""

    headers: dict[bytes, bytes]
    content: bytearray


class Upload(NamedTuple):
    """An image file's bytes, and its name if the request gives one, as one line of text."""

    name: str | None
    content: bytes


async def read_body(request: Request, limit: int) -> bytes:
    """The request's body.

    Of a larger one, as much again is read and discarded: if a connection is closed while its client still sends, it is
    reset, and the client may lose the answer.

    Raises:
        HTTPException: 413 if it has more than `limit` bytes.
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
        refuse(413, f"the request is larger than {limit:,} bytes, which is the limit")
    return bytes(body)


async def discard_body(request: Request, limit: int) -> None:
    """Read and discard the rest of the body, at most `limit` bytes; `read_body` says why."""
    left = limit
    async for chunk in request.stream():
        left -= len(chunk)
        if left < 0:
            return


def split_uploads(content_type: str, body: bytes, limits: Limits) -> list[Upload]:
    """The images of a request: the files of a multipart form, or the whole body as one image.

    Raises:
        HTTPException: 400 if the form is malformed, 413 if it holds too many images, 422 if it holds none.
    """
    if not content_type.lower().startswith("multipart/form-data"):
        if not body:
            refuse(422, "the request is empty; send an image file as its body, or several as a multipart form")
        return [Upload(None, body)]
    return [_read_part(part) for part in _read_form(content_type, body, limits.images)]


class _Form:
    """Collects the parts of a form from python-multipart."""

    def __init__(self, most: int) -> None:
        self.parts: list[_Part] = []
        self.is_whole = False
        self._most = most
        self._header, self._value = bytearray(), bytearray()

    def callbacks(self) -> "MultipartCallbacks":
        """The callbacks for python-multipart."""
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": self._read_field,
            "on_header_value": self._read_value,
            "on_header_end": self._end_header,
            "on_part_data": self._read_data,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        if len(self.parts) == self._most:
            refuse(413, f"the request holds more than {self._most} images, which is the limit")
        self.parts.append(_Part({}, bytearray()))

    def _read_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _read_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self.parts[-1].headers[bytes(self._header).lower()] = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _read_data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].content.extend(memoryview(data)[start:end])

    def _end(self) -> None:
        self.is_whole = True


def _read_form(content_type: str, body: bytes, most: int) -> list[_Part]:
    """The parts of a form (RFC 7578)."""
    _, parameters = parse_options_header(content_type)
    if parameters.get(b"charset", b"utf-8").lower() not in CHARSETS:
        refuse(400, "the form's charset is not supported, only UTF-8; leave it out")
    form = _Form(most)
    try:
        MultipartParser(parameters.get(b"boundary", b""), form.callbacks()).write(body)
    except FormParserError:
        refuse(400, "the body is not a multipart form with the boundary named in its Content-Type")
    if not form.parts:
        refuse(422, "the form holds no file; send each image as a file")
    if not form.is_whole:
        refuse(422, "the form is cut off: it does not end with its boundary and --; no file of it was read")
    return form.parts


def _read_part(part: _Part) -> Upload:
    _, parameters = parse_options_header(part.headers.get(b"content-disposition"))
    if b"name" not in parameters:
        refuse(400, 'a part of the multipart form has no name; it needs Content-Disposition: form-data; name="image"')
    if b"filename" not in parameters:
        refuse(422, f"the form's field {_show(parameters[b'name'], 40)!r} is not a file; send each image as a file")
    return Upload(_show(parameters[b"filename"], LONGEST_NAME) or None, bytes(part.content))


def _show(name: bytes, longest: int) -> str:
    """A name from a client as one line of text, whatever its bytes are."""
    return shorten(show_text(name.decode("utf-8", "replace")), longest)
