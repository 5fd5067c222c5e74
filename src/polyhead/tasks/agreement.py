"""Answers that break no rule: where an image's do, the likeliest combination of labels that keeps all of them.

Labels that rules tie together, directly or over others, are looked at together, every combination that the rules allow:
so the one found is the likeliest there is, each label taken as independent of the others as the network gives it. (The
more general way, a graphical model over labels, is that of HEX graphs, Deng et al. 2014.) The probabilities of these
labels then become those that they have given that the rules hold. Images whose answers keep the rules stay as they are.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from polyhead.errors import list_words, shorten
from polyhead.tasks.answers import Answer
from polyhead.tasks.calibration import log_probabilities
from polyhead.tasks.label_task import LabelTask
from polyhead.tasks.metrics import Array
from polyhead.tasks.rules import Rule, Term, resolve_rules
from polyhead.tasks.task import Task

MOST = 2**16  # combinations of labels that rules tie together
BLOCK = 2**22  # combinations of images and labels at a time


class Variable(NamedTuple):
    """One of several labels, whose states are no and yes; or a task with one label, a state a label of `labels`.

    Labels that no rule is about are one state together, the last, if there are any.
    """

    task: str
    labels: tuple[str, ...]
    several: bool
    states: int


@dataclass(frozen=True)
class Agreed:
    """A model's outputs, and others by which its answers keep rules.

    Attributes:
        plain: (n, width) by task, as the model gave them.
        outputs: the same where no answer changed.
        changed: by task whose answers may change, of which images (n,) they did.
    """

    plain: dict[str, NDArray[Any]]
    outputs: dict[str, NDArray[Any]]
    changed: dict[str, NDArray[np.bool_]]


def decode_answers(tasks: Mapping[str, Task], agreed: Agreed) -> dict[str, list[Answer]]:
    """The answers of n images by task; those that rules changed say what they would have been."""
    found = {name: list(task.decode(agreed.outputs[name])) for name, task in tasks.items()}
    for name, changed in agreed.changed.items():
        rows = np.flatnonzero(changed)
        for row, before in zip(rows.tolist(), tasks[name].decode(agreed.plain[name][rows]), strict=True):
            answer: Any = found[name][row]
            found[name][row] = replace(answer, before_rules=cast(Any, before).answer)
    return found


@dataclass(frozen=True)
class TiedLabels:
    """Labels that rules tie together, and the rules."""

    variables: tuple[Variable, ...]
    rules: tuple[Rule, ...]

    @cached_property
    def combinations(self) -> NDArray[np.int16] | None:
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
    def allowed(self) -> NDArray[np.int16]:
        """The same, of labels that are not too many."""
        assert self.combinations is not None
        return self.combinations

    def find_broken(self, states: NDArray[np.int16], newest: int | None = None) -> NDArray[np.bool_]:
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
            values = [states[:, at] == state for at, state in there]
            some = np.any(values, axis=0) if values else np.zeros(len(states), bool)
            first = states[:, places[0][0]] == places[0][1]
            broken |= first & (some if rule.word == "excludes" else ~some)
        return broken

    @cached_property
    def _places(self) -> list[list[tuple[int, int]]]:
        return [[self.place(term) for term in rule.terms] for rule in self.rules]

    def place(self, term: Term) -> tuple[int, int]:
        """The variable of a label, and its state there."""
        for at, variable in enumerate(self.variables):
            if variable.task == term.task and term.label in variable.labels:
                return at, 1 if variable.several else variable.labels.index(term.label)
        raise KeyError(term)


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


def check_rules(
    texts: Sequence[str], obey: bool, tasks: Mapping[str, Task], left_out: Container[str] = ()
) -> list[Rule]:
    """The rules, as far as they are about tasks whose labels are known.

    Args:
        obey: whether answers are to keep them.
        left_out: see `resolve_rules`.

    Raises:
        ValueError: a rule is wrong, they contradict each other, or answers cannot be made to keep them.
    """
    if obey and not texts:
        raise ValueError("obey_rules: there are no `rules` to obey; add some, or remove it")
    rules = resolve_rules(texts, tasks, left_out)
    if obey:
        Agreement(rules, tasks)
    else:
        tie_labels(rules, tasks)
    return rules


class Agreement:
    """Makes answers keep rules.

    Args:
        rules: about labels of the tasks.
        tasks: by name, as training taught them.

    Raises:
        ValueError: the rules contradict each other, or tie so many labels that not all combinations can be looked at.
    """

    def __init__(self, rules: Sequence[Rule], tasks: Mapping[str, Task]) -> None:
        self._tied = tie_labels(rules, tasks)
        self._tasks: dict[str, LabelTask] = {}
        for tied in self._tied:
            if tied.combinations is None:
                words = list_words(label for variable in tied.variables[:10] for label in variable.labels)
                raise ValueError(
                    f"obey_rules: rules tie {len(tied.variables)} labels to one another ({words}, ...), more than "
                    "can be looked at together; remove some of the rules, or obey_rules"
                )
            for variable in tied.variables:
                task = tasks[variable.task]
                if not isinstance(task, LabelTask):
                    raise ValueError(
                        f"obey_rules: cannot change answers of the kind {task.kind} (tasks.{variable.task})"
                    )
                self._tasks[variable.task] = task

    @property
    def tasks(self) -> tuple[str, ...]:
        """Whose answers may change."""
        return tuple(self._tasks)

    def apply(self, outputs: Mapping[str, Array]) -> Agreed:
        """Outputs whose answers keep the rules.

        Args:
            outputs: (n, width) by task; others are passed through.
        """
        found = dict(outputs)
        changed = {name: np.zeros(len(outputs[name]), bool) for name in self._tasks}
        for tied in self._tied:
            self._apply(tied, found, changed)
        return Agreed(dict(outputs), found, changed)

    def _apply(self, tied: TiedLabels, outputs: dict[str, Array], changed: dict[str, NDArray[np.bool_]]) -> None:
        names = dict.fromkeys(variable.task for variable in tied.variables)
        answered = _find_states(tied, {name: self._tasks[name].leanings(outputs[name]) for name in names}, self._tasks)
        broken, step = np.flatnonzero(tied.find_broken(answered)), max(1, BLOCK // len(tied.allowed))
        for start in range(0, len(broken), step):
            rows = broken[start : start + step]
            part = {name: outputs[name][rows] for name in names}
            wanted, moved = self._solve(tied, part)
            leanings = {name: self._tasks[name].leanings(values) for name, values in moved.items()}
            kept = (_find_states(tied, leanings, self._tasks) == wanted).all(axis=1)  # a threshold of 0 allows no no
            for name, values in moved.items():
                outputs[name] = np.array(outputs[name])
                outputs[name][rows[kept]] = values[kept]
            for at, variable in enumerate(tied.variables):
                changed[variable.task][rows[kept]] |= (wanted != answered[rows])[kept, at]

    def _solve(self, tied: TiedLabels, outputs: Mapping[str, Array]) -> tuple[NDArray[np.int16], dict[str, Array]]:
        """Of images whose answers break a rule, the likeliest states (n, variables), and outputs that give them."""
        rows, combinations = len(next(iter(outputs.values()))), tied.allowed
        scores, logs = np.zeros((rows, len(combinations))), np.zeros((rows, len(combinations)))
        for at, variable in enumerate(tied.variables):
            task, values = self._tasks[variable.task], outputs[variable.task]
            leaning, probability = _part(variable, task, task.leanings(values), task.probabilities(values))
            scores += leaning[:, combinations[:, at]]
            logs += log_probabilities(probability)[:, combinations[:, at]]
        wanted = combinations[scores.argmax(axis=1)]
        weights = np.exp(logs - logs.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        moved: dict[str, Array] = {}
        for name in outputs:
            moved[name] = self._move(tied, name, outputs[name], (wanted, weights))
        return wanted, moved

    def _move(self, tied: TiedLabels, name: str, outputs: Array, found: tuple[NDArray[np.int16], Array]) -> Array:
        """Outputs of a task that give the wanted states, with the states' probabilities given the rules."""
        task, (wanted, weights) = self._tasks[name], found
        probabilities, leanings = task.probabilities(outputs).astype(float), task.leanings(outputs)
        answers, columns = np.zeros(probabilities.shape, bool), list[int]()
        for at, variable in enumerate(tied.variables):
            if variable.task != name:
                continue
            shares = weights @ (tied.allowed[:, at, np.newaxis] == np.arange(variable.states))
            mine = [task.names.index(label) for label in variable.labels]
            columns += mine
            if variable.several:
                probabilities[:, mine], answers[:, mine] = shares[:, 1:], wanted[:, [at]] == 1
                continue
            others = np.delete(np.arange(len(task.names)), mine)
            left = probabilities[:, others] / np.maximum(probabilities[:, others].sum(axis=1, keepdims=True), 1e-30)
            probabilities[:, others] = left * shares[:, len(mine) :]
            probabilities[:, mine] = shares[:, : len(mine)]
            best = others[leanings[:, others].argmax(axis=1)] if len(others) else np.zeros(len(outputs), int)
            chosen = np.where(wanted[:, at] < len(mine), np.array(mine)[np.minimum(wanted[:, at], len(mine) - 1)], best)
            np.put_along_axis(answers, chosen[:, np.newaxis], True, axis=1)
        moved = task.encode_answers(probabilities, answers)
        if not task.several:
            return moved
        result = np.array(outputs)
        result[:, columns] = moved[:, columns]
        return result


def _part(variable: Variable, task: LabelTask, leanings: Array, probabilities: Array) -> tuple[Array, Array]:
    """How far outputs lean to each state of a variable (n, states), and the states' probabilities."""
    mine = [task.names.index(label) for label in variable.labels]
    if variable.several:
        yes = probabilities[:, mine]
        return np.column_stack([np.zeros(len(yes)), leanings[:, mine]]), np.column_stack([1 - yes, yes])
    leaning, found = leanings[:, mine], probabilities[:, mine]
    if variable.states == len(mine):
        return leaning, found
    others = np.delete(leanings, mine, axis=1).max(axis=1)
    rest = np.delete(probabilities, mine, axis=1).sum(axis=1)
    return np.column_stack([leaning, others]), np.column_stack([found, rest])


def _find_states(tied: TiedLabels, leanings: Mapping[str, Array], tasks: Mapping[str, LabelTask]) -> NDArray[np.int16]:
    """The states (n, variables) of the answers."""
    found = []
    for variable in tied.variables:
        task, values = tasks[variable.task], leanings[variable.task]
        mine = [task.names.index(label) for label in variable.labels]
        if variable.several:
            found.append(values[:, mine[0]] >= 0)
        else:
            state_of = np.full(len(task.names), len(mine))
            state_of[mine] = np.arange(len(mine))
            found.append(state_of[values.argmax(axis=1)])
    return np.column_stack(found).astype(np.int16)
