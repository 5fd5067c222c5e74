"""Folds: every training row is answered by a network that has not seen it, and the model is the mean of all."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import polyhead
from conftest import TINY_RECIPE, call, draw_shapes
from polyhead.cli.printing import print_run
from polyhead.errors import PolyheadError
from polyhead.run_folder import RunFolder

SETTINGS = ["training.epochs=2", "network.trunk.blocks=[{filters: 4}]", "data.split.stratify=[color]"]
K = 3
RARE = 20  # the image that alone has a label, so that two of three networks are trained on it


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> polyhead.Run:
    """A finished run of three folds; its images lie beside it."""
    folder = tmp_path_factory.mktemp("folds")
    os.environ["POLYHEAD_CACHE"] = str(folder / "cache")
    (folder / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    labels = draw_shapes(folder / "shapes", 48)
    lines = labels.read_text(encoding="utf-8").splitlines()
    lines[1 + RARE] = f"images/{RARE:03}.png,violet,square,dot,12,M"
    labels.write_text("\n".join(lines), encoding="utf-8")
    return polyhead.train(
        folder / "tiny.yaml",
        folder / "run",
        data=folder / "shapes",
        overrides=SETTINGS,
        folds=K,
        progress=False,
    )


def read_rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


@pytest.mark.slow
def test_a_run_of_folds_holds_a_run_for_each(run: polyhead.Run) -> None:
    assert run.is_finished
    assert [fold.path.name for fold in run.folds] == ["1", "2", "3"]
    assert all(fold.is_finished and len(fold.history) == 2 for fold in run.folds)
    whole = {row["path"]: row for row in read_rows(run / "table.csv")}
    assert {row["split"] for row in whole.values()} == {"train", "test"}
    for number, fold in enumerate(run.folds, 1):
        for row in read_rows(fold / "table.csv"):
            expected = "valid" if whole[row["path"]]["data.fold"] == str(number) else whole[row["path"]]["split"]
            assert row["split"] == expected


@pytest.mark.slow
def test_each_row_is_answered_by_the_network_that_has_not_seen_it(run: polyhead.Run) -> None:
    folds = {row["path"]: row["data.fold"] for row in read_rows(run / "table.csv") if row["split"] == "train"}
    found = run.out_of_fold
    assert found["image"].tolist() == list(folds)
    assert found.columns.tolist() == run.predictions.columns.tolist()
    root = Path(str(run.recipe.data.path))
    for number, fold in enumerate(run.folds, 1):
        own = found[[folds[image] == str(number) for image in found["image"]]]
        numbers = fold.model.predict_table([root / image for image in own["image"]])["width.answer"]
        np.testing.assert_allclose(own["width.answer"].to_numpy(), numbers.to_numpy(), rtol=1e-4)


@pytest.mark.slow
def test_a_label_that_is_in_one_fold_alone_is_known_to_all(run: polyhead.Run) -> None:
    row = next(row for row in read_rows(run / "table.csv") if row["color"] == "violet")
    assert row["data.fold"]
    for made in (run, *run.folds):
        assert made.model.tasks["color"].names == ("blue", "green", "red", "violet")


@pytest.mark.slow
def test_the_model_is_the_mean_of_the_networks(run: polyhead.Run) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    found, parts = run.model.run(pixels), [fold.model.run(pixels) for fold in run.folds]
    for name in run.model.tasks:
        np.testing.assert_allclose(found[name], np.mean([part[name] for part in parts], axis=0), atol=1e-5)
    np.testing.assert_allclose(found["features"], np.concatenate([part["features"] for part in parts], axis=1))
    card = run.model.card
    assert card.averages == K
    assert card.rows == {"train": 36, "test": 12}
    assert card.tasks["color"].state.model_dump()["calibrated_on"] > 24  # of the 36 rows, those with a colour
    assert card.figures["color"]["accuracy"] == run.evaluation["test"].tasks["color"].metrics["accuracy"]
    onnx.checker.check_model(onnx.load(str(run.model.path)))


@pytest.mark.slow
def test_the_evaluation_has_mean_and_deviation_over_the_folds(
    run: polyhead.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluation = run.evaluation
    assert set(evaluation.splits) == {"test", "out_of_fold"}
    folds: Any = evaluation.folds
    assert folds["count"] == K
    for split in ("valid", "test"):
        values = [fold.evaluation[split].tasks["width"].metrics["mae"] for fold in run.folds]
        found = folds[split]["tasks"]["width"]["mae"]
        assert found["values"] == values
        assert found["mean"] == pytest.approx(np.mean(values))
        assert found["deviation"] == pytest.approx(np.std(values, ddof=1))
    assert evaluation.to_dict() == json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    print_run(run)
    assert f"3 folds  width: mae {folds['valid']['tasks']['width']['mae']['mean']:.3f} ±" in capsys.readouterr().out
    page = run.report.read_text(encoding="utf-8")
    assert "3 folds" in page
    assert "Out of fold" in page


@pytest.mark.slow
def test_the_model_works_as_any(run: polyhead.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = next(Path(str(run.recipe.data.path)).rglob("*.png"))
    assert call("predict", run.path, image, "--json") == 0
    assert run.model.embed([image]).shape == (1, 16 * K)
    assert call("evaluate", run.path, "--out", tmp_path / "again") == 0
    again = json.loads((tmp_path / "again/evaluation.json").read_text(encoding="utf-8"))
    assert again["test"] == run.evaluation.to_dict()["test"]
    capsys.readouterr()
    assert call("export", run.path, "--format", "saved_model") == 2
    assert "is the mean of 3; give the run of one fold" in capsys.readouterr().err
    with pytest.raises(PolyheadError, match="of several networks, one a fold"):
        run.keras_model()


# A real process that trains or goes on, saving at every step, and kills itself after so many steps of work.
CHILD = """
import os, signal, sys
from pathlib import Path
from polyhead.runs.train import resume, train
from polyhead.training import choose_backend
from polyhead.progress import Silent
choose_backend()
from polyhead.training import checkpoint_callback as training
training.SAVE_EVERY = 0.0

class Killer(Silent):
    left = int(sys.argv[2])
    def track(self, words, total):
        return self.count if words.startswith("epoch") else super().track(words, total)
    def count(self, done):
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

run = Path(sys.argv[1])
if (run / "recipe.yaml").exists():
    resume(run, progress=Killer())
else:
    train(sys.argv[3], run, data=sys.argv[4], overrides=sys.argv[5:], folds=3, progress=Killer())
"""


@pytest.mark.slow
def test_a_killed_run_of_folds_ends_as_an_unbroken_one(run: polyhead.Run, tmp_path: Path) -> None:
    broken, folder = tmp_path / "broken", run.path.parent
    codes = []
    for steps in (0, 5, 4, 10**6):  # before the first step of the first fold, and within the first and the second
        command = [sys.executable, "-c", CHILD, str(broken), str(steps), str(folder / "tiny.yaml")]
        done = subprocess.run(
            [*command, str(folder / "shapes"), *SETTINGS], capture_output=True, text=True, check=False
        )
        codes.append(done.returncode)
    assert codes == [-signal.SIGKILL] * 3 + [0], done.stderr
    for name in ("model.onnx", "evaluation.json", "out_of_fold.csv", "predictions.csv"):
        assert (broken / name).read_bytes() == (run / name).read_bytes()


def test_a_start_that_was_stopped_before_it_trained_is_replaced(run: polyhead.Run, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    shutil.copytree(run.path, begun, ignore=lambda _, names: {*names} - {"recipe.yaml", "state", "folds.json"})
    assert RunFolder(begun).is_untrained
    (begun / "folds/1").mkdir(parents=True)
    assert RunFolder(begun).is_untrained
    (begun / "folds/mine.txt").write_text("mine")
    assert not RunFolder(begun).is_untrained


@pytest.mark.parametrize("folds", [1, 101, True, "3", 2.0])
def test_a_number_of_folds_that_makes_no_sense_is_refused(shapes: Path, tmp_path: Path, folds: Any) -> None:
    with pytest.raises(PolyheadError, match="`folds`: expected a whole number from 2 to 100"):
        polyhead.train(tmp_path / "tiny.yaml", tmp_path / "run", data=shapes, folds=folds, progress=False)
    assert not (tmp_path / "run").exists()


def test_folds_of_a_recipe_that_watches_its_test_images_are_refused(shapes: Path, tmp_path: Path) -> None:
    command = ["train", tmp_path / "tiny.yaml", "--data", shapes, "--out", tmp_path / "run", "--folds", 3]
    assert call(*command, "--set", "data.split.valid=test") == 2
    assert not (tmp_path / "run").exists()


def test_more_folds_than_there_are_groups_are_refused(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", tmp_path / "tiny.yaml", "--data", shapes, "--out", tmp_path / "run", "--folds", 40]
    assert call(*command) == 2
    assert "--folds: 40 are asked for, and there are 36 groups of rows to train on" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_an_audit_compares_labels_with_the_answers_out_of_fold(run: polyhead.Run) -> None:
    found = polyhead.audit(run, progress=False)
    assert found["answers"].startswith("Each training image was judged by the network of its fold")
    assert found["tasks"]["color"]["known"] > 0
