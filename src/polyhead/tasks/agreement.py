"""Answers that break no rule: where an image's do, the likeliest combination of labels that keeps all of them.

Labels that rules tie together, directly or over others, are looked at together, every combination that the rules allow:
so the one found is the likeliest there is, each label taken as independent of the others as the network gives it. (The
more general way, a graphical model over labels, is that of HEX graphs, Deng et al. 2014.) The probabilities of these
labels then become those that they have given that the rules hold. Images whose answers keep the rules stay as they are.
"""

from collections.abc import Container, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from polyhead.errors import list_words
from polyhead.tasks.agreed import Agreed, Reasons
from polyhead.tasks.calibration import log_probabilities
from polyhead.tasks.label_task import LabelTask
from polyhead.tasks.metrics import Array
from polyhead.tasks.rules import Rule, resolve_rules
from polyhead.tasks.task import Task
from polyhead.tasks.tied_labels import States, TiedLabels, Variable, tie_labels

BLOCK = 2**22  # combinations of images and labels at a time
Rows = NDArray[np.intp]


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
        changed = {name: np.zeros(len(outputs[name]), bool) for name in self._tasks}
        reasons: dict[str, Reasons] = {name: [()] * len(outputs[name]) for name in self._tasks}
        found = Agreed(dict(outputs), dict(outputs), changed, reasons)
        for tied in self._tied:
            self._apply(tied, found)
        return found

    def _apply(self, tied: TiedLabels, found: Agreed) -> None:
        """Let answers keep the rules of one set of labels."""
        outputs = found.outputs
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
                other = rows[kept & (wanted[:, at] != answered[rows, at])]
                found.changed[variable.task][other] = True
            self._tell_reasons(tied, (rows[kept], wanted[kept], answered[rows[kept]]), found)

    def _tell_reasons(self, tied: TiedLabels, states: tuple[Rows, States, States], found: Agreed) -> None:
        """Note the rules that each answer would break, had it alone not changed.

        There are some, except between two that are equally likely: with the likelier state of one label more, the
        combination would be likelier, and so it must be forbidden. Between such two, those are named that were broken.

        Args:
            states: of rows (m,) of the outputs, the states (m, variables) that they have now, and those before.
        """
        rows, wanted, before = states
        for at, variable in enumerate(tied.variables):
            places = np.flatnonzero(wanted[:, at] != before[:, at])
            back = wanted[places]
            back[:, at] = before[places, at]
            reasons = found.reasons[variable.task]
            named = zip(rows[places].tolist(), tied.name_broken(back), tied.name_broken(before[places]), strict=True)
            for row, broken, first in named:
                reasons[row] = tuple(dict.fromkeys((*reasons[row], *(broken or first))))

    def _solve(self, tied: TiedLabels, outputs: Mapping[str, Array]) -> tuple[States, dict[str, Array]]:
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

    def _move(self, tied: TiedLabels, name: str, outputs: Array, found: tuple[States, Array]) -> Array:
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


def _find_states(tied: TiedLabels, leanings: Mapping[str, Array], tasks: Mapping[str, LabelTask]) -> States:
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
