"""How good a model is for each group of images."""

from collections.abc import Mapping
from typing import Any

from polyhead.evaluation.results import falls_short
from polyhead.report.sections.verdict import FEW, show_interval
from polyhead.report.words import METRICS, NOTHING, PERCENTAGES, show_count, show_metric, show_percent
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
    heads = [(name, METRICS[metric].lower()) for name, metric in shown.items()]
    listed = dict(list(found.items())[:GROUPS])
    cells = {
        group: [_describe_cell(figures["tasks"][name], shown[name], tasks[name]) for name in shown]
        for group, figures in listed.items()
    }
    return {
        "by": by.replace("*", " and "),
        "heads": heads,
        "rows": _list_rows(listed, cells),
        "more": show_count(max(len(found) - GROUPS, 0)),
        "promises": _describe_promises(listed, tasks),
    }


def _list_rows(found: Mapping[str, Numbers], cells: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [
        {"name": group, "n": show_count(found[group]["n"]), "few": found[group]["n"] < FEW, "cells": cells[group]}
        for group in found
    ]


def _describe_promises(found: Mapping[str, Numbers], tasks: Mapping[str, Task]) -> dict[str, Any] | None:
    """How often answers hold the truth in what they promise, and how large that is; None where nothing is promised."""
    shares = {
        name: figures["tasks"][name]["promised"]
        for figures in found.values()
        for name in tasks
        if figures["tasks"][name].get("promised")
    }
    if not shares:
        return None
    cells = {
        group: [_describe_promise(figures["tasks"][name], tasks[name]) for name in shares]
        for group, figures in found.items()
    }
    return {
        "heads": [(name, show_percent(share)) for name, share in shares.items()],
        "rows": _list_rows(found, cells),
    }


def _describe_promise(figures: Numbers, task: Task) -> dict[str, Any]:
    """A cell as `_describe_cell` makes it; what stands in it last is that a group falls short, or else the size."""
    if "coverage" not in figures:
        return {"value": NOTHING, "interval": "", "size": "", "behind": ""}
    few = figures["n"] < FEW
    sizes = {"set_size": "{} labels", "not_sure": "{} not sure", "interval_width": "{} wide"}
    size = next(key for key in sizes if key in figures)
    number = f"{figures[size]:.2f}" if size == "set_size" else show_metric(size, figures, task.error_unit)
    return {
        "value": NOTHING if few else show_metric("coverage", figures, ""),
        "interval": show_interval(figures, "coverage", task),
        "size": "" if few else sizes[size].format(number),
        "behind": "less than promised" if falls_short(figures) and not few else "",
    }


def _describe_cell(figures: Numbers, metric: str, task: Task) -> dict[str, Any]:
    """A figure with its interval, and how far it is behind the best group's; of few images the interval alone."""
    few = figures["n"] < FEW
    value = NOTHING if few or metric not in figures else show_metric(metric, figures, task.error_unit)
    cell = {"value": value, "interval": show_interval(figures, metric, task), "size": "", "behind": ""}
    gap = figures.get("gap")
    if gap and not few and gap["interval"][0] > 0:
        points = f"{100 * gap['behind']:.1f} points"
        behind = points if metric in PERCENTAGES else show_metric(metric, {metric: gap["behind"]}, task.error_unit)
        cell["behind"] = f"{behind} behind {gap['best']}"
    return cell
