"""How work tells of itself: on a terminal, in a notebook, or not at all; and what is never left unsaid."""

import sys
import types
from typing import Any

import pytest

from polyhead.cli.terminal import Screen
from polyhead.errors import PolyheadError
from polyhead.progress import SILENT, Progress, Silent, show_progress, warn


class Kernel:
    """Stands for a notebook: keeps the pictures that it is given to show."""

    def __init__(self) -> None:
        self.kernel = object()
        self.pictures: list[dict[str, str]] = []

    def display(self, picture: dict[str, str], raw: bool) -> None:
        assert raw
        self.pictures.append(picture)

    update = display


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    shell = Kernel()
    module: Any = types.ModuleType("IPython")
    module.get_ipython = lambda: shell
    shown: Any = types.ModuleType("IPython.display")
    shown.DisplayHandle = lambda: shell
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    return shell


def work(progress: Progress) -> None:
    progress.say("<b>begun</b>\x1b[2J")
    advance = progress.track("reading <files>", 4)
    advance(1)
    advance(3)


def test_a_notebook_shows_lines_and_a_bar_that_is_gone_at_the_end(notebook: Kernel) -> None:
    with show_progress(True) as progress:
        work(progress)
    begun = [picture["text/html"] for picture in notebook.pictures]
    assert '<progress value="0" max="4"></progress> reading &lt;files&gt;: 0 of 4' in "".join(begun)
    assert notebook.pictures[-1]["text/html"] == "<pre>&lt;b&gt;begun&lt;/b&gt;\\x1b[2J</pre>"
    assert notebook.pictures[-1]["text/plain"] == "<b>begun</b>\\x1b[2J"


def test_a_notebook_keeps_the_last_lines(notebook: Kernel) -> None:
    with show_progress(True) as progress:
        for number in range(500):
            progress.say(f"line {number}")
    assert notebook.pictures[-1]["text/plain"].splitlines() == [f"line {number}" for number in range(300, 500)]


def test_elsewhere_lines_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress(True) as progress:
        work(progress)
    out, err = capsys.readouterr()
    assert (out, err.splitlines()) == ("", ["<b>begun</b>\\x1b[2J"])


def test_false_is_silence_and_an_object_is_taken_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress(False) as progress:
        work(progress)
    assert progress is SILENT
    mine = Silent()
    with show_progress(mine) as progress:
        assert progress is mine
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("wrong", [None, 1, "yes"])
def test_what_is_no_progress_is_refused(wrong: Any) -> None:
    with pytest.raises(PolyheadError, match="progress: expected True, False or an object"), show_progress(wrong):
        pass


def test_a_warning_is_logged_whatever_the_progress(caplog: pytest.LogCaptureFixture) -> None:
    warn("training in float32: 100 %s\n")
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("polyhead", "WARNING")
    assert record.getMessage() == "training in float32: 100 %s\\n"


def test_the_screen_shows_warnings_once_while_it_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    with Screen():
        warn("one")
    assert capsys.readouterr().err == "one\n"
