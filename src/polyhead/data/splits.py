"""Which rows train, choose and judge: exact shares, alike on every machine, and no image on both sides.

Rows of byte-identical images, and rows of one group, are one lot: it goes into one split as a whole. Where the source
says the split, and says two of one lot, the split that judges keeps what it was given (a published test set stays
whole) and the lot's rows of the other split are left out: test before valid before train.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polyhead.data.sources.rows import Rows
from polyhead.data.sources.text_files import open_lines
from polyhead.errors import PolyheadError, list_words, nearest, shorten
from polyhead.recipe.schema import Recipe, SplitRecipe

GROUP = "split.group"  # a column of the frame that no task can be called
JUDGES = ("train", "valid", "test")  # the later, the more it judges
Texts = NDArray[np.object_]
Lots = NDArray[np.intp]


@dataclass(frozen=True)
class Lot:
    """Rows that go together: which, how many, and what is to be alike in all splits."""

    number: int
    rows: int
    stratum: tuple[str, ...]


def split_rows(frame: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """Say the split of every row.

    Rows are drawn by the recipe's seed in the order of their paths, so their order in the frame is without effect. The
    test split has `test` of the n rows, halves rounded up, as near as whole lots come to it from below; `valid` is its
    share of the rows then left. Under `stratify`, each combination of those tasks' labels gives its share, and the
    largest remainders make up the total. A row matches a combination of `hold_out` where it has all its labels.

    Args:
        frame: `path`, `split` (what the source says, or blank), `content`, the tasks, and `split.group` if there is
            one in the recipe.
        recipe: its `data.split`, `tasks` and `seed`.

    Returns:
        `split`, blank where a row is left out, and `reason`, blank where it is not; indexed like the frame.

    Raises:
        PolyheadError: a split that is wanted comes out empty, or a combination to hold out matches no row.
    """
    rows = frame.iloc[frame["path"].to_numpy(object).argsort(kind="stable")]
    lots, names = find_lots(rows), rows["split"].to_numpy(object, copy=True)
    unseen = _match_held_out(rows, recipe)
    reasons: Texts = np.full(len(rows), "", object)
    reasons[np.isin(lots, lots[unseen]) & ~unseen] = "is of one content or group with an image that is held out"
    names[unseen] = "unseen"
    _settle(names, reasons, lots)
    names[(names == "") & (reasons == "")] = "train"
    strata = rows[recipe.data.split.stratify].to_numpy(object)
    keys = np.random.Generator(np.random.PCG64(recipe.seed)).random(len(rows))
    for name, share in _list_shares(recipe.data.split, names):
        pool = names == "train"
        names[pool & np.isin(lots, _choose(_list_lots(pool, lots, strata, keys), name, share))] = name
    if "train" not in names:
        raise PolyheadError("data.split: no image is left to train on; lower the shares, or hold out less")
    return pd.DataFrame({"split": names, "reason": reasons}, index=rows.index, dtype=str).loc[frame.index]


def _settle(names: Texts, reasons: Texts, lots: Lots) -> None:
    """Where the source gives a lot to two splits, leave out its rows of the one that judges less."""
    for judge in ("test", "valid"):
        weaker = np.isin(names, JUDGES[: JUDGES.index(judge)]) & (reasons == "")
        strong = lots[(names == judge) & (reasons == "")]
        reasons[weaker & np.isin(lots, strong)] = f"is of one content or group with an image of {judge}"
    names[reasons != ""] = ""


def _list_shares(plan: SplitRecipe, names: Texts) -> list[tuple[str, float]]:
    """The splits that are to be cut from the training rows, with their shares."""
    if plan.valid == "test" and "valid" in names:
        raise PolyheadError(
            "data.split.valid: is `test`, but the source has valid images; let data.split.values call them train"
        )
    shares = {"test": plan.test, "valid": 0.0 if plan.valid == "test" else plan.valid}
    return [(name, share) for name, share in shares.items() if share > 0 and name not in names]


def find_lots(frame: pd.DataFrame) -> Lots:
    """The lot of each row (n,), named by its first row's place: rows of equal content or group, and theirs in turn."""
    parents = list(range(len(frame)))

    def first(row: int) -> int:
        while parents[row] != row:
            parents[row] = parents[parents[row]]
            row = parents[row]
        return row

    for column in ("content", GROUP):
        for rows in _rows_by_value(frame, column):
            for one, other in pairwise(rows):
                low, high = sorted((first(one), first(other)))
                parents[high] = low
    return np.array([first(row) for row in range(len(frame))], np.intp)


def repeats(frame: pd.DataFrame) -> list[list[int]]:
    """Places of the rows whose images are byte-identical: a list for each content that occurs twice or more."""
    return [rows for rows in _rows_by_value(frame, "content") if len(rows) > 1]


def _rows_by_value(frame: pd.DataFrame, column: str) -> list[list[int]]:
    found: dict[str, list[int]] = {}
    for row, value in enumerate(frame.get(column, ())):
        if value:
            found.setdefault(value, []).append(row)
    return list(found.values())


def _list_lots(pool: NDArray[np.bool_], lots: Lots, strata: Texts, keys: NDArray[np.float64]) -> list[Lot]:
    """The lots of the rows in the pool, in the order that the seed gives; a lot's first row speaks for it."""
    sizes = Counter(lots[pool].tolist())
    return [Lot(number, sizes[number], tuple(strata[number])) for number in sorted(sizes, key=lambda lot: keys[lot])]


def _choose(pool: Sequence[Lot], name: str, share: float) -> list[int]:
    """The lots that make up the share of the pool's rows, none too many."""
    total = sum(lot.rows for lot in pool)
    wanted = round_half_up(share, total)
    rooms = _share_out(pool, share, wanted)
    chosen: dict[int, int] = {}
    for lot in pool:
        if lot.rows <= rooms[lot.stratum]:
            rooms[lot.stratum] -= lot.rows
            chosen[lot.number] = lot.rows
    room = wanted - sum(chosen.values())  # strata that whole lots could not fill
    for lot in pool:
        if lot.number not in chosen and lot.rows <= room:
            room -= lot.rows
            chosen[lot.number] = lot.rows
    if not chosen:
        why = "which rounds to none" if not wanted else f"{wanted}, and every group of repeats is larger"
        raise PolyheadError(
            f"data.split.{name}: is {share:g} of {total:,} images, {why}; set it to 0 for no such split, or change it"
        )
    return list(chosen)


def _share_out(pool: Sequence[Lot], share: float, wanted: int) -> dict[tuple[str, ...], int]:
    """How many rows of each stratum: the share of it, rounded so that all add up (largest remainders first)."""
    rows: Counter[tuple[str, ...]] = Counter()
    for lot in pool:
        rows[lot.stratum] += lot.rows
    exact = {stratum: Fraction(str(share)) * count for stratum, count in rows.items()}
    rooms = {stratum: int(part) for stratum, part in exact.items()}
    for stratum in sorted(exact, key=lambda one: rooms[one] - exact[one])[: wanted - sum(rooms.values())]:
        rooms[stratum] += 1
    return rooms


def round_half_up(share: float, count: int) -> int:
    """share x count to the nearest whole number, by the decimal that was written: .15 of 10 is 2."""
    return int(Fraction(str(share)) * count + Fraction(1, 2))


def _match_held_out(frame: pd.DataFrame, recipe: Recipe) -> NDArray[np.bool_]:
    """The rows that have every label of a combination to hold out."""
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
    """The split of each row where the recipe's `column` or `file` says it, and the reason where it says none.

    Returns:
        n names of splits, blank where nothing is said; n reasons, blank where nothing is wrong.

    Raises:
        PolyheadError: the file is missing or says two splits of one image.
    """
    plan = recipe.data.split
    if plan.file:
        words = _read_split_file(root / plan.file, rows.paths, Path(plan.file).parent.as_posix())
    elif plan.column:
        words = [text.strip() for text in rows.cells[plan.column]]
    else:
        return [""] * len(rows.paths), [""] * len(rows.paths)
    place = plan.file or f"the column {plan.column}"
    reasons = {word: _explain_word(word, plan, place) for word in dict.fromkeys(words)}
    return [plan.values.get(word, "") for word in words], [reasons[word] for word in words]


def _explain_word(word: str, plan: SplitRecipe, place: str) -> str:
    if word in plan.values:
        return ""
    return (
        f"{place} calls its split {shorten(word, 60)!r}; data.split.values has {list_words(plan.values)}"
        if word
        else (f"{place} does not say its split")
    )


def _read_split_file(file: Path, paths: Iterable[str], folder: str) -> list[str]:
    """The word for each path: named from the root, from the file's own folder, or by a name that is the only one."""
    said = _read_lines(file)
    paths = list(paths)
    alone = Counter(PurePosixPath(path).name for path in paths)
    words = []
    for path in paths:
        name = PurePosixPath(path).name
        ways = (path, path.removeprefix(f"{folder}/"), *([name] if alone[name] == 1 else []))
        words.append(next((said[way] for way in ways if way in said), ""))
    return words


def _read_lines(file: Path) -> dict[str, str]:
    said: dict[str, str] = {}
    try:
        with open_lines(file) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    image, word = _read_split(line.strip(), f"{file} line {number}")
                    if said.setdefault(image, word) != word:
                        raise PolyheadError(
                            f"{file} line {number}: {shorten(image, 200)} is named twice, with two splits"
                        )
    except PolyheadError as error:
        raise PolyheadError(f"data.split.file: {error}") from None
    return said


def _read_split(line: str, where: str) -> tuple[str, str]:
    """The image and the split that a line names."""
    try:
        cells = next(csv.reader([line])) if "," in line else line.rsplit(None, 1)
    except csv.Error as error:
        raise PolyheadError(f"{where}: is not CSV: {error}") from None
    if len(cells) != 2:
        raise PolyheadError(f"{where}: expected an image and its split; got {shorten(line, 60)!r}")
    image, word = (cell.strip() for cell in cells)
    return image.removeprefix("./"), word
