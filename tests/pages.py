"""Pages as tests read them."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any


class Page(HTMLParser):
    """A page taken apart: tags with their attributes, texts, and the data of its charts."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.figures: list[dict[str, Any]] = []
        self._inside: tuple[str, dict[str, str | None]] = ("", {})
        self.feed(self.source)
        self.text = " ".join(" ".join(self.texts).split()).replace("\N{NO-BREAK SPACE}", " ")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = (tag, dict(attrs))
        self.tags.append(self._inside)

    def handle_data(self, data: str) -> None:
        tag, attributes = self._inside
        if tag == "script" and attributes.get("type") == "application/json" and data.strip():
            self.figures.append(json.loads(data))
        elif tag not in ("script", "style"):
            self.texts.append(data)

    def values(self, name: str) -> list[str]:
        """What the attribute `name` says, wherever it stands."""
        return [value for _, attributes in self.tags if (value := attributes.get(name))]
