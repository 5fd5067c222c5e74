"""What a run's history says, without Keras: which epoch is the best, and which tasks are overfitted."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]  # an epoch's figures by name; None or NaN where there is none
CLEARLY = 1 / 3  # of the way from a constant answer to a perfect one


def best_epoch(rows: Sequence[Row]) -> int | None:
    """The number, from 1, of the first epoch with the lowest validation loss; None where no epoch has a finite one."""
    losses = [_finite(row.get("val_loss")) for row in rows]
    known = [place for place, loss in enumerate(losses) if loss is not None]
    return 1 + min(known, key=lambda place: losses[place] or 0.0) if known else None


def kept_epoch(rows: Sequence[Row], chooses: bool) -> int:
    """The number, from 1, of the epoch whose weights are kept: the best, or the last where none is known to be."""
    return (best_epoch(rows) if chooses else None) or len(rows)


def find_overfitted(rows: Sequence[Row], valid: Mapping[str, Any]) -> list[str]:
    """The tasks answered clearly better than by one constant answer on training images, and no better on others.

    Args:
        rows: the history.
        valid: the figures of the kept weights on validation images by task, each with its `baseline`.
    """
    return [name for name, found in valid.items() if found["n"] and rows and _is_overfitted(name, found, rows[-1])]


def _is_overfitted(name: str, found: Mapping[str, Any], last: Row) -> bool:
    """By the share of right answers, or by the mean error of a number."""
    baseline = found["baseline"]
    right, wrong = _finite(last.get(f"{name}.accuracy")), _finite(last.get(f"{name}.mae"))
    if right is not None and {"accuracy"} <= found.keys() & baseline.keys():
        clear = baseline["accuracy"] + CLEARLY * (1 - baseline["accuracy"])
        return bool(found["accuracy"] <= baseline["accuracy"] and right > clear)
    if wrong is not None and {"mae"} <= found.keys() & baseline.keys():
        return bool(found["mae"] >= baseline["mae"] and wrong < (1 - CLEARLY) * baseline["mae"])
    return False


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
