"""Labels that are likely wrong: what was turned is found, what is unknown counts nowhere, and cleanlab agrees."""

import numpy as np
import pytest

from kinds import EXAMPLES, Example
from polyhead.evaluation.label_errors import find_label_errors, learn_confidently
from polyhead.tasks import Array, Binary, Categorical, MultiLabel, Ordinal, Regression

CLASSES = ["red", "green", "blue"]


def draw(count: int, wrong: float, seed: int) -> tuple[np.ndarray, np.ndarray, Array]:
    """True classes, given ones of which a share is wrong, and the probabilities of a good model."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, count)
    given = np.where(rng.random(count) < wrong, (truth + rng.integers(1, 3, count)) % 3, truth)
    logits = rng.normal(size=(count, 3)) + 4 * np.eye(3)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return truth, given, probabilities


def test_turned_classes_are_found_and_their_share_is_told() -> None:
    truth, given, probabilities = draw(2000, 0.1, 0)
    labels = [CLASSES[index] for index in given]
    task = Categorical(classes=CLASSES).fit("color", labels)
    found = find_label_errors(task, labels, probabilities)
    rows = [suspect.row for suspect in found.suspects]
    assert found.known == 2000
    assert found.share == pytest.approx(0.1, abs=0.02)
    assert np.mean(truth[rows[:100]] != given[rows[:100]]) > 0.95
    right = [suspect.suggested == CLASSES[truth[suspect.row]] for suspect in found.suspects[:100]]
    assert np.mean(right) > 0.95
    scores = [suspect.score for suspect in found.suspects]
    assert scores == sorted(scores, reverse=True)


def test_an_unknown_label_is_no_suspect_and_changes_nothing() -> None:
    _, given, probabilities = draw(300, 0.1, 1)
    labels = [CLASSES[index] for index in given]
    task = Categorical(classes=CLASSES).fit("color", labels)
    alone = find_label_errors(task, labels, probabilities)
    more = find_label_errors(task, [*labels, ""], np.vstack([probabilities, [[1, 0, 0]]]))
    assert more == alone


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_every_kind_finds_nothing_where_answers_are_the_labels(example: Example) -> None:
    labels = example.labels * 20
    task = example.task.fit("task", labels)
    outputs = np.tile(task.baseline_outputs(), (len(labels), 1))
    targets = task.encode(labels)
    known = ~np.isnan(targets).any(axis=1)
    if task.numeric:
        outputs[known, 0] = [float(label) for label in labels if label]
    elif task.several or task.width == 1:
        outputs[known] = targets[known]
    else:
        outputs[known] = np.eye(task.width)[targets[known, 0].astype(int)]
    found = find_label_errors(task, labels, outputs)
    assert found.suspects == []
    assert found.share == 0
    assert find_label_errors(task, [""] * len(labels), outputs).share is None


def test_binary_and_ordinal_labels_are_found() -> None:
    labels = ["no", "yes"] * 50
    yes = np.array([[0.1], [0.9]] * 50)
    yes[0] = 0.95
    (suspect,) = find_label_errors(Binary(labels=["no", "yes"]).fit("belt", labels), labels, yes).suspects
    assert (suspect.row, suspect.label, suspect.suggested) == (0, "no", "yes")
    assert suspect.score == pytest.approx(0.95 - 0.05)
    sizes = ["S", "M", "L"] * 30
    levels = np.tile(np.eye(3) * 0.8 + 0.1, (30, 1))
    levels[4] = [0.9, 0.05, 0.05]
    (suspect,) = find_label_errors(Ordinal(levels=["S", "M", "L"]).fit("size", sizes), sizes, levels).suspects
    assert (suspect.row, suspect.label, suspect.suggested) == (4, "M", "S")


def test_each_label_of_several_is_judged_alone_and_an_unknown_one_stays_unknown() -> None:
    labels = ["a|b", "b", "a", "none"] * 25
    task = MultiLabel(labels=["a", "b"]).fit("marks", labels)
    outputs = np.array([[0.9, 0.9], [0.1, 0.9], [0.9, 0.1], [0.1, 0.1]] * 25)
    outputs[0, 0] = 0.02
    outputs[2] = [0.95, 0.99]
    labels[2] = "a|?b"
    found = find_label_errors(task, labels, outputs)
    assert [(suspect.row, suspect.label, suspect.suggested) for suspect in found.suspects] == [(0, "a|b", "b")]
    assert found.known == 199
    outputs[2] = [0.01, 0.99]
    assert find_label_errors(task, labels, outputs).suspects[0].suggested == "?b"


def test_a_number_far_from_its_answer_is_found_where_errors_grow_with_it() -> None:
    rng = np.random.default_rng(0)
    answers = np.sort(rng.uniform(1, 80, 1000))
    numbers = answers + rng.normal(size=1000) * answers / 20
    numbers[3] += 3  # little for the old, much for the young
    numbers[900] += 60
    labels = [f"{number:.6f}" for number in numbers]
    labels[500] = ""
    task = Regression().fit("age", labels)
    found = find_label_errors(task, labels, answers[:, np.newaxis])
    assert {3, 900} <= {suspect.row for suspect in found.suspects[:6]}
    assert 500 not in {suspect.row for suspect in found.suspects}
    assert found.share is not None
    assert found.share < 0.02


def test_no_suspect_and_no_share_of_a_class_that_nobody_has() -> None:
    share, suggested = learn_confidently(np.array([0, 0]), np.array([[0.4, 0.6], [0.3, 0.7]]))
    assert share == 0
    assert (suggested == -1).all()


def test_it_agrees_with_cleanlab() -> None:
    count = pytest.importorskip("cleanlab.count")
    filters = pytest.importorskip("cleanlab.filter")
    _, given, probabilities = draw(1000, 0.1, 2)
    share, suggested = learn_confidently(given, probabilities)
    issues = filters.find_label_issues(given, probabilities, filter_by="confident_learning")
    assert (suggested >= 0).tolist() == issues.tolist()
    joint = count.estimate_joint(given, probabilities)
    assert share == pytest.approx(1 - joint.trace(), abs=0.002)
