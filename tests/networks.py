"""Networks of small recipes, built without training."""

from pathlib import Path

import keras

from conftest import TINY_RECIPE
from polyhead.recipe.loading import load_recipe
from polyhead.recipe.schema import Recipe
from polyhead.tasks import Task
from polyhead.training.network import Network, build_network

TRUNK = "network={trunk: {blocks: [{filters: 4, pool: 4}]}}"


def build(folder: Path, *settings: str) -> tuple[Recipe, dict[str, Task], Network]:
    (folder / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    recipe = load_recipe(folder / "tiny.yaml", ["image.size=[32, 32]", *settings])
    labels = {"color": ["red", "blue"], "shape": ["disc"], "marks": ["dot"], "width": ["1", "2"], "size": ["S"]}
    tasks: dict[str, Task] = {name: task.fit(name, labels[name]) for name, task in recipe.tasks.items()}
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    return recipe, tasks, build_network(recipe, tasks)
