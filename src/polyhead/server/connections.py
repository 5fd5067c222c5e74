"""Incoming requests, bounded in bytes, time and number, whatever a client sends or fails to send."""

import asyncio
from http import HTTPStatus

import httptools
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from polyhead.server.limits import RETRY_AFTER, Limits

LARGEST_HEAD = 64 * 1024  # bytes; as many are allowed between two chunks of a body, or after it, that are no part of it
MOST_HEADERS = 100
MOST_PIPELINED = 16  # requests that wait, on one connection, for the answers to earlier ones
MARGIN = 1  # second beyond a request's time limit, for the application to refuse it in its own words
LINGER = 2  # seconds for a client to read a refusal, which could be lost if the connection were closed at once


class PendingConnections:
    """Connections without a request in progress: one is arriving or awaited, or an answer is not being read.

    They are closed when others need room: if there are too many connections, the one that has waited longest; if they
    hold too many bytes, the slowest of the large ones.

    Args:
        limits: of a request; all arriving requests together hold at most a quarter of what those in progress may.
        connections: how many a server may have, including those with a request in progress.
    """

    def __init__(self, limits: Limits, connections: int) -> None:
        self.limits, self._connections = limits, connections
        self.longest = 2 * limits.bytes + 4 * LARGEST_HEAD  # bytes of a request, see `read_body`
        self._room = max(2 * self.longest, limits.queue * limits.bytes // 4)
        self._held: dict[BoundedRequests, int] = {}  # oldest first
        self._all_held = 0

    def begin(self, connection: "BoundedRequests") -> None:
        """Start (again) to wait for a request."""
        self.end(connection)
        self._held[connection] = 0

    def end(self, connection: "BoundedRequests") -> None:
        """Stop waiting: the request has arrived, or the connection is gone."""
        self._all_held -= self._held.pop(connection, 0)

    def receive(self, connection: "BoundedRequests", count: int) -> int:
        """Count bytes of the arriving request; returns how many it has now."""
        if connection not in self._held:
            return 0
        self._held[connection] += count
        self._all_held += count
        held = self._held[connection]
        while self._all_held > self._room:
            self._slowest().evict()
        return held

    def make_room(self, connections: int) -> None:
        """Close the oldest, if there are too many connections."""
        if connections > self._connections and self._held:
            next(iter(self._held)).evict()

    def _slowest(self) -> "BoundedRequests":
        average, now = self._all_held / len(self._held), asyncio.get_running_loop().time()
        large = [connection for connection, held in self._held.items() if held >= average]
        return min(large, key=lambda connection: self._held[connection] / (now - connection.started + 0.001))


class AnswerTransport(asyncio.Transport):
    """Passes answers on; when uvicorn closes it, the connection is closed gracefully instead."""

    def __init__(self, connection: "BoundedRequests") -> None:
        super().__init__()
        self._connection = connection

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._connection.transport.write(data)

    def is_closing(self) -> bool:
        return self._connection.transport.is_closing()

    def close(self) -> None:
        self._connection.close_gracefully()


class BoundedRequests(HttpToolsProtocol):
    """uvicorn's connection, which by itself would keep any amount of headers or trailers, and wait forever.

    A timer is always running; it restarts with every step of a request or an answer.
    """

    pending: PendingConnections
    started = 0.0  # when the arriving request began
    _timer: asyncio.TimerHandle | None = None
    _running: RequestResponseCycle | None = None  # the request being answered, or the last one that was
    _in_message = _past_head = False  # where the parser is
    _ignores_input = False  # whether further input is discarded
    _framing_bytes = 0  # bytes since the last byte of a body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_request()
        self.pending.make_room(len(self.connections))

    def connection_lost(self, exc: Exception | None) -> None:
        self._ignores_input = True
        self.pending.end(self)
        if self._timer:
            self._timer.cancel()
        if self._running:  # if others wait behind it, uvicorn would go on writing its answer
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse input, and close the connection if it is not HTTP or exceeds a limit."""
        self._framing_bytes += len(data)
        if self._ignores_input:
            if self._framing_bytes > self.pending.longest:
                self.transport.abort()
            return
        self._unset_keepalive_if_required()
        assert self.parser is not None  # uvicorn drops it only with the connection
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # what follows would not be HTTP
            self._end(HTTPStatus.BAD_REQUEST, "There is nothing to upgrade to.")
        except httptools.HttpParserError:
            self._end(HTTPStatus.BAD_REQUEST, "Invalid HTTP request received.")
        if self._framing_bytes > LARGEST_HEAD:
            part = "body's frame" if self._past_head else "head"
            self._end(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"The request's {part} is too large.")
        if self.pending.receive(self, len(data)) > self.pending.longest:
            self._end(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request is too large.")

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that has finished sending may still wait for its answer."""
        if self._in_message or self._is_working:
            self._end(HTTPStatus.BAD_REQUEST, "The request is cut off.")
        return self._is_working

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MOST_PIPELINED:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "Too many requests wait on this connection.")
        super().on_message_begin()
        self._in_message = True
        self._await_request()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._past_head:
            return  # a trailer, which nothing needs
        if len(self.headers) >= MOST_HEADERS:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request's head has too many lines.")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._past_head = True
        self._wait(self.pending.limits.seconds + MARGIN)

    def on_body(self, body: bytes) -> None:
        self._framing_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_message = self._past_head = False
        self._framing_bytes = 0
        self._wait(self.pending.limits.seconds)
        if self.cycle.response_complete:
            self._await_request()
        else:
            self.pending.end(self)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._ignores_input:
            return
        self._wait(self.pending.limits.seconds)
        if not (self._in_message or self._is_working):
            self._await_request()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait(self.pending.limits.seconds)
        if not (self._in_message or self._ignores_input):
            self.pending.begin(self)  # a client that does not read its answers may be evicted

    def resume_writing(self) -> None:
        super().resume_writing()
        self._wait(self.pending.limits.seconds)
        if self._is_working and not self._in_message:
            self.pending.end(self)

    def evict(self) -> None:
        """Close at once, to make room for others; the client may try again."""
        unread = self.transport.get_write_buffer_size()
        self._end(HTTPStatus.SERVICE_UNAVAILABLE, "Too many requests are arriving; try again in a second.")
        if unread:
            self.transport.abort()
        else:
            self.transport.close()

    def close_gracefully(self) -> None:
        """Send nothing more, and give the client time to read what was sent.

        If a connection is closed with unread bytes, it is reset, and its last answer is lost.
        """
        self._ignores_input = True
        if self.transport.is_closing():
            return
        self.pending.begin(self)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self._wait(self.pending.limits.seconds if self.transport.get_write_buffer_size() else LINGER)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: FastAPI) -> None:  # type: ignore[override]
        self._running = cycle
        cycle.transport = AnswerTransport(self)
        super()._start_asgi_task(cycle, app)  # type: ignore[arg-type]

    @property
    def _is_working(self) -> bool:
        """Whether a request has arrived completely, but is not answered yet."""
        running = self._running
        return running is not None and not running.response_complete and not running.more_body

    def _await_request(self) -> None:
        self.started = self.loop.time()
        self.pending.begin(self)
        self._wait(self.pending.limits.seconds)

    def _wait(self, seconds: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        seconds = self.pending.limits.seconds
        closing = self.transport.is_closing() or (self._ignores_input and not self._is_working)
        if closing or self.transport.get_write_buffer_size():
            self.transport.abort()
        elif self._is_working:  # the application has its own time limit
            self._wait(seconds)
        else:
            part = "request" if self._past_head else "request's head"
            self._end(HTTPStatus.REQUEST_TIMEOUT, f"The {part} did not arrive within {seconds:g} seconds.")

    def _refuse(self, status: HTTPStatus, words: str) -> None:
        """Called within the parser, which the exception stops."""
        self._end(status, words)
        raise httptools.HttpParserError(words)

    def _end(self, status: HTTPStatus, words: str) -> None:
        """Read nothing more; give the answers that are due, then the reason, or the reason in their place."""
        if self._ignores_input:
            return
        self._ignores_input, self._framing_bytes = True, 0
        self.pending.end(self)
        if self.pipeline and self.pipeline[0][0].more_body:
            self.pipeline.popleft()  # the newest, which will never arrive completely
        last = self.pipeline[0][0] if self.pipeline else self._running
        if last and not last.response_complete and not last.more_body:
            last.keep_alive = False
            self._wait(self.pending.limits.seconds)
            return
        answered = self._past_head and self.cycle.response_started
        if last and not last.response_complete:
            last.disconnected = True
            last.message_event.set()
        if not answered and (self._in_message or not last):
            self._write_refusal(status, words)
        self.close_gracefully()

    def _write_refusal(self, status: HTTPStatus, words: str) -> None:
        headers = {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": str(len(words)),
            "X-Content-Type-Options": "nosniff",
            "Connection": "close",
        }
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers |= RETRY_AFTER
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
        self.transport.write("\r\n".join([*lines, "", words]).encode())
