"""What a person at a terminal sees: bars while work goes on, answers as a table."""

import logging
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

from polyhead.errors import show_text
from polyhead.progress import LOGGER, Bars

if TYPE_CHECKING:
    from polyhead.model.records import Record

PAGE = 50  # rows of a table that are shown at a time, as soon as they are there


class Lines(logging.Handler):
    """Hands what is logged on, a line a record."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(record.getMessage())


class Screen(Bars):
    """The command line's progress: bars, and warnings as lines among them."""

    def __init__(self) -> None:
        super().__init__()
        self._warnings = Lines(self.say)

    def __enter__(self) -> Self:
        LOGGER.addHandler(self._warnings)
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()
        LOGGER.removeHandler(self._warnings)

    def show_records(self, records: "Iterable[Record]") -> int:
        """Print records as tables on stdout, a column a task; how many of them hold an error."""
        from rich.console import Console

        console, failed, left = Console(highlight=False), 0, iter(records)
        while page := list(islice(left, PAGE)):
            failed += sum(record.error is not None for record in page)
            self.bars.stop()
            console.print(_draw_table(page))
            self.bars.start()
        return failed


def _draw_table(records: "list[Record]") -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from polyhead.model.records import tell_answer

    tasks = list(dict.fromkeys(name for record in records for name in record.answers))
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("image", *tasks):
        table.add_column(Text(show_text(name)), overflow="fold")
    for record in records:
        if record.error:
            cells = [Text(show_text(record.error), "red")]
        else:
            found = [record.answers[name] for name in tasks]
            cells = [Text(tell_answer(answer), "yellow" if answer.unsure else "") for answer in found]
        image = Text(show_text(str(record.image)))
        table.add_row(image.append(" (unfamiliar)", "yellow") if record.unfamiliar else image, *cells)
    return table
