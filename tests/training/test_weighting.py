"""Balance between tasks: what weighs their losses, and that it goes on where it was."""

import csv
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conftest import TINY_RECIPE
from polyhead.progress import Silent
from polyhead.recipe.loading import load_recipe
from polyhead.recipe.schema import Recipe
from polyhead.training.batches import TrainingData
from polyhead.training.checkpoint_callback import HISTORY, RunContext
from polyhead.training.fit import train_network
from polyhead.training.multi_task import average_weights

LABELS = {"color": ["red", "blue", "", "red"] * 6, "width": ["4", "", "8", "10"] * 6}
ROWS = len(LABELS["color"])


@pytest.mark.parametrize(
    ("losses", "rates"),
    [
        ([], (1, 1)),  # no history, no rate
        ([(2.0, 3.0)], (1, 1)),
        ([(2.0, 3.0), (1.0, 3.0)], (1 / 2, 3 / 3)),  # a fell by half, b not at all: b weighs more
        ([(9.0, 9.0), (2.0, 4.0), (1.0, 1.0)], (1 / 2, 1 / 4)),
        ([(None, 4.0), (1.0, 2.0)], (1, 2 / 4)),
        ([(0.0, 4.0), (1.0, 2.0)], (1, 2 / 4)),
    ],
)
def test_the_dynamic_average_follows_how_much_each_loss_fell(
    losses: list[tuple[float | None, float]], rates: tuple[float, float]
) -> None:
    rows = [{"a.loss": a, "b.loss": b} for a, b in losses]
    powers = [math.exp(rate / 2) for rate in rates]
    assert average_weights(rows, ["a", "b"]) == pytest.approx([2 * power / sum(powers) for power in powers])


def make_recipe(folder: Path, balance: str) -> Recipe:
    (folder / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    tasks = "tasks={color: {kind: categorical, loss_weight: 2}, width: {kind: regression}}"
    network = "network={trunk: {blocks: [{filters: 2}], end: average}}"
    settings = [f"training.balance={balance}", "training.epochs=4", "training.augment={}", tasks, network]
    return load_recipe(folder / "tiny.yaml", [*settings, "training.learning_rate=0.05", "training.schedule=constant"])


class Stopper(Silent):
    """Breaks off after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def track(self, words: str, total: int) -> Callable[[int], None]:
        return self.count

    def count(self, done: int) -> None:
        self.left -= done
        if self.left < 0:
            raise KeyboardInterrupt


def train(recipe: Recipe, folder: Path, steps: int) -> None:
    folder.mkdir(exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (ROWS, 16, 16, 3), np.uint8)
    tasks = {name: task.fit(name, LABELS[name]) for name, task in recipe.tasks.items()}
    targets = {name: task.encode(LABELS[name]) for name, task in tasks.items()}
    training_data = TrainingData(lambda rows: pixels[rows], targets, np.arange(16), np.arange(16, ROWS))
    train_network(recipe, tasks, training_data, RunContext(folder, Stopper(steps)))


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / HISTORY).open(encoding="utf-8") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


@pytest.mark.parametrize("balance", ["uncertainty", "dynamic_average"])
def test_weights_move_are_written_down_and_gone_on_with(
    balance: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polyhead.training.checkpoint_callback.SAVE_EVERY", 0.0)
    recipe = make_recipe(tmp_path, balance)
    train(recipe, tmp_path / "whole", 10**6)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "broken", 5)  # in the third of four epochs of two steps
    train(recipe, tmp_path / "broken", 10**6)
    rows = history(tmp_path / "whole")
    assert history(tmp_path / "broken") == rows
    weights = [[float(row[f"{name}.weight"]) for row in rows] for name in ("color", "width")]
    assert all(len(set(column)) > 1 for column in weights)
    if balance == "dynamic_average":
        losses = [{f"{name}.loss": float(row[f"{name}.loss"]) for name in recipe.tasks} for row in rows]
        for epoch in range(4):
            expected = average_weights(losses[:epoch], ["color", "width"])
            found = [column[epoch] for column in weights]
            assert found == pytest.approx([2 * expected[0], expected[1]], rel=1e-5)


def test_the_logged_total_keeps_to_the_recipes_weights(tmp_path: Path) -> None:
    train(make_recipe(tmp_path, "uncertainty"), tmp_path / "run", 10**6)
    for row in history(tmp_path / "run"):
        for prefix in ("", "val_"):
            parts = [float(row[f"{prefix}{name}.loss"]) for name in ("color", "width")]
            assert float(row[f"{prefix}loss"]) == pytest.approx(2 * parts[0] + 1 * parts[1], rel=1e-5)


def test_fixed_weights_are_not_written_down(tmp_path: Path) -> None:
    train(make_recipe(tmp_path, "fixed"), tmp_path / "run", 10**6)
    assert not any(name.endswith(".weight") for name in history(tmp_path / "run")[0])
