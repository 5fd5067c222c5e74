"""Images beside what was answered and what is true: a sample of a split, and its worst mistakes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from polyhead.report.album import Album
from polyhead.report.parts import EvaluatedSplit
from polyhead.report.words import show_count, show_percent
from polyhead.tasks import Answer, Task

EXAMPLES = 24
MISTAKES = 12  # of each task
DIFFERENCES = 4  # wrong labels named of one answer

Context = dict[str, Any]


def show_examples(tasks: Mapping[str, Task], judged: EvaluatedSplit, book: tuple[Album, str]) -> list[Context]:
    """Tiles of 24 images at random (the same in every run): a line a task, each with its mark.

    Args:
        tasks: by name.
        judged: the split.
        book: the album that pictures go into, and the split's name in it.
    """
    rows = np.random.default_rng(0).permutation(len(judged.rows))[:EXAMPLES].tolist()
    lines = {name: _compare(name, task, judged, rows) for name, task in tasks.items()}
    pictures = book[0].add(book[1], judged.pixels, rows)
    return [
        {
            "picture": picture,
            "path": judged.rows["path"].iloc[row],
            "lines": [(name, lines[name][place]) for name in tasks],
        }
        for place, (row, picture) in enumerate(zip(rows, pictures, strict=True))
    ]


def show_mistakes(name: str, task: Task, judged: EvaluatedSplit, book: tuple[Album, str]) -> Context:
    """Tiles of the 12 worst mistakes of a task, worst first; arguments are those of `show_examples`."""
    sizes = task.mistakes(judged.rows[name].tolist(), judged.outputs[name])
    sizes = np.where(np.isnan(sizes), 0, sizes)
    rows = np.argsort(-sizes, kind="stable")[: min(MISTAKES, int((sizes > 0).sum()))].tolist()
    pictures = book[0].add(book[1], judged.pixels, rows) if rows else []
    lines = _compare(name, task, judged, rows)
    return {
        "count": show_count(int((sizes > 0).sum())),
        "by_distance": task.numeric,
        "tiles": [
            {"picture": picture, "path": judged.rows["path"].iloc[row], "line": line}
            for row, picture, line in zip(rows, pictures, lines, strict=True)
        ],
    }


def _compare(name: str, task: Task, judged: EvaluatedSplit, rows: list[int]) -> list[Context]:
    """For each of `rows`: `answer`, `truth` (blank where unknown), `mark`, `unsure`, `detail`: how sure or far off."""
    labels, outputs = task.regroup(judged.rows[name].iloc[rows].tolist()), judged.outputs[name][rows]
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
    """Which labels were wrongly said, and which were missed, the surest first."""
    wrong = [
        (max(p, 1 - p), f"{'wrongly' if name in answer.labels else 'missed'}: {name} ({show_percent(p)})")
        for name, p in answer.differences(label)
    ]
    said = [words for _, words in sorted(wrong, key=lambda pair: -pair[0])]
    return said[:DIFFERENCES] + ([f"and {len(said) - DIFFERENCES} more"] if len(said) > DIFFERENCES else [])
