"""Numbers as a reader sees them: 93.1 %, 0.912, 4.25 years. Knows the names of metrics, not how they are computed."""

from collections.abc import Mapping
from typing import Any

NOTHING = "\u2013"
MINUS = "\u2212"
TIMES = "\N{MULTIPLICATION SIGN}"
# The metrics of a task in the order to show them; the first that a task has is its main one.
METRICS = {
    "accuracy": "accuracy",
    "mae": "MAE",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "exact_match": "all labels right",
    "mean_average_precision": "mean average precision",
    "average_precision": "average precision",
    "roc_auc": "ROC AUC",
    "rmse": "RMSE",
    "r2": "R²",
    "interval_coverage": "within the 80 % interval",
    "interval_width": "mean width of the interval",
    "coverage": "truth within what is promised",
    "set_size": "labels in a promised set",
    "not_sure": "labels that are not sure",
    "answered": "answered",
    "answered_accuracy": "accuracy if answered",
}
PERCENTAGES = frozenset({"accuracy", "exact_match", "answered", "answered_accuracy", "interval_coverage"})
PERCENTAGES |= {"coverage", "not_sure"}
ERRORS = frozenset({"mae", "rmse", "interval_width"})  # in the label's own unit; lower is better
SPLITS = {"train": "Training", "valid": "Validation", "test": "Test", "unseen": "Unseen combinations"}
SPLITS |= {"all": "All", "out_of_fold": "Out of fold"}  # each image answered by the network that was trained without it


def count_images(count: int, split: str) -> str:
    """`1 image`, `480 test images`."""
    words = "" if split == "all" else f"{split_name(split).lower()} "
    return f"{show_count(count)} {words}image{'' if count == 1 else 's'}"


def show_percent(fraction: float | None) -> str:
    """A fraction, 0 to 1, as a percentage with one decimal."""
    return NOTHING if fraction is None else f"{100 * fraction:.1f}\u00a0%"


def show_number(value: float | None, unit: str = "") -> str:
    """A number with three significant digits, and its unit."""
    if value is None:
        return NOTHING
    digits = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    digits = digits.replace("-", MINUS)
    return f"{digits}\u00a0{unit}" if unit else digits


def show_value(value: object) -> str:
    """A value of a recipe: a number with three significant digits, anything else as it is."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def show_count(count: int) -> str:
    """A whole number with thousands separators."""
    return f"{count:,}"


def show_metric(key: str, metrics: Mapping[str, Any], unit: str) -> str:
    """A task's metric `key`: a percentage, an error with its unit, or three decimals."""
    value = metrics.get(key)
    if key in ERRORS:
        return show_number(value, unit)
    if key in PERCENTAGES:
        return show_percent(value)
    return NOTHING if value is None else f"{value:z.3f}".replace("-", MINUS)


def present_metrics(metrics: Mapping[str, Any]) -> list[str]:
    """Which of `METRICS` a task has, the main one first."""
    return [key for key in METRICS if key in metrics]


def split_name(split: str) -> str:
    """A split as a heading."""
    return SPLITS.get(split, split)
