"""A model file that names code in its card: nothing that opens the file imports it."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

import polyhead
from conftest import call
from plugins import forgotten, install_package
from polyhead.clustering.grouping import Grouping
from polyhead.errors import PolyheadError
from polyhead.export.tensorflow import find_network_recipe
from polyhead.model.predictor import Predictor
from polyhead.server.app import create_app
from polyhead.server.limits import Limits
from tiny_model import SIZE, TASKS, write_tiny_model

KIND = "import pathlib\npathlib.Path(__file__).with_name('was_imported').touch()\n"
RECIPE = {
    "name": "hostile",
    "data": {"source": {"kind": "csv", "file": "labels.csv"}},
    "image": {"size": [SIZE, SIZE]},
    "tasks": {
        "color": {"kind": "categorical", "loss": "hostile_parts:loss"},
        "brightness": {"kind": "regression", "loss": "hostile_parts:loss"},
    },
    "network": {"backbone": {"builder": "hostile_parts:build", "arguments": {"x": 1}}},
    "training": {"augment": {"layers": [{"builder": "hostile_parts:Layer"}]}},
}


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a model file whose card names `hostile_parts`, which is there to import, and labelled images."""
    code = tmp_path / "code"
    entries = {"polyhead.tasks": {"hostile": "hostile_parts:Kind"}, "polyhead.sources": {"hostile": "hostile_parts:S"}}
    install_package(code, "hostile-parts", {"hostile_parts.py": KIND}, entries)
    monkeypatch.syspath_prepend(code)
    monkeypatch.setenv("PYTHONPATH", str(code))  # for children
    run = tmp_path / "run"
    run.mkdir()
    write_tiny_model(run / "model.onnx", {"recipe": RECIPE})
    data = tmp_path / "data"
    data.mkdir()
    rows = ["image,color,brightness"]
    for number, color in enumerate(["red", "green", "blue"] * 4):
        pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
        pixels[..., number % 3] = 50 + 10 * number
        Image.fromarray(pixels).save(data / f"{number}.png")
        rows.append(f"{number}.png,{color},{number}")
    (data / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    with forgotten(tmp_path):
        yield tmp_path


def was_imported(folder: Path) -> bool:
    return "hostile_parts" in sys.modules or (folder / "code/was_imported").exists()


@pytest.mark.slow
def test_nothing_that_opens_a_model_file_imports_what_its_card_names(hostile: Path) -> None:
    model, data = hostile / "run/model.onnx", hostile / "data"
    image = data / "0.png"
    assert [record["answers"]["color"]["answer"] for record in polyhead.load_model(model).predict([image])] == ["red"]
    assert polyhead.evaluate(model, data=data)["all"]["tasks"]["color"]["accuracy"] == 1
    polyhead.cluster(model, [data], hostile / "groups", Grouping(methods=["kmeans"], k="2"))
    client = TestClient(create_app(Predictor(model), Limits(), [], {"testserver"}))
    assert client.get("/").status_code == 200
    assert client.get("/model").status_code == 200
    assert client.post("/predict", content=image.read_bytes()).status_code == 200
    assert call("predict", model, image, "--json") == 0
    assert call("evaluate", model, "--data", data) == 0
    for kind in ("saved_model", "litert", "onnx-int8"):
        call("export", model, "--format", kind, data)
    assert not was_imported(hostile)


def test_an_export_builds_what_the_runs_own_recipe_names_or_nothing(hostile: Path) -> None:
    card = Predictor(hostile / "run").card
    with pytest.raises(PolyheadError, match=r"recipe.yaml: cannot be read as a recipe"):
        find_network_recipe(card, hostile / "run")
    own = json.loads(json.dumps(RECIPE))
    own["network"]["backbone"] = {"builder": "my_parts:build"}
    (hostile / "run/recipe.yaml").write_text(json.dumps(own), encoding="utf-8")
    with pytest.raises(PolyheadError, match=r"recipe.yaml: describes another network than the model file"):
        find_network_recipe(card, hostile / "run")
    (hostile / "run/recipe.yaml").write_text(json.dumps(RECIPE), encoding="utf-8")
    assert find_network_recipe(card, hostile / "run").network.backbone
    assert not was_imported(hostile)


def test_a_card_that_names_a_kind_of_a_package_loads_no_package(hostile: Path) -> None:
    tasks = {"color": {"kind": "hostile"}, "brightness": TASKS["brightness"].model_dump(mode="json")}
    write_tiny_model(hostile / "run/model.onnx", {"tasks": tasks})
    with pytest.raises(PolyheadError) as error:
        polyhead.load_model(hostile / "run")
    assert "tasks.color: the kind 'hostile' is not built in; where an installed package brings it" in str(error.value)
    assert "use `polyhead.load_plugins()` first" in str(error.value)
    assert not was_imported(hostile)


def test_the_command_line_says_how_it_loads_packages(hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = {"color": {"kind": "hostile"}, "brightness": TASKS["brightness"].model_dump(mode="json")}
    write_tiny_model(hostile / "run/model.onnx", {"tasks": tasks})
    assert call("predict", hostile / "run", hostile / "data/0.png") == 2
    assert "where an installed package brings it, use `polyhead --plugins` first" in capsys.readouterr().err
    assert not was_imported(hostile)
    assert call("--plugins", "predict", hostile / "run", hostile / "data/0.png") == 2  # the package is broken
    assert (hostile / "code/was_imported").exists()


def test_labels_are_not_read_by_a_source_that_a_card_names(hostile: Path) -> None:
    recipe = RECIPE | {"data": {"source": {"kind": "hostile"}}}
    write_tiny_model(hostile / "run/model.onnx", {"recipe": recipe})
    with pytest.raises(PolyheadError, match=r"data\.source\.kind: expected files, .*got 'hostile'"):
        polyhead.evaluate(hostile / "run/model.onnx", data=hostile / "data")
    assert not was_imported(hostile)
