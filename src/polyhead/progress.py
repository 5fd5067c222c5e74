"""How work tells how far it is: bars on a terminal or in a notebook, or nothing. What goes unasked is logged."""

import html
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, Self

from polyhead.errors import PolyheadError, show_text

LOGGER = logging.getLogger("polyhead")
LINES = 200  # that a notebook keeps
PAUSE = 0.1  # seconds between two pictures of a bar in a notebook


class Progress(Protocol):
    """What work may be handed to say how far it is: anything with these two methods."""

    def track(self, words: str, total: int) -> Callable[[int], None]:
        """Begin a piece of work of `total` items; call the result with how many more of them are done."""
        ...

    def say(self, words: str) -> None:
        """One line that a person reads."""
        ...


class Silent:
    """A `Progress` that says nothing."""

    def track(self, words: str, total: int) -> Callable[[int], None]:
        """Count nothing."""
        return lambda done: None

    def say(self, words: str) -> None:
        """Say nothing."""


SILENT = Silent()


def warn(words: str) -> None:
    """Log a warning: something is done in another way than was asked for, or a result is less than it seems.

    It goes to the logger `polyhead`, whatever the progress: to stderr, where `logging` is not set up otherwise.
    """
    LOGGER.warning("%s", show_text(words))


class Bars:
    """A `Progress` on stderr: bars where a person watches, lines always."""

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

    def __enter__(self) -> Self:
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


class NotebookBars:
    """A `Progress` below a notebook's cell: what was said, and a bar for what is under way."""

    def __init__(self) -> None:
        from IPython.display import DisplayHandle

        self._handle = DisplayHandle()
        self._lines: list[str] = []
        self._words, self._done, self._total, self._drawn = "", 0, 0, 0.0

    def __enter__(self) -> Self:
        self._handle.display(self._draw(), raw=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._total = 0
        self._update()

    def track(self, words: str, total: int) -> Callable[[int], None]:
        """A bar, which takes the place of the one before."""
        self._words, self._done, self._total = show_text(words), 0, total
        self._update()

        def advance(done: int) -> None:
            self._done += done
            if time.monotonic() - self._drawn >= PAUSE:
                self._update()

        return advance

    def say(self, words: str) -> None:
        """A line above the bar."""
        self._lines = [*self._lines[1 - LINES :], show_text(words)]
        self._update()

    def _update(self) -> None:
        self._drawn = time.monotonic()
        self._handle.update(self._draw(), raw=True)

    def _draw(self) -> dict[str, str]:
        lines = list(self._lines)
        page = f"<pre>{html.escape(chr(10).join(lines))}</pre>" if lines else ""
        if self._total:
            lines.append(f"{self._words}: {self._done:,} of {self._total:,}")
            bar = f'<progress value="{self._done}" max="{self._total}"></progress>'
            page += f"<div>{bar} {html.escape(lines[-1])}</div>"
        return {"text/plain": "\n".join(lines), "text/html": page}


@contextmanager
def show_progress(progress: Progress | bool) -> Iterator[Progress]:
    """What a public function tells of its work to: True for bars on stderr or in a notebook, False for nothing.

    Raises:
        PolyheadError: it is neither a truth nor a `Progress`.
    """
    if progress is True:
        with NotebookBars() if _in_notebook() else Bars() as shown:
            yield shown
    elif progress is False:
        yield SILENT
    elif callable(getattr(progress, "track", None)) and callable(getattr(progress, "say", None)):
        yield progress
    else:
        raise PolyheadError(
            f"progress: expected True, False or an object with `track` and `say`; got {type(progress).__name__}"
        )


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook: Jupyter's, Colab's, VS Code's."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    shell = get_ipython()
    return shell is not None and hasattr(shell, "kernel")
