"""What a learning curve over training images says: a chart and a sentence a task, and what follows from all of them."""

from collections.abc import Mapping
from typing import Any

from polyhead.report.charts.learning import draw_learning
from polyhead.report.words import MINUS, PERCENTAGES, show_count, show_metric, show_number
from polyhead.tasks import Task

Context = dict[str, Any]
HOW = "linear models on the pretrained network's frozen features, not with the whole network"
SAYS = {
    "climbing": "More images would probably still help",
    "flat": "The curve is flat: more images of the same kind would hardly help",
    "unclear": "That may be chance: whether more images would help cannot be told",
}


def describe_learning_curve(curve: Mapping[str, Any] | None, tasks: Mapping[str, Task]) -> Context | None:
    """What `templates/training.html` fills in: why there is none, or how it was measured, and each task's.

    Args:
        curve: as in `evaluation.json`; None where a run is older.
        tasks: by name.
    """
    if not curve or "missing" in curve:
        return {"missing": curve["missing"]} if curve else None
    told = [
        {
            "name": name,
            "words": say_of_task(found, tasks[name]),
            "drawing": draw_learning(found["points"], found["metric"], tasks[name].error_unit)
            if "metric" in found
            else None,
        }
        for name, found in curve["tasks"].items()
        if name in tasks
    ]
    some = f"{show_count(curve['images'])} of " if curve["images"] < curve["of"] else ""
    words = (
        f"Measured with {HOW}, before it was trained: on nested parts of {some}the {show_count(curve['of'])} training "
        f"images, each judged on {show_count(curve['valid'])} validation images."
    )
    return {"words": words, "tasks": told}


def say_of_task(found: Mapping[str, Any], task: Task) -> str:
    """A task's curve in a sentence or two."""
    if found["verdict"] == "too few":
        count = show_count(found["n"])
        return f"Too few images to say: {count} of validation are labelled." if found["n"] else "No labels to judge by."
    words = f"{say_gain(found, task)} {SAYS[found['verdict']]}"
    if found["verdict"] == "climbing":  # the forecast has no floor of errors that no image takes away
        following = _show_gain(found["next"], found["metric"], task)
        words += f": by that, twice as many give at most about {following}"
    return f"{words}."


def say_gain(found: Mapping[str, Any], task: Task) -> str:
    """What half of the images and all of them reach, and what the last doubling gave."""
    metric, unit = found["metric"], task.error_unit
    half, whole = (_show_point(point, metric, unit) for point in found["points"][-2:])
    name = "" if metric in PERCENTAGES else "a mean error of "
    low, high = (_show_gain(end, metric, task, bare=True) for end in found["interval"])
    gain = _show_gain(found["gain"], metric, task)
    verb = "gave" if metric in PERCENTAGES else "took off"
    count = show_count(found["points"][-1]["images"])
    return (
        f"Half of the images reach {name}{half}, all of them ({count}) {whole}; the "
        f"last doubling {verb} {gain} ({low} to {high})."
    )


def _show_point(point: Mapping[str, Any], metric: str, unit: str) -> str:
    interval = point["intervals"].get(metric)
    if not interval:
        return show_metric(metric, point, unit)
    shown = [show_metric(metric, {metric: end}, "").replace("\N{NO-BREAK SPACE}%", "") for end in interval]
    return f"{show_metric(metric, point, unit)} ({' to '.join(shown)})"


def _show_gain(gain: float, metric: str, task: Task, *, bare: bool = False) -> str:
    if metric in PERCENTAGES:
        points = f"{100 * gain:z.1f}".replace("-", MINUS)
        return points if bare else f"{points} point{'' if points == '1.0' else 's'}"
    return show_number(gain, "" if bare else task.error_unit)


def advise_on_images(curve: Mapping[str, Any] | None, tasks: Mapping[str, Task]) -> tuple[str, str] | None:
    """Whether more images would help (`climbing`, `flat` or `unclear`), by all tasks, and the evidence.

    They would if they would for one task; they would not if the curves of all that could be judged are flat. None where
    none could.
    """
    judged = {
        name: found
        for name, found in ((curve or {}).get("tasks") or {}).items()
        if name in tasks and found["verdict"] != "too few"
    }
    if not curve or not judged:
        return None
    verdicts = {found["verdict"] for found in judged.values()}
    verdict = "climbing" if "climbing" in verdicts else "flat" if verdicts == {"flat"} else "unclear"
    alike = [name for name, found in judged.items() if found["verdict"] == verdict]
    # Of those that climb the one with the most to gain of what is left; else the one that came nearest.
    first = max(alike, key=lambda name: judged[name]["gain"] / _errors(judged[name]))
    words = [f"{first}: {say_gain(judged[first], tasks[first])} {SAYS[verdict]}."]
    for other, told in (("climbing", "Climbing, too"), ("flat", "Flat, too" if verdict == "flat" else "Flat")):
        names = [name for name, found in judged.items() if found["verdict"] == other and name != first]
        words += [f"{told}: {', '.join(names)}."] if names else []
    some = f", on {show_count(curve['images'])} of the {show_count(curve['of'])} training images"
    words.append(f"Measured with {HOW}{some if curve['images'] < curve['of'] else ''}.")
    return verdict, " ".join(words)


def _errors(found: Mapping[str, Any]) -> float:
    """With half of the images."""
    half = float(found["points"][-2][found["metric"]])
    return max(1 - half if found["metric"] in PERCENTAGES else half, 1e-9)
