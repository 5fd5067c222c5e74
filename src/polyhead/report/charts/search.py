"""The charts of a search: the scores of its trials, and how they go with what was changed."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from polyhead.report.charts.axes import Axis, Ticks, label_axis, limits, log_axis, number_axis
from polyhead.report.charts.drawing import Drawing, Plot, Style


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


RING = Style("var(--ink)", radius=8, hollow=True)


def draw_trials(trials: Sequence[Scored], best: int | None) -> Drawing:
    """Each trial's score after each epoch, a line a trial; the best one's is thick."""
    scored = [trial for trial in trials if trial.scores]
    low, high = limits(score for trial in scored for score in trial.scores.values())
    last = max(max(trial.scores) for trial in scored)
    across = number_axis(0.7, last + 0.3, "epoch", ticks=Ticks(min(8, last), whole=True))
    plot = Plot(across, number_axis(low, high, "score", grid=True), 240)
    for trial in sorted(scored, key=lambda trial: trial.trial == best):
        chosen = trial.trial == best
        colour = "var(--series-1)" if chosen else "var(--faint)"
        style = Style(colour, "dot" if trial.score is None else "solid", width=3 if chosen else 1, radius=2)
        plot.line(list(trial.scores), list(trial.scores.values()), style)
        for epoch, score in trial.scores.items():
            plot.mark(epoch, score, style, f"trial {trial.trial}, epoch {epoch}: {score:.4f}")
    return plot.finish(f"{len(scored)} trials; the best is trial {best}")


def draw_values(name: str, trials: Sequence[Scored], best: int | None) -> Drawing:
    """The score of each trial that is complete against what it took; a ring around the best."""
    values = [trial.values[name] for trial in trials]
    across, places = _place_values(name, values)
    scores = [float(trial.score or 0) for trial in trials]
    plot = Plot(across, number_axis(*limits(scores, 0.1), "score", grid=True), 170, slanted=_is_crowded(across))
    for trial, place, score in zip(trials, places, scores, strict=True):
        plot.mark(place, score, Style("var(--series-1)", radius=3.5), f"trial {trial.trial}: {score:.4f}")
    index = [trial.trial for trial in trials].index(best) if best in [trial.trial for trial in trials] else 0
    plot.mark(places[index], scores[index], RING)
    return plot.finish(f"the best took {values[index]}")


def _place_values(name: str, values: Sequence[str | float]) -> tuple[Axis, list[float]]:
    """The axis of what trials took, and where each of its values lies on it."""
    numbers = [float(value) for value in values if not isinstance(value, str)]
    if len(numbers) < len(values):
        labels = sorted({str(value) for value in values})
        return label_axis(labels), [float(labels.index(str(value))) for value in values]
    if name == "learning rate":
        return log_axis(min(numbers), max(numbers), name), numbers
    return number_axis(*limits(numbers), name), numbers


def _is_crowded(across: Axis) -> bool:
    return sum(len(text) + 2 for _, text in across.ticks) > 40
