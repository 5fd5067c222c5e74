"""The learning curve of a run from a pretrained backbone: there once, bounded, and the same after an interruption."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

import polyhead
from conftest import TINY_RECIPE, call, draw_shapes
from polyhead.data.table import Dataset, load_dataset
from polyhead.progress import SILENT
from polyhead.recipe.loading import load_recipe
from polyhead.recipe.schema import Recipe
from polyhead.run_folder import RunFolder
from polyhead.runs.learning_curve import explain_missing, request_features
from polyhead.training.frozen import FeatureRequest, Vectors

Given = tuple[NDArray[np.intp], Vectors]


class Stopped(Exception):
    """What a callback ends a training with."""


class StopAfterFirst(keras.callbacks.Callback):
    """Ends the training as Ctrl-C would, after its first epoch."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        raise Stopped


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """That of a small pretrained network's heads, on 240 drawn shapes."""
    keras.utils.set_random_seed(7)
    pretrained = keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, include_top=False, weights=None)
    pretrained.save_weights(tmp_path / "pretrained.weights.h5")
    draw_shapes(tmp_path / "shapes", 240)
    text = TINY_RECIPE[: TINY_RECIPE.index("network:")].replace("[16, 16]", "[32, 32]")
    backbone = f"{{name: MobileNetV2, width: 0.35, weights: {tmp_path / 'pretrained.weights.h5'}}}"
    training = "{batch_size: 16, stages: [{train: heads, epochs: 2, augment: false}]}"
    (tmp_path / "heads.yaml").write_text(f"{text}network: {{backbone: {backbone}}}\ntraining: {training}\n")
    return tmp_path / "heads.yaml"


def test_a_run_says_whether_more_images_would_help_and_so_does_a_resumed_one(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "shapes"
    assert call("train", recipe, "--data", data, "--out", tmp_path / "run") == 0
    told = capsys.readouterr().out
    run = polyhead.load_run(tmp_path / "run")
    curve: Mapping[str, Any] | None = run.evaluation["valid"].learning_curve
    assert curve is not None
    assert (curve["images"], curve["of"], curve["valid"]) == (135, 135, 45)
    assert list(curve["tasks"]) == ["color", "shape", "marks", "width", "size"]
    assert {task["verdict"] for task in curve["tasks"].values()} <= {"climbing", "flat", "unclear"}
    assert "learning_curve" not in run.evaluation["test"]
    assert "valid  more images, color: accuracy 0." in told
    assert "linear models on frozen features" in told
    assert "Would more images help?" in run.report.read_text()
    with pytest.raises(Stopped):
        polyhead.train(recipe, tmp_path / "broken", data=data, callbacks=[StopAfterFirst()], progress=SILENT)
    again = polyhead.resume(tmp_path / "broken", progress=SILENT)
    assert again.evaluation["valid"].learning_curve == curve


def read(recipe: Path, *settings: str) -> tuple[Recipe, Dataset]:
    loaded = load_recipe(recipe, [f"data.path={recipe.parent / 'shapes'}", *settings])
    return loaded, load_dataset(loaded, loaded.data_root(), SILENT)


def test_within_minutes_it_takes_a_twentieth_of_them_at_most(recipe: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.state.mkdir()
    _, dataset = read(recipe, "minutes=1")
    request = request_features(run, dataset, dataset.fit_tasks(), SILENT)
    assert isinstance(request, FeatureRequest)
    assert request.seconds == 1.5
    assert (len(request.train), len(request.valid)) == (135, 45)
    none = np.zeros((0, 4), np.float32)
    request.take((request.train[:0], none), (request.valid[:0], none))  # there was no time to see any
    assert "no time" in run.learning_curve.read_text()
    assert request_features(run, dataset, dataset.fit_tasks(), SILENT) is None  # it is not asked for twice


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["data.split.valid=0"], "judged on validation images"),
        (["data.split.valid=test"], "judged on validation images"),
        (["network.backbone.weights=none"], "a pretrained network.backbone"),
        (["network.branches={color: {blocks: [{filters: 4}]}}"], "a trunk or branches beside it"),
        ([], ""),
    ],
)
def test_why_there_is_none_is_said(recipe: Path, tmp_path: Path, settings: list[str], words: str) -> None:
    found = explain_missing(RunFolder(tmp_path), load_recipe(recipe, settings))
    assert words in found
    assert bool(words) == bool(found)


def test_of_the_runs_of_folds_the_first_has_one(recipe: Path, tmp_path: Path) -> None:
    loaded = load_recipe(recipe)
    assert explain_missing(RunFolder(tmp_path / "folds/1"), loaded) == ""
    assert "that of the first fold's run" in explain_missing(RunFolder(tmp_path / "folds/2"), loaded)
