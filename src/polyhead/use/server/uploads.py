"""From an HTTP request to the bytes of its images. What is wrong with it becomes a 4xx answer with a sentence."""

from typing import NamedTuple, NoReturn

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile
from starlette.types import Message, Receive

from polyhead.use.server.limits import Limits, refuse


class Upload(NamedTuple):
    """An image file's bytes, and its name where the request gives one."""

    name: str | None
    content: bytes


async def read_uploads(request: Request, limits: Limits) -> list[Upload]:
    """The images of a request: the files of a multipart form, or else the whole body as one.

    Raises:
        HTTPException: 400 where the form is malformed, 413 where it is too large, 422 where it holds no image.
    """
    bounded = Request(request.scope, _bound(request, limits.bytes))
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        content = await bounded.body()
        if not content:
            refuse(422, "the request is empty; send an image file as its body, or several as a multipart form")
        return [Upload(None, content)]
    return await _read_form(bounded, limits)


async def discard_body(request: Request, limit: int) -> None:
    """Read what is still to come, at most `limit` bytes, and keep none of it.

    A connection that is closed while its client still sends is reset, and the client may lose the answer.
    """
    left = limit
    async for chunk in request.stream():
        left -= len(chunk)
        if left < 0:
            return


def _bound(request: Request, limit: int) -> Receive:
    """The request's `receive`, which refuses more than `limit` bytes."""
    taken = 0

    async def receive() -> Message:
        nonlocal taken
        message = await request.receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            if message.get("more_body"):
                await discard_body(request, limit)
            refuse(413, f"the request is larger than {limit:,} bytes, the most that is read")
        return message

    return receive


async def _read_form(request: Request, limits: Limits) -> list[Upload]:
    most = limits.images + 1  # one more than is let in, so that it is this function that refuses, and says how many
    try:
        async with request.form(max_files=most, max_fields=most) as form:
            parts = form.multi_items()
            if len(parts) > limits.images:
                _refuse_number(limits)
            for name, part in parts:
                if not isinstance(part, UploadFile):
                    refuse(422, f"the form's field {name[:40]!r} is not a file; send each image as a file")
            if not parts:
                refuse(422, "the form holds no file; send each image as one")
            return [
                Upload(part.filename or None, await part.read()) for _, part in parts if isinstance(part, UploadFile)
            ]
    except HTTPException as error:
        if error.status_code == 400 and "Too many" in error.detail:
            _refuse_number(limits)
        raise
    except UnicodeError:  # a charset such as `undefined`, which can decode nothing
        refuse(400, "the form's charset cannot be read; leave it out")


def _refuse_number(limits: Limits) -> NoReturn:
    refuse(413, f"the request holds more than {limits.images} images, the most that are read at once")
