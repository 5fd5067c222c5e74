"""Results as lines of text on stdout."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from polyhead.errors import PolyheadError
from polyhead.evaluation.results import (
    FEW,
    SHOWN,
    Row,
    TaskEvaluation,
    admit_few,
    describe_broken,
    describe_learning_curve,
    falls_short,
)


def print_run(run: os.PathLike[str], figures: bool = True) -> None:
    """The main metrics of a run, if they are wanted, and where its report and its model are.

    Raises:
        PolyheadError: `evaluation.json` is damaged or missing.
    """
    run = Path(run)
    file = run / "evaluation.json"
    try:
        evaluation = json.loads(file.read_text(encoding="utf-8"))
        if figures:
            print_evaluation(evaluation)
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
            print(f"{split}  {name}: {TaskEvaluation(task).describe()}")
        joint = found["joint"]
        if joint["n"]:
            print(f"{split}  " + _describe_joint(joint, "all_correct", f"{joint['n']:,} images"))
        if joint.get("labels") and len(found["tasks"]) > 1:
            print(f"{split}  " + _describe_joint(joint, "mean_accuracy", f"{joint['labels']:,} labels"))
        if unfamiliar := found.get("unfamiliar"):
            print(f"{split}  {describe_unfamiliar(unfamiliar)}")
        for line in describe_learning_curve(found.get("learning_curve", {})):
            print(f"{split}  {line}")
        for line in _describe_groups(found.get("groups", {})):
            print(f"{split}  {line}")
        for line in _describe_rules(found.get("rules", {})):
            print(f"{split}  {line}")
    for line in _describe_folds(evaluation.get("folds", {})):
        print(line)
    # If only one split was evaluated, the other half is not known.
    combinations = []
    for key, value in evaluation.get("combinations", {}).items():
        if isinstance(value, float):
            interval = evaluation["combinations"].get("intervals", {}).get(key)
            combinations.append(f"{key} {value:.3f}" + (_bracket(interval) if interval else ""))
    if combinations:
        print(f"combinations  {', '.join(combinations)}")


def describe_unfamiliar(found: Mapping[str, Any]) -> str:
    """How many images are unlike those that the model was trained on."""
    share, (low, high) = found["share"], found["interval"]
    return (
        f"unfamiliar {share:.3f} ({low:.3f} to {high:.3f}; expected {found['expected']:.2f}) of {found['n']:,} images"
    )


def _describe_groups(groups: Mapping[str, Any]) -> Iterator[str]:
    """Of each task, as far as there are images enough to tell, the group that is farthest behind the best one."""
    for by, found in groups.items():
        unclear, few = [], []
        for task in next(iter(found.values()), {"tasks": {}})["tasks"]:
            told = {group: figures["tasks"][task] for group, figures in found.items()}
            behind = [group for group in told if "gap" in told[group] and told[group]["n"] >= FEW]
            if not behind:
                few.append(task)
                continue
            worst = max(behind, key=lambda group: float(told[group]["gap"]["behind"]))
            figures, gap = told[worst], told[worst]["gap"]
            metric, (low, high) = gap["metric"], gap["interval"]
            if low <= 0:
                unclear.append(task)
                continue
            values = f"{figures[metric]:.3f} of {worst} ({figures['n']:,} images), {told[gap['best']][metric]:.3f}"
            yield (
                f"{task} by {by}: {metric} {values} of {gap['best']}; behind by {gap['behind']:.3f} "
                f"({low:.3f} to {high:.3f})"
            )
        for task in next(iter(found.values()), {"tasks": {}})["tasks"]:
            for group, one in found.items():
                figures = one["tasks"][task]
                if figures["n"] >= FEW and falls_short(figures):
                    low, high = figures["intervals"]["coverage"]
                    yield (
                        f"{task} by {by}: what is promised holds the truth in {figures['coverage']:.3f} ({low:.3f} to "
                        f"{high:.3f}) of {group} ({figures['n']:,} images), and not in {figures['promised']:g}"
                    )
        if unclear:
            yield f"by {by}: no clear difference in {', '.join(unclear)}"
        if few:
            yield f"by {by}: fewer than two groups of {FEW} images to compare in {', '.join(few)}"


def _describe_rules(rules: Mapping[str, Any]) -> Iterator[str]:
    """How many answers break each rule; and, where answers obey them, how many that changed."""
    without = rules.get("without")
    for found in (without or rules).get("answers", []):
        yield describe_broken(found, "answered images") + (", had they not to obey it" if without else "")
    if without:
        told = ", ".join(f"{count:,} of {name}" for name, count in rules["changed"].items())
        yield f"answers obey the rules; changed: {told}"
        names = [name for name, found in without["tasks"].items() if name in rules["changed"] and "accuracy" in found]
        if names:
            told = ", ".join(f"{name} {without['tasks'][name]['accuracy']:.3f}" for name in names)
            yield f"accuracy, had they not to obey: {told}"


def _describe_folds(folds: Mapping[str, Any]) -> Iterator[str]:
    """Of each task the mean over the folds' networks, each on its own fold, and how far it varies."""
    for name, task in folds.get("valid", {}).get("tasks", {}).items():
        words = [f"{key} {task[key]['mean']:.3f} ± {task[key]['deviation'] or 0:.3f}" for key in SHOWN if key in task]
        yield f"{folds['count']} folds  {name}: {', '.join(words) or 'no labels'}"


def _describe_joint(joint: Mapping[str, Any], metric: str, counted: str) -> str:
    interval, few = joint.get("intervals", {}).get(metric), admit_few(joint["n"])
    baseline = joint.get(f"{metric}_baseline")
    row = Row("", joint["n"], metric.replace("_", " "), joint[metric], baseline, interval)
    return f"{row}: {few}" if few else f"{row} of {counted}"


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
            kinds = {kind: values for kind, values in followed.items() if kind not in ("metric", "intervals")}
            first = next(iter(kinds.values()))[0]
            intervals = followed.get("intervals", {})
            left = ", ".join(
                _show(values[3], (intervals.get(kind) or [None] * 4)[3], f"{kind} ") for kind, values in kinds.items()
            )
            print(f"{name} {followed['metric']} {_show(first)}; of worse images (3 of 5): {left}")


def _show(value: float | None, interval: Sequence[float] | None = None, before: str = "") -> str:
    shown = "-" if value is None else f"{value:.3f}"
    return before + shown + (_bracket(interval) if interval else "")


def _bracket(interval: Sequence[float]) -> str:
    return f" ({interval[0]:.3f} to {interval[1]:.3f})"
