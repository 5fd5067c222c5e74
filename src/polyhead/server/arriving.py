"""Requests as they come in: bounded in bytes, in time and in number, whatever a client sends, or does not send."""

import asyncio
from http import HTTPStatus

import httptools
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from polyhead.server.limits import RETRY_AFTER, Limits

LARGEST_HEAD = 64 * 1024  # bytes; as many may come between two pieces of a body, or after it, which hold none of it
MOST_HEADERS = 100
MOST_PIPELINED = 16  # requests that wait, on one connection, for the answers to those before them
MARGIN = 1  # second beyond a request's own limit, in which the application tells in its own words that it is over
LINGER = 2  # seconds in which a client may take a refusal; closed at once, a connection may lose it


class Arrivals:
    """The connections on which nothing is worked out: a request is arriving, or awaited, or an answer is not taken.

    They are ended as others need their room: where connections are too many, the one that has waited for longest;
    where they hold too many bytes, the slowest of those that hold much.

    Args:
        limits: of a request; all that arrive hold a quarter of what may be under way, at most.
        connections: how many a server has at once, those under way with them.
    """

    def __init__(self, limits: Limits, connections: int) -> None:
        self.limits, self._connections = limits, connections
        self.longest = 2 * limits.bytes + 4 * LARGEST_HEAD  # of one request; the application reads on for as much
        self._room = max(2 * self.longest, limits.queue * limits.bytes // 4)
        self._held: dict[BoundedRequests, int] = {}  # in the order in which they began
        self._all_held = 0

    def begin(self, connection: "BoundedRequests") -> None:
        """Wait for a request; anew, if it did."""
        self.end(connection)
        self._held[connection] = 0

    def end(self, connection: "BoundedRequests") -> None:
        """Wait no more: the request is there, or the connection is gone."""
        self._all_held -= self._held.pop(connection, 0)

    def receive(self, connection: "BoundedRequests", count: int) -> int:
        """Note bytes of the request that is arriving; how many it has now."""
        if connection not in self._held:
            return 0
        self._held[connection] += count
        self._all_held += count
        held = self._held[connection]
        while self._all_held > self._room:
            self._slowest().give_way()
        return held

    def make_room(self, connections: int) -> None:
        """End the oldest, if there are too many connections."""
        if connections > self._connections and self._held:
            next(iter(self._held)).give_way()

    def _slowest(self) -> "BoundedRequests":
        share, now = self._all_held / len(self._held), asyncio.get_running_loop().time()
        much = [connection for connection, held in self._held.items() if held >= share]
        return min(much, key=lambda connection: self._held[connection] / (now - connection.begun + 0.001))


class AnswerTransport(asyncio.Transport):
    """Where an answer is written; when uvicorn closes it, the connection parts from the client instead."""

    def __init__(self, connection: "BoundedRequests") -> None:
        super().__init__()
        self._connection = connection

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._connection.transport.write(data)

    def is_closing(self) -> bool:
        return self._connection.transport.is_closing()

    def close(self) -> None:
        self._connection.part()


class BoundedRequests(HttpToolsProtocol):
    """uvicorn's connection, which alone would keep all of a head or of trailers, and wait for ever.

    There is always a timer, set anew whenever a request or an answer gets on by a step.
    """

    arrivals: Arrivals
    begun = 0.0  # when the request that is arriving began
    _timer: asyncio.TimerHandle | None = None
    _running: RequestResponseCycle | None = None  # the request that is answered, or was last
    _in_message = _past_head = False  # where the parser is
    _deaf = False  # what still comes is not looked at
    _silent = 0  # bytes since the last one of a body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_request()
        self.arrivals.make_room(len(self.connections))

    def connection_lost(self, exc: Exception | None) -> None:
        self._deaf = True
        self.arrivals.end(self)
        if self._timer:
            self._timer.cancel()
        if self._running:  # where others wait behind it, uvicorn would go on writing its answer
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has come, and end the connection where it is no HTTP or more than is read."""
        self._silent += len(data)
        if self._deaf:
            if self._silent > self.arrivals.longest:
                self.transport.abort()
            return
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # answered as if it had not been asked for; what follows would be no HTTP
            self._end(HTTPStatus.BAD_REQUEST, "There is nothing to upgrade to.")
        except httptools.HttpParserError:
            self._end(HTTPStatus.BAD_REQUEST, "Invalid HTTP request received.")
        if self._silent > LARGEST_HEAD:
            part = "body's frame" if self._past_head else "head"
            self._end(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"The request's {part} is too large.")
        if self.arrivals.receive(self, len(data)) > self.arrivals.longest:
            self._end(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request is too large.")

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that has no more to say may still wait for its answer."""
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
            return  # a trailer: nobody asks for one
        if len(self.headers) >= MOST_HEADERS:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request's head has too many lines.")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._past_head = True
        self._wait(self.arrivals.limits.seconds + MARGIN)

    def on_body(self, body: bytes) -> None:
        self._silent = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_message = self._past_head = False
        self._silent = 0
        self._wait(self.arrivals.limits.seconds)
        if self.cycle.response_complete:
            self._await_request()
        else:
            self.arrivals.end(self)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._deaf:
            return
        self._wait(self.arrivals.limits.seconds)
        if not (self._in_message or self._is_working):
            self._await_request()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait(self.arrivals.limits.seconds)
        if not (self._in_message or self._deaf):
            self.arrivals.begin(self)  # whose answers are not taken may be ended

    def resume_writing(self) -> None:
        super().resume_writing()
        self._wait(self.arrivals.limits.seconds)
        if self._is_working and not self._in_message:
            self.arrivals.end(self)

    def give_way(self) -> None:
        """End at once, for others' sake; the client may try again."""
        unread = self.transport.get_write_buffer_size()
        self._end(HTTPStatus.SERVICE_UNAVAILABLE, "Too many requests are arriving; try again in a second.")
        if unread:
            self.transport.abort()
        else:
            self.transport.close()

    def part(self) -> None:
        """Say no more, and give the client time to take what was said.

        A connection that is closed with bytes unread is reset, and its last answer lost.
        """
        self._deaf = True
        if self.transport.is_closing():
            return
        self.arrivals.begin(self)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self._wait(self.arrivals.limits.seconds if self.transport.get_write_buffer_size() else LINGER)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: FastAPI) -> None:  # type: ignore[override]
        self._running = cycle
        cycle.transport = AnswerTransport(self)
        super()._start_asgi_task(cycle, app)  # type: ignore[arg-type]

    @property
    def _is_working(self) -> bool:
        """Whether a request that is there in full has no answer yet."""
        running = self._running
        return running is not None and not running.response_complete and not running.more_body

    def _await_request(self) -> None:
        self.begun = self.loop.time()
        self.arrivals.begin(self)
        self._wait(self.arrivals.limits.seconds)

    def _wait(self, seconds: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        seconds = self.arrivals.limits.seconds
        closing = self.transport.is_closing() or (self._deaf and not self._is_working)
        if closing or self.transport.get_write_buffer_size():
            self.transport.abort()
        elif self._is_working:  # the application watches over its own time
            self._wait(seconds)
        else:
            part = "request" if self._past_head else "request's head"
            self._end(HTTPStatus.REQUEST_TIMEOUT, f"The {part} did not arrive within {seconds:g} seconds.")

    def _refuse(self, status: HTTPStatus, words: str) -> None:
        """From within the parser, which the exception stops."""
        self._end(status, words)
        raise httptools.HttpParserError(words)

    def _end(self, status: HTTPStatus, words: str) -> None:
        """Read no more. Answers that are due are given; then, or in their place, why."""
        if self._deaf:
            return
        self._deaf, self._silent = True, 0
        self.arrivals.end(self)
        if self.pipeline and self.pipeline[0][0].more_body:
            self.pipeline.popleft()  # the newest, which will never be there in full
        last = self.pipeline[0][0] if self.pipeline else self._running
        if last and not last.response_complete and not last.more_body:
            last.keep_alive = False
            self._wait(self.arrivals.limits.seconds)
            return
        answered = self._past_head and self.cycle.response_started
        if last and not last.response_complete:
            last.disconnected = True
            last.message_event.set()
        if not answered and (self._in_message or not last):
            self._write_refusal(status, words)
        self.part()

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
