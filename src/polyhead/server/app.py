"""What is answered at which address."""

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
from polyhead.server import forms
from polyhead.server.browsers import BrowserSafety
from polyhead.server.limits import Gate, Limits, refuse
from polyhead.server.metering import Meter, Metering
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
    400: {"model": forms.Problem, "description": "The request is malformed."},
    408: {"model": forms.Problem, "description": "The request came too slowly."},
    413: {"model": forms.Problem, "description": "The request is too large, or holds too many images."},
    422: {
        "model": forms.Problem,
        "description": "No image of the request can be read, or it asks for what is not there.",
    },
    503: {"model": forms.Problem, "description": "Too many requests are under way; try again after `Retry-After`."},
}
Given = TypeVar("Given")


@dataclass(frozen=True)
class Desk:
    """What every route may need."""

    service: Service
    limits: Limits
    gate: Gate
    meter: Meter
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
        limits: what a request may ask for; the defaults of `Limits`, if absent.
        examples: image files that the page offers to try.
        hosts: the names that it answers to; any, if absent. See `BrowserSafety`.
    """
    limits = limits or Limits()
    gate = Gate(limits.queue)
    meter = Meter(gate)
    desk = Desk(Service(predictor, limits, meter), limits, gate, meter, tuple(examples))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with desk.service.running():
            yield

    # FastAPI's own pages of documentation load scripts from elsewhere; the OpenAPI document itself does not.
    title = f"Polyhead: {predictor.card.name}"
    app = FastAPI(
        title=title, version=__version__, docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=lifespan
    )
    app.state.desk = desk
    app.add_middleware(BrowserSafety, hosts=hosts)
    app.add_middleware(Metering, meter=meter)
    app.add_exception_handler(HTTPException, _tell_refusal)
    app.add_exception_handler(RequestValidationError, _tell_wrong_parameter)
    app.add_exception_handler(ClientDisconnect, _tell_nobody)
    app.add_exception_handler(Exception, _tell_fault)
    # FastAPI's routes describe themselves; Starlette's own, and no router within a router, take half the time.
    app.router.routes.append(Route("/predict", predict, methods=["POST"]))
    app.router.routes.extend(router.routes)
    app.openapi()["paths"]["/heatmap"]["post"]["parameters"][0]["schema"]["enum"] = list(predictor.card.tasks)
    return app


router = APIRouter()


@router.post(
    "/predict",
    response_model=list[forms.RecordForm],
    responses=REFUSALS,
    openapi_extra={"requestBody": forms.IMAGES_BODY},
)
async def predict(request: Request) -> Response:
    """Answer for one image or several: the files of a multipart form, or one image as the whole body.

    One record an image, in order. An image that cannot be read has its reason under `error`; where that is so of every
    image, the request is refused.
    """
    desk = _desk(request)
    async with _uploads(request) as uploads:
        records = await _answer(desk, desk.service.answer(uploads))
    problems = [f"{record['image'] or 'the image'}: {record['error']}" for record in records if record["error"]]
    if len(problems) == len(records):
        refuse(422, "; ".join(problems))
    return JSONResponse(records)


@router.post(
    "/heatmap", response_model=forms.HeatForm, responses=REFUSALS, openapi_extra={"requestBody": forms.IMAGE_BODY}
)
async def heatmap(
    request: Request,
    task: Annotated[str, Query(description="Whose answer is looked into.")],
    label: Annotated[str | None, Query(description="A label of the task; the one answered, if absent.")] = None,
) -> Response:
    """What an answer rests on: parts of the image are covered one after another, and the answer watched."""
    desk = _desk(request)
    async with _uploads(request) as uploads:
        _check_question(desk, task, label)
        if len(uploads) > 1:
            refuse(413, "a heat map is of one image; the request holds several")
        try:
            return JSONResponse(await _answer(desk, desk.service.explain(uploads[0], task, label)))
        except ImageError as error:
            refuse(422, f"{uploads[0].name or 'the image'}: {error}")


@router.get("/model", response_model=forms.ModelForm)
async def model(request: Request) -> Response:
    """What the model answers, what it was trained on, and how good it is on test images."""
    desk = _desk(request)
    card = desk.service.card
    tasks = {
        name: {
            "kind": task.kind,
            "labels": task.names,
            "counts": task.counts,
            **({"unit": task.error_unit} if task.numeric else {}),
            "figures": card.figures.get(name, {}),
            "baseline": card.baseline.get(name, {}),
        }
        for name, task in card.tasks.items()
    }
    said = card.model_dump(include={"name", "description", "note", "version", "fingerprint", "parameters", "rows"})
    limits = asdict(desk.limits)
    del limits["queue"]
    examples = [f"examples/{number}" for number in range(len(desk.examples))]
    image = card.image.model_dump(include={"size", "resize"})
    return JSONResponse(said | {"image": image, "tasks": tasks, "limits": limits, "examples": examples})


@router.get("/health", response_model=forms.HealthForm)
async def health() -> Response:
    """That the server is there."""
    return JSONResponse({"status": "ok"})


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Figures for Prometheus."""
    return Response(_desk(request).meter.write(), media_type="text/plain; version=0.0.4")


@router.get("/", include_in_schema=False)
async def page() -> Response:
    """The page."""
    return _page_file("index.html")


@router.get("/page/{name}", include_in_schema=False)
async def page_file(name: str) -> Response:
    """A file that belongs to the page."""
    return _page_file(name)


@router.get("/examples/{number}", include_in_schema=False)
async def example(request: Request, number: int) -> Response:
    """An image to try."""
    examples = _desk(request).examples
    if not 0 <= number < len(examples):
        raise HTTPException(404)
    try:
        content = await asyncio.to_thread(_read_example, examples[number])
    except OSError:  # the run has been moved, or made anew
        raise HTTPException(404) from None
    return Response(content, headers=HEADERS, media_type="image/jpeg")


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


@asynccontextmanager
async def _uploads(request: Request) -> AsyncIterator[list[Upload]]:
    """The request's images; from when they are there until the block ends, it counts as under way."""
    desk = _desk(request)
    seconds, limit = desk.limits.seconds, desk.limits.bytes
    late = (408, f"the request did not arrive within {seconds:g} seconds")
    if desk.gate.full:
        await _within(seconds, discard_body(request, limit), late)
        desk.gate.refuse()
    body = await _within(seconds, read_body(request, limit), late)
    with desk.gate.enter():
        uploads = split_uploads(request.headers.get("content-type", ""), body, desk.limits)
        del body  # the files of a form are copies
        yield uploads


async def _answer(desk: Desk, work: Awaitable[Given]) -> Given:
    seconds = desk.limits.seconds
    late = f"the answer took longer than {seconds:g} seconds; try again when less is asked"
    return await _within(seconds, work, (503, late))


async def _within(seconds: float, work: Awaitable[Given], refusal: tuple[int, str]) -> Given:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        refuse(*refusal)


def _check_question(desk: Desk, task: str, label: str | None) -> None:
    tasks = desk.service.card.tasks
    if task not in tasks:
        refuse(422, f"task: expected {', '.join(tasks)}; got {task!r}{nearest(task, tasks)}")
    names = tasks[task].names
    if label is not None and label not in names:
        expected = ", ".join(names) or f"none, as {task} is a number"
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
    path = show_text(request.scope["path"][:100])  # of the whole URL, the host may be anything
    words = {
        404: f"there is nothing at {path}; /openapi.json says what there is",
        405: f"{request.method} is not answered at {path}; /openapi.json says what is",
    }
    detail = words.get(error.status_code, error.detail)
    return JSONResponse({"detail": detail}, error.status_code, error.headers)


async def _tell_wrong_parameter(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return JSONResponse({"detail": f"{first['loc'][-1]}: {first['msg'].lower()}"}, 422)


async def _tell_nobody(*_: object) -> Response:
    """To a client that went away."""
    return Response(status_code=400)


async def _tell_fault(*_: object) -> Response:
    """To a request that met a mistake in this program; uvicorn logs the traceback."""
    detail = {"detail": "the server made a mistake; its log says more"}
    return JSONResponse(detail, 500, {"X-Content-Type-Options": "nosniff"})
