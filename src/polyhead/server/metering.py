"""The server's metrics, for Prometheus."""

import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, Summary, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from polyhead.errors import show_text
from polyhead.model.card import Card
from polyhead.model.records import Prediction
from polyhead.server.limits import Gate

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
SIZES = (1, 2, 4, 8, 16, 32, 64)
RATES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)  # of unfamiliarity
MOST_LABELS = 100  # of a task that are counted apart: each is a series of its own
MOST_SERIES = 1000  # of all tasks
REST = "(all others)"


class ServerMetrics:
    """The metrics of one server."""

    def __init__(self, gate: Gate, card: Card) -> None:
        self._registry = CollectorRegistry()
        self.answers = AnswerMetrics(card, self._registry)
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


class AnswerMetrics:
    """What the answers are, so that a change in them can be seen: by task, and by label where these are few.

    Of a task with many labels, those with the most training images are counted apart.
    """

    def __init__(self, card: Card, registry: CollectorRegistry) -> None:
        self._card = card
        self._answers = Counter("polyhead_answers", "Answers that say a label.", ["task", "label"], registry=registry)
        self._numbers = Summary("polyhead_numbers", "Answers that are numbers.", ["task"], registry=registry)
        self._unsure = Counter("polyhead_unsure_answers", "Answers marked unsure.", ["task"], registry=registry)
        self._labels: dict[str, frozenset[str]] = {}
        left = MOST_SERIES
        for name, task in card.tasks.items():
            often = sorted(task.names, key=lambda label: -task.counts.get(label, 0))
            kept = often[: max(0, min(MOST_LABELS, left))]
            left -= len(kept)
            self._labels[name] = frozenset(kept)
            self._start(name, kept, numeric=task.numeric, all_kept=len(kept) == len(often))
        self._rates = None
        if card.familiarity:
            self._unfamiliar = Counter(
                "polyhead_unfamiliar_images", "Images unlike those that the model was trained on.", registry=registry
            )
            self._rates = Histogram(
                "polyhead_unfamiliarity",
                "How unlike the training images an image is, 0 to 1.",
                buckets=RATES,
                registry=registry,
            )

    def _start(self, name: str, labels: Iterable[str], *, numeric: bool, all_kept: bool) -> None:
        """Begin every series at 0: what has not happened yet is then seen to begin."""
        task = show_text(name)
        if numeric:
            self._numbers.labels(task)
            return
        self._unsure.labels(task)
        for label in [*labels, *([] if all_kept else [REST])]:
            self._answers.labels(task, show_text(label))

    def count(self, records: Iterable[Prediction]) -> None:
        """Count the answers of records; those with an error have none."""
        for record in records:
            for name, answer in record["answers"].items():
                self._count_answer(name, answer)
            if self._rates and "unfamiliarity" in record:
                self._rates.observe(record["unfamiliarity"])
                self._unfamiliar.inc(int(record.get("unfamiliar", False)))

    def _count_answer(self, name: str, answer: Mapping[str, Any]) -> None:
        task, said = show_text(name), answer["answer"]
        if self._card.tasks[name].numeric:
            self._numbers.labels(task).observe(said)
            return
        self._unsure.labels(task).inc(int(answer["unsure"]))
        for label in said if isinstance(said, list) else [said]:
            self._answers.labels(task, show_text(label) if label in self._labels[name] else REST).inc()


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
