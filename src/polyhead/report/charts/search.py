"""The charts of a search: the scores of its trials, and how they go with what was changed."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from polyhead.report.charts.drawing import CLEAR, Drawing, axis, axis_of_labels, draw


class Scored(Protocol):
    """A trial, as far as the charts know it; see `report/search.py`."""

    @property
    def trial(self) -> int: ...
    @property
    def score(self) -> float | None: ...
    @property
    def values(self) -> Mapping[str, str | float]: ...
    @property
    def scores(self) -> Mapping[int, float]: ...


def draw_trials(trials: Sequence[Scored], best: int | None) -> Drawing:
    """Each trial's score after each epoch, a line a trial; the best one's is thick."""
    lines = []
    for trial in trials:
        if trial.scores:
            chosen, ended = trial.trial == best, trial.score is None
            colour = "var(--series-1)" if chosen else "var(--faint)"
            lines.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": f"trial {trial.trial}",
                    "x": list(trial.scores),
                    "y": list(trial.scores.values()),
                    "line": {"color": colour, "width": 3 if chosen else 1, "dash": "dot" if ended else "solid"},
                    "marker": {"size": 4, "color": colour},
                    "hovertemplate": f"trial {trial.trial}, epoch %{{x}}<br>%{{y:.4f}}<extra></extra>",
                }
            )
    words = f"{len(lines)} trials; the best is trial {best}"
    last = max(max(trial.scores, default=0) for trial in trials)
    across = axis("epoch", showgrid=False, tickformat="d", nticks=min(8, last + 1))
    return draw(lines, words, 320, xaxis=across, yaxis=axis("score"))


def draw_values(name: str, trials: Sequence[Scored], best: int | None) -> Drawing:
    """The score of each trial that is complete against what it took; a ring around the best."""
    values = [trial.values[name] for trial in trials]
    places: list[Any] = values
    across = axis(name, showgrid=False)
    if any(isinstance(value, str) for value in values):
        labels = sorted({str(value) for value in values})
        places = [labels.index(str(value)) for value in values]
        across = axis_of_labels(labels)
    elif name == "learning rate":
        across = axis(name, showgrid=False, type="log") | {"exponentformat": "power", "dtick": 1}
    scores = [trial.score for trial in trials]
    points: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers",
        "x": places,
        "y": scores,
        "marker": {"color": "var(--series-1)", "size": 7},
        "text": [f"trial {trial.trial}" for trial in trials],
        "hovertemplate": "%{text}<br>%{y:.4f}<extra></extra>",
    }
    index = [trial.trial for trial in trials].index(best) if best in [trial.trial for trial in trials] else 0
    ring = {"color": CLEAR, "size": 16, "line": {"color": "var(--ink)", "width": 2}}
    chosen = {"x": [places[index]], "y": [scores[index]], "hoverinfo": "skip"}
    traces = [points, {"type": "scatter", "mode": "markers", "marker": ring} | chosen]
    return draw(traces, f"the best took {values[index]}", 240, xaxis=across, yaxis=axis("score"))
