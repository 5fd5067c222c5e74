"""What a person at a terminal sees: bars while work goes on, answers as a table."""

import sys
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from polyhead.errors import show_text

PAGE = 50  # rows of a table that are shown at a time, as soon as they are there


class Screen:
    """Progress on stderr: bars where a person watches, lines always."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        words = TextColumn("{task.description}", markup=False)
        columns = (words, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.bars = Progress(
            *columns,
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
            redirect_stdout=sys.stdout.isatty(),  # else what is printed to a file would go to the bars' terminal
        )

    def __enter__(self) -> "Screen":
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def track(self, words: str, total: int) -> Callable[[int], None]:
        """A bar, which takes the place of the one before."""
        for old in list(self.bars.task_ids):
            self.bars.remove_task(old)
        task = self.bars.add_task(show_text(words), total=total)
        return lambda done: self.bars.advance(task, done)

    def say(self, words: str) -> None:
        """A line above the bar."""
        self.console.print(show_text(words), markup=False)

    def show_records(self, records: Iterable[dict[str, Any]]) -> int:
        """Print records as tables on stdout, a column a task; how many of them hold an error."""
        from rich.console import Console

        console, failed, left = Console(highlight=False), 0, iter(records)
        while page := list(islice(left, PAGE)):
            failed += sum(record["error"] is not None for record in page)
            self.bars.stop()
            console.print(_draw_table(page))
            self.bars.start()
        return failed


def _draw_table(records: list[dict[str, Any]]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from polyhead.model.records import tell_answer

    tasks = list(dict.fromkeys(name for record in records for name in record["answers"]))
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("image", *tasks):
        table.add_column(Text(show_text(name)), overflow="fold")
    for record in records:
        if record["error"]:
            cells = [Text(show_text(record["error"]), "red")]
        else:
            found = [record["answers"][name] for name in tasks]
            cells = [Text(tell_answer(answer), "yellow" if answer["unsure"] else "") for answer in found]
        table.add_row(Text(show_text(str(record["image"]))), *cells)
    return table
