"""Training that diverges ends at once, in a line; what was good before stays, and the run can be finished with it."""

import csv
import json
import typing
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

from conftest import TINY_RECIPE, call
from polyhead.cli.terminal import Lines
from polyhead.errors import PolyheadError, TrainingDiverged
from polyhead.progress import LOGGER, Silent
from polyhead.recipe.loading import load_recipe
from polyhead.recipe.training import TrainingRecipe
from polyhead.training import WEIGHTS
from polyhead.training.batches import TrainingData
from polyhead.training.checkpoint_callback import HISTORY, STATE, RunContext
from polyhead.training.fit import train_network
from polyhead.training.history import DIVERGED, best_epoch, choose_epoch, read_divergence
from polyhead.training.multi_task import MultiTaskModel

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), np.uint8)
LABELS = {"color": ["red", "blue", "green"] * 4, "width": [str(number) for number in range(12)]}
PLAIN = ["tasks={color: {kind: categorical}, width: {kind: regression}}", "training.augment={}"]
NETWORK = "network={trunk: {blocks: [{filters: 4, pool: 4}], dense: [8]}}"
STAGES = "training={batch_size: 4, stages: [{epochs: 2}, {epochs: 2, learning_rate: 1.0e+30}]}"
OPTIMIZERS = typing.get_args(TrainingRecipe.model_fields["optimizer"].annotation)


class Sayings(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, words: str) -> None:
        self.lines.append(words)


def train(
    folder: Path,
    *settings: str,
    labels: dict[str, list[str]] = LABELS,
    weights: Sequence[float] | None = None,
    valid: int = 4,
) -> list[str]:
    """Train, or go on, on twelve images, the last of which watch; what was said and warned of."""
    folder.mkdir(exist_ok=True)
    (folder / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    recipe = load_recipe(folder / "tiny.yaml", [*PLAIN, NETWORK, *settings])
    rows = np.arange(12)
    train_rows, valid_rows = rows[: 12 - valid], rows[12 - valid :]
    tasks = {name: task.fit(name, labels[name][: 12 - valid]) for name, task in recipe.tasks.items()}
    targets = {name: task.encode(labels[name]) for name, task in tasks.items()}
    weighed = None if weights is None else np.array(weights, np.float32)
    sayings = Sayings()
    warnings = Lines(sayings.say)
    LOGGER.addHandler(warnings)
    training_data = TrainingData(lambda wanted: IMAGES[wanted], targets, train_rows, valid_rows, weighed)
    try:
        train_network(recipe, tasks, training_data, RunContext(folder, sayings))
    finally:
        LOGGER.removeHandler(warnings)
    return sayings.lines


def kept_arrays(folder: Path) -> list[np.ndarray]:
    """The numbers that a run goes on from, and those of the weights it keeps, where there are any."""
    found: list[np.ndarray] = []
    if (folder / STATE).exists():
        with np.load(folder / STATE) as arrays:
            found += [array for name, array in arrays.items() if name.startswith(("model", "optimizer"))]
    if (folder / WEIGHTS).exists():
        with h5py.File(folder / WEIGHTS) as file:
            file.visititems(lambda _, item: found.append(item[()]) if isinstance(item, h5py.Dataset) else None)
    return found


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / HISTORY).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("settings", "labels", "weights", "words"),
    [
        (
            ["training.learning_rate=1e30", "training.batch_size=4"],
            {},
            None,
            "the loss of every task is not finite; try a lower learning rate",
        ),
        (
            ["tasks.width={kind: regression, scale: none}"],
            {"width": ["1e30"] * 12},
            None,
            "epoch 1, step 1: the loss of width is not finite; try a lower learning rate (training.learning_rate is "
            "0.003), and check the labels of width; train again",
        ),
        (["data.weight=trust"], {}, [3e38] * 12, "check the numbers in trust (data.sample_weight)"),
        (
            ["training={batch_size: 4, epochs: 2, balance: uncertainty, ema: 0.9, learning_rate: 1.0e+30}"],
            {},
            None,
            "the loss of every task is not finite",
        ),
    ],
    ids=["learning rate", "labels", "weights", "balance and average"],
)
def test_a_run_that_diverges_in_its_first_epoch_says_where_and_what_to_try_and_again(
    settings: list[str], labels: dict[str, list[str]], weights: list[float] | None, words: str, tmp_path: Path
) -> None:
    said = []
    for _ in range(2):
        with pytest.raises(TrainingDiverged) as error:
            train(tmp_path / "run", *settings, labels=LABELS | labels, weights=weights)
        said.append(str(error.value))
    assert words in said[0]
    assert said[0].startswith("training diverged in epoch 1, step ")
    assert said[0].endswith("; train again")
    assert said[1] == said[0]
    assert all(np.isfinite(array).all() for array in kept_arrays(tmp_path / "run"))


@pytest.mark.parametrize("settings", [(), ("training.ema=0.9", "training.precision=bfloat16")], ids=["plain", "ema"])
def test_a_later_stage_that_diverges_leaves_the_weights_of_the_best_epoch_to_finish_with(
    settings: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(TrainingDiverged) as error:
        train(folder, STAGES, *settings)
    assert "(training.stages.1.learning_rate is 1e+30)" in str(error.value)
    rows = history(folder)
    kept = best_epoch([{"val_loss": float(row["val_loss"])} for row in rows])
    assert len(rows) == 2
    assert str(error.value).endswith(f"or resume the run to finish it with the weights of epoch {kept}")
    arrays = kept_arrays(folder)
    assert all(np.isfinite(array).all() for array in arrays)
    for _ in range(2):
        assert f"finishing the run with the weights of epoch {kept}" in train(folder, STAGES, *settings)[-1]
        for one, other in zip(arrays, kept_arrays(folder), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [(), ("training.ema=0.9", "training.balance=uncertainty")], ids=["plain", "ema"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_optimiser_at_any_rate_leaves_what_is_not_finite(
    name: str, settings: tuple[str, ...], tmp_path: Path
) -> None:
    for place, rate in enumerate(("1.0e+4", "1.0e+19", "1.0e+38")):
        folder = tmp_path / str(place)
        plan = f"training={{batch_size: 4, stages: [{{epochs: 1}}, {{epochs: 2, learning_rate: {rate}}}]}}"
        try:
            train(folder, plan, f"training.optimizer={name}", *settings)
        except TrainingDiverged:
            assert "finishing the run" in train(folder, plan, f"training.optimizer={name}", *settings)[-1]
        assert all(np.isfinite(array).all() for array in kept_arrays(folder))
        assert (folder / WEIGHTS).exists()


def test_the_best_epoch_is_one_with_a_finite_validation_loss() -> None:
    def rows(*losses: float | None) -> list[dict[str, float | None]]:
        return [{"val_loss": loss} for loss in losses]

    assert best_epoch(rows(None, 3.0, float("nan"), 2.0, 2.0, float("-inf"))) == 4
    assert best_epoch(rows(None, float("nan"))) is None
    assert best_epoch([{"loss": 1.0}]) is None
    assert [choose_epoch(rows(2.0, 3.0), chooses) for chooses in (True, False)] == [1, 2]
    assert choose_epoch(rows(None, None), by_validation=True) == 2
    assert choose_epoch([], by_validation=True) == 0


def test_validation_losses_that_are_not_finite_choose_nothing_and_stop_by_patience(tmp_path: Path) -> None:
    labels = LABELS | {"width": [*map(str, range(8)), *["1e30"] * 4]}
    said = train(tmp_path / "run", "training.patience=2", "training.epochs=5", labels=labels)
    assert said[-1] == "no epoch has a finite validation loss to be chosen by: the last epoch's weights are kept"
    rows = history(tmp_path / "run")
    assert [row["val_loss"] for row in rows] == ["", ""]
    assert all(float(row["loss"]) > 0 for row in rows)


@pytest.mark.parametrize(
    ("settings", "labels", "weights"),
    [
        ([], {name: [*known[:8], *[""] * 4] for name, known in LABELS.items()}, None),
        (["data.weight=trust"], LABELS, [*[1.0] * 8, *[0.0] * 4]),
        (["tasks.width.loss_weight=0"], LABELS | {"color": [*LABELS["color"][:8], *[""] * 4]}, None),
    ],
    ids=["no labels", "no weights", "no loss"],
)
def test_validation_images_without_a_label_that_counts_choose_nothing(
    settings: list[str], labels: dict[str, list[str]], weights: list[float] | None, tmp_path: Path
) -> None:
    said = train(tmp_path / "run", *settings, labels=labels, weights=weights)
    assert said[0] == "no validation image has a label that counts: the last epoch's weights are kept"
    assert len(history(tmp_path / "run")) == 3


@pytest.mark.parametrize(
    ("settings", "labels"),
    [
        (["training.batch_size=1000000"], {}),
        (["training.batch_size=1", "training.epochs=1"], {}),
        (["network={trunk: {blocks: [{filters: 1, kernel: 31, pool: 16}]}}"], {}),
        (["tasks.width.loss_weight=0", "tasks.color.loss_weight=0"], {}),
        (["training.balance=dynamic_average"], {"color": ["red"] * 12, "width": ["7"] * 12}),
        (["tasks.color.class_weight=balanced"], {"color": ["red", *["blue"] * 11]}),
    ],
    ids=["one batch", "one image a batch", "one pixel left", "no loss", "one label", "one row of a class"],
)
def test_odd_data_and_settings_train(settings: list[str], labels: dict[str, list[str]], tmp_path: Path) -> None:
    train(tmp_path / "run", *settings, labels=LABELS | labels)
    assert all(np.isfinite(array).all() for array in kept_arrays(tmp_path / "run"))


def test_an_epoch_that_only_just_ended_is_not_one_to_finish_with(tmp_path: Path) -> None:
    """One step an epoch: the first leaves weights of 1e30, which are finite, and of no use."""
    for valid in (4, 0):
        with pytest.raises(TrainingDiverged, match=r"in epoch 2, step 1: .*; train again$"):
            train(tmp_path / str(valid), "training.learning_rate=1e30", "training.batch_size=16", valid=valid)


def test_a_record_of_a_divergence_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    for text in ("", "[]", "{}", '{"happened": '):
        (tmp_path / DIVERGED).write_text(text, encoding="utf-8")
        assert read_divergence(tmp_path) is None


def test_memory_that_runs_out_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (
        MemoryError(),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 12 bytes."),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    ):

        def fail(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(MultiTaskModel, "fit", fail)
        with pytest.raises(PolyheadError, match="too little memory to train; try a lower"):
            train(tmp_path / "run")


@pytest.mark.slow
def test_the_command_ends_in_1_and_resume_finishes_the_run_with_a_report_that_says_so(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, recipe = tmp_path / "run", shapes.parent / "tiny.yaml"
    assert call("train", recipe, "--data", shapes, "--out", run, "--set", STAGES) == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert "polyhead: training diverged in epoch 3, step " in err.splitlines()[-1]
    assert call("resume", run) == 0
    assert "finishing the run with the weights of epoch" in capsys.readouterr().err
    assert "Training diverged in epoch 3, step " in (run / "report/index.html").read_text(encoding="utf-8")
    assert "# training diverged in epoch 3, step " in (run / "recipe.yaml").read_text(encoding="utf-8")
    assert json.loads((run / "evaluation.json").read_text())["test"]["tasks"]["color"]["n"] > 0
