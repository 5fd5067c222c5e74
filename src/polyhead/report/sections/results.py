"""The part of a report that shows how good the answers are: what the page's template fills in.

What is shown of a task follows from what its metrics and answers hold, never from its kind.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from polyhead.evaluation.evaluate import measure_joint
from polyhead.report.album import Album
from polyhead.report.charts.charts import CLASSES, POINTS, draw_confusion, draw_ranges, draw_scatter
from polyhead.report.charts.worse import draw_worse
from polyhead.report.parts import EvaluatedSplit, Report, ResultPart
from polyhead.report.sections.certainty import describe_certainty
from polyhead.report.sections.examples import show_examples, show_mistakes
from polyhead.report.sections.folds import describe_folds
from polyhead.report.sections.groups import describe_groups
from polyhead.report.sections.label_table import list_labels
from polyhead.report.sections.rules import describe_answer_rules
from polyhead.report.sections.verdict import FEW, list_steps, show_interval, write_verdict
from polyhead.report.words import (
    METRICS,
    NOTHING,
    PERCENTAGES,
    count_images,
    present_metrics,
    show_count,
    show_metric,
    show_percent,
    split_name,
)
from polyhead.tasks import Task
from polyhead.tasks.metrics import Numbers

Context = dict[str, Any]
PLACES = frozenset({"top", "content", "overview", "images", "data", "network", "training", "labels", "samples"})
PLACES |= {"left-out", "repeats", "groups", "more-images"}
COMBINED = ("seen", "unseen", "harmonic_mean")
SCORES = ("precision", "recall", "f1")


def describe_results(report: Report, album: Album) -> Context:
    """What `templates/results.html` and the overview fill in; pictures go into the album."""
    assert report.results
    part = report.results
    splits = [split for split, found in part.evaluation.items() if "tasks" in found]
    main = "test" if "test" in splits else splits[0]
    tasks = part.evaluation[main]["tasks"]
    anchors = name_places(part.tasks)
    return {
        "verdict": write_verdict(report, main),
        "steps": list_steps(report, main, anchors if main in part.splits else dict.fromkeys(part.tasks, "overview")),
        "anchors": anchors,
        "split": split_name(main),
        "fresh": main in ("test", "unseen"),
        "cards": [_describe_card(part.tasks[name], name, tasks[name]) for name in part.tasks],
        "joint": _describe_joint(part, main),
        "accuracies": _list_accuracies(part, main),
        "combinations": _describe_combinations(part),
        "groups": describe_groups(part.evaluation[main].get("groups", {}), part.tasks),
        "rules": describe_answer_rules(part.evaluation, main),
        "folds": describe_folds(part.evaluation.get("folds"), part.tasks),
        "table": _compare_splits(part, splits, main),
        "splits": [
            _describe_split(part, split, album) for split in sorted(part.splits, key=lambda split: split != main)
        ],
    }


def name_places(tasks: Iterable[str]) -> dict[str, str]:
    """The place of each task in the page: its name, as far as an address can hold it, and no other part's."""
    places: dict[str, str] = {}
    for name in tasks:
        place = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "task"
        while place in PLACES or place.startswith(("split-", "task-")) or place in places.values():
            place = f"task-{len(places) + 1}-{place}" if not place.startswith("task-") else f"x-{place}"
        places[name] = place
    return places


def _describe_card(task: Task, name: str, metrics: Numbers) -> Context:
    card: Context = {"name": name, "rows": _list_metrics(task, metrics)}
    if card["rows"]:
        main = present_metrics(metrics)[0]
        card |= {"main": card["rows"][0], "answer": task.show_label(task.baseline().label)}
        card["interval"] = show_interval(metrics, main, task)
        card["few"] = metrics["n"] if metrics["n"] < FEW else 0
        card["meter"] = (metrics[main], metrics["baseline"][main]) if main in PERCENTAGES else None
        card["answered"] = show_percent(metrics["answered"]) if "answered" in metrics else ""
        card["right"] = show_percent(metrics.get("answered_accuracy"))
    return card


def _list_metrics(task: Task, metrics: Numbers) -> list[Context]:
    """Each metric by its name, beside the baseline's."""
    few = metrics["n"] < FEW and "intervals" in metrics
    pair = {"value": {} if few else metrics, "baseline": metrics.get("baseline", {})}
    return [
        {"name": METRICS[key], "interval": show_interval(metrics, key, task)}
        | {word: show_metric(key, found, task.error_unit) for word, found in pair.items()}
        for key in present_metrics(metrics)
    ]


def _describe_joint(part: ResultPart, split: str) -> Context | None:
    names = [name for name, task in part.tasks.items() if task.has_one_label]
    joint = part.evaluation[split]["joint"]
    if len(names) < 2 or joint["all_correct"] is None:
        return None
    found = {"names": names, "n": show_count(joint["n"])}
    found |= {"interval": show_interval(joint, "all_correct"), "few": joint["n"] < FEW}
    return found | {"accuracy": joint["all_correct"], "baseline": _joint_baseline(part, split)}


def _list_accuracies(part: ResultPart, split: str) -> Context | None:
    """The accuracy of each task, over the images labelled for it, and their weighted mean; None for a single task."""
    found, joint = part.evaluation[split]["tasks"], part.evaluation[split]["joint"]
    names = [name for name, task in part.tasks.items() if task.has_one_label and found[name]["n"]]
    if len(names) < 2:
        return None
    rows = [(name, found[name]["n"], found[name]["accuracy"], found[name]["baseline"]["accuracy"]) for name in names]
    rows.append(("mean, weighted by images", joint["labels"], joint["mean_accuracy"], joint["mean_accuracy_baseline"]))
    return {"rows": [(name, show_count(n), *map(show_percent, values)) for name, n, *values in rows]}


def _joint_baseline(part: ResultPart, split: str) -> float | None:
    """The fraction of images that constant answers get all right; None where the split's labels are not at hand."""
    if split not in part.splits:
        return None
    rows = part.splits[split].rows
    constant = {name: np.tile(task.baseline_outputs(), (len(rows), 1)) for name, task in part.tasks.items()}
    fraction: float | None = measure_joint(part.tasks, rows, constant)["all_correct"]
    return fraction


def _describe_combinations(part: ResultPart) -> Context | None:
    found = part.evaluation.get("combinations")
    if not found:
        return None
    baselines = {"seen": _joint_baseline(part, "test"), "unseen": _joint_baseline(part, "unseen")}
    return {
        "held_out": [" ".join(combination.values()) for combination in part.held_out],
        "accuracies": {key: (found[key], baselines.get(key), show_interval(found, key)) for key in COMBINED},
    }


def _compare_splits(part: ResultPart, splits: Sequence[str], main: str) -> Context:
    """A row for each metric, the first of a task with its name; a column for each split, and the baseline of `main`."""
    rows = []
    for name, task in part.tasks.items():
        found = [part.evaluation[split]["tasks"][name] for split in splits]
        found.append(part.evaluation[main]["tasks"][name].get("baseline", {}))
        keys = dict.fromkeys(key for metrics in found for key in present_metrics(metrics))
        for index, key in enumerate(keys):
            values = [show_metric(key, metrics, task.error_unit) if key in metrics else NOTHING for metrics in found]
            rows.append(("" if index else name, METRICS[key], values))
    joint = [part.evaluation[split]["joint"]["all_correct"] for split in splits]
    if any(fraction is not None for fraction in joint):
        fractions = [*joint, _joint_baseline(part, main)]
        rows.append(("all together", "all correct", [show_percent(fraction) for fraction in fractions]))
    heads = [*(split_name(split) for split in splits), f"Baseline ({split_name(main).lower()})"]
    return {"heads": heads, "rows": rows}


def _describe_split(part: ResultPart, split: str, album: Album) -> Context:
    evaluated, found = part.splits[split], part.evaluation[split]
    return {
        "name": split_name(split),
        "images": count_images(len(evaluated.rows), split),
        "tasks": [
            _describe_task(task, evaluated, name, found["tasks"][name])
            | {"mistakes": show_mistakes(name, task, evaluated, (album, split))}
            | {"worse": _draw_worse(found.get("worse", {}), name)}
            for name, task in part.tasks.items()
        ],
        "examples": show_examples(part.tasks, evaluated, (album, split)),
        "unsure": any("answered" in metrics for metrics in found["tasks"].values()),
    }


def _draw_worse(worse: Mapping[str, Any], name: str) -> Context | None:
    """How a task's metric falls as images get worse; None where that was not asked for, or nothing is known."""
    followed = worse.get("tasks", {}).get(name)
    if not followed or followed["blur"][0] is None:
        return None
    kinds = {kind: values for kind, values in followed.items() if kind not in ("metric", "intervals")}
    return {
        "chart": draw_worse(kinds, followed.get("intervals", {})),
        "metric": METRICS[followed["metric"]],
        "n": show_count(worse["n"]),
    }


def _describe_task(task: Task, evaluated: EvaluatedSplit, name: str, metrics: Numbers) -> Context:
    shown: Context = dict.fromkeys(("per_class", "confusion", "per_label", "ranges", "scatter"))
    shown |= {"name": name, "kind": task.kind, "n": show_count(metrics["n"]), "few": metrics["n"] < FEW}
    if not metrics["n"]:
        return shown
    shown |= {"rows": _list_metrics(task, metrics), "answer": task.show_label(task.baseline().label)}
    shown |= {"not_in_training": metrics.get("not_in_training", []), "rare": metrics.get("rare")}
    shown["certainty"] = describe_certainty(task, evaluated.rows[name].tolist(), evaluated.outputs[name], metrics)
    thresholds = metrics.get("calibration", {}).get("thresholds") or {}
    shown["thresholds"] = {label: f"{threshold:.3f}" for label, threshold in thresholds.items()}
    if "per_class" in metrics:
        shown["per_class"] = _list_classes(metrics)
    if "confusion" in metrics:
        labels, matrix = metrics["confusion"]["labels"], np.array(metrics["confusion"]["matrix"])
        shown |= {"confusion": draw_confusion(labels, matrix), "left_out": max(len(labels) - CLASSES, 0)}
    if "per_label" in metrics:
        shown["per_label"] = list_labels(task, metrics)
    if "by_range" in metrics and metrics["mae"] is not None:
        shown["ranges"] = draw_ranges(metrics["by_range"], task.error_unit)
        known = np.flatnonzero(evaluated.rows[name].to_numpy(object) != "")
        truth = task.encode(evaluated.rows[name].iloc[known].tolist())[:, 0]
        answers = evaluated.outputs[name][known, 0].astype(float)
        shown["scatter"] = draw_scatter(truth, answers, task.error_unit)
        shown["sampled"] = show_count(POINTS) if len(known) > POINTS else ""
    return shown


def _show_score(row: Numbers, score: str) -> str:
    """A class's score; of few images its interval alone, where there is one."""
    if row["support"] >= FEW or not row.get("intervals"):
        return f"{row[score]:.3f}"
    low, high = row["intervals"].get(score, (None, None))
    return NOTHING if low is None else f"{low:.2f} to {high:.2f}"


def _list_classes(metrics: Numbers) -> Context:
    """A classification report: a row for each class, then accuracy and the two averages."""
    few = metrics["n"] < FEW and "intervals" in metrics
    return {
        "classes": [
            (label, *(_show_score(row, score) for score in SCORES), show_count(row["support"]))
            for label, row in metrics["per_class"].items()
        ],
        "few": any(row["support"] < FEW and row.get("intervals") for row in metrics["per_class"].values()),
        "accuracy": NOTHING if few else f"{metrics['accuracy']:.3f}",
        "averages": [
            (average, *(NOTHING if few else f"{metrics[f'{average}_{score}']:.3f}" for score in SCORES))
            for average in ("macro", "weighted")
        ],
        "n": show_count(metrics["n"]),
    }
