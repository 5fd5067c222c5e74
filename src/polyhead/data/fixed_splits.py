"""The split of each image where a column or a file of the data set fixes it."""

import csv
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from polyhead.data.sources.rows import Rows
from polyhead.data.sources.text_files import open_lines
from polyhead.errors import PolyheadError, list_words, shorten
from polyhead.recipe.schema import Recipe, SplitRecipe


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
