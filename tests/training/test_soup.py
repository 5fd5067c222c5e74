"""The average of the best epochs: no worse on validation than the best, the same after a stop, gone from the disk."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

import polyhead
from conftest import TINY_RECIPE
from polyhead.errors import PolyheadError
from polyhead.progress import SILENT, Progress, Silent
from polyhead.recipe.loading import load_recipe
from polyhead.training import WEIGHTS
from polyhead.training.batches import OneEpoch, TrainingData
from polyhead.training.checkpoint_callback import RunContext
from polyhead.training.fit import train_network
from polyhead.training.multi_task import MultiTaskModel
from polyhead.training.network import build_network
from polyhead.training.soup import PARTS

# Noise on four colours, by which the labels go.
IMAGES = np.random.default_rng(0).integers(0, 128, (24, 16, 16, 3), np.uint8)
IMAGES[np.arange(24) % 4 == 1, ..., 0] += 64
IMAGES[np.arange(24) % 4 == 2, ..., 1] += 64
IMAGES[np.arange(24) % 4 == 3, ..., 2] += 64
LABELS = {
    "color": ["red", "", "blue", "red"] * 6,
    "shape": ["disc", "square", "", ""] * 6,
    "marks": ["dot", "", "bar|dot", "none"] * 6,
    "width": ["3", "5", "", "7"] * 6,
    "size": ["S", "", "M", "L"] * 6,
}
PLAN = "training={epochs: 8, batch_size: 4, learning_rate: 0.01}"


def train(
    folder: Path, *settings: str, progress: Progress = SILENT, labels: dict[str, list[str]] = LABELS
) -> tuple[float, pd.DataFrame]:
    """Train, or go on, with sixteen images and eight to watch; the kept weights' validation loss, and the history."""
    folder.mkdir(exist_ok=True)
    (folder / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    recipe = load_recipe(folder / "tiny.yaml", [PLAN, *settings])
    tasks = {name: task.fit(name, labels[name]) for name, task in recipe.tasks.items()}
    targets = {name: task.encode(labels[name]) for name, task in tasks.items()}
    data = TrainingData(lambda rows: IMAGES[rows], targets, np.arange(16), np.arange(16, 24))
    train_network(recipe, tasks, data, RunContext(folder, progress))
    model = MultiTaskModel(build_network(recipe, tasks), recipe)
    model.core.load_weights(folder / WEIGHTS)
    model.compile(optimizer="sgd")
    loss = model.evaluate(OneEpoch(data, data.valid, 4), verbose=0, return_dict=True)["loss"]
    return float(loss), pd.read_csv(folder / "history.csv")


def read_weights(file: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with h5py.File(file) as opened:
        opened.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


class CopyAtSoup(Silent):
    """Copies the epochs' weights before they are averaged; and stops there, as Ctrl-C does, where asked to."""

    def __init__(self, stops: bool = False) -> None:
        self.stops = stops
        self.parts: dict[int, dict[str, np.ndarray]] = {}
        self.folder = Path()

    def track(self, words: str, total: int) -> Callable[[int], None]:
        if words == "soup":
            for file in (self.folder / PARTS).iterdir():
                self.parts[int(file.name.partition(".")[0])] = read_weights(file)
            if self.stops:
                raise KeyboardInterrupt
        return super().track(words, total)


@pytest.mark.parametrize("more", [[], ["training.ema_momentum=0.5"]], ids=["plain", "ema"])
def test_a_soup_is_the_mean_of_the_epochs_that_do_validation_no_harm(more: list[str], tmp_path: Path) -> None:
    watch = CopyAtSoup()
    watch.folder = tmp_path / "soup"
    loss, history = train(watch.folder, "training.keep=soup", *more, progress=watch)
    best_loss, plain = train(tmp_path / "best", "training.keep=best", *more)
    pd.testing.assert_frame_equal(
        history.drop(columns=["kept", "seconds"]), plain.drop(columns=["kept", "seconds"]), check_exact=True
    )
    assert plain["kept"].sum() == 1
    assert best_loss == pytest.approx(plain["val_loss"].min(), rel=1e-5)
    assert loss <= best_loss
    assert set(watch.parts) == set(history["val_loss"].nsmallest(5).index + 1)
    members = [int(epoch) for epoch in history["epoch"][history["kept"] == 1]]
    assert int(plain["epoch"][plain["kept"] == 1].iloc[0]) in members
    assert len(members) > 1
    for name, weights in read_weights(tmp_path / "soup" / WEIGHTS).items():
        expected = np.mean([watch.parts[epoch][name].astype(np.float64) for epoch in members], axis=0)
        if not name.startswith("layers/dropout"):
            np.testing.assert_allclose(weights, expected, rtol=1e-5, atol=1e-7, err_msg=name)
    assert not (tmp_path / "soup" / PARTS).exists()


def test_a_soup_is_the_same_after_stops_in_the_training_and_before_it_is_made(tmp_path: Path) -> None:
    class StopAtEpoch(Silent):
        def track(self, words: str, total: int) -> Callable[[int], None]:
            if words.startswith("epoch 7/"):
                raise KeyboardInterrupt
            return super().track(words, total)

    whole = train(tmp_path / "whole", "training.keep=soup")[1]
    broken, stopped = tmp_path / "broken", CopyAtSoup(stops=True)
    stopped.folder = broken
    for progress in (StopAtEpoch(), stopped):
        with pytest.raises(KeyboardInterrupt):
            train(broken, "training.keep=soup", progress=progress)
        assert len(list((broken / PARTS).iterdir())) <= 5
    for _ in range(2):  # what was made stays as it is
        pd.testing.assert_frame_equal(
            train(broken, "training.keep=soup")[1].drop(columns="seconds"), whole.drop(columns="seconds")
        )
        kept, expected = (read_weights(folder / WEIGHTS) for folder in (broken, tmp_path / "whole"))
        for name, weights in expected.items():
            np.testing.assert_array_equal(kept[name], weights)


def test_without_validation_labels_the_last_epoch_is_kept(tmp_path: Path) -> None:
    labels = {name: [*known[:16], *[""] * 8] for name, known in LABELS.items()}
    history = train(tmp_path / "run", "training.keep=soup", "training.epochs=2", labels=labels)[1]
    assert list(history["kept"]) == [0, 1]


def test_a_soup_is_refused_without_validation_images(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    with pytest.raises(PolyheadError, match=r"no validation images to select .* remove training.keep: soup"):
        load_recipe(tmp_path / "tiny.yaml", ["training.keep=soup", "data.split.valid=0"])


@pytest.mark.slow
def test_the_report_names_the_epochs_of_a_soup(shapes: Path, tmp_path: Path) -> None:
    settings = ["training.keep=soup", "training.epochs=6", "training.schedule=constant"]
    run = polyhead.train(shapes.parent / "tiny.yaml", tmp_path / "run", data=shapes, overrides=settings)
    history = pd.read_csv(run / "history.csv")
    page = (run / "report/index.html").read_text(encoding="utf-8")
    epochs = ", ".join(map(str, history["epoch"][history["kept"] == 1]))
    assert "," in epochs
    assert f"The weights of epochs {epochs} were averaged" in page
