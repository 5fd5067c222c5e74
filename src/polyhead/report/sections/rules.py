"""How often labels and answers break the recipe's rules."""

from collections.abc import Mapping, Sequence
from typing import Any

from polyhead.report.words import NOTHING, show_count, split_name
from polyhead.tasks.metrics import Numbers

EXAMPLES = 12  # images whose labels break a rule


def describe_label_rules(found: Sequence[Numbers], paths: Sequence[str]) -> dict[str, Any] | None:
    """What `evaluation.rules.count_in_labels` found of a table: a row a rule, and rows of the table that break one."""
    if not found:
        return None
    place = {path: row for row, path in enumerate(paths)} if any(one["broken"] for one in found) else {}
    examples = dict.fromkeys(place[path] for one in found for path in one["examples"])
    rows = [(one["rule"], show_count(one["n"]), show_count(one["broken"])) for one in found]
    return {"rows": rows, "examples": list(examples)[:EXAMPLES]}


def describe_answer_rules(evaluation: Mapping[str, Any], main: str) -> dict[str, Any] | None:
    """The same of the answers to a split, and, where answers obey the rules, what they would be if they did not."""
    found = evaluation[main].get("rules")
    if not found:
        return None
    without = found.get("without")
    before = without["answers"] if without else [None] * len(found["answers"])
    rows = [
        (one["rule"], show_count((other or one)["n"]), show_count(one["broken"]))
        + ((show_count(other["broken"]),) if other else ())
        for one, other in zip(found["answers"], before, strict=True)
    ]
    return {
        "split": split_name(main),
        "rows": rows,
        "obeyed": bool(without),
        "changed": [(name, show_count(count)) for name, count in found.get("changed", {}).items()],
        "figures": _compare(evaluation[main]["tasks"], without["tasks"]) if without else [],
    }


def _compare(tasks: Mapping[str, Numbers], without: Mapping[str, Numbers]) -> list[tuple[str, str, str]]:
    """Each task that rules are about: its accuracy, with and without them."""
    return [
        (name, _show(figures.get("accuracy")), _show(without[name].get("accuracy")))
        for name, figures in tasks.items()
        if figures.get("accuracy") != without[name].get("accuracy")
    ]


def _show(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4f}"
