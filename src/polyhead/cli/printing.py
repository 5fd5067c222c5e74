"""Results as lines of text on stdout."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from polyhead.errors import PolyheadError

MAIN_METRICS = ("accuracy", "macro_f1", "mae", "r2")


def print_run(run: os.PathLike[str]) -> None:
    """The main metrics of a run, and where its report and its model are.

    Raises:
        PolyheadError: `evaluation.json` is damaged or missing.
    """
    run = Path(run)
    file = run / "evaluation.json"
    try:
        print_evaluation(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise PolyheadError(f"{file}: is damaged or missing; delete {run / 'report'} and resume the run") from None
    print(f"report  {run / 'report' / 'index.html'}")
    print(f"model   {run / 'model.onnx'}")


def print_evaluation(evaluation: Mapping[str, Any]) -> None:
    """The main metrics of each split and task, each with its baseline."""
    for split, found in evaluation.items():
        if split in ("combinations", "folds"):
            continue
        for name, task in found["tasks"].items():
            print(f"{split}  {name}: {_format_metrics(task)}")
        joint = found["joint"]
        if joint["n"]:
            print(f"{split}  all correct: {joint['all_correct']:.3f} of {joint['n']} images")
        if joint.get("labels") and len(found["tasks"]) > 1:
            mean, baseline = joint["mean_accuracy"], joint["mean_accuracy_baseline"]
            print(f"{split}  mean accuracy: {mean:.3f} (baseline {baseline:.3f}) of {joint['labels']} labels")
    for line in _describe_folds(evaluation.get("folds", {})):
        print(line)
    # If only one split was evaluated, the other half is not known.
    combinations = [
        f"{key} {value:.3f}" for key, value in evaluation.get("combinations", {}).items() if value is not None
    ]
    if combinations:
        print(f"combinations  {', '.join(combinations)}")


def _describe_folds(folds: Mapping[str, Any]) -> Iterator[str]:
    """Of each task the mean over the folds' networks, each on its own fold, and how far it varies."""
    for name, task in folds.get("valid", {}).get("tasks", {}).items():
        words = [
            f"{key} {task[key]['mean']:.3f} ± {task[key]['deviation'] or 0:.3f}" for key in MAIN_METRICS if key in task
        ]
        yield f"{folds['count']} folds  {name}: {', '.join(words) or 'no labels'}"


def _format_metrics(task: dict[str, Any]) -> str:
    if not task["n"]:
        return "no labels"
    baseline = task["baseline"]
    words = [
        f"{name} {task[name]:.3f}" + (f" (baseline {baseline[name]:.3f})" if baseline.get(name) is not None else "")
        for name in MAIN_METRICS
        if task.get(name) is not None
    ]
    return ", ".join(words)


def format_comparison(task: Mapping[str, Any]) -> str:
    """How far the answers of an exported model are from the original's, for one task."""
    words = [f"differs by at most {task['difference']:.2g}"]
    if task["same"] is not None:
        words.append(f"same answer for {100 * task['same']:.2f} %")
    words += [
        f"{name} {was:.3f} -> {now:.3f} ({round(now - was, 3) + 0:+.3f})"
        for name, (was, now) in task["figures"].items()
    ]
    return ", ".join(words)


def print_worse(evaluation: Mapping[str, Any]) -> None:
    """A line a task: its main metric, and what is left of it where images are worse, of the middle strength."""
    for split in evaluation.values():
        for name, followed in split.get("worse", {}).get("tasks", {}).items():
            kinds = {kind: values for kind, values in followed.items() if kind != "metric"}
            first = next(iter(kinds.values()))[0]
            left = ", ".join(f"{kind} {_show(values[3])}" for kind, values in kinds.items())
            print(f"{name} {followed['metric']} {_show(first)}; of worse images (3 of 5): {left}")


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
