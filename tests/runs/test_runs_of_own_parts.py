"""Parts of the user's own on the whole way: trained, exported by a child process, resumed, exported again."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import polyhead
from conftest import TINY_RECIPE, draw_shapes
from plugins import forgotten, install_guide
from polyhead.errors import PolyheadError
from polyhead.progress import Silent

OWN = [
    "network={backbone: {builder: 'my_parts:build_backbone', arguments: {filters: 4}, dense: [8]}}",
    "tasks.color.loss=my_parts:poly_loss",
    "training={epochs: 2, batch_size: 8, augment: {layers: [{builder: 'my_parts:Stripes', arguments: {every: 5}}]}}",
]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that this process alone imports from, with the guide's own examples; beside it data and a recipe."""
    install_guide(tmp_path / "code")
    monkeypatch.syspath_prepend(tmp_path / "code")
    (tmp_path / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    draw_shapes(tmp_path / "shapes", 48)
    with forgotten(tmp_path):
        yield tmp_path


class Fails(keras.callbacks.Callback):
    """Fails at the end of the first epoch, as a user's own may."""

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        raise LookupError("the user's own")


class Heard(Silent):
    """What was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, words: str) -> None:
        self.lines.append(words)


@pytest.mark.slow
def test_a_run_of_own_parts_is_trained_resumed_elsewhere_and_exported(site: Path) -> None:
    heard, recipe, run = Heard(), site / "tiny.yaml", site / "run"
    with pytest.raises(LookupError):
        polyhead.train(recipe, run, data=site / "shapes", overrides=OWN, callbacks=[Fails()], progress=heard)
    assert heard.lines[0] == f"imports my_parts (from {site / 'code/my_parts.py'})"
    command = [sys.executable, "-m", "polyhead", "resume", str(run)]
    lost = subprocess.run(command, capture_output=True, text=True, check=False, cwd=site / "code")
    assert lost.returncode == 2
    assert "network.backbone.builder: there is no module 'my_parts'" in lost.stderr  # the current folder is none to it
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site / "code"), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "imports my_parts (from " in done.stderr
    polyhead.train(recipe, site / "whole", data=site / "shapes", overrides=OWN)
    assert (run / "model.onnx").read_bytes() == (site / "whole/model.onnx").read_bytes()
    found: Any = polyhead.export(run, "saved_model")
    assert found["difference"] < 1e-4
    text = (run / "recipe.yaml").read_text(encoding="utf-8")
    (run / "recipe.yaml").write_text(text.replace("filters: 4", "filters: 8"), encoding="utf-8")
    with pytest.raises(PolyheadError, match=r"recipe\.yaml: describes another network than the model file"):
        polyhead.export(run, "saved_model", force=True)


@pytest.mark.slow
def test_a_model_that_is_handed_over_survives_resuming_and_the_export(site: Path) -> None:
    pixels = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(pixels)
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(8, 3, strides=2)(x))
    model = keras.Model(pixels, keras.layers.ReLU()(x))
    before = model.get_weights()
    stages = "training={stages: [{train: heads, epochs: 1}, {epochs: 1}], batch_size: 8}"
    given = {"data": site / "shapes", "overrides": [stages], "backbone": model}
    with pytest.raises(LookupError):
        polyhead.train(site / "tiny.yaml", site / "run", callbacks=[Fails()], **given)
    polyhead.resume(site / "run")
    assert all((one == other).all() for one, other in zip(before, model.get_weights(), strict=True))
    recipe = polyhead.load_recipe(site / "run/recipe.yaml")
    assert recipe.network.backbone
    assert recipe.network.backbone.model == "state/backbone.keras"
    assert recipe.network.trunk is None
    found: Any = polyhead.export(site / "run", "saved_model")
    assert found["difference"] < 1e-4
    # The run's recipe stands for itself: another run by it takes the network from beside it.
    polyhead.train(site / "run/recipe.yaml", site / "again")
    assert (site / "again/state/backbone.keras").exists()


@pytest.mark.slow
def test_folds_and_trials_have_the_network_in_a_file(site: Path) -> None:
    pixels = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(8, 3, strides=2)(keras.layers.Rescaling(1 / 255)(pixels))
    keras.Model(pixels, keras.layers.ReLU()(x)).save(site / "own.keras")
    values = polyhead.load_recipe(site / "tiny.yaml").override("training={epochs: 1, batch_size: 8}").to_dict()
    values["network"] = {"backbone": {"model": "own.keras"}}
    recipe = polyhead.load_recipe(values)
    recipe.save(site / "own.yaml")
    heads = {"training.stages": [{"train": "heads", "epochs": 1}]}
    run = polyhead.train(site / "own.yaml", site / "run", data=site / "shapes", overrides=heads, folds=2)
    black = np.zeros((1, 16, 16, 3), np.uint8)
    widths = {made.model.run(black)["features"].shape[1] for made in (run, *run.folds)}
    assert widths == {8}  # the folds share what none of them has trained
    pytest.importorskip("optuna")
    found = polyhead.tune(site / "own.yaml", site / "search", data=site / "shapes", minutes=60, trials=1)
    assert "image size" not in found.trials  # which the network in the file settles
    assert polyhead.train(found.recipe, site / "again").is_finished


@pytest.mark.slow
def test_a_run_of_an_installed_task_kind_goes_the_whole_way(site: Path) -> None:
    changes = ["tasks={width: {kind: stars}, color: {kind: categorical}}", "training.epochs=1"]
    run = site / "run"

    def call(*command: object) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site / "code"), *sys.path])}
        return subprocess.run(
            [sys.executable, "-m", "polyhead", *map(str, command)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    polyhead.train(site / "tiny.yaml", run, data=site / "shapes", overrides=changes)
    image = site / "shapes/images/000.png"
    (record,) = polyhead.load_model(run).predict([image])
    assert 1 <= float(str(record["answers"]["width"]["answer"])) <= 5
    refused = call("predict", run, image, "--json")
    assert refused.returncode == 2
    assert "tasks.width: the kind 'stars' is not built in" in refused.stderr
    assert json.loads(call("--plugins", "predict", run, image, "--json").stdout)["answers"] == record["answers"]
    evaluated = call("evaluate", run)
    assert evaluated.returncode == 0, evaluated.stderr
    assert "width" in evaluated.stdout
    exported = call("export", run, "--format", "saved_model")
    assert exported.returncode == 0, exported.stderr


@pytest.mark.slow
def test_a_network_that_no_model_file_may_hold_is_refused_before_it_is_trained(site: Path) -> None:
    text = """
import keras
from keras import layers, ops

class Waves(layers.Layer):
    def call(self, x):
        return ops.sin(x)

def build(input_shape):
    pixels = keras.Input(input_shape)
    return keras.Model(pixels, Waves()(layers.Conv2D(4, 3, strides=4)(pixels)))
"""
    (site / "code/odd_parts.py").write_text(text, encoding="utf-8")
    changes = ["network={backbone: {builder: 'odd_parts:build'}}", "training.epochs=1"]
    with pytest.raises(PolyheadError, match="exporting failed: ") as error:
        polyhead.train(site / "tiny.yaml", site / "run", data=site / "shapes", overrides=changes)
    assert "network.backbone: no model file may hold such a network" in str(error.value)
    assert not (site / "run").exists()
