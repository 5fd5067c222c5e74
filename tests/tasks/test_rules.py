"""Rules: read from plain English, counted where labels are known, and kept by answers, the likeliest that can be."""

import itertools
import math
from typing import Any

import numpy as np
import pytest

from polyhead.tasks import KINDS, Task
from polyhead.tasks.agreed import decode_answers
from polyhead.tasks.agreement import Agreement, check_rules
from polyhead.tasks.rules import read_labels, resolve_rules

KEYS: dict[str, dict[str, Any]] = {
    "marks": {"kind": "multilabel", "labels": ["dot", "bar", "ring"]},
    "shape": {"kind": "categorical", "classes": ["disc", "square", "high cross", "other"]},
    "filled": {"kind": "binary", "labels": ["no", "yes"]},
    "size": {"kind": "ordinal", "levels": ["S", "M", "L", "other"]},
    "width": {"kind": "regression"},
}
LABELS = {
    "marks": ["dot|bar", "ring", "none", "?dot|bar", ""],
    "shape": ["disc", "square", "high cross", "other", "disc"],
    "filled": ["no", "yes", "yes", "", "no"],
    "size": ["S", "M", "L", "other", "S"],
    "width": ["1", "2", "3", "4", "5"],
}
TASKS: dict[str, Task] = {
    name: KINDS[keys["kind"]].model_validate(keys).fit(name, LABELS[name]) for name, keys in KEYS.items()
}


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("dot excludes bar", [0]),
        ("dot excludes disc", [0]),
        ("bar requires disc or square", [3]),
        ("ring requires yes", []),
        ("square requires dot", [1]),
        ("shape.other excludes bar", [3]),
        ('shape."other" excludes bar', [3]),
        ('"high cross" requires M', [2]),
        ("high cross requires M", [2]),
        ("disc excludes bar or filled.no", [0, 4]),
        ("disc requires dot", []),  # of the last image it is unknown
    ],
)
def test_rules_are_read_and_only_what_is_known_breaks_them(text: str, broken: list[int]) -> None:
    (rule,) = resolve_rules([text], TASKS)
    assert np.flatnonzero(rule.judge(read_labels([rule], TASKS, LABELS))[1]).tolist() == broken


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["dot exclude bar"], r"`dot exclude bar`: expected `A excludes B`.*did you mean 'excludes'\?"),
        (["dot"], "expected `A excludes B`, `A requires B` or `A requires B or C`"),
        (["dot excludes"], "a label is missing"),
        (["a requires b excludes c"], "in double quotes"),
        (['dot excludes "bar'], 'a `"` is not closed'),
        (["dots excludes bar"], r"'dots' is not a label of any task \(dot, bar, .*did you mean 'dot'\?"),
        (["shape.dots excludes bar"], r"'dots' is not a label of shape"),
        (['shapes."disc" excludes bar'], r"'shapes' is no task; there are marks, .*did you mean 'shape'\?"),
        (["other excludes bar"], r"'other' is a label of shape, size; write `shape.other` or `size.other`"),
        (["width.3 excludes bar"], "width is a number, and rules are about labels"),
        (["width excludes bar"], "width is a number, and rules are about labels"),
        (["shape excludes bar"], "shape is a task; name its label, as `shape.disc`"),
        (["dot excludes dot"], "dot with itself"),
        (["disc excludes square"], "an image has one label of shape, so it holds anyway"),
        (["disc requires square"], "an image has one label of shape, so it can never hold"),
        (["dot requires bar", "bar excludes dot"], "contradict each other: no image could have dot; see `dot requires"),
        (["dot requires disc", "dot requires square"], "no image could have dot"),
    ],
)
def test_a_wrong_rule_is_named_with_what_is_wrong(texts: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^rules: .*{message}"):
        check_rules(texts, False, TASKS)


RULES = ["dot excludes bar", "ring requires disc or square", "yes excludes ring", "L requires yes", "bar excludes M"]


def draw(rows: int, steep: float = 1.0) -> dict[str, Any]:
    """Outputs of a network that knows nothing, of either sureness."""
    rng = np.random.default_rng(0)

    def softmax(width: int) -> Any:
        powers = np.exp(steep * rng.normal(size=(rows, width)))
        return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)

    yes = {
        name: 1 / (1 + np.exp(-steep * rng.normal(size=(rows, width)))) for name, width in (("marks", 3), ("filled", 1))
    }
    found = {"shape": softmax(4), "size": softmax(4), "width": rng.normal(size=(rows, 1)).astype(np.float32)}
    return found | {name: values.astype(np.float32) for name, values in yes.items()}


@pytest.mark.parametrize("steep", [0.5, 3.0])
def test_answers_are_the_likeliest_that_keep_all_rules(steep: float) -> None:
    rules, outputs = resolve_rules(RULES, TASKS), draw(60, steep)
    agreed = Agreement(rules, TASKS).apply(outputs)
    before, after = (
        {name: [answer.labels for answer in task.decode(found[name])] for name, task in TASKS.items()}
        for found in (outputs, agreed.outputs)
    )
    marks, filled = outputs["marks"].astype(float), outputs["filled"][:, 0].astype(float)
    changed = 0
    for row in range(60):
        found, plain = ({name: labels[row] for name, labels in said.items()} for said in (after, before))
        if _keeps(plain):
            assert found == plain
            continue
        changed += 1
        assert _keeps(found)

        def chance(said: dict[str, tuple[str, ...]], row: int = row) -> float:
            log = sum(
                math.log(marks[row, at] if label in said["marks"] else 1 - marks[row, at])
                for at, label in enumerate(TASKS["marks"].names)
            )
            log += math.log(filled[row] if said["filled"] == ("yes",) else 1 - filled[row])
            return log + math.log(outputs["shape"][row, TASKS["shape"].names.index(said["shape"][0])])

        # Levels are answered by their median, so those that the size is left at are compared.
        others = [said | {"size": found["size"]} for said in _list_all() if _keeps(said | {"size": found["size"]})]
        assert chance(found) == pytest.approx(max(map(chance, others)), abs=1e-5)
    assert changed > 20
    for name in TASKS:
        answers = decode_answers(TASKS, agreed)[name]
        told = [answer.to_dict().get("before_rules") for answer in answers]
        assert [one is not None for one in told] == [a != b for a, b in zip(before[name], after[name], strict=True)]
        by: list[list[str]] = [answer.to_dict().get("by_rules", []) for answer in answers]
        assert [bool(rules) for rules in by] == [one is not None for one in told]
        assert all(set(rules) <= set(RULES) for rules in by)


def test_the_rules_named_are_those_that_an_answer_would_break_had_it_alone_not_changed() -> None:
    texts = ["ring excludes dot", "bar requires dot"]  # without the dot, the bar would break a rule that it kept before
    outputs = draw(1) | {"marks": np.array([[0.6, 0.7, 0.99]], np.float32)}
    agreed = Agreement(resolve_rules(texts, TASKS), TASKS).apply(outputs)
    answer = decode_answers(TASKS, agreed)["marks"][0].to_dict()
    assert (answer["before_rules"], answer["answer"]) == (["dot", "bar", "ring"], ["ring"])
    assert answer["by_rules"] == texts


def _list_all() -> list[dict[str, tuple[str, ...]]]:
    marks = [tuple(itertools.compress(TASKS["marks"].names, on)) for on in itertools.product([0, 1], repeat=3)]
    return [
        {"marks": mark, "shape": (shape,), "filled": (filled,)}
        for mark in marks
        for shape in TASKS["shape"].names
        for filled in TASKS["filled"].names
    ]


def _keeps(said: dict[str, tuple[str, ...]]) -> bool:
    has = {label for name, labels in said.items() for label in labels if name != "width"}
    return not (
        {"dot", "bar"} <= has
        or ("ring" in has and not has & {"disc", "square"})
        or {"yes", "ring"} <= has
        or ("L" in has and "yes" not in has)
        or {"bar", "M"} <= has
    )


def test_probabilities_are_those_that_labels_have_given_the_rules() -> None:
    (rule,) = resolve_rules(["dot excludes bar"], TASKS)
    outputs = draw(1) | {"marks": np.array([[0.9, 0.6, 0.7]], np.float32)}
    answer = decode_answers(TASKS, Agreement([rule], TASKS).apply(outputs))["marks"][0]
    kept = 1 - 0.9 * 0.6
    assert answer.to_dict()["probabilities"] == pytest.approx(
        {"dot": 0.9 * 0.4 / kept, "bar": 0.1 * 0.6 / kept, "ring": 0.7}, abs=1e-6
    )
    assert answer.to_dict()["before_rules"] == ["dot", "bar", "ring"]
    assert str(answer).endswith("by rules instead of dot, bar, ring)")


@pytest.mark.parametrize("steep", [0.3, 5.0])
def test_calibrated_answers_and_thresholds_are_moved_as_far_as_they_must(steep: float) -> None:
    outputs = draw(200, steep)
    rng = np.random.default_rng(1)
    tasks: dict[str, Task] = {}
    for name, task in TASKS.items():
        keys = KEYS[name] | ({"threshold": "best_f1"} if task.kind in ("binary", "multilabel") else {})
        labels = ["none" if name == "marks" and rng.random() < 0.5 else rng.choice(LABELS[name]) for _ in range(200)]
        tasks[name] = KINDS[task.kind].model_validate(keys).fit(name, LABELS[name]).calibrate(labels, outputs[name])
    assert tasks["shape"].state.temperature != 1  # type: ignore[attr-defined]
    agreed = Agreement(resolve_rules(RULES, tasks), tasks).apply(outputs)
    answers = {name: [answer.labels for answer in task.decode(agreed.outputs[name])] for name, task in tasks.items()}
    assert all(_keeps({name: labels[row] for name, labels in answers.items()}) for row in range(200))
    assert sum(rows.sum() for rows in agreed.changed.values()) > 50


def test_labels_that_are_too_many_to_look_at_together_are_only_counted() -> None:
    names = [f"mark {number}" for number in range(40)]
    tasks = {"marks": KINDS["multilabel"].model_validate({"kind": "multilabel", "labels": names})}
    texts = [f"mark 0 excludes {name}" for name in names[1:]]
    assert len(check_rules(texts, False, tasks)) == 39
    with pytest.raises(ValueError, match=r"obey_rules: rules tie 40 labels to one another \(mark 0, .* or obey_rules"):
        check_rules(texts, True, tasks)
    alone = [f"{one} excludes {two}" for one, two in itertools.combinations(names[:20], 2)]
    Agreement(resolve_rules(alone, tasks), tasks)  # of many that exclude each other one is left
