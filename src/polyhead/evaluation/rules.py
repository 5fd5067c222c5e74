"""How often labels and answers break a recipe's rules."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from polyhead.evaluation.evaluate import evaluate_split
from polyhead.evaluation.results import SHOWN
from polyhead.tasks import Array, Numbers, Task
from polyhead.tasks.agreed import Agreed
from polyhead.tasks.rules import Rule, Term, read_answers, read_labels

EXAMPLES = 5  # images that break a rule


def count_broken(rules: Sequence[Rule], values: Mapping[Term, Array], paths: Sequence[str]) -> list[Numbers]:
    """How many images break each rule.

    Args:
        values: what `Rule.judge` takes of n images.
        paths: their names.

    Returns:
        For each rule the `rule`, of how many images it says something (`n`: those that have its first label, and of
        which the others are known), how many of these are `broken`, and the first of them as `examples`.
    """
    found = []
    for rule in rules:
        applies, broken = rule.judge(values)
        examples = [paths[row] for row in np.flatnonzero(broken)[:EXAMPLES]]
        found.append({"rule": rule.text, "n": int(applies.sum()), "broken": int(broken.sum()), "examples": examples})
    return found


def count_in_labels(rules: Sequence[Rule], tasks: Mapping[str, Task], labels: pd.DataFrame) -> list[Numbers]:
    """The same of labels: rows with `path` and a text column a task, blank where unknown."""
    names = {term.task for rule in rules for term in rule.terms}
    values = read_labels(rules, tasks, {name: labels[name].tolist() for name in names})
    return count_broken(rules, values, labels["path"].tolist())


def measure_rules(rules: Sequence[Rule], tasks: Mapping[str, Task], labels: pd.DataFrame, agreed: Agreed) -> Numbers:
    """How often the labels and the answers of a split break rules; and what obeying them does to the answers.

    Args:
        rules: about labels of the tasks.
        tasks, labels: as `evaluate_split` takes them; labels with `path`, too.
        agreed: the outputs, and those by which answers keep the rules, if they are to.

    Returns:
        `labels` and `answers`: what `count_broken` gives of each. Where answers are to keep the rules, `without`: the
        same `answers`, and of `tasks` and `joint` the main figures, had they not to; and by task how many answers were
        `changed`.
    """
    paths = labels["path"].tolist()
    found: Numbers = {
        "labels": count_in_labels(rules, tasks, labels),
        "answers": count_broken(rules, read_answers(rules, tasks, agreed.outputs), paths),
    }
    if not agreed.changed:
        return found
    figures = evaluate_split(tasks, labels, agreed.plain)
    main = {name: {key: one[key] for key in ("n", *SHOWN) if key in one} for name, one in figures["tasks"].items()}
    broken = count_broken(rules, read_answers(rules, tasks, agreed.plain), paths)
    found["without"] = {"answers": broken, "tasks": main, "joint": figures["joint"]}
    found["changed"] = {name: int(rows.sum()) for name, rows in agreed.changed.items()}
    return found
