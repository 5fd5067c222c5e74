"""What came of a search so far: the best recipe, and the page that shows every trial."""

from typing import TYPE_CHECKING, Any

from polyhead.files import write_text
from polyhead.recipe.loading import write_recipe
from polyhead.recipe.schema import Recipe
from polyhead.report.search import SearchPage, TrialRow, write_page_of_search
from polyhead.runs.space import change_recipe, list_knobs
from polyhead.runs.trials import Search, read_history

if TYPE_CHECKING:
    import optuna

FEWEST = 4  # trials that were complete, before it is said what mattered
STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}


def describe_trials(search: Search, study: "optuna.Study") -> list[dict[str, Any]]:
    """One row a trial: `trial`, `state`, `score`, `epochs`, `seconds`, and a column for each thing that is changed."""
    return [{**_describe(search, trial), **trial.params} for trial in study.trials if trial.state.name in STATES]


def _describe(search: Search, trial: "optuna.trial.FrozenTrial") -> dict[str, Any]:
    rows = read_history(search.trial(trial.number + 1))
    return {
        "trial": trial.number + 1,
        "state": STATES[trial.state.name],
        "score": trial.value if trial.state.name == "COMPLETE" else None,
        "epochs": len(rows),
        "seconds": round(sum(float(row["seconds"]) for row in rows), 1),
    }


def write_search_page(search: Search, study: "optuna.Study", recipe: Recipe) -> None:
    """Write the best recipe so far, where a trial is complete, and the page.

    Args:
        recipe: that the search began with, complete.
    """
    knobs = list_knobs(recipe)
    complete = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    best = study.best_trial if complete else None
    changes: list[tuple[str, str, str]] = []
    if best:
        found = change_recipe(recipe, knobs, best.params)
        head = (
            f"# the best of {len(study.trials)} trials: number {best.number + 1}, validation score {best.value:.4f}\n"
        )
        write_text(search.recipe, head + write_recipe(found))
        changes = [(key, _show(old), _show(new)) for key, (old, new) in recipe.diff(found).items()]
    trials = [
        TrialRow(
            values=dict(trial.params),
            scores=dict(trial.intermediate_values),
            why=str(trial.user_attrs.get("why", "")),
            **_describe(search, trial),
        )
        for trial in study.trials
        if trial.state.name in STATES
    ]
    write_page_of_search(
        search.report,
        SearchPage(
            title=f"{recipe.name}: search",
            best=best.number + 1 if best else None,
            trials=trials,
            changes=changes,
            importances=_find_importances(study) if len(complete) >= FEWEST else {},
        ),
    )


def _show(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _find_importances(study: "optuna.Study") -> dict[str, float]:
    """The share of the scores' variance that each thing explains (fANOVA: Hutter, Hoos, Leyton-Brown 2014)."""
    import optuna

    if len({trial.value for trial in study.trials if trial.state.name == "COMPLETE"}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(value) for name, value in found.items()}
