"""Which images are unlike those that a model was trained on: found, kept in the file, said with every answer."""

import base64
import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError
from rich.console import Console
from starlette.testclient import TestClient

import polyhead
from conftest import call
from drawn_model import write_model
from polyhead.cli.terminal import _draw_table
from polyhead.errors import PolyheadError
from polyhead.export.averaging import average_models
from polyhead.model.card import Card
from polyhead.model.familiarity import MOST_DIRECTIONS, Familiarity
from polyhead.model.file import read_model_card, write_card
from polyhead.model.predictor import Predictor
from polyhead.model.records import Record, flat_columns, flatten_record, tell_record
from polyhead.prediction.annotating import draw_answers
from polyhead.server.app import create_app
from tiny_model import write_tiny_model

Floats = NDArray[np.float64]


def draw(count: int, seed: int, width: int = 40, spread: float = 0.05) -> Floats:
    """Features that differ in two directions, and a little in all others."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(np.random.default_rng(9).normal(size=(width, 2)))[0].T
    return np.asarray(3 + rng.normal(size=(count, 2)) @ axes * 5 + rng.normal(size=(count, width)) * spread)


def find(train: Floats, valid: Floats) -> Familiarity:
    found = Familiarity.find(train, valid)
    assert found
    return found


def greys(count: int, seed: int) -> Floats:
    """The features of the drawn model for images that are nearly grey."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.uniform(0.1, 0.9, (count, 1)) + rng.normal(0, 0.01, (count, 3)))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The drawn model, as if it had been trained on grey images."""
    path = write_model(tmp_path / "model.onnx")
    write_card(path, read_model_card(path).model_copy(update={"familiarity": find(greys(200, 0), greys(100, 1))}))
    return path


def paint(path: Path, color: tuple[int, int, int]) -> Path:
    Image.new("RGB", (20, 20), color).save(path)
    return path


def test_of_images_like_those_of_validation_one_of_a_hundred_is_unfamiliar() -> None:
    found = find(draw(400, 0), draw(1000, 1))
    rates = found.rate(draw(20_000, 2))
    assert 0.003 < (rates > found.threshold).mean() < 0.025
    assert found.calibrated_on == 1000
    assert ((rates >= 0) & (rates <= 1)).all()
    others = np.random.default_rng(3).normal(size=(50, 40)) * 5
    assert (found.rate(others) > found.threshold).all()


def test_few_validation_images_give_the_threshold_of_the_least_familiar_of_them() -> None:
    found = find(draw(400, 0), draw(30, 1))
    assert found.threshold == found.rate(draw(30, 1)).max()


@pytest.mark.parametrize(
    ("train", "valid"),
    [
        (draw(100, 0), draw(29, 1)),
        (draw(1, 0), draw(50, 1)),
        (np.full((100, 4), 2.0), np.full((50, 4), 2.0)),
        (draw(100, 0)[:, :1], draw(50, 1)[:, :1]),
        (np.outer(np.arange(100.0), [1, 2, 3]), draw(50, 1)[:, :3]),
    ],
    ids=[
        "few validation images",
        "one training image",
        "constant",
        "one number",
        "one direction and nothing beyond it",
    ],
)
def test_where_nothing_can_be_told_nothing_is(train: Floats, valid: Floats) -> None:
    assert Familiarity.find(train, valid) is None


@pytest.mark.parametrize(("count", "width"), [(300, 40), (20, 64), (500, 2000)])
def test_what_is_kept_is_small_and_says_the_same_when_it_is_read(count: int, width: int) -> None:
    found = find(draw(count, 0, width, 2), draw(60, 1, width, 2))
    text = found.model_dump_json()
    assert len(text) < 2**20
    again = Familiarity.model_validate_json(text)
    rows = draw(30, 2, width, 2).astype(np.float32)
    np.testing.assert_array_equal(again.rate(rows), found.rate(rows))
    assert again.width == width
    np.testing.assert_array_equal(
        np.concatenate([found.rate(rows[at : at + 7]) for at in range(0, 30, 7)]), found.rate(rows)
    )
    np.testing.assert_array_equal(found.rate(np.concatenate([rows, rows], axis=1)), found.rate(rows))


def test_features_of_any_size_have_a_rate() -> None:
    found = find(draw(400, 0), draw(100, 1))
    rows = np.array([[3.4e38] * 40, [-3.4e38] * 40, [0.0] * 40, [1e-45] * 40], np.float32)
    assert ((found.rate(rows) >= 0) & (found.rate(rows) <= 1)).all()
    assert found.rate(found._arrays.mean[np.newaxis]) == 0


def pack(values: Any, kind: str) -> str:
    return base64.b64encode(np.asarray(values, kind).tobytes()).decode()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mean": "?"}, "mean: expected numbers in base64"),
        ({"mean": ""}, "mean: expected up to"),
        ({"mean": "AAA="}, "mean: expected numbers in base64"),
        ({"mean": pack([0, np.nan, 1], "<f4")}, "mean: expected finite numbers"),
        ({"mean": "A" * 2**22}, "at most"),
        ({"directions": ""}, "directions: expected rows of 3"),
        ({"directions": pack([1, 0], "<f2")}, "directions: expected rows of 3"),
        ({"directions": pack([1, 1, 0], "<f2")}, "directions: expected vectors of length 1"),
        ({"directions": pack([np.inf, 0, 0], "<f2")}, "directions: expected finite"),
        ({"directions": pack(np.eye(3)[[0, 1, 2, 0]], "<f2")}, "directions: expected vectors"),
        ({"directions": pack(np.eye(200)[: MOST_DIRECTIONS + 1], "<f2"), "mean": pack([0] * 200, "<f4")}, "vectors"),
        ({"threshold": 2}, "threshold"),
        ({"threshold": None}, "threshold"),
        ({"familiar": 1}, "familiar"),
        ({"calibrated_on": 0}, "calibrated_on"),
        ({"more": 1}, "more"),
    ],
)
def test_what_no_training_leaves_is_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    whole = {
        "mean": pack([0, 0, 0], "<f4"),
        "directions": pack([1, 0, 0], "<f2"),
        "threshold": 0.5,
        "calibrated_on": 40,
    }
    Familiarity.model_validate(whole)
    with pytest.raises(ValidationError):
        Familiarity.model_validate(whole | changes)
    path = write_tiny_model(tmp_path / "model.onnx", {"familiarity": whole | changes})
    with pytest.raises(PolyheadError) as caught:
        Predictor(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_of_more_features_than_the_graph_gives_is_refused(tmp_path: Path) -> None:
    wide = find(draw(100, 0), draw(50, 1)).model_dump()
    with pytest.raises(PolyheadError, match="gives fewer features than the 40"):
        Predictor(write_tiny_model(tmp_path / "model.onnx", {"familiarity": wide}))


def test_every_answer_says_whether_the_image_is_unfamiliar(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known, other = paint(tmp_path / "grey.png", (120, 121, 119)), paint(tmp_path / "red.png", (250, 10, 10))
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    predictor = polyhead.load_model(model)
    records = list(predictor.predict([known, other, broken]))
    assert [record.get("unfamiliar") for record in records] == [False, True, None]
    assert "unfamiliarity" not in records[2]
    assert records[0]["unfamiliarity"] < 0.5 < records[1]["unfamiliarity"] <= 1
    for record, same in zip(records, predictor.answer([known, other, broken]), strict=True):
        again = Record.from_dict(record, predictor.card.tasks)
        assert (again.unfamiliar, again.unfamiliarity) == (same.unfamiliar, same.unfamiliarity)
        assert again.to_dict() == record

    frame = predictor.predict_table([known, other, broken])
    assert list(frame.columns) == flat_columns(predictor.card.tasks, rated=True)
    assert list(frame.columns)[2:4] == ["unfamiliar", "unfamiliarity"]
    assert frame["unfamiliar"].tolist()[:2] == [False, True]
    assert frame["unfamiliarity"].isna().tolist() == [False, False, True]

    assert call("predict", model, known, other, broken, "--json") == 1
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == records
    assert call("predict", model, known, other, "--csv", tmp_path / "out.csv") == 0
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["unfamiliar"] for row in rows] == ["False", "True"]
    assert [float(row["unfamiliarity"]) for row in rows] == [record["unfamiliarity"] for record in records[:2]]
    parquet = pytest.importorskip("pyarrow.parquet")
    assert call("predict", model, known, broken, "--parquet", tmp_path / "out.parquet") == 1
    assert parquet.read_table(tmp_path / "out.parquet")["unfamiliar"].to_pylist() == [False, None]

    files = [("images", (path.name, path.read_bytes())) for path in (known, other)]
    with TestClient(create_app(predictor)) as client:
        served = client.post("/predict", files=files).json()
    assert [record["unfamiliar"] for record in served] == [False, True]
    lines = [tell_record(record) for record in predictor.answer([known, other])]
    assert ["(unfamiliar)" in line for line in lines] == [False, True]
    grey, red = predictor.answer([known, other])
    screen = Console(file=io.StringIO(), width=200)
    screen.print(_draw_table([grey, red]))
    table = screen.file.getvalue()  # type: ignore[attr-defined]
    assert [line for line in table.splitlines() if "(unfamiliar)" in line] == [
        line for line in table.splitlines() if "red.png" in line
    ]
    drawn, quiet = (
        np.asarray(draw_answers(Image.new("RGB", (400, 400)), one)) for one in (red, replace(red, unfamiliar=False))
    )
    assert drawn.sum() > quiet.sum()
    assert not grey.unfamiliar


def test_an_older_file_answers_as_before(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.onnx")
    predictor = polyhead.load_model(path)
    (record,) = predictor.predict([paint(tmp_path / "red.png", (250, 10, 10))])
    assert set(record) == {"image", "error", "answers"}
    assert list(flatten_record(next(predictor.answer(tmp_path / "red.png")))) == flat_columns(predictor.card.tasks)
    with TestClient(create_app(predictor)) as client:
        content = io.BytesIO()
        Image.new("RGB", (9, 9)).save(content, "PNG")
        assert set(client.post("/predict", content=content.getvalue()).json()[0]) == {"image", "error", "answers"}


def test_an_average_of_networks_goes_by_the_first_one(tmp_path: Path) -> None:
    first = find(greys(200, 0), greys(100, 1)).model_dump()
    models = [write_tiny_model(tmp_path / "1.onnx", {"familiarity": first}), write_tiny_model(tmp_path / "2.onnx")]
    card: Card = read_model_card(models[1])
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    average_models(models, tmp_path / "model.onnx", card, pixels)
    made, one = Predictor(tmp_path / "model.onnx"), Predictor(models[0])
    assert made.card.familiarity == one.card.familiarity
    assert [r.unfamiliarity for r in made.answer(list(pixels))] == [r.unfamiliarity for r in one.answer(list(pixels))]
