"""Apply what a person found of single labels: `corrections.csv`, as the gallery's workbench saves it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from polyhead.data.sources.label_studio import list_records
from polyhead.data.sources.text_files import read_lines
from polyhead.errors import PolyheadError, list_words, shorten, show_text
from polyhead.tasks import Task

CORRECTED = "data.corrected"  # a column of the frame; no task can have this name
NEEDED, VERDICTS = ("image", "task", "label"), ("right", "wrong", "unknown")


def apply_corrections(
    file: Path, tasks: Mapping[str, Task], paths: Sequence[str], labels: Mapping[str, list[str]]
) -> list[str]:
    """Put the labels of a file of corrections, or of Label Studio's export, in place of those that were read.

    Its columns: `image`, a path of the table; `task`; `label`, the new one as tables and pages show it; and, where it
    is there, `verdict`: `right` without a label changes nothing, with one (of an image that had none) it is taken;
    `wrong` and `unknown` blank the label where no new one is given.
    Of several rows about one label the last counts. Other columns are passed over.

    Args:
        paths: n images.
        labels: n a task; changed in place.

    Returns:
        n texts, blank where nobody judged a label; else JSON, `{TASK: {"was": LABEL, "label": LABEL}}`, the same label
        twice where it was found right.

    Raises:
        PolyheadError: the file cannot be read; or a row names no image, no task, no label or no verdict.
    """
    records = list_records(file) if file.suffix.lower() == ".json" else read_lines(file, ",")
    heads = next(records)[1]
    if missing := [name for name in NEEDED if name not in heads]:
        raise PolyheadError(f"{file}: expected columns {list_words(NEEDED)}; it lacks {list_words(missing)}")
    row_of = {path: row for row, path in enumerate(paths)}
    judged: list[dict[str, dict[str, str]]] = [{} for _ in paths]
    for line, cells in records:
        cell = dict(zip(heads, cells, strict=True))
        where = f"{file} line {line}"
        image, name = cell["image"], cell["task"]
        if image not in row_of:
            raise PolyheadError(f"{where}: there is no image {show_text(shorten(image, 80))} in the data")
        if name not in tasks:
            raise PolyheadError(f"{where}: expected a task of {list_words(tasks)}; got {shorten(name, 60)!r}")
        row = row_of[image]
        was = judged[row].get(name, {"was": labels[name][row]})["was"]
        labels[name][row] = _judge(where, tasks[name], was, cell)
        judged[row][name] = {"was": was, "label": labels[name][row]}
    return [json.dumps(found, ensure_ascii=False) if found else "" for found in judged]


def read_judged(texts: Sequence[str]) -> list[dict[str, dict[str, str]]]:
    """What `apply_corrections` gave, for each row; nothing where a text is blank or damaged."""
    found = []
    for text in texts:
        try:
            value = json.loads(text) if text else {}
        except ValueError:
            value = {}
        found.append(value if isinstance(value, dict) else {})
    return found


def _judge(where: str, task: Task, was: str, cell: Mapping[str, str]) -> str:
    """The label after a row of the file."""
    verdict, label = cell.get("verdict", "").strip(), cell.get("label", "").strip()
    if verdict not in ("", *VERDICTS) or not (verdict or label):
        raise PolyheadError(f"{where}: expected the verdict {list_words(VERDICTS)}; got {shorten(verdict, 60)!r}")
    if verdict == "right" and not label:
        return was
    try:
        return _as_tables_have_it(task).read(label) if label else ""
    except ValueError as error:
        raise PolyheadError(f"{where}: {error}") from None


def _as_tables_have_it(task: Task) -> Task:
    """The task with nothing left of how its source writes labels."""
    plain = {"values": {}, "blank": [], "separator": "|", "from_columns": [], "labels": list(task.names)}
    return task.model_copy(update={key: value for key, value in plain.items() if key in type(task).model_fields})
