"""What code of the user's own a recipe names, and where it would come from. Nothing is imported here."""

import importlib.util
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from polyhead.errors import PolyheadError
from polyhead.recipe.schema import Recipe

if TYPE_CHECKING:
    from polyhead.recipe.overrides import Changes

KEPT_BACKBONE = "state/backbone.keras"  # in a run folder: the network that was handed over, as it came
KEPT_PRESET = "state/preset.json"  # in a run folder: what its network is built by again
# What a recipe says in place of its own backbone or trunk where a network is handed over; its other keys stay.
HANDED_OVER: dict[str, object] = {
    **{f"network.backbone.{key}": None for key in ("name", "builder", "preset", "weights")},
    "network.trunk": None,
    "network.backbone.arguments": {},
    "network.backbone.width": 1.0,
    "network.backbone.model": KEPT_BACKBONE,
}


def hand_over(overrides: "Changes") -> list[str | Mapping[str, object]]:
    """The same changes to a recipe, and those by which it stands on a network that is handed over."""
    if isinstance(overrides, str):
        return [overrides, HANDED_OVER]
    changes = [overrides] if isinstance(overrides, Mapping) else overrides
    return [*cast("Iterable[str | Mapping[str, object]]", changes), HANDED_OVER]


def find_recipe_folder(recipe: object) -> Path:
    """The folder that paths of models in a recipe are relative to: its file's, or the current one where it has none."""
    is_file = isinstance(recipe, str | os.PathLike) and os.path.lexists(recipe)
    return Path(recipe).parent if is_file else Path()  # type: ignore[arg-type]


def list_own_code(recipe: Recipe) -> dict[str, str]:
    """The dotted paths that a recipe holds, by the key that holds each."""
    found = {}
    if recipe.network.backbone and recipe.network.backbone.builder:
        found["network.backbone.builder"] = recipe.network.backbone.builder
    for index, layer in enumerate(recipe.training.augment.layers):
        found[f"training.augment.layers.{index}.builder"] = layer.builder
    for name, task in recipe.tasks.items():
        if is_dotted(task.loss):
            found[f"tasks.{name}.loss"] = task.loss
    return found


def is_dotted(word: str) -> bool:
    """Whether a word of a recipe is the place of a function: none of Polyhead's own words has a colon."""
    return ":" in word


def find_package(path: str, key: str) -> Path:
    """The file or folder of the package that a dotted path begins with; it is not imported.

    Args:
        path: `package.module:function`.
        key: of the recipe, for the message.

    Raises:
        PolyheadError: there is no such package.
    """
    package = path.partition(":")[0].partition(".")[0]
    found = importlib.util.find_spec(package)
    if found is None:
        raise PolyheadError(
            f"{key}: there is no module {package!r}; install its package, or put its folder into PYTHONPATH (the "
            "current folder is not searched)"
        )
    if found.submodule_search_locations:
        return Path(next(iter(found.submodule_search_locations)))
    return Path(found.origin or package)


def find_import_folders(recipe: Recipe) -> list[str]:
    """The folders from which its own code, and that of the packages that bring its kinds, is imported in this process.

    They are for another process to search last.
    """
    parts = list_own_code(recipe)
    models = {f"tasks.{name}": type(task) for name, task in recipe.tasks.items()}
    models["data.source"] = type(recipe.data.source)  # type: ignore[assignment]
    parts |= {key: f"{model.__module__}:{model.__name__}" for key, model in models.items()}
    folders = [str(find_package(path, key).parent) for key, path in parts.items() if not path.startswith("polyhead.")]
    return list(dict.fromkeys(folders))
