"""Over HTTP: the predictor's own answers, many requests at once, and whatever strangers may send."""

import asyncio
import io
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import polyhead
from conftest import call
from drawn_model import TASKS, write_model
from polyhead.errors import PolyheadError
from polyhead.model.predictor import Predictor
from polyhead.server.app import create_app
from polyhead.server.batching import Batcher
from polyhead.server.browsers import name_hosts
from polyhead.server.limits import Limits


def paint(color: tuple[int, int, int], size: tuple[int, int] = (24, 24), form: str = "PNG", **settings: Any) -> bytes:
    """An image file of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, form, **settings)
    return file.getvalue()


RED, GREEN, GREY = paint((250, 20, 20)), paint((20, 250, 20), form="JPEG"), paint((128, 128, 128))


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor(write_model(tmp_path_factory.mktemp("drawn") / "model.onnx"))


@pytest.fixture(scope="module")
def client(predictor: Predictor) -> Iterator[TestClient]:
    """Raises what the application raises, so that no test passes thanks to the handler of last resort."""
    with TestClient(create_app(predictor)) as client:
        yield client


@asynccontextmanager
async def asked(predictor: Predictor, limits: Limits) -> AsyncIterator[httpx2.AsyncClient]:
    """A client for requests that overlap."""
    app = create_app(predictor, limits)
    transport = httpx2.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://test") as asking,
    ):
        yield asking


def test_answers_are_the_predictors_own(client: TestClient, predictor: Predictor) -> None:
    images = {"red.png": RED, "green.jpg": GREEN, "grey.png": GREY}
    answer = client.post("/predict", files=[("images", (name, content)) for name, content in images.items()])
    assert answer.status_code == 200
    expected = list(predictor.predict(list(images.values())))
    for record, name, same in zip(answer.json(), images, expected, strict=True):
        assert record["image"] == name
        assert record["error"] is None
        assert record["answers"].keys() == TASKS.keys()
        assert json.loads(json.dumps(same["answers"])) == record["answers"]
    assert [record["answers"]["color"]["answer"] for record in answer.json()[:2]] == ["red", "green"]


def test_one_image_may_be_the_whole_body(client: TestClient) -> None:
    (record,) = client.post("/predict", content=RED, headers={"Content-Type": "image/png"}).json()
    assert record["image"] is None
    assert record["answers"]["color"]["answer"] == "red"
    assert record["answers"]["light"] == {
        "answer": pytest.approx(100 * 290 / 765, abs=0.01),
        "unit": "%",
        "unsure": False,
    }
    assert client.post("/predict", content=RED).json() == [record]  # whatever curl says that it is


def test_what_is_unsure_is_said_to_be(client: TestClient) -> None:
    (record,) = client.post("/predict", content=GREY).json()
    assert record["answers"]["color"]["unsure"]
    assert record["answers"]["color"]["probability"] == pytest.approx(1 / 3)


def test_an_unreadable_image_costs_one_record_and_nothing_else(client: TestClient) -> None:
    files = [("images", ("a.png", RED)), ("images", ("b.png", RED[:40])), ("images", ("c.png", GREEN))]
    answer = client.post("/predict", files=files)
    assert answer.status_code == 200
    assert [bool(record["error"]) for record in answer.json()] == [False, True, False]
    assert answer.json()[1]["answers"] == {}


@pytest.mark.parametrize("size", [(200, 100), (100, 200)])
def test_a_heat_map_shows_what_an_answer_rests_on(client: TestClient, size: tuple[int, int]) -> None:
    pixels = np.zeros((48, 48, 3), np.uint8)
    pixels[:24, :24] = (255, 0, 0)
    file = io.BytesIO()
    Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST).save(file, "PNG")
    answer = client.post("/heatmap?task=color", files={"image": ("red.png", file.getvalue())})
    found = answer.json()
    assert (found["image"], found["task"], found["label"]) == ("red.png", "color", "red")
    assert found["value"] == pytest.approx(np.log(np.exp(2.5) / 2), abs=0.01)  # 10 x a quarter, against two zeros
    changes = np.array(found["changes"])
    assert changes.shape == (12, 12)
    assert (changes[:5, :5] < -0.1).all()
    assert changes[:5, :5].mean() < changes[7:, 7:].min() - 0.2


def test_a_heat_map_can_be_asked_of_any_label_and_of_a_number(client: TestClient) -> None:
    assert client.post("/heatmap?task=color&label=blue", content=RED).json()["label"] == "blue"
    assert client.post("/heatmap?task=marks", content=RED).json()["label"] == "dark"
    number = client.post("/heatmap?task=light", content=RED).json()
    assert (number["label"], number["value"]) == (None, pytest.approx(100 * 290 / 765, abs=0.01))
    assert not np.array(number["changes"]).any()  # covering one colour with itself


def test_the_model_says_what_it_answers_and_how_well(client: TestClient, tmp_path: Path) -> None:
    said = client.get("/model").json()
    assert said["name"] == "drawn"
    assert said["image"] == {"size": [16, 16], "resize": "stretch"}
    assert said["tasks"]["color"] == {
        "kind": "categorical",
        "answer": "label",
        "labels": ["red", "green", "blue"],
        "counts": {"red": 3, "green": 2, "blue": 1},
        "figures": {"n": 2, "accuracy": 0.5},
        "baseline": {"accuracy": 0.25},
    }
    assert said["tasks"]["marks"]["answer"] == "labels"
    assert (said["tasks"]["light"]["answer"], said["tasks"]["light"]["unit"]) == ("number", "%")
    assert said["limits"]["images"] == 32
    assert said["examples"] == []


def test_example_images_are_offered_and_nothing_beside_them(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(GREEN)
    with TestClient(create_app(predictor, examples=[tmp_path / "one.jpg"])) as client:
        assert client.get("/model").json()["examples"] == ["examples/0"]
        assert client.get("/examples/0").content == GREEN
        for path in ("/examples/1", "/examples/-1", "/page/..%2fapp.py", "/page/%00", f"/page/{'x' * 5000}"):
            assert client.get(path).status_code == 404
        assert client.get("/examples/one.jpg").status_code == 422


def test_the_server_tells_of_itself(predictor: Predictor) -> None:
    with TestClient(create_app(predictor)) as client:
        assert client.get("/health").json() == {"status": "ok"}
        client.post("/predict", files=[("images", ("a", RED)), ("images", ("b", RED)), ("images", ("c", b"x"))])
        client.get("/nothing/here")
        lines = client.get("/metrics").text.splitlines()
    for line in (
        'polyhead_requests_total{endpoint="predict",status="200"} 1.0',
        'polyhead_requests_total{endpoint="none",status="404"} 1.0',
        "polyhead_images_total 2.0",
        "polyhead_unreadable_images_total 1.0",
        "polyhead_batch_images_sum 2.0",
        "polyhead_requests_under_way 0.0",
    ):
        assert line in lines


def test_nothing_is_loaded_from_elsewhere(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none';")
    for path in ("/", "/page/style.css", "/page/app.js", "/page/elements.js", "/page/icon.svg"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "//" not in answer.text.replace("http://www.w3.org/2000/svg", "").replace("// ", "")
    assert client.get("/docs").status_code == 404


def test_the_openapi_document_says_what_is_sent_and_what_comes_back(client: TestClient) -> None:
    said = client.get("/openapi.json").json()
    assert set(said["paths"]) == {"/predict", "/heatmap", "/model", "/health", "/metrics"}
    task, label = said["paths"]["/heatmap"]["post"]["parameters"]
    assert (task["name"], task["schema"]["enum"], label["required"]) == ("task", list(TASKS), False)
    post = said["paths"]["/predict"]["post"]
    assert set(post["requestBody"]["content"]) == {"multipart/form-data", "image/*", "application/octet-stream"}
    assert set(post["responses"]) == {"200", "400", "408", "413", "422", "503"}


FORM = {"Content-Type": "multipart/form-data; boundary=x"}
PART = b'--x\r\nContent-Disposition: form-data; name="a"; filename="a.png"\r\n\r\n%b\r\n--x--\r\n'
WRONG: dict[str, tuple[dict[str, Any], int, str]] = {
    "nothing": ({}, 422, "empty"),
    "no boundary": ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "boundary"),
    "no form": ({"content": b"\x00\xff" * 99, "headers": FORM}, 400, "multipart"),
    "empty form": ({"content": b"--x--\r\n", "headers": FORM}, 422, "no file"),
    "form cut off": ({"content": (PART % RED)[:90], "headers": FORM}, 422, "no file"),
    "no name": ({"content": b"--x\r\n\r\nabc\r\n--x--\r\n", "headers": FORM}, 400, "name"),
    "a field": ({"files": {"images": (None, "photo.jpg")}}, 422, "not a file"),
    "charset": (
        {"content": PART % RED, "headers": {"Content-Type": "multipart/form-data; boundary=x; charset=undefined"}},
        400,
        "charset",
    ),
    "text": ({"content": b"hello", "headers": {"Content-Type": "application/json"}}, 422, "not an image"),
    "too many images": ({"files": [("images", ("a.png", RED))] * 5}, 413, "more than 4 images"),
    "too many bytes": ({"content": b"x" * 20_001}, 413, "larger than 20,000 bytes"),
    "too many bytes in a form": ({"files": {"images": ("a.png", b"x" * 20_001)}}, 413, "larger than 20,000 bytes"),
    "too many pixels": ({"content": paint((0, 0, 0), (400, 300))}, 422, "400x300 pixels, at most 100,000"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_is_refused_with_a_sentence(predictor: Predictor, case: str) -> None:
    sent, status, words = WRONG[case]
    limits = Limits(bytes=20_000, pixels=100_000, images=4)
    with TestClient(create_app(predictor, limits)) as client:
        for path in ("/predict", "/heatmap?task=color"):
            answer = client.post(path, **sent)
            assert answer.status_code == status, answer.text
            assert words in answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "task: field required"),
        ("?task=colour", "did you mean 'color'?"),
        ("?task=color&label=rde", "expected red, green, blue; got 'rde' (did you mean 'red'?)"),
        ("?task=light&label=red", "none, since light is a number"),
    ],
)
def test_a_wrong_question_about_an_answer_is_told(client: TestClient, query: str, words: str) -> None:
    answer = client.post(f"/heatmap{query}", content=RED)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_a_heat_map_is_of_one_image(client: TestClient) -> None:
    answer = client.post("/heatmap?task=color", files=[("a", ("a.png", RED)), ("b", ("b.png", RED))])
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/predict", 405), ("GET", "/x", 404), ("PUT", "/", 405)]
)
def test_what_is_not_there_is_told(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert path in answer.json()["detail"]


def bomb() -> bytes:
    """A PNG of 30,000 x 30,000 pixels in about a kilobyte."""
    head = (30_000).to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"
    chunks = {b"IHDR": head, b"IDAT": zlib.compress(bytes(100_000), 9), b"IEND": b""}
    parts = [
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        for kind, data in chunks.items()
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_the_server_outlives_500_mangled_images(client: TestClient) -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8))
    whole = []
    for form in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF"):
        file = io.BytesIO()
        noise.save(file, form)
        whole.append(file.getvalue())
    film = io.BytesIO()
    noise.save(film, "GIF", save_all=True, append_images=[noise.rotate(90)] * 3)
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
    odd = [b"", b"\0", b"\0" * 9000, svg, bomb(), film.getvalue(), b"%!PS-Adobe-3.0 EPSF-3.0\n", b"PK\3\4" + bytes(99)]
    odd += [paint((1, 2, 3), (1, 1)), paint((1, 2, 3), (20_000, 1)), paint((1, 2, 3), (1, 20_000), "PNG")]
    mangled = list(odd)
    while len(mangled) < 500:
        content = bytearray(whole[len(mangled) % len(whole)])
        if rng.integers(2):
            del content[rng.integers(len(content)) :]
        for place in rng.integers(0, max(len(content), 1), rng.integers(1, 12)) if content else ():
            content[place] = rng.integers(256)
        mangled.append(bytes(content))
    readable = 0
    for number, sent in enumerate(mangled):
        answer = client.post("/predict", files={"images": (f"{number}.jpg", sent)})
        readable += answer.status_code == 200
        if answer.status_code != 200:
            assert answer.status_code == 422
            assert answer.json()["detail"].startswith(f"{number}.jpg: ")
    assert 10 < readable < 400
    assert client.post("/predict", content=RED).status_code == 200


def test_more_requests_than_the_queue_holds_are_told_to_try_again(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def predict_when_told(*given: Any) -> Iterator[Any]:
        begun.set()
        go_on.wait(30)
        return predict(*given)

    predict = Predictor.predict
    monkeypatch.setattr(Predictor, "predict", predict_when_told)

    async def ask() -> tuple[httpx2.Response, httpx2.Response, httpx2.Response]:
        async with asked(predictor, Limits(queue=1)) as asking:
            first = asyncio.create_task(asking.post("/predict", content=RED))
            await asyncio.to_thread(begun.wait, 30)
            refused = await asking.post("/predict", content=RED)
            health = await asking.get("/health")
            go_on.set()
            return await first, refused, health

    first, refused, health = asyncio.run(ask())
    assert (first.status_code, refused.status_code, health.status_code) == (200, 503, 200)
    assert refused.headers["Retry-After"] == "1"
    assert "try again" in refused.json()["detail"]


def test_who_sends_slowly_takes_nobodys_place(predictor: Predictor) -> None:
    async def ask() -> list[int]:
        begun, go_on = asyncio.Semaphore(0), asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            begun.release()
            yield RED[:9]
            await go_on.wait()
            yield RED[9:]

        async with asked(predictor, Limits(queue=1)) as asking:
            slow = [asyncio.create_task(asking.post("/predict", content=slowly())) for _ in range(4)]
            for _ in slow:
                await begun.acquire()
            quick = await asking.post("/predict", content=RED)
            go_on.set()
            return [quick.status_code, *sorted([(await one).status_code for one in slow])]

    assert asyncio.run(ask())[:2] == [200, 200]


def test_a_request_that_never_arrives_is_given_up(predictor: Predictor) -> None:
    async def ask() -> httpx2.Response:
        async def never() -> AsyncIterator[bytes]:
            yield RED[:9]
            await asyncio.Event().wait()

        async with asked(predictor, Limits(seconds=0.05)) as asking:
            return await asking.post("/predict", content=never())

    answer = asyncio.run(ask())
    assert answer.status_code == 408
    assert "0.05 seconds" in answer.json()["detail"]


def test_an_answer_that_takes_too_long_is_given_up(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    predict = Predictor.predict
    monkeypatch.setattr(Predictor, "predict", lambda *given: released.wait(30) and predict(*given))

    async def ask() -> tuple[httpx2.Response, httpx2.Response]:
        async with asked(predictor, Limits(seconds=0.2)) as asking:
            late = await asking.post("/predict", content=RED)
            released.set()
            return late, await asking.post("/predict", content=RED)

    late, next_one = asyncio.run(ask())
    assert (late.status_code, next_one.status_code) == (503, 200)
    assert "longer than 0.2 seconds" in late.json()["detail"]


def collect(size: int, submit: Callable[[Batcher[int, int]], Any]) -> tuple[list[list[int]], Any]:
    """The batches that a batcher made of what `submit` submits, and what that returns; the work doubles numbers."""
    batches: list[list[int]] = []

    def work(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        return [2 * item for item in items if 1 / item]

    async def run() -> Any:
        with ThreadPoolExecutor(1) as thread:
            return await submit(Batcher(work, thread, workers=1, size=size))

    return batches, asyncio.run(run())


@pytest.mark.parametrize(("size", "batches"), [(8, [[1, 2, 3, 4, 5]]), (2, [[1, 2], [3, 4], [5]])])
def test_what_arrives_together_is_one_batch(size: int, batches: list[list[int]]) -> None:
    async def submit(batcher: Batcher[int, int]) -> list[int]:
        return await asyncio.gather(*(batcher.submit(item) for item in range(1, 6)))

    assert collect(size, submit) == (batches, [2, 4, 6, 8, 10])


def test_what_arrives_during_a_batch_is_the_next_one() -> None:
    async def submit(batcher: Batcher[int, int]) -> list[int]:
        first = batcher.submit(1)
        await asyncio.sleep(0)  # it is under way
        return [*await asyncio.gather(batcher.submit(2), batcher.submit(3)), await first]

    assert collect(8, submit) == ([[1], [2, 3]], [4, 6, 2])


def test_what_nobody_waits_for_any_more_is_not_worked_on() -> None:
    async def submit(batcher: Batcher[int, int]) -> int:
        batcher.submit(1).cancel()
        return await batcher.submit(2)

    assert collect(8, submit) == ([[2]], 4)


def test_a_batch_that_fails_is_told_to_those_in_it_alone() -> None:
    async def submit(batcher: Batcher[int, int]) -> list[Any]:
        together = (batcher.submit(item) for item in (0, 1))
        failed = await asyncio.gather(*together, return_exceptions=True)
        return [*failed, await batcher.submit(3)]

    batches, found = collect(8, submit)
    assert batches == [[0, 1], [3]]
    assert [type(one) for one in found] == [ZeroDivisionError, ZeroDivisionError, int]


def test_a_model_or_an_address_that_cannot_be_had_is_one_line(
    predictor: Predictor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:

    assert call("serve", tmp_path / "none.onnx") == 2
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert call("serve", predictor.path, "--port", taken.getsockname()[1]) == 2
    for host in ("256.0.0.1", "a..b", "x" * 300, "a\0b", "\udcff", "", " "):
        assert call("serve", predictor.path, "--host", host) == 2
    assert call("serve", predictor.path, "--allow-host", "http://x") == 2
    assert call("serve", predictor.path, "--timeout", "inf") == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["polyhead"] * 11
    assert "in use" in lines[1]
    assert polyhead.load_model(predictor.path)


@contextmanager
def serving(predictor: Predictor, *options: str) -> Iterator[tuple["subprocess.Popen[str]", tuple[str, int]]]:
    """A server in a process of its own, and its address."""
    command = [sys.executable, "-m", "polyhead", "serve", str(predictor.path), "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr
        found = re.search(r"127\.0\.0\.1:(\d+)", server.stderr.readline())
        assert found
        yield server, ("127.0.0.1", int(found[1]))


def connects(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, 30).close()
    except OSError:
        return False
    return True


@pytest.mark.slow
def test_a_head_without_end_is_ended(predictor: Predictor) -> None:
    with serving(predictor) as (server, address), socket.create_connection(address, 30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        with pytest.raises(ConnectionError):  # noqa: PT012 - it may take a few parts
            while True:
                connection.sendall(b"x" * 65536)
        assert connects(address)
        server.terminate()


@pytest.mark.slow
@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nX: ", b"GET /health HTTP/1.1\r\n\r\nGET /"])
def test_a_head_that_does_not_come_in_time_is_ended(predictor: Predictor, begun: bytes) -> None:
    with serving(predictor, "--timeout", "0.5") as (server, address):
        with socket.create_connection(address, 30) as connection, connection.makefile("rb") as answer:
            connection.sendall(begun)
            assert answer.read().endswith(b"The request's head did not arrive within 0.5 seconds.")
        assert connects(address)
        server.terminate()


@pytest.mark.slow
def test_sigterm_finishes_what_is_under_way(predictor: Predictor) -> None:

    with serving(predictor) as (server, address):
        with socket.create_connection(address, 30) as connection, connection.makefile("rb") as answer:
            head = f"Host: localhost\r\nExpect: 100-continue\r\nContent-Length: {len(RED)}\r\n\r\n"
            connection.sendall(b"POST /predict HTTP/1.1\r\n" + head.encode())
            assert b"100" in answer.readline()  # the request is being read
            server.send_signal(signal.SIGTERM)
            while connects(address):  # until it lets no one in
                pass
            connection.sendall(RED)
            assert b"200 OK" in answer.read()
        assert server.wait(30) in (0, -signal.SIGTERM)


NAMES = {
    b"dress.jpg": "dress.jpg",
    b'a\\"b.jpg': 'a"b.jpg',
    "\u00fc.jpg".encode(): "\u00fc.jpg",
    b"\xed\xa0\x80.jpg": "\ufffd\ufffd\ufffd.jpg",  # half of a UTF-16 pair
    b"a\nb\x1b[31m": r"a\nb\x1b[31m",
    "\u202egpj.exe".encode(): r"\u202egpj.exe",
    b"x" * 300: "x" * 167 + "..." + "x" * 85,
}


@pytest.mark.parametrize("name", NAMES)
def test_names_are_cleaned_at_the_door(client: TestClient, name: bytes) -> None:
    (record,) = client.post("/predict", content=PART.replace(b"a.png", name) % RED, headers=FORM).json()
    assert record["image"] == NAMES[name]
    assert record["answers"]["color"]["answer"] == "red"


@pytest.mark.parametrize("charset", ["utf-7", "unicode_escape", "utf-16", "undefined", "\udcff", ""])
@pytest.mark.parametrize("name", [b"+2AA-.png", b"\\ud800.png", b"\xff"])
def test_a_charset_of_the_clients_choosing_decodes_nothing(client: TestClient, charset: str, name: bytes) -> None:
    kind = f"multipart/form-data; boundary=x; charset={charset}".encode("utf-8", "surrogateescape")
    sent = PART.replace(b"a.png", name) % RED
    answer = client.post("/predict", content=sent, headers={b"Content-Type": kind})
    assert answer.status_code == 400
    assert "only UTF-8" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        ((PART % RED)[:-8], 422, "cut off"),
        (b"--x\r\n" + PART % RED, 400, "not a multipart form"),
        (b"--x\r\n\r\n" + b"y" * 9000 + (PART % RED)[5:], 400, "name"),
        (b"--xyz\r\n\r\n--x--", 400, "not a multipart form"),
        (b"before\r\n" + PART % RED, 400, "not a multipart form"),
        (PART % RED + b"after", 200, ""),
        ((PART % RED).replace(b'filename="a.png"', b"filename*=UTF-8''a.png"), 422, "not a file"),  # by RFC 7578
        ((PART % RED).replace(b'filename="a.png"', b'filename=""'), 200, "null"),
        (b"--x\r\n" * 100_000, 400, "not a multipart form"),
        (b"--x\r\na: b\r\n\r\n\r\n" * 100_000, 413, "more than 32"),
    ],
)
def test_a_form_is_read_as_it_is_written(client: TestClient, content: bytes, status: int, words: str) -> None:
    answer = client.post("/predict", content=content, headers=FORM)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(
            (host, 200)
            for host in ("127.0.0.1:8000", "[::1]", "localhost:80", "a.localhost", "MINE.example.", "192.0.2.7")
        ),
        *((host, 403) for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "[", "a b")),
        *((host, 403) for host in ("evil.example@localhost", "localhost:x", "mine.example/x", "\x1b", "x" * 5000)),
    ],
)
def test_other_names_than_its_own_are_refused(predictor: Predictor, host: str, status: int) -> None:
    hosts = name_hosts("127.0.0.1", ["Mine.example"])
    with TestClient(create_app(predictor, hosts=hosts)) as client:
        for path in ("/health", "/nothing", "/examples/0"):
            answer = client.get(path, headers={"Host": host})
            assert (answer.status_code == 403) == (status == 403)
    anyone = TestClient(create_app(predictor, hosts=name_hosts("127.0.0.1", ["*"])))
    assert anyone.get("/health", headers={"Host": "evil.example"}).status_code == 200


def test_a_server_for_other_machines_answers_to_this_ones_name() -> None:
    assert socket.gethostname().lower() in name_hosts("0.0.0.0", [])
    assert name_hosts("localhost", []) == {"localhost"}
    with pytest.raises(PolyheadError, match="without port"):
        name_hosts("0.0.0.0", ["http://images.example.org"])


def test_every_answer_is_taken_for_what_it_is(predictor: Predictor) -> None:
    with TestClient(create_app(predictor, hosts=["testserver"])) as client:
        answers = [client.get(path) for path in ("/", "/page/app.js", "/model", "/health", "/metrics", "/openapi.json")]
        answers += [client.get("/nothing"), client.get("/predict"), client.post("/predict", content=RED)]
        answers += [client.post("/heatmap", content=RED), client.get("/health", headers={"Host": "evil.example"})]
    for answer in answers:
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"], answer.url


def test_an_example_that_is_gone_is_not_there(predictor: Predictor, tmp_path: Path) -> None:
    with TestClient(create_app(predictor, examples=[tmp_path / "gone.jpg", tmp_path])) as client:
        assert [client.get(f"/examples/{number}").status_code for number in (0, 1)] == [404, 404]


@pytest.mark.parametrize("wrong", ["[", "[::1", "a b", "\x1b[31m", "evil.example"])
def test_a_strange_host_is_no_mistake_of_the_servers(client: TestClient, wrong: str) -> None:
    for path in ("/nothing", "/model/", "/page/x"):
        assert client.get(path, headers={"Host": wrong}).status_code == 404


def test_a_model_without_an_answer_says_so(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Any:
        raise PolyheadError("the graph cannot be worked out")

    monkeypatch.setattr(Predictor, "run", fail)
    monkeypatch.setattr(Predictor, "predict", fail)
    with TestClient(create_app(predictor)) as client:
        for path in ("/predict", "/heatmap?task=color"):
            answer = client.post(path, content=RED)
            assert (answer.status_code, answer.json()["detail"]) == (422, "the image: the model has no answer for it")


def test_a_heat_map_holds_numbers_alone(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Predictor.run

    def run_beyond_numbers(self: Predictor, pixels: Any) -> dict[str, Any]:
        return {name: np.full_like(values, np.nan) for name, values in run(self, pixels).items()}

    monkeypatch.setattr(Predictor, "run", run_beyond_numbers)
    with TestClient(create_app(predictor)) as client:
        for task in ("color", "light", "marks"):
            answer = client.post(f"/heatmap?task={task}", content=RED)
            assert (answer.status_code, "has no answer" in answer.text) == (422, True)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), 1e300])
def test_limits_that_are_none_are_refused(seconds: float) -> None:
    with pytest.raises(PolyheadError, match="limit of seconds: expected more than 0"):
        Limits(seconds=seconds)
    with pytest.raises(PolyheadError, match="limit of queue: expected 1 or more; got 0"):
        Limits(queue=0)
