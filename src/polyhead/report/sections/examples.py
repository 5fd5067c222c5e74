"""Images with their answers and true labels: a sample of a split, and its worst mistakes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from polyhead.report.album import Album
from polyhead.report.parts import EvaluatedSplit
from polyhead.report.words import show_count, show_percent
from polyhead.tasks import Answer, Task

EXAMPLES = 24
MISTAKES = 12  # of each task
DIFFERENCES = 4  # wrong labels listed for one answer

Context = dict[str, Any]


def show_examples(tasks: Mapping[str, Task], evaluated: EvaluatedSplit, book: tuple[Album, str]) -> list[Context]:
    """Tiles of 24 random images (the same in every run): a line for each task, with its mark.

    Args:
        tasks: by name.
        evaluated: the split.
        book: the album for the pictures, and the split's name in it.
    """
    rows = np.random.default_rng(0).permutation(len(evaluated.rows))[:EXAMPLES].tolist()
    lines = {name: _compare(name, task, evaluated, rows) for name, task in tasks.items()}
    pictures = book[0].add(book[1], evaluated.pixels, rows)
    return [
        {
            "picture": picture,
            "path": evaluated.rows["path"].iloc[row],
            "lines": [(name, lines[name][index]) for name in tasks],
        }
        for index, (row, picture) in enumerate(zip(rows, pictures, strict=True))
    ]


def show_mistakes(name: str, task: Task, evaluated: EvaluatedSplit, book: tuple[Album, str]) -> Context:
    """Tiles of the 12 worst mistakes of a task, worst first; arguments are those of `show_examples`."""
    sizes = task.mistakes(evaluated.rows[name].tolist(), evaluated.outputs[name])
    sizes = np.where(np.isnan(sizes), 0, sizes)
    rows = np.argsort(-sizes, kind="stable")[: min(MISTAKES, int((sizes > 0).sum()))].tolist()
    pictures = book[0].add(book[1], evaluated.pixels, rows) if rows else []
    lines = _compare(name, task, evaluated, rows)
    return {
        "count": show_count(int((sizes > 0).sum())),
        "by_distance": task.numeric,
        "tiles": [
            {"picture": picture, "path": evaluated.rows["path"].iloc[row], "line": line}
            for row, picture, line in zip(rows, pictures, lines, strict=True)
        ],
    }


def _compare(name: str, task: Task, evaluated: EvaluatedSplit, rows: list[int]) -> list[Context]:
    """For each of `rows`: `answer`, `truth` (blank where unknown), `mark`, `unsure`, `detail`: how sure or far off."""
    labels, outputs = task.regroup(evaluated.rows[name].iloc[rows].tolist()), evaluated.outputs[name][rows]
    sizes = task.mistakes(labels, outputs)
    by_distance = task.numeric
    compared = []
    for label, answer, size in zip(labels, task.decode(outputs), sizes, strict=True):
        line: Context = {"answer": task.show_label(answer.label), "truth": task.show_label(label) if label else ""}
        line["unsure"] = answer.unsure
        line["mark"] = "unknown" if np.isnan(size) else "distance" if by_distance else "wrong" if size else "right"
        if by_distance:
            line["detail"] = f"off by {task.show_label(str(size))}" if label else ""
        else:
            line["detail"] = show_percent(answer.probability)
        line["differences"] = _differences(answer, label) if label else []
        compared.append(line)
    return compared


def _differences(answer: Answer, label: str) -> list[str]:
    """Which labels were falsely reported, and which were missed; the most confident mistakes first."""
    wrong = [
        (max(p, 1 - p), f"{'Falsely reported' if name in answer.labels else 'Missed'}: {name} ({show_percent(p)})")
        for name, p in answer.differences(label)
    ]
    lines = [line for _, line in sorted(wrong, key=lambda pair: -pair[0])]
    return lines[:DIFFERENCES] + ([f"and {len(lines) - DIFFERENCES} more"] if len(lines) > DIFFERENCES else [])
