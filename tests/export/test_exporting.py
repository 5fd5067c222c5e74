"""A model in other formats: each runs in its own runtime, answers as the model does, and says what it is."""

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import polyhead
from conftest import TINY_RECIPE, call, draw_shapes
from polyhead.export.comparison import compare_outputs
from polyhead.model.file import Card, open_model

pytestmark = pytest.mark.slow
Outputs = dict[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, one of whose tasks has a name that is no identifier."""
    folder = tmp_path_factory.mktemp("exported")
    draw_shapes(folder / "shapes", 80)
    recipe = TINY_RECIPE.replace("  width: {", "  how wide?: {column: width, ")
    (folder / "tiny.yaml").write_text(recipe, encoding="utf-8")
    os.environ["POLYHEAD_CACHE"] = str(folder / "cache")
    polyhead.train(folder / "tiny.yaml", folder / "run", data=folder / "shapes", overrides=["training.epochs=8"])
    return folder / "run"


@pytest.fixture
def alone(run: Path, tmp_path: Path) -> Path:
    """The run's model file without the run."""
    return Path(shutil.copy(run / "model.onnx", tmp_path / "model.onnx"))


def run_litert(path: Path, images: NDArray[np.uint8]) -> tuple[Outputs, str]:
    from ai_edge_litert.interpreter import Interpreter

    serve = Interpreter(str(path)).get_signature_runner("serving_default")
    with zipfile.ZipFile(path) as archive:
        return serve(images=images), archive.read("polyhead.json").decode()


def run_saved_model(path: Path, images: NDArray[np.uint8]) -> tuple[Outputs, str]:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    found = loaded.signatures["serving_default"](images=tf.constant(images))
    return {name: value.numpy() for name, value in found.items()}, (path / "assets.extra/polyhead.json").read_text()


def run_openvino(path: Path, images: NDArray[np.uint8]) -> tuple[Outputs, str]:
    import openvino

    core = openvino.Core()
    model = core.read_model(path / "model.xml")
    found = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(images)
    return {output.any_name: found[output] for output in found}, str(model.get_rt_info("polyhead").value)


@pytest.mark.parametrize(
    ("kind", "name", "run_it"),
    [
        ("litert", "model.tflite", run_litert),
        ("saved_model", "saved_model", run_saved_model),
        ("openvino", "openvino", run_openvino),
    ],
)
def test_other_runtimes_answer_as_the_model_does(
    run: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    name: str,
    run_it: Callable[[Path, NDArray[np.uint8]], tuple[Outputs, str]],
) -> None:
    assert call("export", run, "--format", kind) == 0
    session, card = open_model(run / "model.onnx")
    for count in (1, 5):
        images = np.random.default_rng(count).integers(0, 256, (count, 16, 16, 3), np.uint8)
        outputs, said = run_it(run / name, images)
        names = [*card.tasks, "features"]
        assert set(outputs) == set(names)
        for task, expected in zip(names, session.run(names, {"images": images}), strict=True):
            np.testing.assert_allclose(outputs[task], expected, atol=1e-4, rtol=1e-4)
        assert Card.model_validate_json(said) == card
    assert "same answer for 100.00 %, accuracy" in capsys.readouterr().out
    assert call("export", run, "--format", kind) == 2  # it is there
    assert call("export", run, "--format", kind, "--force") == 0


def test_a_model_that_averages_flips_does_so_in_every_format(run: Path, tmp_path: Path) -> None:
    flips = ["network.average_flips=true", "training.epochs=1"]
    polyhead.train(run.parent / "tiny.yaml", tmp_path / "flips", data=run.parent / "shapes", overrides=flips)
    for kind in ("litert", "saved_model", "openvino", "onnx-int8"):
        assert call("export", tmp_path / "flips", "--format", kind) == 0
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    found, _ = run_openvino(tmp_path / "flips/openvino", np.concatenate([images, images[:, :, ::-1]]))
    for values in found.values():
        np.testing.assert_allclose(values[:4], values[4:], atol=1e-5, rtol=1e-5)


def test_whole_numbers_keep_the_answers_and_say_how_many(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("export", run, "--format", "onnx-int8") == 0
    told = capsys.readouterr()
    assert told.err.splitlines() == ["finding ranges on 45 train images", "comparing on 20 test images"]
    original, smaller = polyhead.load_model(run), polyhead.load_model(run / "model.int8.onnx")
    evaluation = polyhead.evaluate(run)["test"]["tasks"]
    kept = polyhead.evaluate(run / "model.int8.onnx")["test"]["tasks"]
    assert smaller.card.tasks == original.card.tasks
    assert smaller.card.digest != original.card.digest
    for task, figures in kept.items():
        assert smaller.card.figures[task]["n"] == figures["n"]
        for figure in ("accuracy", "macro_f1", "mae", "r2"):
            if figure in figures:
                assert smaller.card.figures[task][figure] == pytest.approx(figures[figure])
                assert f"{figure} {evaluation[task][figure]:.3f} -> {figures[figure]:.3f}" in told.out
    assert call("export", run / "model.int8.onnx", "--format", "openvino") == 2
    assert "is in whole numbers already" in capsys.readouterr().err


def test_a_model_file_alone_is_tried_on_given_images(
    run: Path, alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = run.parent / "shapes/images"
    (tmp_path / "broken.png").write_bytes(b"not an image")
    out = tmp_path / "deep/er/small.onnx"
    assert call("export", alone, images, tmp_path / "broken.png", "--format", "onnx-int8", "--out", out) == 0
    told = capsys.readouterr()
    assert "broken.png: not an image" in told.err
    assert "finding ranges on 40 of the 80 given images" in told.err
    assert "accuracy" not in told.out
    assert polyhead.load_model(out).card.figures == {}  # of the original, whose answers are others
    assert [path.name for path in out.parent.iterdir()] == ["small.onnx"]

    assert call("export", alone, "--data", run.parent / "shapes", "--format", "openvino") == 0
    told = capsys.readouterr()
    assert "comparing on 80 labelled images" in told.err
    assert "accuracy" in told.out


def test_a_run_whose_images_are_gone_is_tried_on_given_ones(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = shutil.copytree(run, tmp_path / "moved", ignore=shutil.ignore_patterns("openvino", "report"))
    recipe = (moved / "recipe.yaml").read_text().replace(str(run.parent / "shapes"), "/no/where")
    (moved / "recipe.yaml").write_text(recipe)
    assert call("export", moved, "--format", "openvino") == 2
    assert "/no/where: there is no such folder or file; check data.path or --data" in capsys.readouterr().err
    assert call("export", moved, run.parent / "shapes/images", "--format", "openvino") == 0
    assert "comparing on 80 given images" in capsys.readouterr().err
    assert call("export", moved, run.parent / "shapes/images", "--format", "onnx-int8", "--force") == 0
    told = capsys.readouterr().err
    assert "without the run's images (/no/where: there is no such folder" in told
    assert "comparing on 40 of the 80 given images" in told
    assert call("export", moved, "--data", run.parent / "shapes", "--format", "openvino", "--force") == 0
    assert "comparing on 20 test images" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--format", "openvino"], "what is it to be tried on? give images, --data, or its run folder"),
        (["{images}", "--format", "litert"], "litert is made from a run's weights, so give its run folder"),
        (["{images}/000.png", "--format", "onnx-int8"], "give at least two images"),
        (["{images}", "--format", "onnx-int8", "--out", "{alone}"], "is the model itself"),
        (["{images}", "--format", "openvino", "--out", "{images}"], "is not of this format"),
        (["{images}", "--format", "openvino", "--out", "{alone}/below"], "cannot be written"),
        (["no such folder", "--format", "openvino"], "no such file or folder"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(
    run: Path, alone: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    before = sorted(alone.parent.iterdir()), alone.read_bytes()
    images = run.parent / "shapes/images"
    assert call("export", alone, *(part.format(images=images, alone=alone) for part in arguments)) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("polyhead: ")
    assert words in line
    assert (sorted(alone.parent.iterdir()), alone.read_bytes()) == before


def test_weights_of_another_model_are_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other, ignore=shutil.ignore_patterns("saved_model", "report"))
    model = onnx.load(other / "model.onnx")
    card = json.loads(model.metadata_props[0].value) | {"fingerprint": "0" * 16}
    onnx.helper.set_model_props(model, {"polyhead": json.dumps(card)})
    onnx.save(model, other / "model.onnx")
    assert call("export", other, "--format", "saved_model") == 2
    assert "are other weights than those of the model file" in capsys.readouterr().err
    assert not (other / "saved_model").exists()


def test_a_comparison_counts_answers_and_measures_both_sides() -> None:
    import pandas as pd

    from polyhead.tasks import Categorical, FittedCategorical, FittedRegression, Regression, Task

    tasks: dict[str, Task] = {
        "color": Categorical(fitted=FittedCategorical(classes=["red", "blue"], counts={"red": 1})),
        "width": Regression(unit="px", fitted=FittedRegression(median=1, counts={"all": 1})),
    }
    color, width = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[10.0], [20.0]])
    before: dict[str, Any] = {"color": color, "width": width, "features": np.zeros((2, 3))}
    after = {"color": np.array([[0.4, 0.6], [0.2, 0.8]]), "width": width + 2, "features": np.full((2, 3), 0.3)}
    labels = pd.DataFrame({"color": ["red", "blue"], "width": ["10", ""]})
    found = compare_outputs(tasks, before, after, labels)
    assert found["difference"] == pytest.approx(0.5)
    assert found["tasks"]["color"]["same"] == 0.5
    assert found["tasks"]["color"]["figures"]["accuracy"] == [1.0, 0.5]
    assert found["tasks"]["width"]["same"] is None
    assert found["tasks"]["width"]["difference"] == pytest.approx(2)
    assert found["tasks"]["width"]["figures"]["mae"] == [0.0, 2.0]
    assert compare_outputs(tasks, before, before, None)["tasks"]["color"] == {
        "difference": 0.0,
        "same": 1.0,
        "figures": {},
    }
