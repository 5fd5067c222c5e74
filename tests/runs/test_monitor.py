"""Images compared with those that a model was validated on: in Python, in the shell, as a page; or refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import polyhead
from conftest import call
from drawn_model import write_model
from polyhead.model.card import read_card
from polyhead.model.file import read_model_card, write_card
from polyhead.model.predictor import Predictor
from polyhead.model.reference import Reference
from tiny_model import write_tiny_model


def paint(folder: Path, count: int, most: int, seed: int) -> Path:
    """Images of one colour each, no channel above `most`."""
    folder.mkdir()
    colors = np.random.default_rng(seed).integers(0, most, (count, 3))
    for number, color in enumerate(colors.tolist()):
        Image.new("RGB", (20, 20), tuple(color)).save(folder / f"{number:03}.png")
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The drawn model, validated on images of all colours."""
    path = write_model(tmp_path / "model.onnx")
    predictor = Predictor(path)
    batches = list(predictor.run_files(paint(tmp_path / "valid", 80, 256, 0)))
    outputs = {name: np.concatenate([batch.outputs[name] for batch in batches]) for name in batches[0].outputs}
    reference = Reference.find(predictor.card.tasks, outputs, None)
    write_card(path, read_model_card(path).model_copy(update={"reference": reference}))
    return path


def test_images_of_the_same_kind_do_not_differ(model: Path, tmp_path: Path) -> None:
    found = polyhead.monitor(model, paint(tmp_path / "now", 60, 256, 1), progress=False)
    assert found.findings == []
    assert (found.images, found.validation_images, found.unreadable, found.unfamiliar) == (60, 80, 0, None)
    assert str(found).endswith("Nothing differs clearly.")


def test_dark_images_are_told_from_bright_ones_in_words_in_json_and_on_a_page(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dark = paint(tmp_path / "now", 60, 60, 1)
    (dark / "broken.png").write_bytes(b"not an image")
    assert call("monitor", model, dark, "--out", tmp_path / "out") == 1
    said = capsys.readouterr()
    assert "1 of the images could not be read" in said.err
    assert "60 images, compared with 80 of validation" in said.out
    assert "marks: “dark” 100.0 %" in said.out
    assert "The features have moved" in said.out
    written: dict[str, Any] = json.loads((tmp_path / "out" / "monitor.json").read_text())
    assert written["answers"]["marks"]["dark"]["share"] == 1
    page = (tmp_path / "out" / "index.html").read_text()
    assert all(sentence.split("%")[0] in page for sentence in written["findings"])
    assert call("monitor", model, dark, "--out", tmp_path / "out") == 2  # it is there
    assert call("monitor", model, dark, "--out", tmp_path / "out", "--force") == 1


def test_a_file_that_does_not_tell_of_validation_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("monitor", write_tiny_model(tmp_path / "old.onnx"), paint(tmp_path / "now", 2, 256, 0)) == 2
    assert "does not tell of the images that it was validated on" in capsys.readouterr().err


def test_where_no_image_can_be_read_nothing_is_left(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "now").mkdir()
    (tmp_path / "now" / "broken.png").write_bytes(b"not an image")
    assert call("monitor", model, tmp_path / "now", "--out", tmp_path / "out") == 2
    assert "none of the 1 images can be read" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"images": 10}, "reference.images"),
        ({"spread": 0}, "reference.spread"),
        ({"mean": "?"}, "numbers in base64"),
        ({"unfamiliar": 81}, "among 80 images"),
        ({"tasks": {}}, "are not the model's"),
    ],
)
def test_what_a_strange_file_tells_is_checked(model: Path, changes: dict[str, Any], said: str) -> None:
    card = read_model_card(model)
    assert card.reference
    told = card.model_dump(mode="json") | {"reference": card.reference.model_dump() | changes}
    with pytest.raises(polyhead.PolyheadError, match=said):
        read_card(json.dumps(told).encode(), "strange.onnx")
