"""The 95 % intervals of all figures of a split: what `intervals` holds in `evaluation.json`; see `bootstrap.py`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from polyhead.data.splits import find_groups
from polyhead.evaluation.bootstrap import Cases, Draws, Interval, divide, find_error, find_fraction
from polyhead.evaluation.certainty import find_certainty
from polyhead.evaluation.label_counts import Marked, count_in_draws, mark_classes, mark_several
from polyhead.evaluation.shares import find_shares
from polyhead.tasks import Array, Numbers, Task
from polyhead.tasks.regression import Regression

BINS = 50  # of scores, by which a ranking's deviation is found


def add_intervals(
    found: Numbers, tasks: Mapping[str, Task], labels: pd.DataFrame, outputs: Mapping[str, Array], seed: int = 0
) -> None:
    """Put beside the figures of a split, of its tasks' labels and ranges their intervals: `{METRIC: [from, to]}`.

    A figure whose interval cannot be told, such as a mean error over a single row, has none.

    Args:
        found: what `evaluate_split` gave; `intervals` are put into it.
        tasks: by name, as the training split taught them.
        labels: n rows, a text column a task, blank where unknown; rows of equal `content` or `split.group` are a group.
        outputs: (n, width) a task.
        seed: of the draws.
    """
    draws = Draws(np.unique(find_groups(labels), return_inverse=True)[1].reshape(-1), seed)
    right, known = np.zeros(len(labels)), np.zeros(len(labels))
    whole = np.ones(len(labels), bool)
    for name, task in tasks.items():
        figures = found["tasks"][name]
        texts = np.array(task.regroup(labels[name].tolist()), object)
        if not figures["n"]:
            continue
        certain = find_certainty(figures, task, texts.tolist(), outputs[name], draws)
        if task.several:
            _add_to_labels(figures, task, texts.tolist(), outputs[name], draws)
        elif task.numeric:
            _add_to_numbers(figures, task, texts, outputs[name], draws)
        else:
            answers = np.array([answer.label for answer in task.decode(outputs[name])], object)
            _add_to_classes(figures, task, texts, answers, draws)
            if "average_precision" in figures:  # of the second label of two
                yes = np.where(texts == "", np.nan, texts == task.names[-1])
                ranking = _rank(yes, task.probabilities(outputs[name])[:, -1], draws)
                figures["intervals"] |= _find_ranking(figures, ranking, yes, draws)
            right, known = right + (texts == answers), known + (texts != "")
            whole &= (texts == "") | (texts == answers)
        figures["intervals"] |= _list_intervals(certain)
    parts = np.column_stack([right, whole & (known > 0)]), np.column_stack([known, known > 0])
    mean_accuracy, all_correct = find_shares(*parts, draws)
    found["joint"]["intervals"] = _list_intervals({"mean_accuracy": mean_accuracy, "all_correct": all_correct})


def _add_to_classes(figures: Numbers, task: Task, truth: Any, answers: Any, draws: Draws) -> None:
    """Of a task with one label an image."""
    known = truth != ""
    marked = mark_classes(truth, answers, list(figures["per_class"]))
    drawn, cases = count_in_draws(marked, draws), _list_cases(marked, draws)
    (all_cases,) = draws.cases(marked.known[:, :1])
    right = np.asarray((truth == answers) & known)
    (accuracy,) = find_shares(right[:, np.newaxis], marked.known[:, :1], draws)
    intervals = {"accuracy": accuracy}
    weights = divide(drawn.truth, drawn.truth.sum(axis=1, keepdims=True))
    for score, values in drawn.scores().items():
        macro = find_fraction(figures[f"macro_{score}"], drawn.macro(score), _even(cases[score]))
        intervals[f"macro_{score}"] = macro
        weighted = (values * weights).sum(axis=1)
        intervals[f"weighted_{score}"] = find_fraction(figures[f"weighted_{score}"], weighted, all_cases)
    if figures.get("mae") is not None:
        at = {label: float(index) for index, label in enumerate(task.names)}
        levels = [np.array([at.get(label, np.nan) for label in texts]) for texts in (truth, answers)]
        intervals["mae"] = _find_mean(figures["mae"], np.abs(levels[0] - levels[1]), draws)
    figures["intervals"] = _list_intervals(intervals)
    _add_to_each(figures["per_class"], marked, draws)


def _find_ranking(figures: Numbers, drawn: tuple[Array, Array], yes: Array, draws: Draws) -> dict[str, Interval]:
    """Of rows of yes, 1, that are ranked before those of no, 0."""
    cases = draws.cases(np.column_stack([yes == 1, yes == 0]))
    return _list_intervals(
        {
            "average_precision": find_fraction(figures["average_precision"], drawn[0], cases[0]),
            "roc_auc": find_fraction(figures["roc_auc"], drawn[1], min(cases)),
        }
    )


def _add_to_labels(figures: Numbers, task: Task, texts: Sequence[str], outputs: Array, draws: Draws) -> None:
    """Of a task with several labels an image, each a yes or a no."""
    marked, truth = mark_several(task, texts, outputs), task.encode(texts)
    known = marked.known
    right, used = (marked.truth == marked.given) & known, known.any(axis=0)
    whole = np.atleast_2d(known.all(axis=1)).T
    drawn, cases = count_in_draws(marked, draws), _list_cases(marked, draws)
    shares, ((_, groups),) = draws.share(right, known), draws.cases(np.atleast_2d(known.any(axis=1)).T)
    (exact,) = find_shares(np.atleast_2d(right.all(axis=1)).T & whole, whole, draws)
    f1, even = drawn.scores()["f1"][:, used].mean(axis=1), _even([cases["f1"][i] for i in np.flatnonzero(used)])
    accuracy = divide(np.nan_to_num(shares).sum(axis=1), (~np.isnan(shares)).sum(axis=1), none=np.nan)
    intervals = {
        "accuracy": find_fraction(figures["accuracy"], accuracy, (float(known.sum()), groups)),
        "macro_f1": find_fraction(figures["macro_f1"], f1, even),
        "exact_match": exact,
    }
    _add_to_each(figures["per_label"], marked, draws)
    scores, rankings = task.probabilities(outputs), {}
    accuracies = find_shares(right, known, draws)
    for i, (entry, interval) in enumerate(zip(figures["per_label"].values(), accuracies, strict=True)):
        entry["intervals"] |= _list_intervals({"accuracy": interval})
        if "average_precision" in entry:
            rankings[i] = _rank(truth[:, i], scores[:, i], draws)
            entry["intervals"] |= _find_ranking(entry, rankings[i], truth[:, i], draws)
    if rankings:
        mean, even = (
            np.mean([found[0] for found in rankings.values()], axis=0),
            _even([cases["recall"][i] for i in rankings]),
        )
        intervals["mean_average_precision"] = find_fraction(figures["mean_average_precision"], mean, even)
    figures["intervals"] = _list_intervals(intervals)


def _add_to_numbers(figures: Numbers, task: Task, texts: Any, outputs: Array, draws: Draws) -> None:
    """Of a task whose answers are numbers."""
    truth = task.encode(texts.tolist())[:, 0].astype(float)
    errors = outputs[:, 0].astype(float) - truth
    known = ~np.isnan(truth)
    y, e = np.nan_to_num(truth - truth[known].mean()), np.nan_to_num(errors)
    n, sum_y, squares, missed = draws.sum(np.column_stack([known, y, y**2, e**2])).T
    groups = len(np.unique(draws.groups[known]))
    unexplained = divide(missed, squares - divide(sum_y**2, n), none=np.nan)
    intervals = {
        "mae": _find_mean(figures["mae"], np.abs(errors), draws),
        "rmse": find_error(figures["rmse"], np.sqrt(divide(missed, n, none=np.nan)), groups),
    }
    rest = find_error(None if figures["r2"] is None else 1 - figures["r2"], unexplained, groups)
    intervals["r2"] = [1 - rest[1], 1 - rest[0]] if rest else None
    figures["intervals"] = _list_intervals(intervals)
    if isinstance(task, Regression):
        ranges = np.digitize(truth, task.state.edges)
        for number, entry in enumerate(figures["by_range"]):
            within = np.where(ranges == number, np.abs(errors), np.nan)
            entry["intervals"] = _list_intervals({"mae": _find_mean(entry["mae"], within, draws)})


def _find_mean(value: float | None, errors: Array, draws: Draws) -> Interval | None:
    """The interval of a mean of errors (n,), NaN where there is none."""
    known = ~np.isnan(errors)
    return find_error(value, draws.share(np.nan_to_num(errors), known)[:, 0], len(np.unique(draws.groups[known])))


def _add_to_each(entries: Mapping[str, Numbers], marked: Marked, draws: Draws) -> None:
    """Beside precision, recall and F1 of each label, in the columns' order.

    F1 is 2J / (1 + J) of Jaccard's J, the fraction of the rows where truth or answer is the label in which both are.
    """
    truth, given, _ = marked
    both, either = truth & given, truth | given
    found = {"precision": find_shares(both, given, draws), "recall": find_shares(both, truth, draws)}
    jaccard = find_shares(both, either, draws)
    found["f1"] = [[2 * bound / (1 + bound) for bound in one] if one else None for one in jaccard]
    for i, entry in enumerate(entries.values()):
        told = {name: intervals[i] for name, intervals in found.items() if entry.get(name) is not None}
        entry["intervals"] = _list_intervals(told)


def _list_cases(marked: Marked, draws: Draws) -> dict[str, list[Cases]]:
    """Over which rows each label's scores are."""
    truth, given, _ = marked
    return {"precision": draws.cases(given), "recall": draws.cases(truth), "f1": draws.cases(truth | given)}


def _rank(yes: Array, scores: Array, draws: Draws) -> tuple[Array, Array]:
    """Average precision and ROC AUC in each draw, NaN where one has no yes or no; scores are put into `BINS` bins."""
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, BINS + 1)[1:-1]))
    bins = np.searchsorted(-edges[::-1], -scores, side="left")  # the highest scores first
    at = bins[:, None] == np.arange(len(edges) + 1)
    hits, misses = np.split(draws.sum(np.column_stack([at & (yes == 1)[:, None], at & (yes == 0)[:, None]])), 2, axis=1)
    above, below = hits.cumsum(axis=1), misses.cumsum(axis=1)
    total, others = above[:, -1:], below[:, -1:]
    precision = (hits * divide(above, above + below)).sum(axis=1, keepdims=True)
    area = (misses * (above - hits / 2)).sum(axis=1, keepdims=True)
    found = divide(precision, total, none=np.nan), divide(area, total * others, none=np.nan)
    return found[0][:, 0], found[1][:, 0]


def _even(cases: Sequence[Cases]) -> Cases:
    """How many cases a mean over labels stands for, each of which weighs the same however few it has."""
    counts = len(cases) ** 2 / (1 / np.maximum(cases, 1)).sum(axis=0)
    return float(counts[0]), float(counts[1])


def _list_intervals(found: Mapping[str, Interval | None]) -> dict[str, Interval]:
    return {name: interval for name, interval in found.items() if interval}
