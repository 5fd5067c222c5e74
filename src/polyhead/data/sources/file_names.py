"""Labels from the names of files and of folders."""

import re
from collections.abc import Callable
from pathlib import Path, PurePath

import pandas as pd

from polyhead.data.images.decode import find_images
from polyhead.data.sources.rows import Rejected, Rows, Wanted, check_columns, data_folder
from polyhead.errors import PolyheadError
from polyhead.extras import require
from polyhead.recipe.schema import FilesSource, FoldersSource, pattern_fields


def read_files(source: FilesSource, data: Path, wanted: Wanted) -> Rows:
    """Labels from the names of image files, each without its last suffix."""
    return _read_names(data, source, wanted, lambda path: path.stem)


def read_folders(source: FoldersSource, data: Path, wanted: Wanted) -> Rows:
    """Labels from the names of as many folders above each image as the pattern has levels."""
    levels = source.pattern.count("/") + 1
    return _read_names(data, source, wanted, lambda path: "/".join(path.parent.parts[-levels:]))


def _read_names(
    data: Path, source: FilesSource | FoldersSource, wanted: Wanted, name_of: Callable[[PurePath], str]
) -> Rows:
    if data_folder(data) != data:
        raise PolyheadError(f"{data}: is a file; this recipe's labels stand in names, so give the folder of the images")
    check_columns(wanted, pattern_fields(source.pattern), "a field of data.source.pattern")
    read = _compile(source.pattern)
    paths: list[str] = []
    cells: list[list[str]] = []
    rejected: Rejected = []
    for path in (found.relative_to(data) for found in find_images(data)):
        text = path.as_posix()
        fields = read(name_of(path))
        if fields is None:
            rejected.append((text, f"the name of its {source.kind[:-1]} is not like {source.pattern}"))
        else:
            paths.append(text)
            cells.append([fields[column] for column in wanted])
    return Rows(paths, pd.DataFrame(cells, columns=list(wanted), dtype=str), rejected)


def _compile(pattern: str) -> Callable[[str], dict[str, str] | None]:
    """A function from a name to the fields of the pattern in it, if it is like the pattern."""
    require("reading labels in names", "report")
    import parse

    # `parse` allows few letters in a field's name, so fields go by their place.
    names = re.findall(r"{([^{}]*)}", pattern)
    parser = parse.compile(re.sub(r"{[^{}]*}", "{}", pattern), case_sensitive=True)

    def read(name: str) -> dict[str, str] | None:
        found = parser.parse(name)
        return dict(zip(names, found.fixed, strict=True)) if found else None

    return read
