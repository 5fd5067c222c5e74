"""The part of a report that shows the data set: what the page's template fills in."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from polyhead.data.inspect.ties import describe_tie, find_ties
from polyhead.recipe.schema import SPLITS
from polyhead.report.album import Album
from polyhead.report.charts.charts import SLICES, cut_slices, draw_donut, draw_fractions, draw_histogram
from polyhead.report.parts import DataPart
from polyhead.report.sections.rules import describe_label_rules
from polyhead.report.words import NOTHING, show_count, show_percent, split_name
from polyhead.tasks import Labels, Task

SAMPLES = 24
FIRST_ROWS = 10
BARS = 30  # labels in a chart, at most
FEW = 9  # labels: their chart is no taller than a donut
REJECTED = 20  # rejected rows listed, at most
REASONS = 8
TIES = 30  # pairs of tasks listed, at most
TIED = 8  # of them put into words, at most
GROUPS = 8  # of duplicates shown, at most
IN_GROUP = 4  # images of a group shown, at most

Context = dict[str, Any]


def describe_data(part: DataPart, album: Album) -> Context:
    """What `templates/data.html` fills in; pictures go into the album."""
    table = part.table
    samples = np.random.default_rng(0).permutation(len(table))[:SAMPLES].tolist()
    return {
        "images": show_count(len(table)),
        "splits": _count_splits(table),
        "columns": ["path", "split", *part.tasks],
        "first_rows": _list_rows(table[["path", "split", *part.tasks]].head(FIRST_ROWS)),
        "tasks": [_describe_task(name, task, table[name].tolist()) for name, task in part.tasks.items()],
        "ties": _describe_ties(part),
        "shortcuts": part.shortcuts,
        "rules": _describe_rules(part, album),
        "missing": _count_missing(part),
        "samples": _show_rows(part, album, samples),
        "rejected": _describe_rejected(part.rejected),
        "duplicates": _describe_duplicates(part, album),
    }


def _list_rows(table: pd.DataFrame) -> list[list[str]]:
    return [[str(cell) or NOTHING for cell in row] for row in table.to_numpy()]


def _count_splits(table: pd.DataFrame) -> list[tuple[str, str, str]]:
    rows = Counter(table["split"])
    order = [*(split for split in SPLITS if split in rows), *sorted(set(rows) - {*SPLITS, ""})]
    return [(split_name(split), show_count(rows[split]), show_percent(rows[split] / len(table))) for split in order]


def _describe_task(name: str, task: Task, labels: Labels) -> Context:
    known = [label for label in task.regroup(labels) if label]
    found: Context = dict.fromkeys(("histogram", "donut", "slices", "rates"))
    found |= {"name": name, "kind": task.kind, "known": show_count(len(known)), "more": 0, "wide": False}
    if not known:
        return found
    counts = task.distribution(known)
    if task.numeric:
        found["histogram"] = draw_histogram(np.array(known, float), task.error_unit)
    alone = set(known) <= set(counts)  # each row has exactly one of them
    if task.numeric or (alone and len(counts) <= SLICES):
        if len(counts) > 1 or not task.numeric:
            found["slices"] = cut_slices(counts, in_order=task.numeric)
            found["donut"] = draw_donut(found["slices"], show_count(len(known)))
            found["wide"] = task.numeric
    elif fractions := _measure_rates(task, known, counts if alone else None):
        found["rates"] = draw_fractions(dict(list(fractions.items())[:BARS]))
        found |= {"more": max(len(fractions) - BARS, 0), "wide": len(fractions) > FEW}
    return found


def _measure_rates(task: Task, known: Labels, counts: Mapping[str, int] | None) -> dict[str, float]:
    """How often each label occurs, 0 to 1, among the rows in which it is known; largest first.

    `counts` are the rows of each label where every row has one label.
    """
    if counts is None and task.names:
        targets = task.encode(known)
        rows = (~np.isnan(targets)).sum(axis=0)
        rates = dict(zip(task.names, np.nansum(targets, axis=0) / np.maximum(rows, 1), strict=True))
    else:
        rates = {label: count / len(known) for label, count in (counts or task.distribution(known)).items()}
    return dict(sorted(((label, float(rate)) for label, rate in rates.items()), key=lambda pair: -pair[1]))


def _describe_ties(part: DataPart) -> Context | None:
    """How far each two tasks are tied: sentences, and a table; None where there is no pair."""
    ties = find_ties(part.tasks, {name: part.table[name].tolist() for name in part.tasks})
    if not ties:
        return None
    return {
        "sentences": [describe_tie(tie, part.tasks) for tie in ties if tie.is_strong][:TIED],
        "rows": [
            (
                tie.first,
                tie.second,
                tie.measure,
                f"{tie.strength:.2f}",
                show_count(tie.images),
                show_count(len(tie.empty)),
            )
            for tie in ties[:TIES]
        ],
    }


def _describe_rules(part: DataPart, album: Album) -> Context | None:
    found = describe_label_rules(part.rules, part.table["path"].tolist())
    return found and found | {"tiles": _show_rows(part, album, found["examples"]) if found["examples"] else []}


def _count_missing(part: DataPart) -> Context:
    blank = {name: int((part.table[name] == "").sum()) for name in part.tasks}
    fractions = {name: count / len(part.table) for name, count in blank.items() if count}
    return {
        "rows": [(name, show_count(count), show_percent(fractions.get(name, 0.0))) for name, count in blank.items()],
        "drawing": draw_fractions(fractions) if fractions else None,
    }


def _show_rows(part: DataPart, album: Album, rows: list[int]) -> list[Context]:
    tiles = []
    for row, picture in zip(rows, album.add("data", part.pixels, rows), strict=True):
        record = part.table.iloc[row]
        labels = [
            (name, task.show_label(record[name]) if record[name] else NOTHING) for name, task in part.tasks.items()
        ]
        tiles.append({"picture": picture, "path": record["path"], "split": record["split"], "labels": labels})
    return tiles


def _describe_rejected(rejected: pd.DataFrame) -> Context:
    reasons = rejected["reason"].value_counts()
    return {
        "count": show_count(len(rejected)),
        "files": show_count(rejected["path"].nunique()),
        "reasons": [(str(reason), show_count(count)) for reason, count in reasons.head(REASONS).items()],
        "more_reasons": max(len(reasons) - REASONS, 0),
        "rows": _list_rows(rejected[["path", "task", "value", "reason"]].head(REJECTED)),
        "more_rows": show_count(len(rejected) - REJECTED) if len(rejected) > REJECTED else "",
    }


def _describe_duplicates(part: DataPart, album: Album) -> Context:
    splits = part.table["split"].to_numpy()
    labels = part.table[list(part.tasks)].to_numpy()
    across = [len({splits[row] for row in group}) > 1 for group in part.repeats]
    differ = [len({tuple(labels[row]) for row in group}) > 1 for group in part.repeats]
    order = sorted(range(len(part.repeats)), key=lambda i: (not across[i], not differ[i], i))[:GROUPS]
    return {
        "groups": show_count(len(part.repeats)),
        "images": show_count(sum(len(group) for group in part.repeats)),
        "across": show_count(sum(across)),
        "differ": show_count(sum(differ)),
        "shown": [
            {
                "tiles": _show_rows(part, album, list(part.repeats[i])[:IN_GROUP]),
                "more": max(len(part.repeats[i]) - IN_GROUP, 0),
                "across": across[i],
                "differ": differ[i],
            }
            for i in order
        ],
        "more": max(len(part.repeats) - GROUPS, 0),
    }
