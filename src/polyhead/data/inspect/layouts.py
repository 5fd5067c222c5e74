"""Where the labels of images that nobody has described seem to stand: a known format, a CSV file, or names."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from polyhead.data.images.decode import find_images
from polyhead.data.inspect.evidence import Finding, judge_column, tell_counts
from polyhead.data.sources import celeba as celeba_source
from polyhead.data.sources import fashionai as fashionai_source
from polyhead.data.sources.reading import READERS, TEXTS
from polyhead.data.sources.rows import Rows, data_folder
from polyhead.data.sources.text_files import open_lines, read_lines
from polyhead.errors import PolyheadError, list_words
from polyhead.recipe.schema import (
    CelebaSource,
    CsvSource,
    FashionaiSource,
    FilesSource,
    FoldersSource,
    Source,
    pattern_fields,
)

MOST_COLUMNS = 1000  # of a CSV file that is looked through
SAMPLE = 200  # rows looked at for the column of images
SEPARATORS = "_-. "
PARTITIONS = ("list_eval_partition.txt", "list_eval_partition.csv")  # CelebA's
NEARLY_ALL = 0.97  # of the images a way to read them must fit: fewer, and training would refuse


@dataclass(frozen=True)
class Sight:
    """One way to read the data: the source, what it gives, what its columns seem to be, and keys of `data.split`."""

    source: Source
    rows: Rows
    findings: list[Finding]
    place: str
    split: dict[str, Any] = field(default_factory=dict)

    @property
    def tasks(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.kind not in ("", "split")]


def look_at(data: Path) -> Sight:
    """Find a way to read labels: from the file `data`, or in the folder the first way that shows any.

    Raises:
        PolyheadError: there is no such path, no image, or no label that can be seen.
    """
    root = data_folder(data)
    if known := _look_for_format(data, root):
        return known
    return _look_into_folder(root) if data.is_dir() else _check_tasks(_look_into_csv(data, root), data)


def list_sights(data: Path) -> Iterator[Sight]:
    """Every way to read labels that can be seen, whether or not its columns seem to be tasks: known formats first.

    Raises:
        PolyheadError: there is no such path.
    """
    root = data_folder(data)
    if known := _look_for_format(data, root):
        yield known
        return
    for file in _list_csv(root) if data.is_dir() else [data]:
        with suppress(PolyheadError):
            yield _look_into_csv(file, root)
    images = [path.relative_to(root) for path in find_images(root)] if data.is_dir() else []
    if images:
        sources: list[FilesSource | FoldersSource] = [*_guess_folders(images), *_guess_files(images)]
        yield from (_look_at_names(source, root) for source in sources)


def _look_for_format(data: Path, root: Path) -> Sight | None:
    """FashionAI's or CelebA's files, which are told by their names and what stands in them."""
    for name in (data.name,) if not data.is_dir() else (*celeba_source.FILES, *fashionai_source.FILES):
        if not (root / name).is_file():
            continue
        if name in celeba_source.FILES:
            return _look_at_celeba(root, name)
        if fashionai_source.is_fashionai(root / name):
            return _look_at_fashionai(root, name)
    return None


def _look_at_celeba(root: Path, name: str) -> Sight:
    folder = CelebaSource.model_fields["images"].default
    source = CelebaSource(file=name, images=folder if (root / folder).is_dir() else ".")
    columns = list(TEXTS[source.kind](source, root)[1])
    rows = READERS[source.kind](source, root, dict.fromkeys(columns, "data.source.file"))
    findings = [judge_column(column, list(rows.cells[column])) for column in columns]
    parts = next((part for part in PARTITIONS if (root / part).is_file()), None)
    split = {"file": parts, "values": {"0": "train", "1": "valid", "2": "test"}} if parts else {}
    return Sight(source, _check_found(rows, root / name), findings, f"attribute of {name}", split)


def _look_at_fashionai(root: Path, name: str) -> Sight:
    source = FashionaiSource(file=name)
    _, texts = TEXTS[source.kind](source, root)
    rows = READERS[source.kind](source, root, dict.fromkeys(texts, "data.source.file"))
    findings = []
    for column in texts:
        counts = Counter(filter(None, rows.cells[column]))
        words = f"one of {len(texts[column])} letters is y; {tell_counts(counts)}"
        findings.append(Finding(column, "categorical", words, {}))
    return Sight(source, _check_found(rows, root / name), findings, f"attribute of {name}")


def _check_found(rows: Rows, file: Path) -> Rows:
    if not rows.paths:
        raise PolyheadError(f"{file}: none of the images that it names is there, such as {rows.rejected[0][0]}")
    return rows


def _look_into_folder(root: Path) -> Sight:
    images = [path.relative_to(root) for path in find_images(root)]
    if not images:
        raise PolyheadError(f"{root}: there is no image in it")
    sights, wrong = [], ""
    for file in _list_csv(root):
        try:
            sights.append(_check_tasks(_look_into_csv(file, root), file))
        except PolyheadError as error:
            wrong = wrong or f"; {error}"
    if sights:
        return max(sights, key=lambda sight: (len(sight.tasks), len(sight.rows.paths)))
    sources: list[FilesSource | FoldersSource] = [*_guess_folders(images), *_guess_files(images)]
    for source in sources:
        sight = _look_at_names(source, root)
        if sight.tasks:
            return sight
    raise PolyheadError(
        f"{root}: no labels can be seen in the names of its {len(images):,} images (such as {images[0]}) or of their "
        f"folders, nor in a CSV file that names them{wrong}"
    )


def _list_csv(root: Path) -> list[Path]:
    """CSV files in a folder and, after those, one level below."""
    files = [file for level in ("", "*/") for kind in ("csv", "tsv") for file in sorted(root.glob(f"{level}*.{kind}"))]
    return [
        file
        for file in files
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(root).parts)
    ]


def _guess_folders(images: Sequence[Path]) -> list[FoldersSource]:
    """Two levels of folders, or one, where they differ; judged by the depth at which most images lie."""
    depth, _ = Counter(len(path.parts) for path in images).most_common(1)[0]
    folders = {path.parent.parts for path in images if len(path.parts) == depth}
    sources = []
    for levels in (2, 1):
        names = [set(level) for level in zip(*(parts[-levels:] for parts in folders), strict=True)]
        if len(names) == levels and all(len(level) > 1 for level in names):
            sources.append(FoldersSource(pattern=_number("/".join(_guess_fields(level) for level in names))))
    return sources


def _guess_files(images: Sequence[Path]) -> list[FilesSource]:
    """For each separator, as many fields as most names have."""
    sources = []
    for separator in SEPARATORS:
        count, _ = Counter(path.stem.count(separator) for path in images).most_common(1)[0]
        if count:
            sources.append(FilesSource(pattern=_number(separator.join(["{}"] * (count + 1)))))
    return sources


def _look_at_names(source: FilesSource | FoldersSource, root: Path) -> Sight:
    """What the fields of a pattern hold; those that are no task lose their name in it."""
    fields = pattern_fields(source.pattern)
    place = "folder" if isinstance(source, FoldersSource) else "file"
    rows = READERS[source.kind](source, root, dict.fromkeys(fields, "data.source.pattern"))
    fits = len(rows.paths) >= NEARLY_ALL * (len(rows.paths) + len(rows.rejected))
    findings = [judge_column(column, list(rows.cells[column])) for column in fields if fits]
    pattern = source.pattern
    for finding in findings:
        if not finding.kind:
            pattern = pattern.replace(f"{{{finding.column}}}", "{}")
    return Sight(source.model_copy(update={"pattern": pattern}), rows, findings, f"{place} names")


def _guess_fields(names: Collection[str]) -> str:
    """Blank fields for the names of classes: several where the same words come back in other combinations."""
    for separator in "_-":
        fields = list(zip(*(name.split(separator) for name in names), strict=False))
        alike = len({name.count(separator) for name in names}) == 1
        if alike and len(fields) > 1 and all(len(set(words)) < len(names) for words in fields):
            return separator.join(["{}"] * len(fields))
    return "{}"


def _number(pattern: str) -> str:
    """Give blank fields the names label1, label2, ..."""
    first, *others = pattern.split("{}")
    return first + "".join(f"{{label{number}}}{text}" for number, text in enumerate(others, 1))


def _look_into_csv(file: Path, root: Path) -> Sight:
    separator = _guess_separator(file)
    header, *lines = (cells for _, cells in _within_bounds(file, read_lines(file, separator)))
    image = _find_template(header, lines, file, root)
    source = CsvSource(file=file.relative_to(root).as_posix(), image=image, separator=separator)
    used = pattern_fields(image) or [image]
    counts = Counter(header)
    columns = [name for name in header if name and counts[name] == 1]
    rows = READERS["csv"](source, root, dict.fromkeys(columns, "data.source.file"))
    findings = [judge_column(column, list(rows.cells[column])) for column in columns if column not in used]
    return Sight(source, rows, findings, f"column of {file.name}")


def _check_tasks(sight: Sight, file: Path) -> Sight:
    if not sight.tasks:
        reasons = "; ".join(f"{finding.column}: {finding.words}" for finding in sight.findings[:5])
        raise PolyheadError(f"{file}: no column looks like labels{f' ({reasons})' if reasons else ''}")
    return sight


def _within_bounds(file: Path, lines: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """The lines of a file whose columns a person can look through."""
    for number, cells in lines:
        if len(cells) > MOST_COLUMNS:
            raise PolyheadError(
                f"{file}: has {len(cells):,} columns, and init looks through {MOST_COLUMNS:,} at most; leave out those "
                "that are no labels, or write the recipe by hand"
            )
        yield number, cells


def _guess_separator(file: Path) -> str:
    with open_lines(file) as lines:
        line = next(lines, "")
    return max(",;\t|", key=line.count)


def _find_template(header: Sequence[str], lines: Sequence[Sequence[str]], file: Path, root: Path) -> str:
    """The column, or the path with a column in it, that names an existing image in most rows."""
    images = [path.relative_to(root).as_posix() for path in find_images(root)]
    known = {PurePosixPath(path).name: path for path in images} | {PurePosixPath(path).stem: path for path in images}
    sample = lines[:: max(1, len(lines) // SAMPLE)]
    votes: Counter[str] = Counter()
    for place, column in enumerate(header):
        cells = [line[place].strip() for line in sample]
        if "{" in column or len(set(cells)) < len(cells) / 2:
            continue
        for cell in filter(None, cells):
            path = known.get(PurePosixPath(cell).name, "")
            before, found, behind = f"/{path}".rpartition(f"/{cell}")
            if any((folder / cell).is_file() for folder in (file.parent, root)):
                votes[column] += 1
            elif found:
                votes[f"{before}/{{{column}}}{behind}".lstrip("/")] += 1
    best, rows = votes.most_common(1)[0] if votes else ("", 0)
    if rows < len(sample) / 2:
        raise PolyheadError(f"{file}: none of its columns ({list_words(header)}) names images in {root}")
    return best
