"""Datasets of Hugging Face's `datasets`: images undecoded, class labels by their names, parts as a column of splits."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from polyhead.data.sources.memory import MemoryTable
from polyhead.errors import PolyheadError, list_words

SPLITS = {"train": "train", "validation": "valid", "valid": "valid", "val": "valid", "dev": "valid", "test": "test"}


def read_dataset(dataset: Any) -> MemoryTable:
    """A `datasets.Dataset`, or a `DatasetDict` whose parts are the splits, as rows of cells.

    Raises:
        PolyheadError: it is a stream, a part is no split that is known, or parts have different columns.
    """
    import datasets

    if isinstance(dataset, datasets.Dataset):
        return _read_parts({"": dataset}, "the Dataset")
    if not isinstance(dataset, datasets.DatasetDict):
        raise PolyheadError(
            "data: a streamed dataset cannot be shuffled, split and read again; load it with streaming=False"
        )
    if others := [name for name in dataset if name not in SPLITS]:
        raise PolyheadError(
            f"data: the DatasetDict's part {others[0]!r} is none of {list_words(SPLITS)}; give one part, such as "
            f"dataset[{others[0]!r}], or rename it"
        )
    return _read_parts(dataset, "the DatasetDict")


def _read_parts(parts: Mapping[str, Any], what: str) -> MemoryTable:
    from datasets import Image

    first = next(iter(parts.values()), None)
    if first is None:
        raise PolyheadError(f"data: {what} is empty")
    features = dict(first.features)
    if any(list(part.features) != list(features) for part in parts.values()):
        raise PolyheadError(f"data: the parts of {what} have different columns")
    images = [name for name, feature in features.items() if isinstance(feature, Image)]
    split = None if "" in parts else "split" if "split" not in features else "dataset.split"

    def rows() -> Iterator[Sequence[object]]:
        for word, part in parts.items():
            readers = [_choose_reader(feature) for feature in part.features.values()]
            plain = part.with_format(None)
            for name in images:
                plain = plain.cast_column(name, Image(decode=False))
            for row in plain:
                cells = [read(cell) for read, cell in zip(readers, row.values(), strict=True)]
                yield [*cells, SPLITS[word]] if split else cells

    return MemoryTable(what, [*map(str.strip, features), *([split] if split else [])], rows, images, split)


def _choose_reader(feature: Any) -> Callable[[Any], object]:
    """How a cell of a feature is read: class labels by their names, also within lists."""
    from datasets import ClassLabel

    if isinstance(feature, ClassLabel):
        return lambda cell: None if cell is None or cell < 0 else feature.int2str(int(cell))
    inner = getattr(feature, "feature", None)  # of a list
    if isinstance(inner, ClassLabel):
        labels: Any = inner
        return lambda cells: None if cells is None else [labels.int2str(int(cell)) for cell in cells]
    return lambda cell: cell
