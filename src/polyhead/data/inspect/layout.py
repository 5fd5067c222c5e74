"""One way to read the labels of an undescribed data set."""

from dataclasses import dataclass, field
from typing import Any

from polyhead.data.inspect.columns import ColumnGuess
from polyhead.data.sources.rows import Rows
from polyhead.recipe.schema import Source


@dataclass(frozen=True)
class Layout:
    """One way to read the labels of a data set.

    Attributes:
        source: reads them.
        rows: what it reads.
        guesses: what its columns seem to hold.
        origin: what a column is there, such as "column of labels.csv".
        split: keys of `data.split`.
        remark: what a person should know of it; blank if nothing.
    """

    source: Source
    rows: Rows
    guesses: list[ColumnGuess]
    origin: str
    split: dict[str, Any] = field(default_factory=dict)
    remark: str = ""

    @property
    def tasks(self) -> list[ColumnGuess]:
        return [guess for guess in self.guesses if guess.kind not in ("", "split")]

    @property
    def fetched(self) -> list[str]:
        """The hosts and buckets that its images are fetched from."""
        return list(getattr(self.source, "fetch", None) or ())


def rate_layout(layout: Layout) -> tuple[int, int]:
    """How much it has: of several layouts the one is taken that has most tasks, and then most images."""
    return len(layout.tasks), len(layout.rows.paths)
