"""The part of a report that shows the training: what the page's template fills in."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from polyhead.report.charts.charts import Curve, draw_curve, draw_lines
from polyhead.report.parts import TrainingPart
from polyhead.report.words import METRICS, show_number

Context = dict[str, Any]
NO_METRIC = ("epoch", "learning_rate", "seconds")
WEIGHT = ".weight"


def describe_training(part: TrainingPart) -> Context:
    """What `templates/training.html` fills in."""
    history = part.history
    weights = [name for name in map(str, history) if name.endswith(WEIGHT)]
    others = {*NO_METRIC, *weights}
    metrics = [name for name in map(str, history) if name not in others and not _is_valid(name, history)]
    # The total first, then task by task.
    tasks = list(dict.fromkeys(name.partition(".")[0] for name in metrics))
    metrics.sort(key=lambda name: (name != "loss", tasks.index(name.partition(".")[0])))
    shown = [name for name in metrics if history[name].notna().any()]
    # First how the whole got on, and what each task is judged by; the rest is for those who look for it.
    first = {"loss", *(_choose_metric(task, shown) for task in tasks)}
    main, curves = (
        [(_title(name), draw_curve(_curve(part, name))) for name in shown if (name in first) is chosen]
        for chosen in (True, False)
    )
    if weights:
        series = {name.removesuffix(WEIGHT): history[name].astype(float).tolist() for name in weights}
        drawing = draw_lines(history["epoch"].astype(int).tolist(), series, part.kept_epoch)
        curves.append(("Weights of the tasks' losses", drawing))
    if "learning_rate" in history and history["learning_rate"].nunique() > 1:
        curves.append(("Learning rate", draw_curve(_curve(part, "learning_rate"))))
    return {
        "epochs": len(history),
        "kept_epoch": part.kept_epoch,
        "time": _show_time(float(history["seconds"].sum())) if "seconds" in history else "",
        "notes": list(part.notes),
        "curves": main,
        "more": curves,
    }


def _choose_metric(task: str, names: Sequence[str]) -> str:
    """The main metric of a task among those that were measured in training; its loss where none was."""
    known = [f"{task}.{metric}" for metric in METRICS if f"{task}.{metric}" in names]
    return known[0] if known else f"{task}.loss"


def _is_valid(name: str, history: pd.DataFrame) -> bool:
    return name.startswith("val_") and name.removeprefix("val_") in history


def _title(name: str) -> str:
    task, _, metric = name.rpartition(".")
    return f"{task}: {METRICS.get(metric, metric)}" if task else "Total loss" if name == "loss" else name


def _curve(part: TrainingPart, name: str) -> Curve:
    def values(column: str) -> list[float | None]:
        return [None if pd.isna(value) else float(value) for value in part.history[column]]

    valid = f"val_{name}"
    has_valid = valid in part.history and part.history[valid].notna().any()
    epochs = part.history["epoch"].astype(int).tolist()
    return Curve(epochs, values(name), values(valid) if has_valid else None, part.kept_epoch)


def _show_time(seconds: float) -> str:
    if seconds < 120:
        return f"{show_number(seconds)} seconds"
    minutes, hours = round(seconds / 60), int(seconds // 3600)
    return f"{minutes} minutes" if hours < 2 else f"{hours} hours {minutes - 60 * hours} minutes"
