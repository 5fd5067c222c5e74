"""A strict reader of what a server answers: anything that is not HTTP, not JSON, or a server's own mistake is told."""

import json
import re
from typing import NamedTuple, NoReturn

STATUS = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) [A-Za-z -]*")
HEADER = re.compile(rb"([A-Za-z0-9-]+): ?([\x20-\x7e\x80-\xff\t]*)")


class Wrong(Exception):
    """What is wrong with an answer."""


class Answer(NamedTuple):
    """One answer."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


def take_answer(received: bytes, without_body: bool) -> tuple[Answer, bytes] | None:
    """The first answer of what was received, and the rest; None where more of it is to come.

    Args:
        without_body: it answers a HEAD.

    Raises:
        Wrong: it is no valid answer.
    """
    head, separator, rest = received.partition(b"\r\n\r\n")
    if not separator:
        return None
    first, *lines = head.split(b"\r\n")
    status = STATUS.fullmatch(first)
    found = [HEADER.fullmatch(line) for line in lines]
    if not status or not all(found):
        raise Wrong(f"is no HTTP: {head[:200]!r}")
    headers = {line[1].lower(): line[2] for line in found if line}
    if status[1] == b"100":
        return take_answer(rest, without_body)
    length = 0 if without_body else int(headers[b"content-length"])
    if len(rest) < length:
        return None
    answer = Answer(int(status[1]), headers, rest[:length])
    check_answer(answer)
    return answer, rest[length:]


def check_answer(answer: Answer) -> None:
    """That it is no mistake of the server, and safe to read.

    Raises:
        Wrong: it is one, or is not.
    """
    shown = f"{answer.status} {answer.body[:200]!r}"
    if answer.status >= 500 and answer.status != 503:
        raise Wrong(f"is a mistake of the server: {shown}")
    if answer.headers.get(b"x-content-type-options") != b"nosniff":
        raise Wrong(f"has no nosniff: {shown}")
    if answer.body and answer.headers.get(b"content-type", b"").startswith(b"application/json"):
        try:
            said = json.loads(answer.body.decode(), parse_constant=_refuse_constant)
            json.dumps(said, ensure_ascii=False).encode()
        except ValueError as error:
            raise Wrong(f"is no strict JSON ({error}): {shown}") from None
        if answer.status >= 400 and not isinstance(said["detail"], str):
            raise Wrong(f"has no sentence: {shown}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
