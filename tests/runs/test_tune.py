"""A search: trials that are runs, chosen by validation images alone, gone on with after any end."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import polyhead
from conftest import TINY_RECIPE, call, draw_shapes
from polyhead.errors import PolyheadError
from polyhead.recipe.loading import load_recipe
from polyhead.runs.space import change_recipe, list_knobs
from polyhead.runs.trials import score_epoch

pytest.importorskip("optuna")
SETTINGS = {"training.epochs": 2, "network.trunk.blocks": [{"filters": 4}], "network.trunk.dense": []}
TRIALS = 3


@pytest.fixture(autouse=True)
def _no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "none"))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of drawn shapes, and `tiny.yaml` beside it."""
    folder = tmp_path_factory.mktemp("tune")
    os.environ["POLYHEAD_CACHE"] = str(folder / "cache")
    (folder / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    return draw_shapes(folder / "shapes", 48).parent


@pytest.fixture(scope="module")
def tuning(images: Path) -> polyhead.Tuning:
    """A search of three trials that is over."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_HOME", str(images.parent / "none"))
        return polyhead.tune(
            images.parent / "tiny.yaml",
            images.parent / "search",
            data=images,
            overrides=SETTINGS,
            minutes=60,
            trials=TRIALS,
            progress=False,
        )


@pytest.mark.slow
def test_a_search_tries_the_recipe_and_others_and_keeps_the_best(tuning: polyhead.Tuning, images: Path) -> None:
    trials = tuning.trials
    assert trials["trial"].tolist() == [1, 2, 3]
    assert set(trials["state"]) == {"complete"}  # nothing is pruned before three are over
    start = load_recipe(images.parent / "tiny.yaml", SETTINGS, data__path=str(images))
    first, best = trials.iloc[0], trials.iloc[int(trials["score"].argmax())]
    assert first["learning rate"] == start.training.learning_rate
    assert first["image size"] == "16x16"
    found = tuning.recipe
    assert found.training.learning_rate == pytest.approx(best["learning rate"])
    assert "x".join(map(str, found.image.size)) == best["image size"]
    assert set(found.diff(start)) <= {
        *("image.size", "training.learning_rate", "training.weight_decay", "network.trunk.dropout"),
        *("training.mix.mixup", "training.mix.cutmix"),
        *(f"training.augment.{key}" for key in ("rotation", "shift", "zoom", "brightness", "contrast")),
    }
    assert found.data.path == str(images)
    page = tuning.report.read_text(encoding="utf-8")
    assert "learning rate" in page
    assert "number" in (tuning.path / "recipe.yaml").read_text(encoding="utf-8").splitlines()[0]


@pytest.mark.slow
def test_no_test_image_has_a_part_in_it(tuning: polyhead.Tuning, images: Path) -> None:
    polyhead.explore(images.parent / "tiny.yaml", images.parent / "page", data=images, progress=False)
    for table in [tuning.path / "table.csv", *(tuning.path / "trials").glob("*/table.csv")]:
        with table.open(encoding="utf-8") as file:
            assert {row["split"] for row in csv.DictReader(file)} == {"train", "valid"}


@pytest.mark.slow
def test_a_trials_score_is_that_of_the_epoch_that_it_kept(tuning: polyhead.Tuning) -> None:
    run = polyhead.resume(tuning.path / "trials/1", progress=False)  # a run like any, that is finished here
    figures = run.evaluation["valid"].tasks
    scores = [task.metrics["accuracy"] for name, task in figures.items() if name not in ("width", "marks")]
    scores.append(1 - figures["width"].metrics["mae"] / figures["width"].baseline["mae"])
    history = run.history[run.history["kept"] == 1].iloc[0]
    scores.append(history["val_marks.accuracy"])
    assert tuning.trials["score"][0] == pytest.approx(np.mean(scores), abs=1e-3)


@pytest.mark.slow
def test_a_search_that_is_over_is_gone_on_with_by_more_trials(
    tuning: polyhead.Tuning, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tuning.trials
    command = ["tune", images.parent / "tiny.yaml", "--data", images, "--out", tuning.path, "--minutes", 60]
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    assert call(*command, *settings, "--trials", TRIALS) == 0
    assert "trials  3, the best is number" in capsys.readouterr().out
    assert polyhead.Tuning(tuning.path).trials.equals(before)
    assert call(*command, *settings, "--trials", TRIALS + 1) == 0
    after = polyhead.Tuning(tuning.path).trials
    assert len(after) == TRIALS + 1
    assert after.iloc[:TRIALS].equals(before)
    assert call(*command, "--trials", TRIALS) == 2  # another recipe
    assert "holds a search that began with another" in capsys.readouterr().err
    assert call("resume", tuning.path) == 2
    assert "is the folder of a search" in capsys.readouterr().err


# A real process that searches, and kills itself after so many steps of training.
CHILD = """
import os, signal, sys
import polyhead
from polyhead.progress import Silent
from polyhead.training import choose_backend
choose_backend()
from polyhead.training import checkpoint_callback as training
training.SAVE_EVERY = 0.0

class Killer(Silent):
    left = int(sys.argv[1])
    def track(self, words, total):
        return self.count if words.startswith("epoch") else super().track(words, total)
    def count(self, done):
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

settings = {"training.epochs": 2, "network.trunk.blocks": [{"filters": 4}], "network.trunk.dense": []}
polyhead.tune(sys.argv[2], sys.argv[3], data=sys.argv[4], overrides=settings, minutes=60, trials=3, progress=Killer())
"""


@pytest.mark.slow
def test_a_killed_search_ends_as_an_unbroken_one(tuning: polyhead.Tuning, images: Path, tmp_path: Path) -> None:
    codes = []
    for steps in (0, 3, 6, 10**6):  # before the first step, within the first epoch, within the second trial
        command = [sys.executable, "-c", CHILD, str(steps), str(images.parent / "tiny.yaml"), str(tmp_path / "search")]
        done = subprocess.run([*command, str(images)], capture_output=True, text=True, check=False)
        codes.append(done.returncode)
    assert codes == [-signal.SIGKILL] * 3 + [0], done.stderr
    found = polyhead.Tuning(tmp_path / "search").trials.drop(columns="seconds")
    assert found.equals(tuning.trials[:TRIALS].drop(columns="seconds"))


@pytest.mark.slow
def test_a_search_without_a_trial_that_is_over_says_so_and_can_be_gone_on_with(images: Path, tmp_path: Path) -> None:
    def search(minutes: float) -> polyhead.Tuning:
        return polyhead.tune(
            images.parent / "tiny.yaml",
            tmp_path / "search",
            data=images,
            overrides=SETTINGS,
            minutes=minutes,
            trials=1,
            progress=False,
        )

    with pytest.raises(PolyheadError, match=r"no trial was over in 0\.0001 minutes; go on with more `minutes`"):
        search(0.0001)
    assert search(60).trials["state"].tolist() == ["complete"]


WRONG: dict[str, dict[str, Any]] = {
    "`minutes`: expected a number above 0; got 0": {"minutes": 0},
    "`trials`: expected a whole number of 1 or more; got 0": {"trials": 0},
    "`engine`: expected process or ray; got 'spark'": {"engine": "spark"},
    "a search chooses by validation images": {"overrides": {"data.split.valid": 0}},
}


@pytest.mark.parametrize("words", WRONG)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(shapes: Path, tmp_path: Path, words: str) -> None:
    with pytest.raises(PolyheadError, match=words):
        polyhead.tune(
            tmp_path / "tiny.yaml", tmp_path / "search", data=shapes, progress=False, **{"minutes": 1, **WRONG[words]}
        )
    assert not (tmp_path / "search").exists()


def test_a_folder_that_is_no_search_is_left_alone(shapes: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file.txt").write_text("mine")
    with pytest.raises(PolyheadError, match="is there already, and is no search"):
        polyhead.tune(tmp_path / "tiny.yaml", tmp_path / "mine", data=shapes, minutes=1, progress=False)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["file.txt"]


def test_the_score_is_a_mean_over_tasks() -> None:
    figures = {"val_color.accuracy": 0.75, "val_width.mae": 2.0, "val_size.accuracy": 0.5, "val_size.mae": 0.1}
    assert score_epoch(figures, {"color": None, "width": 4.0, "size": None}) == pytest.approx((0.75 + 0.5 + 0.5) / 3)
    assert score_epoch({**figures, "val_width.mae": float("nan")}, {"color": None, "width": 4.0}) is None
    assert score_epoch(figures, {"shape": None}) is None


def test_a_recipe_offers_what_it_can_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    tiny = load_recipe(tmp_path / "tiny.yaml")
    knobs = {knob.name: knob for knob in list_knobs(tiny)}
    assert set(knobs) == {"image size", "learning rate", "weight decay", "dropout", "augmentation", "mix"}
    assert knobs["image size"].choices == ("16x16", "24x24")
    start: dict[str, str | float] = {name: knob.start for name, knob in knobs.items()}
    same = change_recipe(tiny, knobs.values(), start)
    assert same == tiny
    chosen: dict[str, str | float] = {
        "image size": "24x24",
        "weight decay": "0.01",
        "mix": "cutmix 1",
        "learning rate": 1e-3,
        "dropout": 0.4,
        "augmentation": 2.0,
    }
    changed = change_recipe(tiny, knobs.values(), chosen)
    assert changed.image.size == (24, 24)
    assert changed.training.learning_rate == pytest.approx(1e-3)
    assert changed.training.weight_decay == 0.01
    assert changed.training.mix.cutmix == 1
    assert changed.network.trunk
    assert changed.network.trunk.dropout == 0.4
    assert changed.training.augment.brightness == pytest.approx(2 * tiny.training.augment.brightness)
    assert changed.training.augment.flip == tiny.training.augment.flip
    # With weights at hand, their backbones take the trunk's place, where images are large enough.
    models = tmp_path / "keras/models"
    models.mkdir(parents=True)
    (models / "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5").touch()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    assert "network" not in {knob.name for knob in list_knobs(tiny)}
    large = tiny.override("image.size=[96, 64]", "training.stages=[{epochs: 1, learning_rate: .01}, {epochs: 2}]")
    knobs = {knob.name: knob for knob in list_knobs(large)}
    assert knobs["image size"].choices == ("72x48", "96x64", "144x96")
    assert knobs["network"].choices == ("trunk", "MobileNetV2 0.35")
    chosen = {name: knob.start for name, knob in knobs.items()} | {"network": "MobileNetV2 0.35", "learning rate": 2e-3}
    changed = change_recipe(large, knobs.values(), chosen)
    assert changed.network.trunk is None
    assert changed.network.backbone
    assert (changed.network.backbone.name, changed.network.backbone.width) == ("MobileNetV2", 0.35)
    assert changed.network.backbone.dropout == tiny.network.trunk.dropout  # type: ignore[union-attr]
    assert [stage.learning_rate for stage in changed.training.stages] == pytest.approx([0.02, 0.002])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
def test_a_cluster_makes_several_trials_at_once(tuning: polyhead.Tuning, images: Path, tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        found = polyhead.tune(
            images.parent / "tiny.yaml",
            tmp_path / "search",
            data=images,
            overrides=SETTINGS,
            minutes=60,
            trials=2,
            engine="ray",
            progress=False,
        )
    finally:
        ray.shutdown()
    assert set(found.trials["state"]) == {"complete"}
    assert found.trials["score"][0] == pytest.approx(tuning.trials["score"][0], abs=1e-3)


def test_a_backbone_offers_layer_decay_and_a_policy_its_strength(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    values = load_recipe(tmp_path / "tiny.yaml").to_dict()
    values["network"] = {"backbone": {"name": "MobileNetV2", "width": 0.35, "weights": "none"}}
    recipe = load_recipe(
        values,
        {"image.size": 96, "training.augment": {"policy": "trivialaugment", "policy_strength": 0.8, "crop": 0.5}},
    )
    knobs = {knob.name: knob for knob in list_knobs(recipe)}
    assert knobs["layer decay"].choices == ("none given", "0.9", "0.8", "0.65")
    for strength, found in ((0.0, (0.01, 1.0)), (0.5, (0.4, 0.75)), (2.0, (1.0, 0.1))):
        chosen = {name: knob.start for name, knob in knobs.items()} | {"augmentation": strength, "layer decay": "0.8"}
        changed = change_recipe(recipe, knobs.values(), chosen).training
        assert (changed.augment.policy_strength, changed.augment.crop) == pytest.approx(found)
        assert changed.layer_decay == 0.8
    frozen = recipe.override("training.stages=[{train: heads, epochs: 3}]")
    assert "layer decay" not in {knob.name for knob in list_knobs(frozen)}
