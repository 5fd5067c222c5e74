"""Find where the labels of an undescribed data set are: in a known format, a label file, or file and folder names."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from polyhead.data.images.decode import find_images
from polyhead.data.inspect.columns import SPLIT_WORDS, ColumnGuess, describe_counts, guess_column
from polyhead.data.inspect.label_files import list_label_files, read_label_layouts
from polyhead.data.inspect.layout import Layout, rate_layout
from polyhead.data.inspect.naming import find_known_names, name_fields
from polyhead.data.sources import celeba as celeba_source
from polyhead.data.sources import fashionai as fashionai_source
from polyhead.data.sources.reading import READERS, TEXTS
from polyhead.data.sources.rows import Rows, data_folder, is_folder
from polyhead.errors import PolyheadError
from polyhead.recipe.schema import (
    CelebaSource,
    FashionaiSource,
    FilesSource,
    FoldersSource,
    pattern_fields,
)

SEPARATORS = "_-. "
PARTITIONS = ("list_eval_partition.txt", "list_eval_partition.csv")  # CelebA's
MIN_FITTING = 0.97  # fraction of the images that a layout must fit; with fewer, training would refuse to start


def find_layout(data: Path) -> Layout:
    """Find a layout with labels: of the file `data`, or the first one in the folder.

    Raises:
        PolyheadError: there is no such path, no image, or no label that can be seen.
    """
    root = data_folder(data)
    if known := _find_known_format(data, root):
        return known
    return _read_folder(root) if is_folder(data) else _read_best(root, data.name)


def list_layouts(data: Path) -> Iterator[Layout]:
    """Every layout that is found, whether or not its columns look like tasks; known formats first.

    Raises:
        PolyheadError: there is no such path.
    """
    root = data_folder(data)
    if known := _find_known_format(data, root):
        yield known
        return
    for name in list_label_files(root) if is_folder(data) else [data.name]:
        with suppress(PolyheadError):
            yield from read_label_layouts(root, name)
    images = [path.relative_to(root) for path in find_images(root)] if is_folder(data) else []
    if images:
        sources: list[FilesSource | FoldersSource] = [*_guess_folders(images), *_guess_files(images)]
        yield from (_read_names(source, root) for source in sources)


def _find_known_format(data: Path, root: Path) -> Layout | None:
    """FashionAI's or CelebA's files, recognized by their names and their content."""
    for name in (data.name,) if not is_folder(data) else (*celeba_source.FILES, *fashionai_source.FILES):
        if not (root / name).is_file():
            continue
        if name in celeba_source.FILES:
            return _read_celeba(root, name)
        if fashionai_source.is_fashionai(root / name):
            return _read_fashionai(root, name)
    return None


def _read_celeba(root: Path, name: str) -> Layout:
    folder = CelebaSource.model_fields["images"].default
    source = CelebaSource(file=name, images=folder if (root / folder).is_dir() else ".")
    columns = list(TEXTS[source.kind](source, root)[1])
    rows = READERS[source.kind](source, root, dict.fromkeys(columns, "data.source.file"))
    guesses = [guess_column(column, list(rows.cells[column])) for column in columns]
    parts = next((part for part in PARTITIONS if (root / part).is_file()), None)
    split = {"file": parts, "values": {"0": "train", "1": "valid", "2": "test"}} if parts else {}
    remark = "This is CelebA's list: the built-in recipe celeba-best is made for it."
    return Layout(source, _check_found(rows, root / name), guesses, f"attribute of {name}", split, remark)


def _read_fashionai(root: Path, name: str) -> Layout:
    source = FashionaiSource(file=name)
    _, texts = TEXTS[source.kind](source, root)
    rows = READERS[source.kind](source, root, dict.fromkeys(texts, "data.source.file"))
    guesses = []
    for column in texts:
        counts = Counter(filter(None, rows.cells[column]))
        reason = f"one of {len(texts[column])} letters is y; {describe_counts(counts)}"
        guesses.append(ColumnGuess(column, "categorical", reason, {}))
    return Layout(source, _check_found(rows, root / name), guesses, f"attribute of {name}")


def _check_found(rows: Rows, file: Path) -> Rows:
    if not rows.paths:
        raise PolyheadError(f"{file}: none of the images that it lists exists, such as {rows.rejected[0][0]}")
    return rows


def _read_folder(root: Path) -> Layout:
    layouts, wrong = [], ""
    for name in list_label_files(root):
        try:
            layouts.append(_read_best(root, name))
        except PolyheadError as error:
            wrong = wrong or f"; {error}"
    if layouts:
        return max(layouts, key=rate_layout)
    images = [path.relative_to(root) for path in find_images(root)]
    if not images:
        raise PolyheadError(f"{root}: there is no image in it{wrong}")
    if known := find_known_names(images, root):
        return known
    sources: list[FilesSource | FoldersSource] = [*_guess_folders(images), *_guess_files(images)]
    for source in sources:
        layout = _read_names(source, root)
        if layout.tasks:
            return layout
    raise PolyheadError(
        f"{root}: no labels were found in the names of its {len(images):,} images (such as {images[0]}) or of their "
        f"folders, nor in a label file that names them{wrong}"
    )


def _guess_folders(images: Sequence[Path]) -> list[FoldersSource]:
    """Two levels of folders, or one, if their names vary; at the depth where most images are. Above them, splits."""
    depth, _ = Counter(len(path.parts) for path in images).most_common(1)[0]
    folders = {path.parent.parts for path in images if len(path.parts) == depth}
    sources = []
    for levels in (3, 2, 1):
        names = [set(level) for level in zip(*(parts[-levels:] for parts in folders), strict=True)]
        of_splits = levels < 3 or (len(names) == 3 and {name.lower() for name in names[0]} <= SPLIT_WORDS.keys())
        if of_splits and len(names) == levels and all(len(level) > 1 for level in names):
            sources.append(FoldersSource(pattern=_name_fields("/".join(_guess_fields(level) for level in names))))
    return sources


def _guess_files(images: Sequence[Path]) -> list[FilesSource]:
    """For each separator, as many fields as most names have."""
    sources = []
    for separator in SEPARATORS:
        count, _ = Counter(path.stem.count(separator) for path in images).most_common(1)[0]
        if count:
            sources.append(FilesSource(pattern=_name_fields(separator.join(["{}"] * (count + 1)))))
    return sources


def _read_names(source: FilesSource | FoldersSource, root: Path) -> Layout:
    """The layout of a pattern; fields that are not tasks lose their names in it."""
    fields = pattern_fields(source.pattern)
    origin = "folder" if isinstance(source, FoldersSource) else "file"
    rows = READERS[source.kind](source, root, dict.fromkeys(fields, "data.source.pattern"))
    fits = len(rows.paths) >= MIN_FITTING * (len(rows.paths) + len(rows.rejected))
    guesses = [guess_column(column, list(rows.cells[column])) for column in fields if fits]
    pattern = source.pattern
    texts = {guess.column: rows.cells[guess.column].unique().tolist() for guess in guesses}
    names = name_fields(guesses, texts)
    for guess in guesses:
        named = names[guess.column] if guess.kind else ""
        pattern = pattern.replace(f"{{{guess.column}}}", f"{{{named}}}")
    guesses = [replace(guess, column=names[guess.column]) for guess in guesses]
    rows = replace(rows, cells=rows.cells.rename(columns=names))
    return Layout(source.model_copy(update={"pattern": pattern}), rows, guesses, f"{origin} names")


def _guess_fields(names: Collection[str]) -> str:
    """Blank fields for folder names: several if the same words occur in different combinations."""
    for separator in "_- ":
        fields = list(zip(*(name.split(separator) for name in names), strict=False))
        alike = len({name.count(separator) for name in names}) == 1
        if alike and len(fields) > 1 and all(len(set(words)) < len(names) for words in fields):
            return separator.join(["{}"] * len(fields))
    return "{}"


def _name_fields(pattern: str) -> str:
    """Call blank fields label1, label2, ..."""
    first, *others = pattern.split("{}")
    return first + "".join(f"{{label{number}}}{text}" for number, text in enumerate(others, 1))


def _read_best(root: Path, name: str) -> Layout:
    """The layout of a label file; where it has several tables, that with most tasks."""
    return _check_tasks(max(read_label_layouts(root, name), key=rate_layout), root / name)


def _check_tasks(layout: Layout, file: Path) -> Layout:
    if not layout.tasks:
        reasons = "; ".join(f"{guess.column}: {guess.reason}" for guess in layout.guesses[:5])
        raise PolyheadError(f"{file}: no column looks like labels{f' ({reasons})' if reasons else ''}")
    return layout
