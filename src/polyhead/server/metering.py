"""The server's metrics, for Prometheus."""

import time
from contextlib import AbstractContextManager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from polyhead.server.limits import Gate

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
SIZES = (1, 2, 4, 8, 16, 32, 64)


class ServerMetrics:
    """The metrics of one server."""

    def __init__(self, gate: Gate) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "polyhead_requests", "Requests answered.", ["endpoint", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "polyhead_request_seconds",
            "Seconds from a request's first line to its answer.",
            ["endpoint"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self.images = Counter("polyhead_images", "Images predicted.", registry=self._registry)
        self.unreadable = Counter(
            "polyhead_unreadable_images", "Images that could not be read.", registry=self._registry
        )
        self._batches = Histogram("polyhead_batch_images", "Images in a batch.", buckets=SIZES, registry=self._registry)
        self._batch_seconds = Histogram(
            "polyhead_batch_seconds", "Seconds per batch.", buckets=SECONDS, registry=self._registry
        )
        inside = Gauge("polyhead_requests_under_way", "Requests in progress.", registry=self._registry)
        inside.set_function(lambda: gate.inside)

    def seconds_of(self, images: int) -> AbstractContextManager[object]:
        """Time a batch."""
        self._batches.observe(images)
        return self._batch_seconds.time()

    def record(self, endpoint: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(endpoint, str(status)).inc()
        self._seconds.labels(endpoint).observe(seconds)

    def write(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self._registry)


class MetricsMiddleware:
    """ASGI middleware: counts every request."""

    def __init__(self, app: ASGIApp, meter: ServerMetrics) -> None:
        self._app, self._meter = app, meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        finally:
            # By function, not by URL: arbitrary requests must not create endless series.
            endpoint = getattr(scope.get("endpoint"), "__name__", "none")
            self._meter.record(endpoint, status, time.perf_counter() - started)
