"""The page of images compared with those of validation: what differs, and every figure."""

from pathlib import Path
from typing import Any

from polyhead.evaluation.drift import FEW, Drift, Shift
from polyhead.report.rendering import write_page
from polyhead.report.report import PAGE
from polyhead.report.words import NOTHING, show_count


def write_monitor_page(folder: Path, name: str, drift: Drift) -> Path:
    """Write the page into a folder; its path.

    Args:
        name: of the model.
    """
    facts = [
        ("images", show_count(drift.images)),
        ("compared with", f"{show_count(drift.validation_images)} of validation"),
        ("could not be read", show_count(drift.unreadable)),
        ("features moved by", _tell_features(drift)),
    ]
    whole = {"unfamiliar images": drift.unfamiliar} if drift.unfamiliar else {}
    shares = whole | {f"unsure of {task}": shift for task, shift in drift.unsure.items()}
    tables = {"All images": shares, **drift.answers}
    context: dict[str, Any] = {
        "name": name,
        "facts": facts,
        "findings": drift.findings,
        "few": FEW if drift.images < FEW else 0,
        "tables": [(title, [_list_cells(*pair) for pair in table.items()]) for title, table in tables.items() if table],
    }
    write_page(folder / PAGE, "monitor.html", context)
    return folder / PAGE


def _tell_features(drift: Drift) -> str:
    if drift.features is None:
        return NOTHING
    low, high = drift.features.interval
    return f"{drift.features.distance:.2f} ({low:.2f} to {high:.2f})"


def _list_cells(label: str, shift: Shift) -> list[str]:
    low, high = shift.interval
    between = f"{100 * low:+.1f} to {100 * high:+.1f}"
    return [
        label,
        f"{100 * shift.share:.1f} %",
        f"{100 * shift.of_validation:.1f} %",
        between,
        "clear" if shift.clear else "",
    ]
