"""Labels from the names of files and of folders."""

import re
from collections.abc import Callable
from pathlib import Path, PurePath

import pandas as pd

from polyhead.data.images.decode import find_images
from polyhead.data.sources.rows import Rejected, RequestedColumns, Rows, check_columns, data_folder, is_folder
from polyhead.errors import PolyheadError, require
from polyhead.recipe.schema import FilesSource, FoldersSource, pattern_fields


def read_files(source: FilesSource, data: Path, requested: RequestedColumns) -> Rows:
    """Labels from the names of image files, each without its last suffix."""
    return _read_names(data, source, requested, lambda path: path.stem)


def read_folders(source: FoldersSource, data: Path, requested: RequestedColumns) -> Rows:
    """Labels from the names of as many folders above each image as the pattern has levels."""
    levels = source.pattern.count("/") + 1
    return _read_names(data, source, requested, lambda path: "/".join(path.parent.parts[-levels:]))


def _read_names(
    data: Path, source: FilesSource | FoldersSource, requested: RequestedColumns, name_of: Callable[[PurePath], str]
) -> Rows:
    root = data_folder(data)
    if not is_folder(data):
        raise PolyheadError(f"{data}: is a file; this recipe reads labels from names, so give the folder of the images")
    check_columns(requested, pattern_fields(source.pattern), "a field of data.source.pattern")
    read = compile_pattern(source.pattern)
    paths: list[str] = []
    cells: list[list[str]] = []
    rejected: Rejected = []
    for path in (found.relative_to(root) for found in find_images(root)):
        text = path.as_posix()
        fields = read(name_of(path))
        if fields is None:
            rejected.append((text, f"the name of its {source.kind[:-1]} is not like {source.pattern}"))
        else:
            paths.append(text)
            cells.append([fields[column] for column in requested])
    return Rows(paths, pd.DataFrame(cells, columns=list(requested), dtype=str), rejected)


def compile_pattern(pattern: str) -> Callable[[str], dict[str, str] | None]:
    """A function that reads the fields of the pattern from a name; None if the name does not match."""
    require("reading labels in names", "report")
    import parse

    # `parse` restricts the names of fields, so they are identified by their index.
    names = re.findall(r"{([^{}]*)}", pattern)
    parser = parse.compile(re.sub(r"{[^{}]*}", "{}", pattern), case_sensitive=True)

    def read(name: str) -> dict[str, str] | None:
        found = parser.parse(name)
        return dict(zip(names, found.fixed, strict=True)) if found else None

    return read
