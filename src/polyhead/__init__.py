"""Polyhead: one image in, every answer out.

import polyhead

run = polyhead.train("fashionnet", "run", data="dataset")
for record in polyhead.load_model(run).predict(["dress.jpg"]):
    print(record["answers"])
"""

import sys

TYPE_CHECKING = False  # as in `typing`: nothing is imported here before `__main__.py` has made imports safe

__version__ = "0.1.0"

if TYPE_CHECKING:
    from polyhead.clustering.cluster import cluster
    from polyhead.clustering.grouping import Grouping
    from polyhead.errors import PolyheadError
    from polyhead.evaluation.comparison import Difference
    from polyhead.evaluation.drift import Drift
    from polyhead.evaluation.results import Evaluation, SplitEvaluation, TaskEvaluation
    from polyhead.model.records import Prediction
    from polyhead.progress import Progress
    from polyhead.recipe.loading import load_recipe
    from polyhead.recipe.plugins import load_plugins
    from polyhead.recipe.schema import Recipe
    from polyhead.runs.audit import audit
    from polyhead.runs.compare import ChangedAnswer, Comparison, compare
    from polyhead.runs.evaluate import evaluate
    from polyhead.runs.explore import explore
    from polyhead.runs.export import export
    from polyhead.runs.model import Model, load_model
    from polyhead.runs.monitor import monitor
    from polyhead.runs.run import Run, load_run
    from polyhead.runs.select import SelectedImage, Selection, select
    from polyhead.runs.train import resume, train
    from polyhead.runs.tune import Tuning, tune

_MODULES = {
    "ChangedAnswer": "runs.compare",
    "Comparison": "runs.compare",
    "Difference": "evaluation.comparison",
    "Drift": "evaluation.drift",
    "Evaluation": "evaluation.results",
    "Grouping": "clustering.grouping",
    "Model": "runs.model",
    "PolyheadError": "errors",
    "Prediction": "model.records",
    "Progress": "progress",
    "Recipe": "recipe.schema",
    "Run": "runs.run",
    "SelectedImage": "runs.select",
    "Selection": "runs.select",
    "SplitEvaluation": "evaluation.results",
    "TaskEvaluation": "evaluation.results",
    "Tuning": "runs.tune",
    "audit": "runs.audit",
    "cluster": "clustering.cluster",
    "compare": "runs.compare",
    "evaluate": "runs.evaluate",
    "explore": "runs.explore",
    "export": "runs.export",
    "load_model": "runs.model",
    "load_plugins": "recipe.plugins",
    "load_recipe": "recipe.loading",
    "load_run": "runs.run",
    "monitor": "runs.monitor",
    "resume": "runs.train",
    "select": "runs.select",
    "train": "runs.train",
    "tune": "runs.tune",
}

__all__ = [
    "ChangedAnswer",
    "Comparison",
    "Difference",
    "Drift",
    "Evaluation",
    "Grouping",
    "Model",
    "PolyheadError",
    "Prediction",
    "Progress",
    "Recipe",
    "Run",
    "SelectedImage",
    "Selection",
    "SplitEvaluation",
    "TaskEvaluation",
    "Tuning",
    "audit",
    "cluster",
    "compare",
    "evaluate",
    "explore",
    "export",
    "load_model",
    "load_plugins",
    "load_recipe",
    "load_run",
    "monitor",
    "resume",
    "select",
    "train",
    "tune",
]


def _find_public(name: str) -> object:
    """Import what is asked for, and nothing before: who wants a word of help must not wait for pandas."""
    from importlib import import_module

    if name not in _MODULES:
        raise AttributeError(f"module 'polyhead' has no attribute {name!r}")
    return getattr(import_module(f"polyhead.{_MODULES[name]}"), name)


if not TYPE_CHECKING:  # or a type checker would take any name for one that is there
    __getattr__ = _find_public


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


class _Package(type(sys)):  # type: ignore[misc]  # a module's class
    """This package, whose `export` stays the function when a module of the room of that name is imported."""

    @property
    def export(self) -> object:
        return _find_public("export")

    @export.setter
    def export(self, room: object) -> None:
        """Python puts the room here, by its name."""


sys.modules[__name__].__class__ = _Package
