"""The endpoints of the server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from polyhead import __version__
from polyhead.data.images.decode import ImageError
from polyhead.errors import nearest, show_text
from polyhead.files import open_regular
from polyhead.model.predictor import Predictor
from polyhead.server import schemas
from polyhead.server.browsers import BrowserSafety
from polyhead.server.limits import Gate, Limits, refuse
from polyhead.server.metering import MetricsMiddleware, ServerMetrics
from polyhead.server.service import Service
from polyhead.server.uploads import Upload, discard_body, read_body, split_uploads

PAGE = Path(__file__).parent / "page"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
HEADERS = {
    # The page may load what this server gives it, and nothing else.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": schemas.Problem, "description": "The request is malformed."},
    408: {"model": schemas.Problem, "description": "The request arrived too slowly."},
    413: {"model": schemas.Problem, "description": "The request is too large, or holds too many images."},
    422: {
        "model": schemas.Problem,
        "description": "No image of the request can be read, or its parameters are wrong.",
    },
    503: {"model": schemas.Problem, "description": "Too many requests are in progress; try again after `Retry-After`."},
}
Result = TypeVar("Result")


@dataclass(frozen=True)
class AppState:
    """What the endpoints need."""

    service: Service
    limits: Limits
    gate: Gate
    meter: ServerMetrics
    examples: Sequence[Path]


def create_app(
    predictor: Predictor,
    limits: Limits | None = None,
    examples: Sequence[Path] = (),
    hosts: Collection[str] | None = None,
) -> FastAPI:
    """The server of one model file, as an ASGI application.

    Args:
        predictor: the model file.
        limits: of requests; by default those of `Limits`.
        examples: image files that the page offers to try.
        hosts: the names that it answers to; any, if None. See `BrowserSafety`.
    """
    limits = limits or Limits()
    gate = Gate(limits.queue)
    meter = ServerMetrics(gate, predictor.card)
    state = AppState(Service(predictor, limits, meter), limits, gate, meter, tuple(examples))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with state.service.running():
            yield

    # FastAPI's own pages of documentation load scripts from elsewhere; the OpenAPI document itself does not.
    title = f"Polyhead: {predictor.card.name}"
    app = FastAPI(
        title=title, version=__version__, docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=lifespan
    )
    app.state.state = state
    app.add_middleware(BrowserSafety, hosts=hosts)
    app.add_middleware(MetricsMiddleware, meter=meter)
    app.add_exception_handler(HTTPException, _tell_refusal)
    app.add_exception_handler(RequestValidationError, _tell_wrong_parameter)
    app.add_exception_handler(ClientDisconnect, _tell_nobody)
    app.add_exception_handler(Exception, _tell_fault)
    # FastAPI's routes give the OpenAPI document; Starlette's own, without nested routers, take half the time.
    app.router.routes.append(Route("/predict", predict, methods=["POST"]))
    app.router.routes.extend(router.routes)
    app.openapi()["paths"]["/heatmap"]["post"]["parameters"][0]["schema"]["enum"] = list(predictor.card.tasks)
    return app


router = APIRouter()


@router.post(
    "/predict",
    response_model=list[schemas.RecordSchema],
    responses=REFUSALS,
    openapi_extra={"requestBody": schemas.IMAGES_BODY},
)
async def predict(request: Request) -> Response:
    """Predict one image or several: the files of a multipart form, or one image as the body.

    Returns a record for each image, in order. If an image cannot be read, its `error` says why; if none can be read,
    the request is refused.
    """
    state = _state(request)
    async with _uploads(request) as uploads:
        records = await _answer(state, state.service.answer(uploads))
    problems = [f"{record['image'] or 'the image'}: {record['error']}" for record in records if record["error"]]
    if len(problems) == len(records):
        refuse(422, "; ".join(problems))
    return JSONResponse(records)


@router.post(
    "/heatmap",
    response_model=schemas.HeatmapSchema,
    responses=REFUSALS,
    openapi_extra={"requestBody": schemas.IMAGE_BODY},
)
async def heatmap(
    request: Request,
    task: Annotated[str, Query(description="The task whose answer to explain.")],
    label: Annotated[str | None, Query(description="A label of the task; by default the one answered.")] = None,
) -> Response:
    """Explain an answer: how it changes when parts of the image are covered, one after another."""
    state = _state(request)
    async with _uploads(request) as uploads:
        _check_question(state, task, label)
        if len(uploads) > 1:
            refuse(413, "a heat map is for one image; the request holds several")
        try:
            return JSONResponse(await _answer(state, state.service.explain(uploads[0], task, label)))
        except ImageError as error:
            refuse(422, f"{uploads[0].name or 'the image'}: {error}")


@router.get("/model", response_model=schemas.ModelSchema)
async def model(request: Request) -> Response:
    """The model: its tasks, what it was trained on, and its metrics on test images."""
    state = _state(request)
    card = state.service.card
    tasks = {
        name: {
            "kind": task.kind,
            "answer": "number" if task.numeric else "label" if task.has_one_label else "labels",
            "labels": task.names,
            "counts": task.counts,
            **({"unit": task.error_unit} if task.numeric else {}),
            **({} if task.promise is None else {"promised": task.promise.coverage}),
            "figures": card.figures.get(name, {}),
            "baseline": card.baseline.get(name, {}),
        }
        for name, task in card.tasks.items()
    }
    about = card.model_dump(include={"name", "description", "note", "version", "fingerprint", "parameters", "rows"})
    limits = asdict(state.limits)
    del limits["queue"]
    examples = [f"examples/{number}" for number in range(len(state.examples))]
    image = card.image.model_dump(include={"size", "resize"})
    return JSONResponse(about | {"image": image, "tasks": tasks, "limits": limits, "examples": examples})


@router.get("/health", response_model=schemas.HealthSchema)
async def health() -> Response:
    """Whether the server is running."""
    return JSONResponse({"status": "ok"})


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Metrics in Prometheus's format."""
    return Response(_state(request).meter.write(), media_type="text/plain; version=0.0.4")


@router.get("/", include_in_schema=False)
async def page() -> Response:
    """The page."""
    return _page_file("index.html")


@router.get("/page/{name}", include_in_schema=False)
async def page_file(name: str) -> Response:
    """A file of the page."""
    return _page_file(name)


@router.get("/examples/{number}", include_in_schema=False)
async def example(request: Request, number: int) -> Response:
    """An example image."""
    examples = _state(request).examples
    if not 0 <= number < len(examples):
        raise HTTPException(404)
    try:
        content = await asyncio.to_thread(_read_example, examples[number])
    except OSError:  # the run was moved or replaced
        raise HTTPException(404) from None
    return Response(content, headers=HEADERS, media_type="image/jpeg")


def _state(request: Request) -> AppState:
    state: AppState = request.app.state.state
    return state


@asynccontextmanager
async def _uploads(request: Request) -> AsyncIterator[list[Upload]]:
    """The request's images; once they have arrived, it counts as in progress until the block ends."""
    state = _state(request)
    seconds, limit = state.limits.seconds, state.limits.bytes
    late = (408, f"the request did not arrive within {seconds:g} seconds")
    if state.gate.full:
        await _within(seconds, discard_body(request, limit), late)
        state.gate.refuse()
    body = await _within(seconds, read_body(request, limit), late)
    with state.gate.enter():
        uploads = split_uploads(request.headers.get("content-type", ""), body, state.limits)
        del body  # the form's files are copies
        yield uploads


async def _answer(state: AppState, work: Awaitable[Result]) -> Result:
    seconds = state.limits.seconds
    late = f"the answer took longer than {seconds:g} seconds; try again when the server is less busy"
    return await _within(seconds, work, (503, late))


async def _within(seconds: float, work: Awaitable[Result], refusal: tuple[int, str]) -> Result:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        refuse(*refusal)


def _check_question(state: AppState, task: str, label: str | None) -> None:
    tasks = state.service.card.tasks
    if task not in tasks:
        refuse(422, f"task: expected {', '.join(tasks)}; got {task!r}{nearest(task, tasks)}")
    names = tasks[task].names
    if label is not None and label not in names:
        expected = ", ".join(names) or f"none, since {task} is a number"
        refuse(422, f"label: expected {expected}; got {label!r}{nearest(label, names)}")


def _page_file(name: str) -> Response:
    files = _read_page()
    if name not in files:
        raise HTTPException(404)
    return Response(files[name], headers=HEADERS, media_type=TYPES[Path(name).suffix])


@cache
def _read_page() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in PAGE.iterdir() if path.suffix in TYPES}


def _read_example(path: Path) -> bytes:
    with open_regular(path) as file:
        return file.read()


async def _tell_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = show_text(request.scope["path"][:100])  # not the whole URL, whose host may be anything
    words = {
        404: f"there is nothing at {path}; see /openapi.json",
        405: f"{request.method} is not supported at {path}; see /openapi.json",
    }
    detail = words.get(error.status_code, error.detail)
    return JSONResponse({"detail": detail}, error.status_code, error.headers)


async def _tell_wrong_parameter(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return JSONResponse({"detail": f"{first['loc'][-1]}: {first['msg'].lower()}"}, 422)


async def _tell_nobody(*_: object) -> Response:
    """For a client that has disconnected."""
    return Response(status_code=400)


async def _tell_fault(*_: object) -> Response:
    """For a bug in this program; uvicorn logs the traceback."""
    detail = {"detail": "internal error; see the server's log"}
    return JSONResponse(detail, 500, {"X-Content-Type-Options": "nosniff"})
