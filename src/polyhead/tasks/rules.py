"""Rules that labels keep, in plain English: `No_Beard excludes Goatee`, `heels requires shoes or sandals`.

A rule holds two labels or more, and one word:

    A excludes B        no image has both
    A requires B        an image that has A has B, too
    A requires B or C   it has one of them, or both; `A excludes B or C`: none of them

A label that two tasks have is written with its task, `category.other`; one that holds a word of a rule, or `"` or a dot
behind a task's name, in double quotes. Capitals count, as they do in labels.
"""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyhead.errors import list_words, nearest, shorten
from polyhead.tasks.answers import Answer
from polyhead.tasks.metrics import Array
from polyhead.tasks.task import Task

MOST_RULES = 200
LONGEST = 2000  # characters of a rule
WORDS = ("excludes", "requires")
HOW = "expected `A excludes B`, `A requires B` or `A requires B or C`"
SIDE = re.compile(r'(?:(?P<task>[^".]+)\.)?"(?P<label>[^"]+)"')


class Term(NamedTuple):
    """A label of a task."""

    task: str
    label: str


@dataclass(frozen=True)
class Rule:
    """A rule about labels that there are.

    Attributes:
        text: as it is written.
        others: one label or more, none of them `first`.
    """

    text: str
    first: Term
    word: Literal["excludes", "requires"]
    others: tuple[Term, ...]

    @property
    def terms(self) -> tuple[Term, ...]:
        """All its labels."""
        return (self.first, *self.others)

    def judge(self, values: Mapping[Term, Array]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Of which of n images it says something, and which of these break it; what is unknown breaks nothing.

        Args:
            values: of each of its labels (n,): 1 where an image has it, 0 where not, NaN where that is unknown.
        """
        others = np.stack([np.asarray(values[term], float) for term in self.others])
        some, unknown = (others == 1).any(axis=0), np.isnan(others).any(axis=0)
        applies = (np.asarray(values[self.first], float) == 1) & (some | ~unknown)
        return applies, applies & (some if self.word == "excludes" else ~some)

    def is_broken_by(self, answers: Mapping[str, Answer]) -> bool:
        """Whether answers to an image, by task, break it."""
        has = [term.label in answers[term.task].labels for term in self.terms]
        return has[0] and any(has[1:]) == (self.word == "excludes")


def resolve_rules(texts: Sequence[str], tasks: Mapping[str, Task], left_out: Container[str] = ()) -> list[Rule]:
    """The rules about tasks whose labels are known.

    Args:
        tasks: by name; a rule about one whose labels are not known as yet is left out, unless it is wrong already.
        left_out: labels that the source has and the tasks have not; a rule about one is left out.

    Raises:
        ValueError: with the rule, and what is wrong with it.
    """
    found = [_resolve(text, tasks, left_out) for text in texts]
    return [rule for rule in found if rule]


def _resolve(text: str, tasks: Mapping[str, Task], left_out: Container[str]) -> Rule | None:
    shown = f"rules: `{shorten(text, 200)}`"
    try:
        first, word, others = _parse(text)
        terms = [_find(side, tasks, left_out) for side in (first, *others)]
        known = [term for term in terms if term]
        if len(known) < len(terms):
            return None
        _check_pairs(known[0], known[1:], word, tasks)
    except ValueError as error:
        raise ValueError(f"{shown}: {error}") from None
    return Rule(text, known[0], "excludes" if word == "excludes" else "requires", tuple(known[1:]))


def _parse(text: str) -> tuple[str, str, list[str]]:
    """The text of the first label, the word, and the texts of the other labels."""
    if len(text) > LONGEST:
        raise ValueError(f"a rule has {LONGEST:,} characters at most")
    masked = re.sub(r'"[^"]*"', lambda quoted: "\0" * len(quoted[0]), text)  # words in quotes belong to labels
    if '"' in masked:
        raise ValueError('a `"` is not closed')
    words = list(re.finditer(r"(?<!\S)(excludes|requires)(?!\S)", masked))
    if len(words) != 1:
        near = nearest(masked.split()[1], WORDS) if len(masked.split()) == 3 and not words else ""
        again = "; a label that holds such a word is written in double quotes" if words else ""
        raise ValueError(f"{HOW}{near}{again}")
    (word,) = words
    ends = [word.end(), *(found.start() for found in re.finditer(r"(?<!\S)or(?!\S)", masked[word.end() :]))]
    starts = [word.end(), *(word.end() + end + len("or") for end in ends[1:])]
    stops = [*(word.end() + end for end in ends[1:]), len(text)]
    sides = [text[: word.start()], *(text[start:stop] for start, stop in zip(starts, stops, strict=True))]
    sides = [side.strip() for side in sides]
    if not all(sides):
        raise ValueError(f"a label is missing; {HOW}")
    return sides[0], word[1], sides[1:]


def _find(side: str, tasks: Mapping[str, Task], left_out: Container[str]) -> Term | None:
    """The label that a text means; None where it is left out, or tasks that may have it do not know theirs yet."""
    quoted = SIDE.fullmatch(side)
    if '"' in side and not quoted:
        raise ValueError(f'expected a label, `"a label"` or `task."a label"`; got `{shorten(side, 60)}`')
    before, dot, behind = side.partition(".")
    named = quoted["task"] if quoted else before if dot and before in tasks else None
    label = quoted["label"] if quoted else behind if named is not None else side
    if named is not None and named not in tasks:
        raise ValueError(f"{shorten(named, 60)!r} is no task; there are {list_words(tasks)}{nearest(named, tasks)}")
    if named is not None and tasks[named].numeric:
        raise ValueError(f"{named} is a number, and rules are about labels")
    asked = {name: tasks[name] for name in ([named] if named is not None else tasks) if not tasks[name].numeric}
    owners = [name for name, task in asked.items() if label in task.names]
    if len(owners) > 1:
        either = " or ".join(f"`{name}.{label}`" for name in owners)
        raise ValueError(f"{label!r} is a label of {list_words(owners)}; write {either}")
    if owners and (named is not None or all(task.names for task in asked.values())):
        return Term(owners[0], label)
    if label in left_out or any(not task.names for task in asked.values()):
        return None
    raise ValueError(_say_unknown(label, named, asked, tasks))


def _say_unknown(label: str, named: str | None, asked: Mapping[str, Task], tasks: Mapping[str, Task]) -> str:
    labels = [each for task in asked.values() for each in task.names]
    whose = f"a label of {named}" if named is not None else "a label of any task"
    if label in tasks:
        about = "is a number, and rules are about labels" if tasks[label].numeric else "is a task; name its label, as "
        names = tasks[label].names
        return f"{label} {about}{f'`{label}.{names[0]}`' if names else ''}"
    rare = [name for name in asked if label in getattr(asked[name].state, "rare_counts", {})]
    if rare:
        return (
            f"{label!r} has fewer training rows than tasks.{rare[0]}.min_count asks for; lower that, or drop the rule"
        )
    return f"{shorten(label, 60)!r} is not {whose} ({list_words(labels)}){nearest(label, labels)}"


def _check_pairs(first: Term, others: Iterable[Term], word: str, tasks: Mapping[str, Task]) -> None:
    """Refuse a label with itself, and two labels of which an image has one anyway."""
    for other in others:
        if other == first:
            raise ValueError(f"{other.label} with itself; name two labels")
        if other.task == first.task and not tasks[first.task].several:
            never = "so it can never hold" if word == "requires" else "so it holds anyway"
            raise ValueError(f"an image has one label of {first.task}, {never}; remove it")


def read_labels(
    rules: Iterable[Rule], tasks: Mapping[str, Task], labels: Mapping[str, Sequence[str]]
) -> dict[Term, Array]:
    """What `Rule.judge` takes, of images by their labels.

    Args:
        labels: by task, n texts, blank where unknown.
    """
    terms = {term for rule in rules for term in rule.terms}
    known = {name: tasks[name].regroup(list(labels[name])) for name in {term.task for term in terms}}
    targets = {name: tasks[name].encode(texts) for name, texts in known.items() if tasks[name].several}
    found: dict[Term, Array] = {}
    for term in terms:
        if term.task in targets:
            found[term] = targets[term.task][:, tasks[term.task].names.index(term.label)]
        else:
            found[term] = np.array([np.nan if not text else text == term.label for text in known[term.task]], float)
    return found


def read_answers(rules: Iterable[Rule], tasks: Mapping[str, Task], outputs: Mapping[str, Array]) -> dict[Term, Array]:
    """The same by the answers in a model's outputs, (n, width) by task."""
    terms = {term for rule in rules for term in rule.terms}
    said = {name: [answer.labels for answer in tasks[name].decode(outputs[name])] for name in {t.task for t in terms}}
    return {term: np.array([term.label in labels for labels in said[term.task]], float) for term in terms}
