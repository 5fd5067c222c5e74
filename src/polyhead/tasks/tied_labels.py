"""Labels that rules tie together, and the combinations of them that break no rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyhead.errors import list_words, shorten
from polyhead.tasks.agreed import Reasons
from polyhead.tasks.rules import Rule, Term
from polyhead.tasks.task import Task

MOST = 2**16  # combinations of labels that rules tie together
States = NDArray[np.int16]  # of variables, in each row


class Variable(NamedTuple):
    """One of several labels, whose states are no and yes; or a task with one label, a state a label of `labels`.

    Labels that no rule is about are one state together, the last, if there are any.
    """

    task: str
    labels: tuple[str, ...]
    several: bool
    states: int


@dataclass(frozen=True)
class TiedLabels:
    """Labels that rules tie together, and the rules."""

    variables: tuple[Variable, ...]
    rules: tuple[Rule, ...]

    @cached_property
    def combinations(self) -> States | None:
        """Every combination that breaks no rule (m, variables), a state a variable; None where they are too many."""
        found = np.zeros((1, 0), np.int16)
        for variable in self.variables:
            if len(found) * variable.states > MOST:
                return None
            states = np.tile(np.arange(variable.states, dtype=np.int16), len(found))
            found = np.column_stack([np.repeat(found, variable.states, axis=0), states])
            found = found[~self.find_broken(found, newest=found.shape[1] - 1)]
        return found

    @property
    def allowed(self) -> States:
        """The same, of labels that are not too many."""
        assert self.combinations is not None
        return self.combinations

    def find_broken(self, states: States, newest: int | None = None) -> NDArray[np.bool_]:
        """Which combinations (n, the first k variables) break a rule; a rule about others is kept as yet.

        Args:
            newest: the only variable whose rules are looked at, if there is one.
        """
        broken = np.zeros(len(states), bool)
        for rule, places in zip(self.rules, self._places, strict=True):
            if newest is not None and newest not in [at for at, _ in places]:
                continue
            there = [(at, state) for at, state in places[1:] if at < states.shape[1]]
            if places[0][0] >= states.shape[1] or (rule.word == "requires" and len(there) < len(rule.others)):
                continue
            broken |= _breaks(rule, states, [places[0], *there])
        return broken

    def name_broken(self, states: States) -> Reasons:
        """The rules, as they are written, that each combination (n, variables) breaks."""
        broken = [_breaks(rule, states, places) for rule, places in zip(self.rules, self._places, strict=True)]
        texts = [rule.text for rule in self.rules]
        return [
            tuple(text for text, found in zip(texts, row, strict=True) if found)
            for row in np.stack(broken, axis=1).tolist()
        ]

    @cached_property
    def _places(self) -> list[list[tuple[int, int]]]:
        return [[self.place(term) for term in rule.terms] for rule in self.rules]

    def place(self, term: Term) -> tuple[int, int]:
        """The variable of a label, and its state there."""
        for at, variable in enumerate(self.variables):
            if variable.task == term.task and term.label in variable.labels:
                return at, 1 if variable.several else variable.labels.index(term.label)
        raise KeyError(term)


def _breaks(rule: Rule, states: States, places: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    """Which combinations (n, k) break a rule; `places` are its labels' variables and states, the first's first."""
    values = [states[:, at] == state for at, state in places[1:]]
    some = np.any(values, axis=0) if values else np.zeros(len(states), bool)
    has: NDArray[np.bool_] = states[:, places[0][0]] == places[0][1]
    return has & (some if rule.word == "excludes" else ~some)


def tie_labels(rules: Sequence[Rule], tasks: Mapping[str, Task]) -> list[TiedLabels]:
    """The labels that rules tie together, each set of them apart.

    Raises:
        ValueError: by the rules together, no image could have one of the labels.
    """
    sets: list[tuple[set[Term], list[Rule]]] = []
    for rule in rules:
        mine, kept = ({_key(term, tasks) for term in rule.terms}, [rule]), []
        for other in sets:
            if other[0] & mine[0]:
                mine = (mine[0] | other[0], other[1] + mine[1])
            else:
                kept.append(other)
        sets = [*kept, mine]
    found = [TiedLabels(_list_variables(each, tasks), tuple(each)) for _, each in sets]
    for tied in found:
        _check_possible(tied)
    return found


def _key(term: Term, tasks: Mapping[str, Task]) -> Term:
    return term if tasks[term.task].several else Term(term.task, "")


def _list_variables(rules: Sequence[Rule], tasks: Mapping[str, Task]) -> tuple[Variable, ...]:
    labels: dict[Term, list[str]] = {}
    for term in (term for rule in rules for term in rule.terms):
        mine = labels.setdefault(_key(term, tasks), [])
        if term.label not in mine:
            mine.append(term.label)
    found = []
    for (name, _), mine in labels.items():
        several = tasks[name].several
        states = 2 if several else len(mine) + (len(mine) < len(tasks[name].names))
        found.append(Variable(name, tuple(mine), several, states))
    return tuple(found)


def _check_possible(tied: TiedLabels) -> None:
    if tied.combinations is None:
        return
    for term in dict.fromkeys(term for rule in tied.rules for term in rule.terms):
        at, state = tied.place(term)
        if not (tied.combinations[:, at] == state).any():
            about = [f"`{shorten(rule.text, 60)}`" for rule in tied.rules if term in rule.terms][:3]
            raise ValueError(f"rules: contradict each other: no image could have {term.label}; see {list_words(about)}")
