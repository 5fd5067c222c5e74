"""What the evaluations of several folds' networks say together: each metric's mean and deviation."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from polyhead.tasks.metrics import Numbers

SPLITS = ("valid", "test", "unseen")


def summarize_folds(evaluations: Sequence[Mapping[str, Any]]) -> Numbers:
    """How good the networks of k folds are on average, and how far that varies from fold to fold.

    Args:
        evaluations: what `evaluate.combine` gave of each fold's network; `valid` is there its own fold.

    Returns:
        `count`, k; and for each of `valid`, `test` and `unseen` that all of them have `{"tasks": {NAME: {METRIC:
        {"mean", "deviation", "values"}}}, "joint": ...}`: `values` in the folds' order, None where a fold has no such
        number; `deviation` of the sample (k - 1), None where fewer than two folds have one.
    """
    found: Numbers = {"count": len(evaluations)}
    for split in SPLITS:
        if all(split in evaluation for evaluation in evaluations):
            parts = [evaluation[split] for evaluation in evaluations]
            tasks = {name: _summarize([part["tasks"][name] for part in parts]) for name in parts[0]["tasks"]}
            found[split] = {"tasks": tasks, "joint": _summarize([part["joint"] for part in parts])}
    return found


def _summarize(figures: Sequence[Mapping[str, Any]]) -> dict[str, Numbers]:
    """Of each metric that is one number."""
    names = dict.fromkeys(key for found in figures for key, value in found.items() if _is_metric(key, value))
    columns = {name: [found.get(name) for found in figures] for name in names}
    return {name: _describe(values) for name, values in columns.items()}


def _is_metric(key: str, value: object) -> bool:
    counts = ("n", "labels")
    return isinstance(value, int | float) and not isinstance(value, bool) and key not in counts


def _describe(values: Sequence[float | None]) -> Numbers:
    known = [value for value in values if value is not None]
    return {"mean": fmean(known), "deviation": stdev(known) if len(known) > 1 else None, "values": list(values)}
