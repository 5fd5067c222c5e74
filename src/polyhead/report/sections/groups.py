"""How good a model is for each group of images."""

from collections.abc import Mapping
from typing import Any

from polyhead.report.sections.verdict import FEW, show_interval
from polyhead.report.words import METRICS, NOTHING, PERCENTAGES, show_count, show_metric
from polyhead.tasks import Task
from polyhead.tasks.metrics import Numbers

GROUPS = 60  # rows of a table, at most
MAIN = ("accuracy", "mae")


def describe_groups(groups: Mapping[str, Mapping[str, Numbers]], tasks: Mapping[str, Task]) -> list[dict[str, Any]]:
    """A table for each way to group images: a row a group, the worst first, a column a task."""
    return [_describe(by, found, tasks) for by, found in groups.items() if found]


def _describe(by: str, found: Mapping[str, Numbers], tasks: Mapping[str, Task]) -> dict[str, Any]:
    metrics = {
        name: next((key for key in MAIN if any(key in figures["tasks"][name] for figures in found.values())), "")
        for name in tasks
    }
    shown = {name: metric for name, metric in metrics.items() if metric}
    rows = [
        {"name": group, "n": show_count(figures["n"]), "few": figures["n"] < FEW}
        | {"cells": [_describe_cell(figures["tasks"][name], shown[name], tasks[name]) for name in shown]}
        for group, figures in list(found.items())[:GROUPS]
    ]
    heads, more = [(name, METRICS[metric]) for name, metric in shown.items()], max(len(found) - GROUPS, 0)
    return {"by": by.replace("*", " and "), "heads": heads, "rows": rows, "more": show_count(more)}


def _describe_cell(figures: Numbers, metric: str, task: Task) -> dict[str, Any]:
    """A figure with its interval, and how far it is behind the best group's; of few images the interval alone."""
    few = figures["n"] < FEW
    value = NOTHING if few or metric not in figures else show_metric(metric, figures, task.error_unit)
    cell = {"value": value, "interval": show_interval(figures, metric, task), "behind": ""}
    gap = figures.get("gap")
    if gap and not few and gap["interval"][0] > 0:
        points = f"{100 * gap['behind']:.1f} points"
        behind = points if metric in PERCENTAGES else show_metric(metric, {metric: gap["behind"]}, task.error_unit)
        cell["behind"] = f"{behind} behind {gap['best']}"
    return cell
