"""Polyhead: one image in, every answer out.

import polyhead

run = polyhead.train("fashionnet", "run", data="dataset")
for record in polyhead.load_model(run).predict(["dress.jpg"]):
    print(record["answers"])
"""

TYPE_CHECKING = False  # as in `typing`: nothing is imported here before `__main__.py` has made imports safe

__version__ = "0.1.0"

if TYPE_CHECKING:
    from typing import Any

    from polyhead.clustering.cluster import cluster
    from polyhead.clustering.grouping import Grouping
    from polyhead.errors import PolyheadError
    from polyhead.model.predictor import Predictor as load_model
    from polyhead.recipe.loading import load_recipe
    from polyhead.recipe.plugins import load_plugins
    from polyhead.runs.exporting import export
    from polyhead.runs.workflow import evaluate, explore, resume, train

_PLACES = {
    "Grouping": ("clustering.grouping", "Grouping"),
    "PolyheadError": ("errors", "PolyheadError"),
    "load_recipe": ("recipe.loading", "load_recipe"),
    "load_model": ("model.predictor", "Predictor"),
    "load_plugins": ("recipe.plugins", "load_plugins"),
    "cluster": ("clustering.cluster", "cluster"),
    "evaluate": ("runs.workflow", "evaluate"),
    "export": ("runs.exporting", "export"),
    "explore": ("runs.workflow", "explore"),
    "resume": ("runs.workflow", "resume"),
    "train": ("runs.workflow", "train"),
}

__all__ = [
    "Grouping",
    "PolyheadError",
    "cluster",
    "evaluate",
    "explore",
    "export",
    "load_model",
    "load_plugins",
    "load_recipe",
    "resume",
    "train",
]


def __getattr__(name: str) -> "Any":
    """Import what is asked for, and nothing before: who wants a word of help must not wait for pandas."""
    from importlib import import_module

    if name not in _PLACES:
        raise AttributeError(f"module 'polyhead' has no attribute {name!r}")
    module, inner = _PLACES[name]
    return getattr(import_module(f"polyhead.{module}"), inner)
