"""Every optimiser that Keras has, by its name: it trains, and goes on after a stop as if there had been none."""

import shutil
import typing
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from conftest import TINY_RECIPE
from polyhead.progress import SILENT, Silent
from polyhead.recipe.loading import load_recipe
from polyhead.recipe.training import TrainingRecipe
from polyhead.training.batches import TrainingData
from polyhead.training.checkpoint_callback import STATE, RunContext
from polyhead.training.fit import train_network

NAMES = typing.get_args(TrainingRecipe.model_fields["optimizer"].annotation)
WRAPPERS = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer", "OptimizerMap"}  # of others, or what all come from


def test_every_optimiser_of_keras_has_its_name_in_a_recipe() -> None:
    classes = {name for name, found in vars(keras.optimizers).items() if isinstance(found, type)}
    assert set(NAMES) == {name.lower() for name in classes - WRAPPERS}


class CopyAtEpoch(Silent):
    """Copies the run when its second epoch begins: what a power cut would have left."""

    def __init__(self, run: Path, copy: Path) -> None:
        self.run, self.copy = run, copy

    def track(self, words: str, total: int) -> Callable[[int], None]:
        if words.startswith("epoch 2/"):
            shutil.copytree(self.run, self.copy)
        return super().track(words, total)


# What may be asked of any of them, where it works in another way: Muon has two weight decays, SGD's is of Keras's base.
MORE = "weight_decay: 0.1, clip_norm: 0.5"
COMBINED = {"adamw": MORE, "muon": MORE, "sgd": f"{MORE}, ema_momentum: 0.5, schedule: cosine, warmup: 0.5"}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "more"), [*((name, "") for name in NAMES), *COMBINED.items()])
def test_an_optimiser_trains_and_goes_on_exactly_after_a_stop(name: str, more: str, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    settings = ["tasks={color: {kind: categorical}}", "network={trunk: {blocks: [{filters: 4, pool: 4}], dense: [8]}}"]
    plan = f"training={{epochs: 2, batch_size: 4, optimizer: {name}, learning_rate: 0.01, {more}}}"
    recipe = load_recipe(tmp_path / "tiny.yaml", [*settings, plan])
    labels = ["red", "blue", "green", "red", "blue", "", "red", "blue"]
    tasks = {"color": recipe.tasks["color"].fit("color", labels)}
    images = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), np.uint8)
    rows = np.arange(8)
    training_data = TrainingData(
        lambda wanted: images[wanted], {"color": tasks["color"].encode(labels)}, rows, rows[:0]
    )

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    train_network(recipe, tasks, training_data, RunContext(whole, CopyAtEpoch(whole, broken)))
    before = variables(broken)
    train_network(recipe, tasks, training_data, RunContext(broken, SILENT))
    expected, found = variables(whole), variables(broken)
    for key, array in expected.items():
        np.testing.assert_array_equal(array, found[key], err_msg=key)
        assert np.isfinite(array).all()
    assert any(not np.array_equal(before[key], found[key]) for key in found if key.startswith("model"))


def variables(run: Path) -> dict[str, np.ndarray]:
    """All that a run's state holds but where it stands, which has the seconds in it."""
    with np.load(run / STATE) as arrays:
        return {key: array for key, array in arrays.items() if key != "position"}
