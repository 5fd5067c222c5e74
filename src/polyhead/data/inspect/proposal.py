"""A first recipe for an undescribed data set, with the reasons in its comments."""

import json
import math
import os
import re
import textwrap
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from polyhead.data.images.decode import USUAL_SUFFIXES, ImageError, check_format
from polyhead.data.inspect.columns import ColumnGuess
from polyhead.data.inspect.layout import Layout
from polyhead.data.inspect.layouts import find_layout
from polyhead.data.inspect.naming import list_unnamed
from polyhead.data.inspect.ties import describe_tie, find_ties
from polyhead.data.sources.archives import is_archive
from polyhead.data.sources.reading import complete_recipe
from polyhead.data.sources.rows import data_folder
from polyhead.data.table import Table, read_table
from polyhead.errors import PolyheadError, list_words
from polyhead.progress import SILENT, warn
from polyhead.recipe.loading import check_recipe
from polyhead.recipe.schema import RESERVED, Recipe

SMOOTHING = 0.1  # of classes: what is fine-tuned for long grows too sure of itself without
MOST_TIES = 5  # pairs of tasks that are said to be tied


def propose_recipe(data: Path, start: Path | None = None) -> str:
    """Look at a folder of images or a label file, and write a recipe for it, its network still to be planned.

    Args:
        start: the folder of the recipe, from which `data.path` is written where it lies below; absolute if absent.

    Returns:
        YAML text; its comments say why each column is a task, or is not.

    Raises:
        PolyheadError: there is no such path, or no images or no labels are found there.
    """
    data = Path(os.path.abspath(os.path.expanduser(data)))
    root, layout = data_folder(data), find_layout(data)
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", data.stem).strip("-") or "mine"
    source = {"kind": layout.source.kind} | layout.source.model_dump(exclude_defaults=True)
    head = [
        f"# Proposed from {len(layout.rows.paths):,} images; change what you know better.",
        *_write_remarks(layout),
        f"name: {_flow(name)}",
        "data:",
        f"  path: {_flow(_shorten_path(data if is_archive(data) else root, start))}",
        f"  source: {_flow(source)}",
        *_write_split(layout),
    ]
    tasks = ["tasks:", *_write_tasks(layout), ""]
    recipe = check_recipe(YAML(typ="safe", pure=True).load("\n".join([*head, *tasks])), "proposal")
    if layout.fetched:
        return "\n".join([*head, *tasks])
    table = read_table(complete_recipe(recipe, root), root, SILENT)
    return "\n".join([*head, *_write_limit(table, root), *_write_ties(recipe, table), *tasks])


def _shorten_path(root: Path, start: Path | None) -> str:
    """The folder of the data, from that of the recipe if it lies in there, so that both can be moved as one."""
    if start is None:
        return str(root)
    start = Path(os.path.abspath(start))
    return root.relative_to(start).as_posix() if root.is_relative_to(start) else str(root)


def _write_remarks(layout: Layout) -> list[str]:
    lines = _comment(layout.remark, "") if layout.remark else []
    if layout.fetched:
        hosts = list_words(layout.fetched)
        words = f"Images are fetched from {hosts}, once, when they are wanted, and from nowhere else."
        lines += _comment(words, "")
    if unnamed := list_unnamed(layout):
        words = (
            f"{list_words(unnamed)}: the {layout.origin} do not tell what this is; give it its name in "
            "data.source.pattern and in tasks"
        )
        warn(words)
        lines += _comment(words, "")
    return lines


def _write_ties(recipe: Recipe, table: Table) -> list[str]:
    """What a reader should know of tasks that are tied in the data."""
    ties = find_ties(recipe.tasks, {name: table.frame[name].tolist() for name in recipe.tasks})
    lines: list[str] = []
    for tie in [tie for tie in ties if tie.is_strong][:MOST_TIES]:
        lines += _comment(describe_tie(tie, recipe.tasks), "")
        if tie.color:
            other = tie.second if tie.color == tie.first else tie.first
            keys = f"`ignores: shape` in {tie.color}, `ignores: color` in {other}"
            lines += _comment(f"To keep them apart on a network.backbone: {keys}.", "")
    return lines


def propose_values(data: Path) -> dict[str, Any]:
    """The same as plain values.

    Raises:
        PolyheadError: see `propose_recipe`.
    """
    values = dict(YAML(typ="safe", pure=True).load(propose_recipe(data)))
    if hosts := values["data"]["source"].get("fetch"):
        raise PolyheadError(
            f"{data}: its images are addresses ({list_words(hosts)}), and nothing is fetched unasked; write the recipe "
            "that `init DATA` prints into a file, look at data.source.fetch, and give that recipe"
        )
    return values


def _write_split(layout: Layout) -> list[str]:
    keys: dict[str, Any] = {"test": 0.2, "valid": 0.2} | layout.split
    comment: list[str] = []
    for guess in layout.guesses:
        if guess.kind == "split":
            keys = {"column": guess.column, "values": guess.settings}
            comment = _comment_on(guess, layout.origin)
    if [task.kind for task in layout.tasks] == ["categorical"]:
        keys["stratify"] = [_name_task(layout.tasks[0].column, ())]
    return [*comment, f"  split: {_flow(keys)}"]


def _write_limit(table: Table, root: Path) -> list[str]:
    """A larger `max_rejected`, if more images are unusable than the default allows."""
    whole = table.rejected[table.rejected["task"] == ""]
    lost = [*zip(whole["path"], whole["reason"], strict=True), *_list_unread(table.frame["path"], root)]
    total = len(whole) + len(table.frame)
    if len(lost) < 0.04 * total:
        return []
    words = f"{len(lost):,} of {total:,} cannot be used, such as {lost[0][0]}: {lost[0][1]}"
    return [*_comment(words, "  "), f"  max_rejected: {min(1, math.ceil(len(lost) / total * 100 + 1) / 100):g}"]


def _list_unread(paths: Iterable[str], root: Path) -> list[tuple[str, str]]:
    """Images with an unusual suffix whose format cannot be read, with the reasons."""
    unread = []
    for path in paths:
        if Path(path).suffix.lower() not in USUAL_SUFFIXES:
            try:
                check_format(root / path)
            except ImageError as error:
                unread.append((path, str(error)))
    return unread


def _write_tasks(layout: Layout) -> list[str]:
    flags = [task for task in layout.tasks if task.is_flag and not re.search(r"\||^\?|^none$", task.column)]
    lines: list[str] = []
    names: list[str] = []
    if len(flags) > 2:
        words = "; ".join(f"{flag.column}: {flag.reason}" for flag in flags)
        columns = [flag.column for flag in flags]
        blank = sorted({word for flag in flags for word in flag.settings.get("blank", ())})
        keys = {"kind": "multilabel", "from_columns": columns} | ({"blank": blank} if blank else {})
        names.append("attributes")
        lines += [
            *_comment(f"attributes ({len(flags)} columns of yes or no): {words}", "  "),
            f"  attributes: {_flow(keys)}",
        ]
    for task in layout.tasks:
        if len(flags) <= 2 or task not in flags:
            names.append(_name_task(task.column, names))
            column = {} if names[-1] == task.column else {"column": task.column}
            smoothing = {"label_smoothing": SMOOTHING} if task.kind == "categorical" else {}
            keys = {"kind": task.kind} | column | task.settings | smoothing
            lines += [*_comment_on(task, layout.origin), f"  {_flow(names[-1])}: {_flow(keys)}"]
    for guess in layout.guesses:
        if not guess.kind:
            lines += _comment(f"not a task: {guess.column} ({layout.origin}): {guess.reason}", "  ")
    return lines


def _name_task(column: str, taken: Collection[str]) -> str:
    """The column's name, changed if a task cannot have it."""
    name = re.sub(r"[\n/,|:.]", "_", column).strip()
    while name in RESERVED or name in taken:
        name += "_label"
    return name


def _comment_on(guess: ColumnGuess, origin: str) -> list[str]:
    return _comment(f"{guess.column} ({origin}): {guess.reason}", "  ")


def _comment(words: str, indent: str) -> list[str]:
    line = "".join(letter if letter.isprintable() else " " for letter in words)
    return textwrap.wrap(line, 116, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}#   ")


def _flow(value: Any) -> str:
    """A value as YAML on one line; a text is quoted if YAML might read it as anything else."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if not isinstance(value, str):
        return str(value)
    plain = re.fullmatch(r"[A-Za-z/_][A-Za-z0-9/_. -]*(?<! )", value)
    words = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
    return value if plain and value.lower() not in words else json.dumps(value, ensure_ascii=not value.isprintable())
