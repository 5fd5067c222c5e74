"""YAML text to plain values, within bounds: a recipe is a page of text, whatever else YAML could say.

YAML has ways to make a few lines stand for gigabytes (aliases of aliases), to nest without end, and to build values
that no recipe holds (dates, bytes, sets). A text is looked through event by event before any value is made of it.
"""

import re
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, DocumentStartEvent, NodeEvent, ScalarEvent

from polyhead.errors import PolyheadError, shorten

LONGEST = 2**20  # characters of a text
MOST = 50_000  # values in it, each counted as often as aliases repeat it
DEEPEST = 50  # levels, one in another
HUGE_NUMBER = re.compile(r"[-+]?(0[xob])?[\d_a-fA-F]{300,}")  # more digits than any float has
TAGS = (None, "!", *(f"tag:yaml.org,2002:{word}" for word in ("str", "map", "seq")))


class PlainConstructor(SafeConstructor):
    """Makes texts, numbers, truths, lists and dicts; a date stays the text that it is."""


PlainConstructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def read_yaml(text: str, where: str) -> Any:
    """The value of a YAML 1.2 text: `off` and `no` are words, 1e-3 is a number.

    Args:
        text: one document.
        where: what it is, such as its file; stands before an error.

    Raises:
        PolyheadError: it is not YAML, or holds what no recipe does; with the line.
    """
    if len(text) > LONGEST:
        raise PolyheadError(f"{where}: is longer than {LONGEST:,} characters, which no recipe is")
    try:
        bounds = _Bounds([], {})
        for event in YAML(typ="safe", pure=True).parse(text):
            if fault := bounds.find_fault(event):
                raise PolyheadError(f"{where}: line {event.start_mark.line + 1}: {fault}")
        yaml = YAML(typ="safe", pure=True)
        yaml.Constructor = PlainConstructor
        return yaml.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = str(error.problem or error.context or "is not YAML").partition(" with value ")[0]
        raise PolyheadError(f"{where}:{f' line {mark.line + 1}:' if mark else ''} {_in_short(words)}") from None
    except YAMLError as error:
        raise PolyheadError(f"{where}: is not YAML: {_in_short(str(error))}") from None
    except (TypeError, ValueError) as error:  # of a key that is no text or number
        raise PolyheadError(f"{where}: is no recipe: {_in_short(str(error))}") from None


def _in_short(words: str) -> str:
    return shorten(" ".join(words.split()), 200)


@dataclass
class _Open:
    """A list or keys that are being read: how many values came before it, and how many levels it has so far."""

    anchor: str | None
    before: int
    levels: int = 1


@dataclass
class _Bounds:
    """What has been read: the lists and keys that are still open, and what each anchor stands for."""

    opened: list[_Open]
    anchors: dict[str, tuple[int, int]]  # values in it, levels in it
    values: int = 0
    documents: int = 0

    def find_fault(self, event: Any) -> str:
        """Take in the next event; what is wrong with it, or nothing."""
        if isinstance(event, DocumentStartEvent):
            self.documents += 1
            return "a second document begins here (---), but a recipe is one" if self.documents > 1 else ""
        if isinstance(event, CollectionEndEvent):
            done = self.opened.pop()
            if done.anchor:
                self.anchors[done.anchor] = (self.values - done.before, done.levels)
            self._note_levels(done.levels)
        return self._find_fault_of_value(event) if isinstance(event, NodeEvent) else ""

    def _find_fault_of_value(self, event: Any) -> str:
        values, levels = 1, 1
        if isinstance(event, AliasEvent):
            if any(event.anchor == parent.anchor for parent in self.opened):
                return f"*{_in_short(event.anchor)} stands within itself"
            values, levels = self.anchors.get(event.anchor, (1, 1))
        elif event.tag not in TAGS:
            return f"the tag {_in_short(str(event.tag))} makes no value of a recipe; take it out"
        self.values += values
        if self.values > MOST:
            return f"there are more than {MOST:,} values up to here, which no recipe has"
        if len(self.opened) + levels > DEEPEST:
            return f"more than {DEEPEST} levels lie one in another here, which no recipe has"
        if not isinstance(event, ScalarEvent | AliasEvent):
            self.opened.append(_Open(event.anchor, self.values - 1))
            return ""
        self._note_levels(levels)
        if not isinstance(event, ScalarEvent):
            return ""
        if event.anchor:
            self.anchors[event.anchor] = (1, 1)
        huge = event.style is None and HUGE_NUMBER.fullmatch(event.value)
        return f"a number of {len(event.value):,} digits is more than a recipe holds" if huge else ""

    def _note_levels(self, levels: int) -> None:
        if self.opened:
            self.opened[-1].levels = max(self.opened[-1].levels, levels + 1)
