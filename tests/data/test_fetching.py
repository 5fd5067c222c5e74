"""Images at addresses are fetched once, from where the recipe says and nowhere else; what cannot be had is listed."""

import contextlib
import csv
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from ruamel.yaml import YAML

from drawn_labels import ROWS, TASKS, draw, recipe, texts, write_csv
from polyhead.data.inspect.proposal import propose_recipe, propose_values
from polyhead.data.sources import addresses
from polyhead.data.sources.addresses import AddressError, is_allowed, is_open, name_source, read_address
from polyhead.data.table import Table, read_table
from polyhead.errors import PolyheadError
from polyhead.progress import SILENT
from polyhead.recipe.loading import check_recipe


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("POLYHEAD_CACHE", str(folder))
    return folder


class Host(ThreadingHTTPServer):
    """Serves a folder; some paths behave in ways of their own. Counts what it is asked for."""

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.root = root
        self.asked: Counter[str] = Counter()
        self.name = f"127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Host

    def do_GET(self) -> None:
        self.server.asked[self.path] += 1
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
            return
        file = self.server.root / self.path.lstrip("/")
        if self.path == "/busy.png" and self.server.asked[self.path] == 1:
            self.send_error(503)
        elif self.path == "/busy.png":
            self._give((self.server.root / "images/00.png").read_bytes())
        elif self.path == "/page.png":
            self._give(b"<html>")
        elif file.is_file():
            self._give(file.read_bytes())
        else:
            self.send_error(404)

    def _give(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    (tmp_path / "served").mkdir()
    draw(tmp_path / "served")
    with Host(tmp_path / "served") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def by_content(table: Table) -> dict[bytes, list[str]]:
    return {(table.root / row["path"]).read_bytes(): [row[name] for name in TASKS] for _, row in table.frame.iterrows()}


def write_addresses(file: Path, start: str, *more: str) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(ROWS[0]))
        writer.writeheader()
        writer.writerows(row | {"image": f"{start}/{row['image']}"} for row in texts())
        writer.writerows(texts()[0] | {"image": address} for address in more)


def test_images_at_addresses_give_an_equal_table_and_are_fetched_once(tmp_path: Path, cache: Path, host: Host) -> None:
    write_csv(host.root / "expected.csv")
    wanted = read_table(recipe("csv", {"kind": "csv", "file": "expected.csv"}), host.root, SILENT)
    write_addresses(tmp_path / "labels.csv", f"http://{host.name}")
    read = recipe("csv", {"kind": "csv", "file": "labels.csv", "fetch": [host.name]})
    for _ in range(2):
        table = read_table(read, tmp_path, SILENT)
        found = {
            (table.root / row["path"]).read_bytes(): [row[name] for name in TASKS] for _, row in table.frame.iterrows()
        }
        for _, row in wanted.frame.iterrows():
            assert found[(host.root / row["path"]).read_bytes()] == [row[name] for name in TASKS]
        assert len(table.frame) == len(ROWS)
        assert set(host.asked.values()) == {1}
    for image in list((cache / "files").rglob("*-07.png")):  # one is gone: it alone is fetched again
        image.unlink()
    read_table(read, tmp_path, SILENT)
    assert {path for path, times in host.asked.items() if times > 1} == {"/images/07.png"}


def test_what_cannot_be_had_is_listed_and_tried_again(tmp_path: Path, host: Host) -> None:
    more = {
        f"http://{host.name}/none.png": "its host answers 404 Not Found",
        f"http://{host.name}/page.png": "its bytes are no image",
        f"http://{host.name}/to/http://other.example/1.png": "data.source.fetch does not name its host, other.example",
        f"http://{host.name}/to/file:///etc/passwd": "is redirected to what is no plain http or https address",
        "http://other.example/1.png": "data.source.fetch does not name its host, other.example",
        "http://user:word@other.example/1.png": "is redirected to what is no plain http or https address",
        "s3://bucket/1.png": "data.source.fetch does not name its bucket, s3://bucket",
    }
    write_addresses(tmp_path / "labels.csv", f"http://{host.name}", *more, f"http://{host.name}/busy.png?x=1")
    read = recipe("csv", {"kind": "csv", "file": "labels.csv", "fetch": [host.name]})
    table = read_table(read, tmp_path, SILENT)
    assert len(table.frame) == len(ROWS)
    told = dict(zip(table.rejected["path"], table.rejected["reason"], strict=True))
    assert {address: told.get(address) for address in more} == more
    (host.root / "none.png").write_bytes((host.root / "images/01.png").read_bytes() + b"other")
    assert len(read_table(read, tmp_path, SILENT).frame) == len(ROWS) + 1


def test_a_busy_host_is_asked_again(host: Host) -> None:
    with pytest.raises(AddressError, match="its host answers 503"):
        read_address(f"http://{host.name}/busy.png", [host.name])
    assert read_address(f"http://{host.name}/busy.png", [host.name]).startswith(b"\x89PNG")
    assert read_address(f"http://{host.name}/to//images/03.png", [host.name]).startswith(b"\x89PNG")
    with pytest.raises(AddressError, match="is redirected more than 5 times"):
        read_address(f"http://{host.name}" + "/to/" * 6 + "/images/03.png", [host.name])


def test_too_much_is_not_read(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "MAX_BYTES", 10)
    with pytest.raises(AddressError, match="has more than 10 bytes"):
        read_address(f"http://{host.name}/images/03.png", [host.name])


def test_a_name_that_leads_into_a_network_of_ones_own_is_refused(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", host.server_port))])
    name = f"inside.example:{host.server_port}"
    with pytest.raises(AddressError, match="is in a network of its own"):
        read_address(f"http://{name}/images/03.png", [name])
    assert not host.asked


@pytest.mark.parametrize(
    "number",
    [
        *("127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
        *("::1", "fe80::1%eth0", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "ff02::1"),
    ],
)
def test_numbers_that_are_not_of_the_open_net(number: str) -> None:
    assert not is_open(number)


def test_numbers_of_the_open_net() -> None:
    assert is_open("93.184.215.14")
    assert is_open("2606:2800:21f:cb07:6820:80da:af6b:8b2c")


def test_which_hosts_are_named() -> None:
    named = ["a.example", "*.b.example", "c.example:8080"]
    for host, port in (("a.example", None), ("x.b.example", None), ("y.x.b.example", None), ("c.example", 8080)):
        assert is_allowed(host, port, named)
    for host, port in (("b.example", None), ("xa.example", None), ("a.example", 8080), ("c.example", None)):
        assert not is_allowed(host, port, named)
    assert [name_source(address) for address in ("http://127.0.0.1/a", "https://a.b/c", "gs://d/e", "http://[x")] == [
        *(None, "a.b", "gs://d", None)
    ]


@pytest.mark.parametrize("host", ["*", "http://a.example", "a b", "", "s3://", "*.*.example", "a.example/path"])
def test_a_recipe_names_hosts(host: str) -> None:
    with pytest.raises(PolyheadError, match=r"data.source.fetch.*: expected a host such as images.example.org"):
        recipe("csv", {"kind": "csv", "file": "labels.csv", "fetch": [host]})


class Bucket(MemoryFileSystem):
    protocol = "s3"
    store: dict[str, Any] = {}  # noqa: RUF012, as in the class above


def test_images_in_buckets_are_read_through_fsspec(tmp_path: Path, host: Host) -> None:
    fsspec.register_implementation("s3", Bucket, clobber=True)
    for row in ROWS[1:]:
        with fsspec.open(f"s3://bucket/{row['image']}", "wb") as stream:
            stream.write((host.root / row["image"]).read_bytes())
    write_addresses(tmp_path / "labels.csv", "s3://bucket")
    text = propose_recipe(tmp_path / "labels.csv")
    proposed = check_recipe(YAML(typ="safe", pure=True).load(text), "proposal")
    assert proposed.data.source.model_dump(exclude_defaults=True) == {"file": "labels.csv", "fetch": ["s3://bucket"]}
    table = read_table(proposed, tmp_path, SILENT)
    assert len(table.frame) == len(ROWS) - 1
    assert table.rejected["path"].tolist() == ["s3://bucket/images/00.png"]


def test_nothing_is_fetched_unasked(tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("asked for a host"))
    write_addresses(tmp_path / "labels.csv", "https://images.example/set")
    text = propose_recipe(tmp_path / "labels.csv")
    assert "fetch: [images.example]" in text
    assert "Images are fetched from images.example, once" in text
    with pytest.raises(PolyheadError, match=r"addresses \(images.example\), and nothing is fetched unasked; write the"):
        propose_values(tmp_path / "labels.csv")
    table = read_table(recipe("csv", {"kind": "csv", "file": "labels.csv"}), tmp_path, SILENT)
    assert set(table.rejected["reason"]) == {"is an address, and data.source.fetch names no host to fetch images from"}
    write_addresses(tmp_path / "labels.csv", f"http://{host.name}")
    with pytest.raises(PolyheadError, match="addresses in a network of its own"):
        propose_recipe(tmp_path / "labels.csv")
    assert not host.asked
