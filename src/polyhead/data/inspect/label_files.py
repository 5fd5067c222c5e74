"""Find the label files in a folder, and in each of them the column that names images."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path, PurePosixPath

from polyhead.data.images.decode import find_images
from polyhead.data.inspect.columns import SPLIT_WORDS, guess_column
from polyhead.data.inspect.layout import Layout
from polyhead.data.sources.addresses import is_address, name_source
from polyhead.data.sources.forms.cells import read_image, read_path
from polyhead.data.sources.forms.reading import FORMS, LABEL_SUFFIXES, SEPARATORS, list_tables
from polyhead.data.sources.label_file import LabelSource, open_label_files, read_label_file
from polyhead.data.sources.text_files import open_lines
from polyhead.errors import PolyheadError, list_words
from polyhead.recipe.schema import CsvSource, TableSource, pattern_fields

MAX_COLUMNS = 1000
MOST_HOSTS = 100
SAMPLE = 200  # rows that are read to find the column of images
SPLIT = re.compile(rf"(?<![A-Za-z])({'|'.join(sorted(SPLIT_WORDS, key=len, reverse=True))})(?![A-Za-z])")
SHARD = re.compile(r"(?<!\d)\d{3,}-of-\d{3,}(?!\d)")

HELD = "\0"  # in place of a cell that holds an image
Lines = Sequence[tuple[Sequence[str], Path]]  # the cells of each row as text, and its file


def list_label_files(root: Path) -> list[str]:
    """Label files in a folder, then those one level below, as paths from there.

    Files of the same columns that a split tells apart (`train/metadata.csv`, `test/metadata.csv`), or the number of a
    shard, are one pattern: `{split}/metadata.csv`.
    """
    groups: dict[str, list[str]] = {}
    for level in ("*", "*/*"):
        for file in sorted(root.glob(level)):
            inside = file.relative_to(root)
            hidden = any(part.startswith(".") for part in inside.parts)
            if file.suffix.lower() in LISTED and not hidden and file.is_file():
                groups.setdefault(_generalize(inside.as_posix()), []).append(inside.as_posix())
    names = []
    for pattern, files in groups.items():
        names += [pattern] if len(files) > 1 and _are_alike(root, files) else files
    return names


LISTED = tuple(suffix for suffix in LABEL_SUFFIXES if suffix != ".txt")


def _generalize(name: str) -> str:
    if "{" in name or "}" in name:
        return name
    return SHARD.sub("{}-of-{}", SPLIT.sub("{split}", name, count=1))


def _are_alike(root: Path, files: Sequence[str]) -> bool:
    """Whether label files have the same columns, and nothing that a pattern cannot say."""
    headers = set()
    for name in files:
        suffix = (root / name).suffix.lower()
        try:
            if suffix in SEPARATORS and _guess_separator(root / name) != SEPARATORS[suffix]:
                return False
            header, rows = open_label_files(TableSource(file=name), root)
            rows.close()
        except PolyheadError:
            return False
        headers.add(tuple(sorted(header)))
        if len(headers) > 1:
            return False
    return True


def read_label_layouts(root: Path, name: str) -> list[Layout]:
    """The layouts of a label file, or a pattern of them: one, or one for each of its tables that names images.

    Raises:
        PolyheadError: there is none; the reason is that of its first table.
    """
    layouts, wrong = [], None
    for source in _describe(root, name):
        try:
            layouts.append(_read_layout(source, root))
        except PolyheadError as error:
            wrong = wrong or error
    if wrong and not layouts:
        raise wrong
    return layouts


def _describe(root: Path, name: str) -> Sequence[LabelSource]:
    suffix = PurePosixPath(name).suffix.lower()
    if "{" in name:
        return [TableSource(file=name)]
    if suffix in FORMS:
        return [TableSource(file=name, table=table) for table in list_tables(root / name)]
    return [CsvSource(file=name, separator=_guess_separator(root / name))]


def _read_layout(source: LabelSource, root: Path) -> Layout:
    file = root / str(source.file)
    header, rows = open_label_files(source, root)
    with closing(rows):
        if len(header) > MAX_COLUMNS:
            raise PolyheadError(
                f"{file}: has {len(header):,} columns, and init reads {MAX_COLUMNS:,} at most; leave out those that "
                "are not labels, or write the recipe by hand"
            )
        lines = [([_shorten(cell) for cell in cells], place) for _, cells, place in rows]
    image = _find_template(header, lines, file, root)
    hosts = _list_hosts(lines, header.index(image)) if image in header else []
    source = source.model_copy(update={"image": image, "fetch": hosts or None})
    used = pattern_fields(image) or [image]
    counts = Counter(header)
    columns = [name for name in header if name and counts[name] == 1]
    found = read_label_file(source, root, dict.fromkeys(columns, "data.source.file"))
    guesses = [guess_column(column, list(found.cells[column])) for column in columns if column not in used]
    return Layout(source, found, guesses, f"column of {file.name}")


def _list_hosts(lines: Lines, place: int) -> list[str]:
    """What `data.source.fetch` would have to hold; nothing in a network of one's own, which a person has to name."""
    addresses = (cells[place] for cells, _ in lines if is_address(cells[place]))
    sources = Counter(map(name_source, addresses))
    if sources and not any(sources):
        raise PolyheadError(
            "its images are addresses in a network of its own, which nobody is led to by a label file; name the host "
            "in data.source.fetch of a recipe of yours"
        )
    return sorted(filter(None, sources))[:MOST_HOSTS]


def _shorten(cell: object) -> str:
    return HELD if read_image(cell) else read_path(cell)


def _guess_separator(file: Path) -> str:
    with open_lines(file) as lines:
        line = next(lines, "")
    return max(",;\t|", key=line.count)


def _find_template(header: Sequence[str], lines: Lines, file: Path, root: Path) -> str:
    """The column, or the path template with a column in it, that names an existing image in most rows."""
    images = [path.relative_to(root).as_posix() for path in find_images(root)]
    known = {PurePosixPath(path).name: path for path in images} | {PurePosixPath(path).stem: path for path in images}
    sample = lines[:: max(1, len(lines) // SAMPLE)]
    votes: Counter[str] = Counter()
    for index, column in enumerate(header):
        cells = [(cells[index], place) for cells, place in sample]
        held = sum(cell == HELD or is_address(cell) for cell, _ in cells)
        if held > len(cells) / 2:
            return column
        if "{" in column or len({cell for cell, _ in cells}) < len(cells) / 2:
            continue
        for cell, place in cells:
            path = known.get(PurePosixPath(cell).name, "") if cell else ""
            before, found, after = f"/{path}".rpartition(f"/{cell}") if cell else ("", "", "")
            if cell and any(os.path.isfile(folder / cell) for folder in (place.parent, root)):
                votes[column] += 1
            elif found:
                votes[f"{before}/{{{column}}}{after}".lstrip("/")] += 1
    best, rows = votes.most_common(1)[0] if votes else ("", 0)
    if rows < len(sample) / 2:
        raise PolyheadError(f"{file}: none of its columns ({list_words(header)}) names images in {root}")
    return best
