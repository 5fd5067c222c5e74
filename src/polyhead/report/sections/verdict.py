"""The first lines of a report: a verdict in sentences made from the numbers, and what to do next, with its evidence."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from polyhead.data.inspect.ties import Tie, describe_tie, find_ties
from polyhead.report.parts import DataPart, EvaluatedSplit, Report, ResultPart, TrainingPart
from polyhead.report.sections.learning_curve import advise_on_images
from polyhead.report.words import (
    METRICS,
    PERCENTAGES,
    present_metrics,
    show_count,
    show_metric,
    show_percent,
    split_name,
)
from polyhead.tasks import Task
from polyhead.tasks.metrics import Numbers

FRACTIONS = frozenset({"all_correct", "mean_accuracy", "seen", "unseen", "harmonic_mean"})  # of all tasks together
FEW = 30  # images: of fewer, a percentage says little
SURE = 0.95  # a wrong answer with that probability points to the label
RARE = 50  # training images of a class
FOUND = 0.8  # recall from which on a rare class needs nothing
GAP = 0.05  # a class that much below its task is a weak spot
FALLING = 0.01  # of the validation loss, in the last epoch: still learning
LEARNING = "more-images"  # the place of the learning curve
NAMED, NAMED_RARE = 2, 4  # combinations and labels in a sentence

Step = tuple[str, str, str]  # what to do, the evidence, where it is shown


def show_interval(metrics: Mapping[str, Any], key: str, task: Task | None = None) -> str:
    """The 95 % interval of a metric, without its unit, or nothing where the evaluation has none."""
    found = (metrics.get("intervals") or {}).get(key)
    if not found or None in found:
        return ""
    unit = task.error_unit if task else ""
    shown = (show_percent(end) if key in FRACTIONS else show_metric(key, {key: end}, unit) for end in found)
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
    found, words = part.evaluation[main], f"{split_name(main).lower()} images" if main != "all" else "images"
    joint, together = found["joint"], sum(task.has_one_label for task in part.tasks.values()) > 1
    images = max([metrics["n"] for metrics in found["tasks"].values()], default=0)
    if not images:
        return f"None of the {words} has a label, so nothing can be said of how good it is."
    if together and joint["all_correct"] is not None:
        images = joint["n"]
        if images < FEW:
            between = show_interval(joint, "all_correct")
            all_right = f"Right on everything for {round(joint['all_correct'] * images)} of {images} {words}"
            return f"{all_right}: too few to say how good it is{f' ({between} %)' if between else ''}."
        say = f"Right on everything for {_with_interval(show_percent(joint['all_correct']), joint, 'all_correct')} of "
        return f"{say}{show_count(images)} {words}."
    name = next(name for name, metrics in found["tasks"].items() if metrics["n"])
    task, metrics = part.tasks[name], found["tasks"][name]
    key, images = present_metrics(metrics)[0], metrics["n"]
    if images < FEW:
        between = show_interval(metrics, key, task)
        unit = f" {'%' if key in PERCENTAGES else task.error_unit}".rstrip()
        told = f"{METRICS[key]} between {between.replace(' to ', ' and ')}{unit}" if between else "nothing known"
        few = f"1 {words.removesuffix('s')} is" if images == 1 else f"{images} {words} are"
        return f"{name}: {told}; {few} too few to say more."
    shown = _with_interval(show_metric(key, metrics, task.error_unit), metrics, key, task)
    return f"{name}: {METRICS[key]} {shown} on {show_count(images)} {words}."


def _with_interval(text: str, metrics: Numbers, key: str, task: Task | None = None) -> str:
    interval = show_interval(metrics, key, task)
    return f"{text} ({interval})" if interval else text


def _find_weakest(part: ResultPart, main: str) -> tuple[str, str, Numbers] | None:
    """The class that costs its task the most right answers: its task, its label, its row."""
    rows = [
        (row["support"] * (row["recall"] - metrics["accuracy"]), name, label, row)
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


def _list_ties(data: DataPart) -> list[Tie]:
    """The ties that may mislead, strongest first; that a part goes with its whole is as it should be."""
    ties = find_ties(data.tasks, {name: data.table[name].tolist() for name in data.tasks})
    return [tie for tie in ties if tie.is_strong and not tie.finer]


def _find_never_seen(data: DataPart) -> str:
    ties = [tie for tie in _list_ties(data) if tie.empty]
    named = [" with ".join(tie.empty[0]) for tie in ties[:NAMED]]
    more = sum(len(tie.empty) for tie in ties) - len(named)
    return f"{', '.join(named)}{f' and {more:,} more combinations' if more else ''}"


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
    return steps


def _suspect_labels(tasks: Mapping[str, Task], evaluated: EvaluatedSplit, anchors: Mapping[str, str]) -> list[Step]:
    found = []
    for name, task in tasks.items():
        if not task.has_one_label:
            continue
        wrong = task.mistakes(evaluated.rows[name].tolist(), evaluated.outputs[name]) > 0
        sure = np.array([(answer.probability or 0) >= SURE for answer in task.decode(evaluated.outputs[name])])
        if count := int((wrong & sure).sum()):
            found.append((count / int(wrong.sum()), f"{count:,} of {int(wrong.sum()):,} in {name}", name))
    if not found:
        return []
    found.sort(key=lambda each: -each[0])
    evidence = (
        f"Mistakes made with a probability of {100 * SURE:.0f} % or more: "
        f"{', '.join(words for _, words, _ in found)}. Often the label is wrong, and not the answer."
    )
    return [(f"Check the labels, of {found[0][2]} first", evidence, anchors[found[0][2]])]


def _name_rare(found: Mapping[str, Numbers], data: DataPart, anchors: Mapping[str, str]) -> list[Step]:
    train = data.table[data.table["split"] == "train"]
    rare = []
    for name, metrics in found.items():
        counts: Mapping[str, int] = dict(train[name].value_counts()) if name in train else {}
        for label, row in metrics.get("per_class", {}).items():
            count = counts.get(label, 0)
            if len(train) and row["support"] and count < RARE and row["recall"] < FOUND:
                words = f"{label} ({name}; {count:,} training images, {show_percent(row['recall'])} recognized)"
                rare.append((row["support"] * (1 - row["recall"]), words, name))
    if not rare:
        return []
    rare.sort(key=lambda each: -each[0])
    named = ", ".join(words for _, words, _ in rare[:NAMED_RARE])
    more = f" and {len(rare) - NAMED_RARE:,} more" if len(rare) > NAMED_RARE else ""
    return [("Collect more images of rare labels", f"Rare and hard: {named}{more}.", anchors[rare[0][2]])]


def _name_ties(data: DataPart) -> list[Step]:
    ties = _list_ties(data)
    return [("Collect the missing combinations", describe_tie(ties[0], data.tasks), "data")] if ties else []


def _judge_training(report: Report) -> list[Step]:
    """Longer, or more images: by the losses of the epochs, and by the learning curve over training images."""
    if not report.training or not report.results:
        return []
    falling, overfitted = _watch_losses(report.training)
    steps = [("Train longer", falling, "training")] if falling else []
    advice = advise_on_images(report.training.learning_curve, report.results.tasks)
    if not advice:
        return [*steps, ("Add images rather than epochs", overfitted, "training")] if overfitted else steps
    verdict, evidence = advice
    if verdict == "unclear" and not overfitted:
        return steps
    titles = {"climbing": "Collect more images", "flat": "Do not collect more images of the same kind"}
    if overfitted:
        titles = {
            "flat": "Change the network or the augmentation rather than images or epochs",
            "unclear": "Do not train longer",
        }
    return [
        *steps,
        (titles.get(verdict, "Add images rather than epochs"), f"{overfitted} {evidence}".strip(), LEARNING),
    ]


def _watch_losses(training: TrainingPart) -> tuple[str, str]:
    """The evidence that the last epoch was the best and still better than the one before; and that it overfitted."""
    if "val_loss" not in training.history or len(training.history) < 3:
        return "", ""
    history, kept = training.history, training.kept_epoch
    valid, last = history["val_loss"].astype(float).to_numpy(), int(history["epoch"].iloc[-1])
    if kept == last and valid[-1] < (1 - FALLING) * valid[-2]:
        falling = f"validation loss was still falling: {valid[-2]:.3g} to {valid[-1]:.3g}."
        return f"The last epoch was the best, and {falling}", ""
    train = history["loss"].astype(float).to_numpy()
    if kept is not None and kept < last and train[-1] < train[-2] and valid[-1] > np.nanmin(valid):
        flat = "training loss kept falling, but validation loss did not: more epochs will not help."
        return "", f"After epoch {kept} {flat}"
    return "", ""
