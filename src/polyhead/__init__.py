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

    from polyhead.clustering import cluster
    from polyhead.errors import PolyheadError
    from polyhead.exporting import export
    from polyhead.look.grouping import Grouping
    from polyhead.recipe_file import load_recipe
    from polyhead.use.predictor import Predictor as load_model
    from polyhead.workflow import evaluate, explore, resume, train

_PLACES = {
    "Grouping": ("look.grouping", "Grouping"),
    "PolyheadError": ("errors", "PolyheadError"),
    "load_recipe": ("recipe_file", "load_recipe"),
    "load_model": ("use.predictor", "Predictor"),
    "cluster": ("clustering", "cluster"),
    "evaluate": ("workflow", "evaluate"),
    "export": ("exporting", "export"),
    "explore": ("workflow", "explore"),
    "resume": ("workflow", "resume"),
    "train": ("workflow", "train"),
}

__all__ = [
    "Grouping",
    "PolyheadError",
    "cluster",
    "evaluate",
    "explore",
    "export",
    "load_model",
    "load_recipe",
    "resume",
    "train",
]


def __getattr__(name: str) -> "Any":
    """Import what is asked for, and nothing before: `polyhead --help` must not wait for pandas."""
    from importlib import import_module

    if name not in _PLACES:
        raise AttributeError(f"module 'polyhead' has no attribute {name!r}")
    module, inner = _PLACES[name]
    return getattr(import_module(f"polyhead.{module}"), inner)
