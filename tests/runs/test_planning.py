"""Training without a recipe: what is planned is written down, fits its minutes, and gives way to what is asked for."""

from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import pytest

import polyhead
from conftest import call, draw_shapes
from polyhead.errors import PolyheadError
from polyhead.progress import SILENT
from polyhead.recipe.loading import load_recipe
from polyhead.runs.explore import propose
from polyhead.training import backbones
from polyhead.training.time_limit import TimeLimit

NETWORK = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of labelled images; and pretrained weights neither at hand nor to be fetched."""

    def refuse(*_: object) -> None:
        raise PolyheadError("network.backbone.weights: net.h5 cannot be fetched; put that file into models")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(backbones, "_load", refuse)
    draw_shapes(tmp_path / "shapes", 60)
    return tmp_path / "shapes"


@pytest.fixture
def weights(tmp_path: Path, shapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small network at hand, which has learnt nothing."""
    (tmp_path / "keras/models").mkdir(parents=True)
    (tmp_path / "keras/models" / NETWORK).touch()
    monkeypatch.setattr(backbones, "_load", lambda *_: None)


def test_without_weights_it_says_where_to_put_them_and_trains_from_scratch(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--set", "image.size=[32, 32]", "--set", "training.epochs=2"]
    assert call("train", shapes, "--out", tmp_path / "run", *more) == 0
    told = capsys.readouterr().err
    assert "put that file into models" in told
    text = (tmp_path / "run/recipe.yaml").read_text()
    assert text.startswith("# a network from scratch")
    recipe = polyhead.load_run(tmp_path / "run").recipe
    assert (recipe.image.size, recipe.training.epochs, recipe.network.backbone) == ((32, 32), 2, None)
    assert recipe.training.augment.brightness == recipe.training.augment.zoom == 0
    evaluation = polyhead.load_run(tmp_path / "run").evaluation
    assert evaluation["test"].tasks["color"].metrics
    curve = evaluation["valid"].learning_curve
    assert curve is not None
    assert "this run has none. To see whether more images would help without one" in str(curve["missing"])
    assert str(curve["missing"]) in (tmp_path / "run/report/index.html").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("weights")
def test_features_of_a_network_at_hand_are_tried(shapes: Path, tmp_path: Path) -> None:
    run = polyhead.train(shapes, tmp_path / "fast", quality="fast", progress=SILENT)
    assert run.recipe.network.backbone
    assert [stage.train for stage in run.recipe.training.stages] == ["heads"]
    assert run.recipe.quality == "fast"
    proposed = tmp_path / "my.yaml"
    proposed.write_text(propose(shapes, "good", progress=SILENT))
    recipe = load_recipe(proposed)
    assert [stage.train for stage in recipe.training.stages] == ["heads", "all"]
    assert recipe.has_network


def test_around_a_network_of_its_own_a_quality_plans_size_and_epochs(shapes: Path, tmp_path: Path) -> None:
    trunk = {"blocks": [{"filters": 4}], "end": "average"}
    overrides = {"network": {"trunk": trunk}, "training.batch_size": 8}
    run = polyhead.train(shapes, tmp_path / "run", quality="good", minutes=0.01, overrides=overrides, progress=SILENT)
    text = (tmp_path / "run/recipe.yaml").read_text()
    assert text.startswith("# 1 epoch of about")
    assert [block.filters for block in run.recipe.network.trunk.blocks] == [4]  # type: ignore[union-attr]
    assert run.recipe.image.size == (96, 96)
    assert run.recipe.training.batch_size == 8
    assert (run.recipe.training.epochs, run.recipe.training.schedule) == (1, "cosine")
    overrides["network"] = {"trunk": trunk}
    with pytest.raises(PolyheadError, match=r"quality: `fast` is for a network with a backbone, and there is none"):
        polyhead.train(shapes, tmp_path / "fast", quality="fast", overrides=overrides, progress=SILENT)


def test_what_has_network_is_not_planned_again_when_resumed(shapes: Path, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    class Stopper(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
            if epoch == 1:
                raise Stop

    overrides = {"training.epochs": 3, "image.size": [16, 16]}
    with pytest.raises(Stop):
        polyhead.train(shapes, tmp_path / "run", overrides=overrides, callbacks=[Stopper()], progress=SILENT)
    planned = (tmp_path / "run/recipe.yaml").read_bytes()
    run = polyhead.resume(tmp_path / "run", progress=SILENT)
    assert (tmp_path / "run/recipe.yaml").read_bytes() == planned
    assert len(run.history) == 3


class SlowMachine(TimeLimit):
    """One on which so many more epochs fit behind each."""

    fitting: ClassVar[list[int]]

    def affordable(self, seconds: float, images: int) -> int:
        return self.fitting.pop(0)


def test_epochs_that_time_does_not_allow_are_left_out(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SlowMachine.fitting = [2, 1]
    monkeypatch.setattr("polyhead.runs.train.TimeLimit", SlowMachine)
    overrides = {"image.size": [16, 16], "training.epochs": 10, "minutes": 600}
    run = polyhead.train(shapes, tmp_path / "run", overrides=overrides, progress=SILENT)
    rates = np.array(run.history["learning_rate"])
    assert len(rates) == 3
    assert rates[-1] < rates[0] / 20  # brought down all the same


def test_epochs_that_were_left_out_are_taken_in_again(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is fast again has the rest of its minutes used, at the rates of the whole schedule."""
    SlowMachine.fitting = [2, 3, 100, 100, 100]
    monkeypatch.setattr("polyhead.runs.train.TimeLimit", SlowMachine)
    overrides = {"image.size": [16, 16], "training.epochs": 6, "minutes": 600, "training.schedule": "cosine"}
    run = polyhead.train(shapes, tmp_path / "run", overrides=overrides, progress=SILENT)
    rates = np.array(run.history["learning_rate"])
    assert len(rates) == 6
    assert rates[1] < rates[2] / 1.2  # what was left out behind the first epoch had brought it down
    assert rates[-1] < rates[0] / 20


def test_a_run_ends_in_its_minutes(shapes: Path, tmp_path: Path) -> None:
    """Where there are none left once it has begun, it ends with what its first steps have learnt."""
    overrides = {"image.size": [16, 16], "training.epochs": 500}
    run = polyhead.train(shapes, tmp_path / "run", minutes=0.01, overrides=overrides, progress=SILENT)
    assert len(run.history) == 1
    assert run.is_finished
