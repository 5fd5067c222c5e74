"""Find the labels of a trained model's tasks in other data, by the names and the texts of its columns."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polyhead.data.inspect.columns import BLANKS, ColumnGuess
from polyhead.data.inspect.layout import Layout
from polyhead.data.inspect.layouts import list_layouts
from polyhead.data.sources.reading import read_rows
from polyhead.errors import PolyheadError, list_words, shorten
from polyhead.recipe.schema import Recipe, pattern_fields
from polyhead.tasks import Task

MIN_KNOWN = 0.9  # fraction of a column's texts that must be labels of a task, if their names differ
MIN_KNOWN_IF_NAMED = 0.5  # the same, if the column is named like the task


@dataclass(frozen=True)
class Match:
    """A layout of other data and, by task, the keys of its recipe that read its column there."""

    layout: Layout
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)

    def describe(self) -> str:
        """What was found, for a person to check."""
        found = [f"{name} in {keys['column'] or 'a column a label'}" for name, keys in self.tasks.items()]
        return f"found labels ({self.layout.origin}): {', '.join(found)}"


def match_recipe(recipe: Recipe, tasks: Mapping[str, Task], data: Path) -> tuple[Recipe, Match | None]:
    """A recipe that reads labels for a model's tasks from `data`: its own, where that finds any, or a proposed one.

    Args:
        recipe: what the model was trained with.
        tasks: the model's, whose labels are known.
        data: the folder of the data, or its file of labels.

    Returns:
        The recipe, with only the tasks whose labels were found; and how they were found, None if by its own source.

    Raises:
        PolyheadError: no layout has such labels.
    """
    if _reads(recipe, tasks, data):
        return recipe, None
    layouts = [layout for layout in list_layouts(data) if not layout.fetched]  # nothing is fetched unasked
    best = max((_match(layout, tasks) for layout in layouts), key=lambda match: len(match.tasks), default=None)
    if best is None or not best.tasks:
        seen = "; ".join(
            f"{layout.origin}: {list_words(map(_describe, layout.guesses))}" for layout in layouts if layout.guesses
        )
        wanted = "; ".join(
            f"{name}: {list_words(task.names) if task.names else 'numbers'}" for name, task in tasks.items()
        )
        raise PolyheadError(
            f"{data}: no labels of the model's tasks were found in it ({wanted})"
            f"{f', but {seen}' if seen else ''}; as the data, give a recipe whose data.source says where they are"
        )
    read = {name: recipe.tasks[name].model_copy(update=keys) for name, keys in best.tasks.items()}
    found = recipe.data.model_copy(update={"source": best.layout.source, "path": str(data)})
    return recipe.model_copy(update={"data": found, "tasks": read}), best


def _reads(recipe: Recipe, tasks: Mapping[str, Task], data: Path) -> bool:
    """Whether the recipe's own source finds most of the images, and labels that the model knows."""
    try:
        rows = read_rows(recipe, data)
    except PolyheadError:
        return False
    single = {name: task.columns(name) for name, task in tasks.items() if len(task.columns(name)) == 1}
    known = [tasks[name].recognize(_count(rows.cells[column]))[0] for name, (column,) in single.items()]
    return len(rows.paths) > len(rows.rejected) and (len(single) < len(tasks) or max(known) >= MIN_KNOWN_IF_NAMED)


def _match(layout: Layout, tasks: Mapping[str, Task]) -> Match:
    """For each task the column that fits it best; no column is taken twice."""
    columns = {name: _count(layout.rows.cells[name]) for name in _list_columns(layout)}
    found: dict[str, dict[str, Any]] = {}
    fits: list[tuple[float, str, str, dict[str, Any]]] = []
    for name, task in tasks.items():
        wanted = task.columns(name)
        if len(wanted) > 1 and set(wanted) <= columns.keys():
            found[name] = {"column": None}
            continue
        called = {name.casefold(), *(column.casefold() for column in wanted)}
        for column, texts in columns.items():
            fraction, keys = task.recognize(texts)
            named = column.casefold() in called
            enough = fraction >= (MIN_KNOWN_IF_NAMED if named else MIN_KNOWN)
            if enough and (named or task.names):  # any column of numbers fits a regression, so its name must decide
                fits.append((named + fraction, name, column, keys | {"column": column}))
    taken: set[str] = set()
    for _, name, column, keys in sorted(fits, key=lambda fit: -fit[0]):
        if name not in found and column not in taken:
            found[name] = keys
            taken.add(column)
    return Match(layout, {name: found[name] for name in tasks if name in found})


def _list_columns(layout: Layout) -> list[str]:
    pattern = getattr(layout.source, "pattern", None)
    return layout.rows.cells.columns.tolist() if pattern is None else pattern_fields(pattern)


def _count(cells: Iterable[str]) -> Counter[str]:
    return Counter(text for text in map(str.strip, cells) if text and text not in BLANKS)


def _describe(guess: ColumnGuess) -> str:
    return f"{guess.column} ({shorten(guess.reason, 60)})"
