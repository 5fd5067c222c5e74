"""Pages as tests read them."""

from html.parser import HTMLParser
from pathlib import Path


class Page(HTMLParser):
    """A page taken apart: tags with their attributes, texts, and what its charts tell: a list a chart."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.charts: list[list[str]] = []
        self._inside: tuple[str, dict[str, str | None]] = ("", {})
        self.feed(self.source)
        self.text = " ".join(" ".join(self.texts).split()).replace("\N{NO-BREAK SPACE}", " ")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = (tag, dict(attrs))
        self.tags.append(self._inside)
        if dict(attrs).get("class") == "chart":
            self.charts.append([])

    def handle_data(self, data: str) -> None:
        tag, _ = self._inside
        if tag == "title" and self.charts and data.strip():
            self.charts[-1].append(data.replace("\N{NO-BREAK SPACE}", " "))
        elif tag not in ("script", "style"):
            self.texts.append(data)

    def values(self, name: str) -> list[str]:
        """What the attribute `name` says, wherever it stands."""
        return [value for _, attributes in self.tags if (value := attributes.get(name))]
