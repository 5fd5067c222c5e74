"""Which rows train, validate and test: exact fractions, the same on every machine, and no image in two splits.

Rows of byte-identical images, and rows of the same group, belong together: they go into one split as a whole. Where the
source fixes the splits, and puts two rows that belong together into different ones, the row of the split that is listed
later in `PRECEDENCE` stays (a published test set stays complete), and the other row is left out.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polyhead.data.sources.rows import Rows
from polyhead.data.sources.text_files import open_lines
from polyhead.errors import PolyheadError, list_words, nearest, require, shorten
from polyhead.recipe.schema import Recipe, SplitRecipe

GROUP = "split.group"  # a column of the frame; no task can have this name
PRECEDENCE = ("train", "valid", "test")
Texts = NDArray[np.object_]
GroupNumbers = NDArray[np.intp]
Stratum = tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """Rows that belong together: their number (the index of the first one), how many they are, and their stratum."""

    number: int
    rows: int
    stratum: Stratum


def split_rows(frame: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """Assign every row to a split.

    Rows are drawn by the recipe's seed in the order of their paths, so their order in the frame has no effect. The
    test split has `test` of the n rows, halves rounded up, as near as whole groups come to it from below; `valid` is a
    fraction of the rows that are then left. Under `stratify`, each combination of those tasks' labels contributes its
    fraction, rounded by the largest remainders. A row matches a combination of `hold_out` if it has all its labels.

    Args:
        frame: `path`, `split` (as the source fixes it, or blank), `content`, the tasks, and `split.group` if the
            recipe has one.
        recipe: its `data.split`, `tasks` and `seed`.

    Returns:
        `split`, blank where a row is left out, and `reason`, blank where it is not; indexed like the frame.

    Raises:
        PolyheadError: a split that is asked for comes out empty, or a combination to hold out matches no row.
    """
    rows = frame.iloc[frame["path"].to_numpy(object).argsort(kind="stable")]
    groups, names = find_groups(rows), rows["split"].to_numpy(object, copy=True)
    unseen = _match_held_out(rows, recipe)
    reasons: Texts = np.full(len(rows), "", object)
    reasons[np.isin(groups, groups[unseen]) & ~unseen] = "has the same content or group as an image that is held out"
    names[unseen] = "unseen"
    _resolve_conflicts(names, reasons, groups)
    names[(names == "") & (reasons == "")] = "train"
    strata = rows[recipe.data.split.stratify].to_numpy(object)
    keys = np.random.Generator(np.random.PCG64(recipe.seed)).random(len(rows))
    for name, fraction in _list_fractions(recipe.data.split, names):
        pool = names == "train"
        names[pool & np.isin(groups, _draw_groups(list_groups(pool, groups, strata, keys), name, fraction))] = name
    if "train" not in names:
        raise PolyheadError("data.split: no image is left to train on; lower the fractions, or hold out less")
    return pd.DataFrame({"split": names, "reason": reasons}, index=rows.index, dtype=str).loc[frame.index]


def _resolve_conflicts(names: Texts, reasons: Texts, groups: GroupNumbers) -> None:
    """Where the source puts a group into two splits, leave out its rows of the split with the lower precedence."""
    for winner in ("test", "valid"):
        losers = np.isin(names, PRECEDENCE[: PRECEDENCE.index(winner)]) & (reasons == "")
        winning = groups[(names == winner) & (reasons == "")]
        reasons[losers & np.isin(groups, winning)] = f"has the same content or group as an image of {winner}"
    names[reasons != ""] = ""


def _list_fractions(plan: SplitRecipe, names: Texts) -> list[tuple[str, float]]:
    """The splits to draw from the training rows, with their fractions."""
    if plan.valid == "test" and "valid" in names:
        raise PolyheadError(
            "data.split.valid: is `test`, but the source has validation images; map them to train in data.split.values"
        )
    fractions = {"test": plan.test, "valid": 0.0 if plan.valid == "test" else plan.valid}
    return [(name, fraction) for name, fraction in fractions.items() if fraction > 0 and name not in names]


def find_groups(frame: pd.DataFrame) -> GroupNumbers:
    """The group of each row, (n,), as the index of its first row.

    Rows of equal content or equal `split.group` belong together, and so do the rows that these belong to in turn.
    """
    require("splitting a data set", "report")
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = [
        (rows[0], other)
        for column in ("content", GROUP)
        for rows in _rows_by_value(frame, column)
        for other in rows[1:]
    ]
    ends = np.array(pairs, np.intp).reshape(-1, 2).T
    graph = coo_array((np.ones(len(pairs), bool), (ends[0], ends[1])), shape=(len(frame), len(frame)))
    components = connected_components(graph, directed=False)[1]
    _, first_rows, numbers = np.unique(components, return_index=True, return_inverse=True)
    return np.asarray(first_rows[numbers], np.intp)


def find_duplicates(frame: pd.DataFrame) -> list[list[int]]:
    """Indices of the rows whose images are byte-identical: a list for each content that occurs twice or more."""
    return [rows for rows in _rows_by_value(frame, "content") if len(rows) > 1]


def _rows_by_value(frame: pd.DataFrame, column: str) -> list[list[int]]:
    found: dict[str, list[int]] = {}
    for row, value in enumerate(frame.get(column, ())):
        if value:
            found.setdefault(value, []).append(row)
    return list(found.values())


def list_groups(pool: NDArray[np.bool_], groups: GroupNumbers, strata: Texts, keys: NDArray[np.float64]) -> list[Group]:
    """The groups of the pool's rows, in the order that the seed gives; the first row gives a group its stratum."""
    sizes = Counter(groups[pool].tolist())
    return [Group(number, sizes[number], tuple(strata[number])) for number in sorted(sizes, key=lambda one: keys[one])]


def _draw_groups(pool: Sequence[Group], name: str, fraction: float) -> list[int]:
    """The numbers of the groups that make up the fraction of the pool's rows, or a little less."""
    total = sum(group.rows for group in pool)
    size = round_half_up(fraction, total)
    left = _apportion(pool, fraction, size)
    chosen: dict[int, int] = {}
    for group in pool:
        if group.rows <= left[group.stratum]:
            left[group.stratum] -= group.rows
            chosen[group.number] = group.rows
    unfilled = size - sum(chosen.values())  # by strata that whole groups could not fill
    for group in pool:
        if group.number not in chosen and group.rows <= unfilled:
            unfilled -= group.rows
            chosen[group.number] = group.rows
    if not chosen:
        why = f"{size}, and every group of duplicates is larger" if size else "which rounds to none"
        raise PolyheadError(
            f"data.split.{name}: is {fraction:g} of {total:,} images, {why}; set it to 0 for no such split, or change "
            "it"
        )
    return list(chosen)


def _apportion(pool: Sequence[Group], fraction: float, size: int) -> dict[Stratum, int]:
    """How many rows to draw from each stratum: a fraction of it, rounded so that all add up to the size.

    The strata with the largest remainders are rounded up (Hamilton's method).
    """
    rows: Counter[Stratum] = Counter()
    for group in pool:
        rows[group.stratum] += group.rows
    exact = {stratum: Fraction(str(fraction)) * count for stratum, count in rows.items()}
    seats = {stratum: int(part) for stratum, part in exact.items()}
    for stratum in sorted(exact, key=lambda one: seats[one] - exact[one])[: size - sum(seats.values())]:
        seats[stratum] += 1
    return seats


def round_half_up(fraction: float, count: int) -> int:
    """fraction x count to the nearest whole number, by the decimal as it was written: .15 of 10 is 2."""
    return int(Fraction(str(fraction)) * count + Fraction(1, 2))


def _match_held_out(frame: pd.DataFrame, recipe: Recipe) -> NDArray[np.bool_]:
    """Which rows have every label of a combination that is held out, (n,)."""
    unseen = np.zeros(len(frame), bool)
    for combination in recipe.data.split.hold_out:
        matches = np.ones(len(frame), bool)
        for name, label in combination.items():
            found = {text: {text, *recipe.tasks[name].distribution([text])} for text in frame[name].unique() if text}
            if not any(label in labels for labels in found.values()):
                known = sorted(set().union(*found.values()))
                raise PolyheadError(
                    f"data.split.hold_out: no image has the {name} {shorten(label, 60)!r}{nearest(label, known)}; "
                    f"there are {list_words(known)}"
                )
            matches &= (
                frame[name].map(lambda text, label=label, found=found: label in found.get(text, ())).to_numpy(bool)
            )
        if not matches.any():
            words = ", ".join(f"{name}: {label}" for name, label in combination.items())
            raise PolyheadError(f"data.split.hold_out: no image has all labels of {{{words}}}; take it out")
        unseen |= matches
    return unseen


def read_fixed_splits(rows: Rows, recipe: Recipe, root: Path) -> tuple[list[str], list[str]]:
    """The split of each row where the recipe's `column` or `file` fixes it, or the reason why it cannot be told.

    Returns:
        n names of splits, blank where they are not fixed; n reasons, blank where nothing is wrong.

    Raises:
        PolyheadError: the file is missing or gives two splits for one image.
    """
    plan = recipe.data.split
    if plan.file:
        words = _read_split_file(root / plan.file, rows.paths, Path(plan.file).parent.as_posix())
    elif plan.column:
        words = [text.strip() for text in rows.cells[plan.column]]
    else:
        return [""] * len(rows.paths), [""] * len(rows.paths)
    where = plan.file or f"the column {plan.column}"
    reasons = {word: _explain_unknown(word, plan, where) for word in dict.fromkeys(words)}
    return [plan.values.get(word, "") for word in words], [reasons[word] for word in words]


def _explain_unknown(word: str, plan: SplitRecipe, where: str) -> str:
    if word in plan.values:
        return ""
    if not word:
        return f"{where} does not give its split"
    return f"{where} gives its split as {shorten(word, 60)!r}; data.split.values has {list_words(plan.values)}"


def _read_split_file(file: Path, paths: Iterable[str], folder: str) -> list[str]:
    """The word for each path; the file may name it from the root, from its own folder, or by a unique file name."""
    word_of = _read_lines(file)
    paths = list(paths)
    name_counts = Counter(PurePosixPath(path).name for path in paths)
    words = []
    for path in paths:
        name = PurePosixPath(path).name
        spellings = (path, path.removeprefix(f"{folder}/"), *([name] if name_counts[name] == 1 else []))
        words.append(next((word_of[spelling] for spelling in spellings if spelling in word_of), ""))
    return words


def _read_lines(file: Path) -> dict[str, str]:
    word_of: dict[str, str] = {}
    try:
        with open_lines(file) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    image, word = _read_split(line.strip(), f"{file} line {number}")
                    if word_of.setdefault(image, word) != word:
                        raise PolyheadError(
                            f"{file} line {number}: {shorten(image, 200)} is there twice, with two splits"
                        )
    except PolyheadError as error:
        raise PolyheadError(f"data.split.file: {error}") from None
    return word_of


def _read_split(line: str, where: str) -> tuple[str, str]:
    """The image and the split in a line."""
    try:
        cells = next(csv.reader([line])) if "," in line else line.rsplit(None, 1)
    except csv.Error as error:
        raise PolyheadError(f"{where}: is not CSV: {error}") from None
    if len(cells) != 2:
        raise PolyheadError(f"{where}: expected an image and its split; got {shorten(line, 60)!r}")
    image, word = (cell.strip() for cell in cells)
    return image.removeprefix("./"), word
