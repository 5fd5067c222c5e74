"""The part of a report that shows how good the answers are: what the page's template fills in.

What is shown of a task is decided by what its figures and answers hold, never by its kind.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from polyhead.evaluation.evaluate import measure_joint
from polyhead.report.album import Album
from polyhead.report.charts.charts import CLASSES, POINTS, draw_confusion, draw_ranges, draw_scatter
from polyhead.report.parts import EvaluatedSplit, ResultPart
from polyhead.report.sections.certainty import describe_certainty
from polyhead.report.sections.examples import show_examples, show_mistakes
from polyhead.report.sections.label_table import list_labels
from polyhead.report.words import (
    FIGURES,
    NOTHING,
    SHARES,
    present_figures,
    show_count,
    show_figure,
    show_percent,
    split_name,
)
from polyhead.tasks import Task
from polyhead.tasks.metrics import Numbers

Context = dict[str, Any]
SCORES = ("precision", "recall", "f1")


def describe_results(part: ResultPart, album: Album) -> Context:
    """What `templates/results.html` and the overview fill in; pictures go into the album."""
    splits = [split for split, found in part.evaluation.items() if "tasks" in found]
    main = "test" if "test" in splits else splits[0]
    tasks = part.evaluation[main]["tasks"]
    return {
        "split": split_name(main),
        "fresh": main in ("test", "unseen"),
        "cards": [_describe_card(part.tasks[name], name, tasks[name]) for name in part.tasks],
        "joint": _describe_joint(part, main),
        "accuracies": _list_accuracies(part, main),
        "combinations": _describe_combinations(part),
        "table": _compare_splits(part, splits, main),
        "splits": [_describe_split(part, split, album) for split in part.splits],
    }


def _describe_card(task: Task, name: str, figures: Numbers) -> Context:
    card: Context = {"name": name, "rows": _list_figures(figures)}
    if card["rows"]:
        main = present_figures(figures)[0]
        card |= {"main": card["rows"][0], "answer": task.show_label(task.baseline().label)}
        card["meter"] = (figures[main], figures["baseline"][main]) if main in SHARES else None
        card["answered"] = show_percent(figures["answered"]) if "answered" in figures else ""
        card["right"] = show_percent(figures.get("answered_accuracy"))
    return card


def _baseline(figures: Numbers) -> Numbers:
    """The baseline's figures, in the unit of the task's."""
    return {**figures.get("baseline", {}), "unit": figures.get("unit", "levels")}


def _list_figures(figures: Numbers) -> list[Context]:
    """Each figure by its name, beside the baseline's."""
    baseline = _baseline(figures)
    return [
        {"name": FIGURES[key], "value": show_figure(key, figures), "baseline": show_figure(key, baseline)}
        for key in present_figures(figures)
    ]


def _describe_joint(part: ResultPart, split: str) -> Context | None:
    names = [name for name, task in part.tasks.items() if task.has_one_label]
    joint = part.evaluation[split]["joint"]
    if len(names) < 2 or joint["all_correct"] is None:
        return None
    found = {"names": names, "n": show_count(joint["n"])}
    return found | {"share": joint["all_correct"], "baseline": _joint_baseline(part, split)}


def _list_accuracies(part: ResultPart, split: str) -> Context | None:
    """Each task over its own images, and the mean weighted by them; None where it is of one task alone."""
    found, joint = part.evaluation[split]["tasks"], part.evaluation[split]["joint"]
    names = [name for name, task in part.tasks.items() if task.has_one_label and found[name]["n"]]
    if len(names) < 2:
        return None
    rows = [(name, found[name]["n"], found[name]["accuracy"], found[name]["baseline"]["accuracy"]) for name in names]
    rows.append(("mean, weighted by images", joint["labels"], joint["mean_accuracy"], joint["mean_accuracy_baseline"]))
    return {"rows": [(name, show_count(n), *map(show_percent, shares)) for name, n, *shares in rows]}


def _joint_baseline(part: ResultPart, split: str) -> float | None:
    """The share that constant answers get all right; None where the split's labels are not at hand."""
    if split not in part.splits:
        return None
    rows = part.splits[split].rows
    constant = {name: np.tile(task.baseline_outputs(), (len(rows), 1)) for name, task in part.tasks.items()}
    share: float | None = measure_joint(part.tasks, rows, constant)["all_correct"]
    return share


def _describe_combinations(part: ResultPart) -> Context | None:
    found = part.evaluation.get("combinations")
    if not found:
        return None
    baselines = {"seen": _joint_baseline(part, "test"), "unseen": _joint_baseline(part, "unseen")}
    return {
        "held_out": [" ".join(combination.values()) for combination in part.held_out],
        "shares": {key: (share, baselines.get(key)) for key, share in found.items()},
    }


def _compare_splits(part: ResultPart, splits: Sequence[str], main: str) -> Context:
    """A row a figure, named by its task where a new one begins; a column a split, then the baseline of `main`."""
    rows = []
    for name in part.tasks:
        found = [part.evaluation[split]["tasks"][name] for split in splits]
        found.append(_baseline(part.evaluation[main]["tasks"][name]))
        keys = dict.fromkeys(key for figures in found for key in present_figures(figures))
        for place, key in enumerate(keys):
            values = [show_figure(key, figures) if key in figures else NOTHING for figures in found]
            rows.append(("" if place else name, FIGURES[key], values))
    joint = [part.evaluation[split]["joint"]["all_correct"] for split in splits]
    if any(share is not None for share in joint):
        shares = [*joint, _joint_baseline(part, main)]
        rows.append(("all together", "all correct", [show_percent(share) for share in shares]))
    heads = [*(split_name(split) for split in splits), f"Baseline ({split_name(main).lower()})"]
    return {"heads": heads, "rows": rows}


def _describe_split(part: ResultPart, split: str, album: Album) -> Context:
    judged, found = part.splits[split], part.evaluation[split]
    return {
        "name": split_name(split),
        "images": show_count(len(judged.rows)),
        "tasks": [
            _describe_task(task, judged, name, found["tasks"][name])
            | {"mistakes": show_mistakes(name, task, judged, (album, split))}
            for name, task in part.tasks.items()
        ],
        "examples": show_examples(part.tasks, judged, (album, split)),
        "unsure": any("answered" in figures for figures in found["tasks"].values()),
    }


def _describe_task(task: Task, judged: EvaluatedSplit, name: str, figures: Numbers) -> Context:
    shown: Context = dict.fromkeys(("per_class", "confusion", "per_label", "ranges", "scatter"))
    shown |= {"name": name, "kind": task.kind, "n": show_count(figures["n"])}
    if not figures["n"]:
        return shown
    shown |= {"rows": _list_figures(figures), "answer": task.show_label(task.baseline().label)}
    shown |= {"not_in_training": figures.get("not_in_training", []), "rare": figures.get("rare")}
    shown["certainty"] = describe_certainty(task, judged.rows[name].tolist(), judged.outputs[name], figures)
    thresholds = figures.get("calibration", {}).get("thresholds") or {}
    shown["thresholds"] = {label: f"{threshold:.3f}" for label, threshold in thresholds.items()}
    if "per_class" in figures:
        shown["per_class"] = _list_classes(figures)
    if "confusion" in figures:
        labels, matrix = figures["confusion"]["labels"], np.array(figures["confusion"]["matrix"])
        shown |= {"confusion": draw_confusion(labels, matrix), "left_out": max(len(labels) - CLASSES, 0)}
    if "per_label" in figures:
        shown["per_label"] = list_labels(task, figures)
    if "by_range" in figures and figures["mae"] is not None:
        shown["ranges"] = draw_ranges(figures["by_range"], figures["unit"])
        known = np.flatnonzero(judged.rows[name].to_numpy(object) != "")
        truth = task.encode(judged.rows[name].iloc[known].tolist())[:, 0]
        answers = judged.outputs[name][known, 0].astype(float)
        shown["scatter"] = draw_scatter(truth, answers, figures["unit"])
        shown["sampled"] = show_count(POINTS) if len(known) > POINTS else ""
    return shown


def _list_classes(figures: Numbers) -> Context:
    """A classification report: a row a class, then accuracy and the two averages."""
    return {
        "classes": [
            (label, *(f"{row[score]:.3f}" for score in SCORES), show_count(row["support"]))
            for label, row in figures["per_class"].items()
        ],
        "accuracy": f"{figures['accuracy']:.3f}",
        "averages": [
            (average, *(f"{figures[f'{average}_{score}']:.3f}" for score in SCORES))
            for average in ("macro", "weighted")
        ],
        "n": show_count(figures["n"]),
    }
