"""The page of a search: the best recipe, what mattered, and every trial."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polyhead.report.charts.charts import draw_fractions
from polyhead.report.charts.search import draw_trials, draw_values
from polyhead.report.rendering import write_page
from polyhead.report.report import PAGE
from polyhead.report.words import NOTHING, show_count, show_number, show_value

Context = dict[str, Any]
Value = str | float


@dataclass(frozen=True)
class TrialRow:
    """A trial: its number from 1, what became of it, the score of the epoch that it kept, where it was complete; the
    epochs that were trained and their seconds; what it changed; its score after each epoch; why it failed."""

    trial: int
    state: str
    score: float | None
    epochs: int
    seconds: float
    values: Mapping[str, Value]
    scores: Mapping[int, float]
    why: str = ""


@dataclass(frozen=True)
class SearchPage:
    """What the page shows.

    Attributes:
        best: the number of the best trial; None where none is complete.
        changes: what the best recipe has in place of the first one's: key, the first one's value, the new one.
        importances: the share of the scores' variance by what explains it; empty where too few trials tell.
    """

    title: str
    best: int | None
    trials: Sequence[TrialRow]
    changes: Sequence[tuple[str, str, str]] = ()
    importances: Mapping[str, float] = field(default_factory=dict)


def write_page_of_search(folder: Path, page: SearchPage) -> Path:
    """Write the page into a folder, over the one that is there; its path."""
    folder.mkdir(exist_ok=True)
    write_page(folder / PAGE, "search.html", _describe(page))
    return folder / PAGE


def _describe(page: SearchPage) -> Context:
    complete = [trial for trial in page.trials if trial.score is not None]
    counts = {state: sum(trial.state == state for trial in page.trials) for state in ("complete", "pruned", "failed")}
    first = next((trial.score for trial in page.trials if trial.trial == 1), None)
    best = next((trial.score for trial in page.trials if trial.trial == page.best), None)
    seconds = sum(trial.seconds for trial in page.trials)
    facts = [
        ("trials", ", ".join(f"{show_count(count)} {state}" for state, count in counts.items() if count) or NOTHING),
        ("trained for", f"{show_number(seconds / 60, 'minutes')}"),
        ("the recipe's own score", NOTHING if first is None else f"{first:.4f}"),
        ("the best score", NOTHING if best is None else f"{best:.4f} (trial {page.best})"),
    ]
    names = list(dict.fromkeys(name for trial in page.trials for name in trial.values))
    return {
        "page": page,
        "facts": facts,
        "changes": page.changes,
        "progress": draw_trials(page.trials, page.best) if complete else None,
        "importances": draw_fractions(page.importances) if page.importances else None,
        "values": [(name, draw_values(name, complete, page.best)) for name in names] if len(complete) > 1 else [],
        "heads": ["trial", "state", "score", "epochs", "seconds", *names],
        "rows": [_list_cells(trial, names) for trial in sorted(page.trials, key=_order)],
    }


def _order(trial: TrialRow) -> tuple[float, int]:
    """The best first, those without a score behind all others."""
    return (-trial.score if trial.score is not None else float("inf"), trial.trial)


def _list_cells(trial: TrialRow, names: Sequence[str]) -> list[str]:
    score = NOTHING if trial.score is None else f"{trial.score:.4f}"
    values = [show_value(trial.values[name]) if name in trial.values else NOTHING for name in names]
    state = f"{trial.state}: {trial.why}" if trial.why else trial.state
    return [str(trial.trial), state, score, show_count(trial.epochs), f"{trial.seconds:,.0f}", *values]
