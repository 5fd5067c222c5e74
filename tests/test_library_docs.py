"""The examples of docs/library.md run, from top to bottom, as they stand there."""

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parent.parent / "docs/library.md"


@pytest.mark.slow
def test_every_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "library"}
    text = PAGE.read_text(encoding="utf-8")
    for found in re.finditer(r"```python\n(.*?)```", text, re.DOTALL):
        # Empty lines in front, so that a traceback names the line of the page.
        lines = text[: found.start(1)].count("\n")
        exec(compile("\n" * lines + found[1], str(PAGE), "exec"), names)
    assert names["accuracy"] is not None
    assert len(names["answers"]) == len(names["table"])
