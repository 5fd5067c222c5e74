"""Polyhead in Python: what is public, and the whole way with objects."""

import inspect
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import polyhead
from conftest import TINY_RECIPE, draw_shapes
from polyhead.errors import PolyheadError
from polyhead.model.inputs import read_pixels
from polyhead.recipe.yaml import read_yaml
from tiny_model import write_tiny_model

TINY: dict[str, Any] = read_yaml(TINY_RECIPE, "tiny")
SETTINGS = {"training.epochs": 2}


def read_frame(shapes: Path) -> pd.DataFrame:
    """The drawn shapes as a program holds them: paths, bytes, Pillow images and arrays; lists, numbers, None."""
    frame = pd.read_csv(shapes / "labels.csv", keep_default_na=False, dtype=str)
    frame["width"] = [float(text) if text else np.nan for text in frame["width"]]
    frame["marks"] = [None if not text else [] if text == "none" else text.split("|") for text in frame["marks"]]
    frame["color"] = [text or None for text in frame["color"]]
    paths = [shapes / name for name in frame["image"]]
    pictures: list[Any] = list(paths)
    pictures[1::4] = [path.read_bytes() for path in paths[1::4]]
    pictures[2::4] = [Image.open(io.BytesIO(path.read_bytes())) for path in paths[2::4]]
    pictures[3::4] = [np.asarray(Image.open(io.BytesIO(path.read_bytes()))) for path in paths[3::4]]
    return frame.drop(columns="image").assign(photo=pictures)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api")
    os.environ["POLYHEAD_CACHE"] = str(folder / "cache")
    return draw_shapes(folder / "shapes", 48).parent


@pytest.fixture(scope="module")
def run(shapes: Path) -> polyhead.Run:
    """A finished run of a DataFrame."""
    recipe = polyhead.load_recipe(TINY)
    return polyhead.train(
        recipe, data=read_frame(shapes), out=shapes.parent / "run", overrides=SETTINGS, progress=False
    )


def test_public_names_are_listed_and_say_what_they_are_for() -> None:
    assert set(dir(polyhead)) == {*polyhead.__all__, "__version__"}
    for name in polyhead.__all__:
        thing = getattr(polyhead, name)
        assert thing.__doc__, name
        members = [] if not inspect.isclass(thing) else [m for key, m in vars(thing).items() if not key.startswith("_")]
        for member in members:
            if inspect.isfunction(member) or isinstance(member, property):
                assert member.__doc__, f"{name}.{member}"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = polyhead.nothing  # type: ignore[attr-defined]


def test_no_public_signature_takes_or_gives_just_anything() -> None:
    for name in polyhead.__all__:
        thing = getattr(polyhead, name)
        members = [(name, thing)] if inspect.isfunction(thing) else inspect.getmembers(thing, inspect.isfunction)
        for key, function in members:
            if function.__module__.startswith("polyhead") and not key.startswith("_"):
                words = str(inspect.signature(function)).replace("numpy.ndarray[tuple[typing.Any, ...]", "array")
                assert "Any" not in words, f"{name}: {key}{words}"


@pytest.mark.slow
def test_a_frames_run_is_a_run_like_any_other(run: polyhead.Run, shapes: Path) -> None:
    assert {path.name for path in run.path.iterdir()} >= {"recipe.yaml", "data", "model.onnx", "evaluation.json"}
    source = run.recipe.data.source
    assert source.model_dump()["image"] == "photo"
    assert run.recipe.data.path == str(run.path / "data")
    written = polyhead.train(TINY, shapes.parent / "files", data=shapes, overrides=SETTINGS, progress=False)
    assert len(run.model.card.rows) == len(written.model.card.rows)
    assert run.recipe.diff(written.recipe).keys() == {"data.path", "data.source.image"}
    pixels: dict[bool, set[bytes]] = {True: set(), False: set()}
    for other in (run, written):
        table = pd.read_csv(other.path / "table.csv")
        root = Path(str(other.recipe.data.path))
        pixels[other is run] |= {read_pixels(root / path, (16, 16), "stretch").tobytes() for path in table["path"]}
    assert pixels[True] == pixels[False]


@pytest.mark.slow
def test_a_frames_run_is_resumed_and_evaluated(run: polyhead.Run, shapes: Path) -> None:
    (run.path / "evaluation.json").rename(shapes.parent / "kept.json")
    again = polyhead.resume(run, progress=False)
    assert again == run
    assert run.evaluation == json.loads((shapes.parent / "kept.json").read_text(encoding="utf-8"))
    assert polyhead.evaluate(run, progress=False)["test"] == run.evaluation["test"]
    found = run.model.evaluate(read_frame(shapes), progress=False)
    assert found["all"].tasks["color"].n == read_frame(shapes)["color"].notna().sum()
    same = run.model.evaluate(shapes, split="all", overrides=["data.source.image=image"], progress=False)
    for name, task in same["all"].tasks.items():
        assert found["all"].tasks[name].metrics == pytest.approx(task.metrics)
    other = read_frame(shapes).rename(columns={"color": "Colour", "photo": "scan"})[["Colour", "scan"]]
    again_found = run.model.evaluate(other, progress=False)["all"].tasks["color"]
    assert again_found.metrics == found["all"].tasks["color"].metrics


@pytest.mark.slow
def test_a_run_holds_all_that_came_of_it(run: polyhead.Run) -> None:
    assert os.fspath(run) == str(run) == str(run.path)
    assert run / "model.onnx" == run.path / "model.onnx"
    assert polyhead.load_run(str(run)) == run
    assert run.history["epoch"].tolist() == [1, 2]
    assert run.report.is_file()
    assert len(run.predictions) == run.model.card.rows["test"]
    assert run.predictions.columns.tolist() == run.model.predict_table([b""]).columns.tolist()
    assert run.recipe.training.epochs == 2
    assert run.evaluation["test"].tasks["color"].metrics["accuracy"] == run.model.card.figures["color"]["accuracy"]
    assert run.evaluation.to_dict() == json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    assert repr(run) == f"<Run {run.path}>"
    assert "color" in run._repr_html_()


@pytest.mark.slow
def test_the_keras_model_is_the_one_in_the_file(run: polyhead.Run, shapes: Path) -> None:
    pixels = np.stack([read_pixels(path, (16, 16), "stretch") for path in sorted(shapes.rglob("*.png"))[:8]])
    found = {name: np.asarray(values) for name, values in run.keras_model()(pixels).items()}
    for name, values in run.model.run(pixels).items():
        np.testing.assert_allclose(found[name], values, atol=1e-4)
    (run / "state/kept.weights.h5").rename(run / "state/aside")
    try:
        with pytest.raises(PolyheadError, match=r"kept\.weights\.h5: is missing"):
            run.keras_model()
    finally:
        (run / "state/aside").rename(run / "state/kept.weights.h5")


@pytest.mark.slow
def test_a_dataset_trains_by_its_own_splits(shapes: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    frame = read_frame(shapes)
    names = ["blue", "green", "red"]
    rows: dict[str, list[Any]] = {
        "photo": [{"bytes": path.read_bytes(), "path": None} for path in sorted(shapes.rglob("*.png"))],
        "color": [names.index(color) if color in names else -1 for color in frame["color"]],
    }
    features = datasets.Features({"photo": datasets.Image(), "color": datasets.ClassLabel(names=names)})
    whole = datasets.Dataset.from_dict(rows, features=features)
    ends = {"train": (0, 30), "validation": (30, 38), "test": (38, 48)}
    parts = datasets.DatasetDict({name: whole.select(range(*end)) for name, end in ends.items()})
    recipe = {**TINY, "tasks": {"color": {"kind": "categorical"}}, "data": {}}
    settings = SETTINGS | {"data.max_rejected": 0.2}
    run = polyhead.train(recipe, data=parts, out=tmp_path / "run", overrides=settings, progress=False)
    known = [label >= 0 for label in rows["color"]]
    assert run.model.card.rows == {"train": sum(known[:30]), "valid": sum(known[30:38]), "test": sum(known[38:])}
    assert run.model.tasks["color"].names == tuple(names)
    assert polyhead.evaluate(run, data=parts["test"], progress=False)["all"].tasks == run.evaluation["test"].tasks
    table = run.model.predict_table(parts["test"])
    assert len(table) == 10
    with pytest.raises(PolyheadError, match=r"one part of the DatasetDict"):
        run.model.evaluate(parts, progress=False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"color": [b"x"] * 4}, "row 0, column color: expected text, a number, or a list of them; got bytes"),
        ({"hue": ["red"] * 4, "color": None}, "tasks.color: 'color' is not a column of the DataFrame"),
        ({"photo": ["no such.png"] * 4}, "no such file"),
        ({"photo": None}, "data.source.image: no column holds images in the DataFrame"),
    ],
)
def test_a_wrong_frame_leaves_nothing_behind(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    columns: dict[str, Any] = {"photo": [b"no image"] * 4, "color": ["red", "blue"] * 2} | change
    frame = pd.DataFrame({name: cells for name, cells in columns.items() if cells is not None})
    recipe = {**TINY, "tasks": {"color": {"kind": "categorical"}}}
    with pytest.raises(PolyheadError) as error:
        polyhead.train(recipe, tmp_path / "run", data=frame, progress=False)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_explore_shows_a_frame(shapes: Path, tmp_path: Path) -> None:
    page = polyhead.explore(TINY, tmp_path / "page", data=read_frame(shapes), progress=False)
    assert page.is_file()


@pytest.fixture
def model(tmp_path: Path) -> polyhead.Model:
    card = {"name": "<b>tiny</b>", "description": "<script>", "figures": {"color": {"accuracy": 0.5, "n": 2}}}
    return polyhead.load_model(write_tiny_model(tmp_path / "model.onnx", card))


def paint(color: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (20, 20), color).save(stream, "PNG")
    return stream.getvalue()


def test_a_model_answers_for_tables_and_folders(model: polyhead.Model, tmp_path: Path) -> None:
    frame = pd.DataFrame({"photo": [paint("red"), None, paint("blue")], "note": "x"}, index=[7, 8, 9])
    table = model.predict_table(frame)
    assert table.index.tolist() == [7, 8, 9]
    assert table["color.answer"].tolist()[::2] == ["red", "blue"]
    assert table["error"].isna().tolist() == [True, False, True]
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.png").write_bytes(paint("green"))
    (record,) = model.predict(tmp_path / "images")
    assert record["answers"]["color"]["answer"] == "green"
    assert record["image"] == str(tmp_path / "images/a.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PolyheadError, match="there is no image in it"):
        list(model.predict(tmp_path / "empty"))


def test_a_model_without_a_recipe_says_so_when_it_is_to_be_evaluated(model: polyhead.Model) -> None:
    with pytest.raises(PolyheadError, match=r"model\.onnx: name: is missing"):
        model.evaluate(pd.DataFrame({"photo": [paint("red")], "color": ["red"]}), progress=False)


def test_another_files_place_is_no_matter_where_a_table_is_given(tmp_path: Path) -> None:
    source = {"kind": "csv", "file": "/etc/labels.csv", "image": "photo"}
    tasks = {"color": {"kind": "categorical"}, "brightness": {"kind": "regression"}}
    network = {"trunk": {"blocks": [{"filters": 1}]}}
    recipe = {"name": "tiny", "data": {"source": source}, "tasks": tasks, "network": network}
    model = polyhead.load_model(write_tiny_model(tmp_path / "model.onnx", {"recipe": recipe}))
    labels = {"color": ["red", "green"], "brightness": [33.3, None]}
    frame = pd.DataFrame({"photo": [paint("red"), paint("blue")], **labels})
    found = model.evaluate(frame, progress=False)
    assert found["all"].tasks["color"].metrics["accuracy"] == 0.5
    assert found["all"].tasks["brightness"].n == 1
    with pytest.raises(PolyheadError, match="names a file outside of the data"):
        model.evaluate(tmp_path, split="all", progress=False)


def test_features_of_what_cannot_be_read_are_unknown_and_warned_of(
    model: polyhead.Model, caplog: pytest.LogCaptureFixture
) -> None:
    found = model.embed([paint("red"), b"", paint("blue")])
    assert found.shape == (3, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[[0, 2]], [[1, 0, 0], [0, 0, 1]], atol=1e-6)
    assert np.isnan(found[1]).all()
    assert caplog.messages == ["1 images could not be read: their features are NaN"]
    assert model.embed([]).shape[0] == 0


def test_a_model_shows_itself_and_no_name_is_taken_for_html(model: polyhead.Model) -> None:
    assert list(model.tasks) == ["color", "brightness"]
    page = model._repr_html_()
    assert "<script>" not in page
    assert "&lt;b&gt;tiny&lt;/b&gt;" in page
    assert "accuracy 0.500" in page
    assert "color (categorical)" in repr(model)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    for wrong in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(PolyheadError, match="run folder"):
            polyhead.load_run(wrong)
    (tmp_path / "recipe.yaml").write_text("name: <i>", encoding="utf-8")
    run = polyhead.load_run(tmp_path)
    assert not run.is_finished
    assert "(unfinished)" in repr(run)
    assert "not finished" in run._repr_html_()
    for ask in ("evaluation", "history", "predictions", "model", "recipe"):
        with pytest.raises(PolyheadError):
            getattr(run, ask)
