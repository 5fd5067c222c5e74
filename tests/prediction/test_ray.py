"""Answers of a Ray cluster: the same as without, whatever is lost on the way."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import polyhead
from conftest import COLORS, call, list_leaves
from polyhead.prediction.ray_engine import PORTION, predict_on_ray
from tiny_model import write_tiny_model

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"),
]


@pytest.fixture
def cluster() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """More portions than workers; one image is broken."""
    for number in range(6 * PORTION):
        path = tmp_path / "photos" / f"{number:03}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (30, 20), list(COLORS.values())[number % 3]).save(path)
    (tmp_path / "photos/007.png").write_bytes(b"broken")
    return tmp_path / "photos"


def parents(process: int) -> Iterator[int]:
    while process > 1:
        status = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2]
        process = int(status.split()[1])
        yield process


def find_workers() -> list[int]:
    """The processes below this one that answer."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"ray::MapWorker" in entry.read_bytes() and os.getpid() in parents(int(entry.parent.name)):
                found.append(int(entry.parent.name))
        except OSError:  # it has ended meanwhile
            continue
    return found


def test_a_lost_worker_costs_no_answer(cluster: None, folder: Path, tmp_path: Path) -> None:
    predictor = polyhead.load_model(write_tiny_model(tmp_path / "model.onnx"))
    images = sorted(folder.iterdir())
    Image.new("RGB", (5000, 5000), "red").save(tmp_path / "large.png")
    for image in images[PORTION + 30 : PORTION + 50]:  # whoever has these in hand is at it for seconds
        image.unlink()
        os.link(tmp_path / "large.png", image)
    expected = {record.image: record for record in predictor.answer(images)}
    answers = predict_on_ray(predictor, images)
    found = [next(answers)]
    workers = find_workers()
    assert workers
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    found += answers
    assert len(found) == len(images)
    for record in found:
        other = expected.pop(record.image)
        assert record.error == other.error
        if not record.error:
            assert record.answers["color"].label == other.answers["color"].label
            numbers = [each.answers["brightness"].to_dict()["answer"] for each in (record, other)]
            assert numbers[0] == pytest.approx(numbers[1], rel=1e-4)
    assert not expected


def test_the_command_line_gives_the_same_answers_on_it(
    cluster: None, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_tiny_model(tmp_path / "model.onnx")
    answered = []
    for engine in ("threads", "ray"):
        assert call("predict", model, folder, "--json", "--engine", engine) == 1
        records = map(json.loads, capsys.readouterr().out.splitlines())
        answered.append(list_leaves(sorted(records, key=lambda record: record["image"])))
    here, there = answered
    assert there == pytest.approx(here, abs=1e-4)
