"""What a program may hand over as data: a path, or a table in memory."""

import os
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

from polyhead.data.sources.memory import MemoryTable
from polyhead.errors import PolyheadError

if TYPE_CHECKING:
    import datasets
    import pandas

# A folder, a file of labels, or a table with a column of paths, bytes, Pillow images or arrays.
DataLike: TypeAlias = "str | os.PathLike[str] | pandas.DataFrame | datasets.Dataset | datasets.DatasetDict"


def read_memory(data: Any) -> MemoryTable | None:
    """The table in memory that data is; None where it is a path.

    Raises:
        PolyheadError: it is neither, or a table without rows.
    """
    if isinstance(data, str | os.PathLike):
        return None
    # Whoever has such a table has imported its library; nobody else is to wait for it.
    frames, hub = sys.modules.get("pandas"), sys.modules.get("datasets")
    if frames and isinstance(data, frames.DataFrame):
        names = [str(name).strip() for name in data.columns]
        table = MemoryTable("the DataFrame", names, lambda: data.itertuples(index=False, name=None))
    elif hub and isinstance(data, hub.Dataset | hub.DatasetDict | hub.IterableDataset | hub.IterableDatasetDict):
        from polyhead.data.sources.hugging_face import read_dataset

        table = read_dataset(data)
    else:
        raise PolyheadError(
            f"data: expected a path, a pandas DataFrame or a Hugging Face Dataset; got {type(data).__name__}"
        )
    if next(table.rows(), None) is None:
        raise PolyheadError(f"data: {table.what} has no row")
    return table
