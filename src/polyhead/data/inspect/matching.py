"""Where the labels of other data stand that the tasks of a trained model know: found by their names and their texts."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polyhead.data.inspect.evidence import BLANKS, Finding
from polyhead.data.inspect.layouts import Sight, list_sights
from polyhead.data.sources.reading import read_rows
from polyhead.errors import PolyheadError, shorten
from polyhead.recipe.schema import Recipe, pattern_fields
from polyhead.tasks import Task
from polyhead.tasks.task import one_of

ALIKE = 0.9  # the share of a column's texts that must be labels of a task which it is not called after
CALLED = 0.5  # of one that it is called after


@dataclass(frozen=True)
class Match:
    """A way to read other data: the source and, by task, the keys of its recipe that read its column there."""

    sight: Sight
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)

    def tell(self) -> str:
        """What was found, for a person who is to check it."""
        found = [f"{name} in {keys['column'] or 'a column a label'}" for name, keys in self.tasks.items()]
        return f"found labels ({self.sight.place}): {', '.join(found)}"


def match_recipe(recipe: Recipe, tasks: Mapping[str, Task], data: Path) -> tuple[Recipe, Match | None]:
    """A recipe that reads labels for a model's tasks from `data`: its own, where that finds any, or a proposed one.

    Args:
        recipe: what the model was trained by.
        tasks: the model's, whose labels are known.
        data: the folder of the data, or its file of labels.

    Returns:
        The recipe, of those tasks alone that labels were found for; and how they were, None where its own source did.

    Raises:
        PolyheadError: there are no such labels in any of the forms that are known.
    """
    if _reads(recipe, tasks, data):
        return recipe, None
    sights = list(list_sights(data))
    best = max((_match(sight, tasks) for sight in sights), key=lambda match: len(match.tasks), default=None)
    if best is None or not best.tasks:
        seen = "; ".join(
            f"{sight.place}: {one_of(map(_describe, sight.findings))}" for sight in sights if sight.findings
        )
        wanted = "; ".join(f"{name}: {one_of(task.names) if task.names else 'numbers'}" for name, task in tasks.items())
        raise PolyheadError(
            f"{data}: no labels of the model's tasks are seen in it ({wanted})"
            f"{f', but {seen}' if seen else ''}; give a recipe that says where they stand (data.source) as the data"
        )
    read = {name: recipe.tasks[name].model_copy(update=keys) for name, keys in best.tasks.items()}
    found = recipe.data.model_copy(update={"source": best.sight.source, "path": str(data)})
    return recipe.model_copy(update={"data": found, "tasks": read}), best


def _reads(recipe: Recipe, tasks: Mapping[str, Task], data: Path) -> bool:
    """Whether the recipe's own source finds most of the images, and labels that the model knows."""
    try:
        rows = read_rows(recipe, data)
    except PolyheadError:
        return False
    single = {name: task.columns(name) for name, task in tasks.items() if len(task.columns(name)) == 1}
    known = [tasks[name].recognize(_count(rows.cells[column]))[0] for name, (column,) in single.items()]
    return len(rows.paths) > len(rows.rejected) and (len(single) < len(tasks) or max(known) >= CALLED)


def _match(sight: Sight, tasks: Mapping[str, Task]) -> Match:
    """For each task the column that fits it best; no column serves two tasks."""
    columns = {name: _count(sight.rows.cells[name]) for name in _list_columns(sight)}
    found: dict[str, dict[str, Any]] = {}
    fits: list[tuple[float, str, str, dict[str, Any]]] = []
    for name, task in tasks.items():
        wanted = task.columns(name)
        if len(wanted) > 1 and set(wanted) <= columns.keys():
            found[name] = {"column": None}
            continue
        called = {name.casefold(), *(column.casefold() for column in wanted)}
        for column, texts in columns.items():
            share, keys = task.recognize(texts)
            named = column.casefold() in called
            if share >= (CALLED if named else ALIKE) and (named or task.names):  # any number is a number
                fits.append((named + share, name, column, keys | {"column": column}))
    taken: set[str] = set()
    for _, name, column, keys in sorted(fits, key=lambda fit: -fit[0]):
        if name not in found and column not in taken:
            found[name] = keys
            taken.add(column)
    return Match(sight, {name: found[name] for name in tasks if name in found})


def _list_columns(sight: Sight) -> list[str]:
    pattern = getattr(sight.source, "pattern", None)
    return sight.rows.cells.columns.tolist() if pattern is None else pattern_fields(pattern)


def _count(cells: Iterable[str]) -> Counter[str]:
    return Counter(text for text in map(str.strip, cells) if text and text not in BLANKS)


def _describe(finding: Finding) -> str:
    return f"{finding.column} ({shorten(finding.words, 60)})"
