"""From images in any form to answers, in a program; and what is refused as a model."""

import io
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from PIL import Image

import polyhead
from conftest import COLORS
from polyhead.data.threads import count_cores
from polyhead.model.predictor import BATCH, Predictor
from polyhead.model.records import flat_columns
from tiny_model import TASKS, write_tiny_model

Pixels = NDArray[np.uint8]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "model.onnx")


def paint(color: str, height: int = 20, width: int = 30) -> Pixels:
    return np.full((height, width, 3), COLORS[color], np.uint8)


def write(path: Path, pixels: Pixels) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def as_bytes(pixels: Pixels, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


@pytest.mark.parametrize(
    "give",
    [
        lambda folder: write(folder / "blue.png", paint("blue")),
        lambda folder: str(write(folder / "blue.png", paint("blue"))),
        lambda folder: as_bytes(paint("blue")),
        lambda folder: Image.open(write(folder / "blue.png", paint("blue"))),
        lambda folder: paint("blue"),
        lambda folder: paint("blue", 40, 30)[::2],  # not contiguous
        lambda folder: np.dstack([paint("blue"), np.full((20, 30), 255, np.uint8)]),
    ],
    ids=["path", "text", "bytes", "pillow", "array", "view", "alpha"],
)
def test_an_image_in_any_form_has_the_same_answer(give: Callable[[Path], object], model: Path, tmp_path: Path) -> None:
    image = give(tmp_path)
    (record,) = polyhead.load_model(model).predict(image)
    assert record["image"] == (str(image) if isinstance(image, str | Path) else None)
    assert record["answers"]["color"]["answer"] == "blue"
    assert record["answers"]["brightness"]["answer"] == pytest.approx(100 * (50 + 70 + 220) / 3 / 255, abs=1e-3)


def test_a_grey_array_is_a_grey_image(model: Path) -> None:
    (record,) = polyhead.load_model(model).predict(np.full((9, 9), 51, np.uint8))
    assert record["answers"]["brightness"]["answer"] == pytest.approx(20, abs=1e-3)
    assert record["answers"]["color"]["probability"] == pytest.approx(1 / 3)
    assert record["answers"]["color"]["unsure"]  # below the task's own 0.5


def test_many_images_are_answered_in_order_from_any_iterable(model: Path) -> None:
    colors = [list(COLORS)[number * 7 % 3] for number in range(10 * BATCH + 3)]
    predictor = polyhead.load_model(model)
    for images in (
        [paint(color) for color in colors],
        (paint(color) for color in colors),
        np.stack([paint(color) for color in colors]),
    ):
        assert [record["answers"]["color"]["answer"] for record in predictor.predict(images)] == colors
    assert list(predictor.predict([])) == []


def test_a_generator_is_drawn_from_only_a_little_ahead_of_the_answers(model: Path) -> None:
    drawn = 0

    def draw() -> Iterator[Pixels]:
        nonlocal drawn
        for _ in range(2000):
            drawn += 1
            yield paint("red")

    for answered, _ in enumerate(polyhead.load_model(model).predict(draw()), 1):
        assert drawn - answered <= BATCH * (2 * (count_cores() + 1) + 1)
    assert drawn == 2000


def test_an_answer_that_is_asked_for_no_more_ends_the_work(model: Path) -> None:
    answers = polyhead.load_model(model).predict(paint("red") for _ in iter(int, 1))  # without end
    assert next(answers)["error"] is None
    answers.close()  # type: ignore[attr-defined]


def test_what_the_images_raise_is_raised(model: Path) -> None:
    def draw() -> Iterator[Pixels]:
        yield from [paint("red")] * 3 * BATCH
        raise KeyError("no more")

    with pytest.raises(KeyError, match="no more"):
        list(polyhead.load_model(model).predict(draw()))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("nowhere.jpg", "No such file or directory"),
        (".", "is not a regular file"),
        ("a\0b.jpg", "embedded null"),
        (b"", "empty file"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG is not a format that is read here; convert it"),
        (as_bytes(paint("red"), "JPEG")[:300], "truncated: "),
        (np.zeros((4, 4, 3), np.float32), "expected an array of uint8 (height, width), "),
        (np.zeros((4, 4, 2), np.uint8), "got uint8 (4, 4, 2)"),
        (np.zeros((0, 4, 3), np.uint8), "got uint8 (0, 4, 3)"),
        (None, "expected a path, bytes, a Pillow image or an array; got NoneType"),
        (7, "got int"),
    ],
)
def test_an_unreadable_image_costs_one_row(broken: object, reason: str, model: Path) -> None:
    images = [paint("red")] * 9 + [broken] + [paint("green")] * 9
    records = list(polyhead.load_model(model).predict(images))
    assert [record["answers"].get("color", {}).get("answer") for record in records] == (
        ["red"] * 9 + [None] + ["green"] * 9
    )
    assert [record["error"] for record in records if record["error"]] == [records[9]["error"]]
    assert reason in str(records[9]["error"])


def test_an_opened_picture_can_be_given_many_times(model: Path, tmp_path: Path) -> None:
    with Image.open(write(tmp_path / "red.png", paint("red", 600, 600))) as picture:
        records = list(polyhead.load_model(model).predict([picture] * 5 * BATCH))
    assert {record["error"] for record in records} == {None}
    with Image.open(io.BytesIO(as_bytes(paint("red", 600, 600), "JPEG")[:-900])) as picture:
        (record,) = polyhead.load_model(model).predict(picture)
    assert str(record["error"]).startswith("truncated: ")


def test_a_table_has_the_columns_of_the_csv(model: Path) -> None:
    predictor = polyhead.load_model(model)
    frame = predictor.predict_table([paint("red"), b"", paint("blue")])
    assert list(frame.columns) == flat_columns(TASKS)
    assert frame["color.answer"].fillna("").tolist() == ["red", "", "blue"]
    assert frame["error"].fillna("").tolist() == ["", "empty file", ""]
    assert list(predictor.predict_table([]).columns) == flat_columns(TASKS)


def test_a_large_batch_is_worked_out_like_its_images_one_by_one(model: Path) -> None:
    predictor = polyhead.load_model(model)
    pixels = np.random.default_rng(0).integers(0, 256, (5 * BATCH + 1, 16, 16, 3), np.uint8)
    whole = predictor.run(pixels)
    for name in ("color", "brightness", "features"):
        singly = np.concatenate([predictor.run(image[np.newaxis])[name] for image in pixels])
        np.testing.assert_allclose(whole[name], singly, rtol=1e-5)


def test_a_model_that_is_replaced_while_in_use_is_refused(model: Path) -> None:
    predictor = Predictor(model)
    write_tiny_model(model, {"note": "another"})
    with pytest.raises(polyhead.PolyheadError, match=r"model\.onnx: was replaced by another model while it was in use"):
        list(predictor.predict([paint("red")] * 3 * BATCH))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def describe(**card: object) -> Callable[[Path], object]:
    return lambda path: write_tiny_model(path, card)


def undescribe(path: Path) -> None:
    model = onnx.load(str(path))
    del model.metadata_props[:]
    onnx.save(model, str(path))


def move_weights_out(path: Path) -> None:
    onnx.save(onnx.load(str(path)), str(path), save_as_external_data=True, location="weights", size_threshold=0)


def rename_output(path: Path) -> None:
    model = onnx.load(str(path))
    model.graph.output[0].name = "features"
    del model.graph.output[2]
    onnx.save(model, str(path))


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut, "is not an ONNX model that can be read"),
        (lambda path: path.write_bytes(b""), "is not an ONNX model that can be read"),
        (lambda path: path.write_bytes(b"PK\3\4" * 99), "is not an ONNX model that can be read"),
        (lambda path: path.unlink(), "no such file; give a model.onnx or a run folder"),
        (make_folder, "there is no model.onnx in it"),
        (move_weights_out, "is not an ONNX model that can be read"),
        (undescribe, "is an ONNX model, but not one that Polyhead wrote"),
        (describe(image={"size": [10**9, 10**9]}), "what it says of itself cannot be used: image.size.0: "),
        (describe(format=2), "what it says of itself cannot be used: format: "),
        (describe(tasks={}), "what it says of itself cannot be used: tasks: "),
        (describe(tasks=dict.fromkeys(["color"], TASKS["brightness"])), "should give 1 values for color, and gives 3"),
        (describe(tasks=TASKS | {"size": TASKS["color"]}), "should give 3 values for size, and gives none"),
        (lambda path: write_tiny_model(path, size=32), "its input is not images of the size that it says, (16, 16)"),
        (rename_output, "should give 3 values for color, and gives none"),
    ],
)
def test_a_file_that_is_no_model_of_ours_gets_one_line(
    spoil: Callable[[Path], object], message: str, model: Path
) -> None:
    spoil(model)
    with pytest.raises(polyhead.PolyheadError) as caught:
        polyhead.load_model(model)
    assert message in str(caught.value)
    assert str(model.name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_image_is_answered_without_the_libraries_of_training(model: Path, tmp_path: Path) -> None:
    shutil.copy(write(tmp_path / "red.png", paint("red")), tmp_path / "one.png")
    code = (
        "import sys; from polyhead.cli.app import main; sys.argv[0] = 'polyhead'\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "sys.exit(', '.join({'keras', 'pandas', 'sklearn', 'scipy', 'onnx', 'pyarrow'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, "predict", str(model), str(tmp_path / "one.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == "\n"  # sys.exit prints what was imported in vain
    assert done.stdout.startswith(f"{tmp_path / 'one.png'}: color: red (100.00%), brightness: ")
