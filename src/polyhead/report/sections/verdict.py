"""The first lines of a report: a verdict in sentences made from the numbers, and what to do next, with its evidence."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from polyhead.data.inspect.ties import describe_tie, find_ties
from polyhead.report.parts import DataPart, EvaluatedSplit, Report, ResultPart
from polyhead.report.words import METRICS, present_metrics, show_count, show_metric, show_percent, split_name
from polyhead.tasks import Task
from polyhead.tasks.metrics import Numbers

FEW = 30  # images: of fewer, a percentage says little
SURE = 0.95  # a wrong answer with that probability points to the label
RARE = 50  # training images of a class
FOUND = 0.8  # recall from which on a rare class needs nothing
GAP = 0.05  # a class that much below its task is a weak spot
FALLING = 0.01  # of the validation loss, in the last epoch: still learning
STEPS = 6  # at most

Step = tuple[str, str, str]  # what to do, the evidence, where it is shown


def show_interval(metrics: Mapping[str, Any], key: str, task: Task | None = None) -> str:
    """The 95 % interval of a metric, without its unit, or nothing where the evaluation has none."""
    found = (metrics.get("intervals") or {}).get(key)
    if not found or None in found:
        return ""
    unit = task.error_unit if task else ""
    shown = (
        show_percent(end) if key in ("all_correct", "mean_accuracy") else show_metric(key, {key: end}, unit)
        for end in found
    )
    return " to ".join(
        text.replace("\N{NO-BREAK SPACE}%", "").removesuffix(f"\N{NO-BREAK SPACE}{unit}") for text in shown
    )


def write_verdict(report: Report, main: str) -> list[str]:
    """Two or three sentences: how good it is, where it is weakest, what it has never seen.

    Args:
        report: with results.
        main: the split to speak of.
    """
    assert report.results
    part = report.results
    weakest = _find_weakest(part, main)
    constant = _list_constant(part, main)
    sentences = [_say_how_good(part, main)]
    if constant:
        sentences.append(f"No better than one constant answer: {', '.join(constant)}.")
    elif weakest:
        name, label, row = weakest
        sentences.append(
            f"The weak spot is {label} ({name}): {show_percent(row['recall'])} of its {show_count(row['support'])} "
            "images are recognized."
        )
    if report.data and (never := _find_never_seen(report.data)):
        sentences.append(f"Never seen together in the data: {never}.")
    return sentences


def _say_how_good(part: ResultPart, main: str) -> str:
    found, words = part.evaluation[main], split_name(main).lower()
    joint, together = found["joint"], sum(task.has_one_label for task in part.tasks.values()) > 1
    images = max([metrics["n"] for metrics in found["tasks"].values()], default=0)
    if not images:
        return f"None of the {words} images has a label, so nothing can be said of how good it is."
    if together and joint["all_correct"] is not None:
        images = joint["n"]
        say = f"Right on everything for {_with_interval(show_percent(joint['all_correct']), joint, 'all_correct')} of "
        text = f"{say}{show_count(images)} {words} images."
    else:
        name = next(name for name, metrics in found["tasks"].items() if metrics["n"])
        task, metrics = part.tasks[name], found["tasks"][name]
        key, images = present_metrics(metrics)[0], metrics["n"]
        shown = _with_interval(show_metric(key, metrics, task.error_unit), metrics, key, task)
        text = f"{name}: {METRICS[key]} {shown} on {show_count(images)} {words} images."
    return f"{text} That is too few images to rely on." if images < FEW else text


def _with_interval(text: str, metrics: Numbers, key: str, task: Task | None = None) -> str:
    interval = show_interval(metrics, key, task)
    return f"{text} ({interval})" if interval else text


def _find_weakest(part: ResultPart, main: str) -> tuple[str, str, Numbers] | None:
    rows = [
        (row["recall"] - metrics["accuracy"], name, label, row)
        for name, metrics in part.evaluation[main]["tasks"].items()
        for label, row in metrics.get("per_class", {}).items()
        if row["support"] >= 5 and row["recall"] < metrics["accuracy"] - GAP
    ]
    return min(rows, key=lambda row: row[0])[1:] if rows else None


def _list_constant(part: ResultPart, main: str) -> list[str]:
    found = part.evaluation[main]["tasks"]
    return [
        name
        for name, metrics in found.items()
        if metrics["n"] and "accuracy" in metrics and metrics["accuracy"] <= metrics["baseline"]["accuracy"]
    ]


def _find_never_seen(data: DataPart) -> str:
    ties = find_ties(data.tasks, {name: data.table[name].tolist() for name in data.tasks})
    return "; ".join(" and ".join(tie.empty[0]) for tie in ties if tie.empty)


def list_steps(report: Report, main: str, anchors: Mapping[str, str]) -> list[Step]:
    """What to do next, each with the numbers that speak for it and the place of the page that shows them.

    Args:
        report: with results.
        main: the split to speak of.
        anchors: the place of each task.
    """
    assert report.results
    part, steps = report.results, list[Step]()
    if main in part.splits:
        steps += _suspect_labels(part.tasks, part.splits[main], anchors)
    if report.data:
        steps += _name_rare(part.evaluation[main]["tasks"], report.data, anchors)
        steps += _name_ties(report.data)
    steps += _judge_training(report)
    return steps[:STEPS]


def _suspect_labels(tasks: Mapping[str, Task], evaluated: EvaluatedSplit, anchors: Mapping[str, str]) -> list[Step]:
    steps = []
    for name, task in tasks.items():
        if not task.has_one_label:
            continue
        wrong = task.mistakes(evaluated.rows[name].tolist(), evaluated.outputs[name]) > 0
        sure = np.array([(answer.probability or 0) >= SURE for answer in task.decode(evaluated.outputs[name])])
        if count := int((wrong & sure).sum()):
            evidence = (
                f"{count:,} of {int(wrong.sum()):,} mistakes in {name} were made with a probability of "
                f"{show_percent(SURE)} or more; often the label is wrong, and not the answer."
            )
            steps.append((f"Check the labels of {name}", evidence, anchors[name]))
    return steps


def _name_rare(found: Mapping[str, Numbers], data: DataPart, anchors: Mapping[str, str]) -> list[Step]:
    steps = []
    train = data.table[data.table["split"] == "train"]
    for name, metrics in found.items():
        counts: Mapping[str, int] = dict(train[name].value_counts()) if name in train else {}
        rare = [
            f"{label} ({counts.get(label, 0):,} training images, {show_percent(row['recall'])} recognized)"
            for label, row in metrics.get("per_class", {}).items()
            if len(train) and row["support"] and counts.get(label, 0) < RARE and row["recall"] < FOUND
        ]
        if rare:
            steps.append((f"Collect more images for {name}", f"Rare and hard: {', '.join(rare[:4])}.", anchors[name]))
    return steps


def _name_ties(data: DataPart) -> list[Step]:
    ties = [
        tie for tie in find_ties(data.tasks, {name: data.table[name].tolist() for name in data.tasks}) if tie.is_strong
    ]
    return [("Collect the missing combinations", describe_tie(ties[0], data.tasks), "data")] if ties else []


def _judge_training(report: Report) -> list[Step]:
    """Longer where the last epoch was the best and still better than the one before; more data where it overfitted."""
    if not report.training or "val_loss" not in report.training.history or len(report.training.history) < 3:
        return []
    history, kept = report.training.history, report.training.kept_epoch
    valid, last = history["val_loss"].astype(float).to_numpy(), int(history["epoch"].iloc[-1])
    if kept == last and valid[-1] < (1 - FALLING) * valid[-2]:
        evidence = (
            f"The last epoch was the best, and validation loss was still falling: {valid[-2]:.3g} to {valid[-1]:.3g}."
        )
        return [("Train longer", evidence, "training")]
    train = history["loss"].astype(float).to_numpy()
    if kept is not None and kept < last and train[-1] < train[-2] and valid[-1] > np.nanmin(valid):
        evidence = (
            f"After epoch {kept} training loss kept falling, but validation loss did not: more epochs will not help."
        )
        return [("Add images rather than epochs", evidence, "training")]
    return []
