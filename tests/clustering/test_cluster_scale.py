"""Answers as points on one scale, weighted, and what sets a group of them apart in words."""

import numpy as np
import pytest

from polyhead.clustering.grouping import Grouping
from polyhead.clustering.names import count_answers, name_group
from polyhead.clustering.scale import Column, apply_weights, choose_tasks, make_points
from polyhead.errors import PolyheadError
from polyhead.evaluation.answers import Answers, read_answers
from polyhead.evaluation.features import reduce_features
from polyhead.tasks import Categorical, MultiLabel, Ordinal, Regression, Task

TASKS: dict[str, Task] = {
    "color": Categorical(classes=["red", "blue"]),
    "marks": MultiLabel(labels=["dot", "bar"]),
    "size": Ordinal(levels=["S", "M", "L"]),
    "price": Regression(unit="euro"),
}
# Ten images: the first four red and dotted, the others blue; prices from 0 to 90.
RED = np.array([1.0] * 4 + [0] * 6)
OUTPUTS = {
    "color": np.stack([0.1 + 0.8 * RED, 0.9 - 0.8 * RED], axis=1),
    "marks": np.stack([0.2 + 0.7 * RED, np.full(10, 0.3)], axis=1),
    "size": np.eye(3)[[0, 1, 2, 0, 1, 2, 0, 1, 2, 0]],
    "price": np.arange(0, 100, 10.0)[:, None],
}


@pytest.fixture
def answers() -> dict[str, Answers]:
    return {name: read_answers(task, OUTPUTS[name]) for name, task in TASKS.items()}


def test_all_kinds_of_task_join_on_one_scale(answers: dict[str, Answers]) -> None:
    scale = make_points(TASKS, answers, choose_tasks(TASKS, ()), hard=False)
    assert [column.words for column in scale.columns] == [
        *("color=red", "color=blue", "marks=dot", "marks=bar", "size", "price")
    ]
    assert scale.points[0] == pytest.approx([0.9 / 2**0.5, 0.1 / 2**0.5, 0.9, 0.3, 0, 0])
    assert scale.points.max(axis=0)[4:].tolist() == [1, 1]


def test_hard_answers_are_yes_or_no(answers: dict[str, Answers]) -> None:
    scale = make_points(TASKS, answers, choose_tasks(TASKS, ["marks"]), hard=True)
    assert scale.points[[0, 9]].tolist() == [[1, 0], [0, 0]]


def test_tasks_and_labels_are_chosen_by_name(answers: dict[str, Answers]) -> None:
    chosen = choose_tasks(TASKS, ["marks=bar", "color"])
    assert chosen == {"marks": ["bar"], "color": []}
    scale = make_points(TASKS, answers, chosen, hard=False)
    assert scale.columns == [Column("marks", "bar"), Column("color", "red"), Column("color", "blue")]


def test_rare_labels_count_more_under_rare_and_common_ones_under_common(answers: dict[str, Answers]) -> None:
    scale = make_points(TASKS, answers, choose_tasks(TASKS, ["marks", "price"]), hard=False)
    # `dot` is predicted of 4 images in 10, `bar` of none: 5/12 and 1/12 of a yes, so log2(12/5) and log2(12) bits.
    bits = np.log2([12 / 5, 12])
    assert apply_weights(scale, answers, ["rare"]).weights == pytest.approx([*(bits / bits.mean()), 1])
    bits = np.log2([12 / 7, 12 / 11])
    assert apply_weights(scale, answers, ["common"]).weights == pytest.approx([*(bits / bits.mean()), 1])


def test_weights_by_name_are_of_a_label_or_of_a_task(answers: dict[str, Answers]) -> None:
    scale = make_points(TASKS, answers, choose_tasks(TASKS, ["color", "marks"]), hard=False)
    weighed = apply_weights(scale, answers, ["marks=2", "dot=3", "color=red=0"])
    assert weighed.weights == [0, 1, 6, 2]
    assert weighed.points == pytest.approx(scale.points * [0, 1, 6, 2])


def test_a_group_is_named_by_what_sets_it_apart(answers: dict[str, Answers]) -> None:
    frequencies = count_answers(answers, np.arange(4))
    assert [(f.label, f.inside, f.overall) for f in frequencies[:4]] == [
        *(("red", 1.0, 0.4), ("blue", 0.0, 0.6), ("dot", 1.0, 0.4), ("bar", 0.0, 0.0))
    ]
    names = [words.replace("\N{NO-BREAK SPACE}", " ") for words in name_group(frequencies, choose_tasks(TASKS, ()))]
    # Of `color`, whose labels exclude one another, only what there is more of. Prices: 15 against 45 euro.
    assert names == ["color red 100 % (+60)", "dot 100 % (+60)", "price 15 euro (\N{MINUS SIGN}30 euro)"]


def test_what_a_group_lacks_is_said_turned_round(answers: dict[str, Answers]) -> None:
    frequencies = count_answers(answers, np.arange(4, 10))
    (name,) = name_group(frequencies, {"marks": ["dot"]})
    assert name == "no dot 100\N{NO-BREAK SPACE}% (+40)"


def test_a_group_like_the_whole_has_no_name(answers: dict[str, Answers]) -> None:
    assert name_group(count_answers(answers, np.arange(10)), choose_tasks(TASKS, ())) == []


def test_features_come_down_to_their_leading_components() -> None:
    features = np.random.default_rng(0).random((80, 200)).astype(np.float32)
    assert reduce_features(features, seed=0).shape == (80, 50)
    assert (reduce_features(features, seed=0) == reduce_features(features, seed=0)).all()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("colour", "the model has no task 'colour'; it has color, marks, size, price \\(did you mean 'color'\\?\\)"),
        ("marks=dott", "marks has no label 'dott'; its labels are dot, bar \\(did you mean 'dot'\\?\\)"),
        ("price=3", "price has no label '3'; its answer is a number"),
        ("size=S", "size is a scale; its labels cannot be chosen"),
    ],
)
def test_a_task_or_label_that_is_not_there_is_one_line(wanted: str, message: str, answers: dict[str, Answers]) -> None:
    with pytest.raises(PolyheadError, match=message):
        make_points(TASKS, answers, choose_tasks(TASKS, [wanted]), hard=False)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ("rarest", "expected rare, common or NAME=NUMBER; got 'rarest'"),
        ("dots=2", "'dots' is not grouped by; expected .*dot.* \\(did you mean 'dot'\\?\\)"),
        ("dot=-1", "expected a number from 0 to 1,000,000; got '-1'"),
    ],
)
def test_a_wrong_weight_is_one_line(weight: str, message: str, answers: dict[str, Answers]) -> None:
    scale = make_points(TASKS, answers, choose_tasks(TASKS, ()), hard=False)
    with pytest.raises(PolyheadError, match=message):
        apply_weights(scale, answers, [weight])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"k": "many"}, "`k`: expected a number such as 8, or a range such as 2..50; got 'many'"),
        ({"k": "9..3"}, "`k`: expected a number"),
        ({"k": 1}, "`k` 1: expected 2 groups or more"),
        ({"methods": ["kmean"]}, "got 'kmean' \\(did you mean 'kmeans'\\?\\)"),
        ({"k": 4, "methods": ["dbscan"]}, "`k` 4: dbscan finds the number of groups itself; leave `k` out"),
        ({"on": "pixels"}, "`on`: expected probabilities, answers, features; got 'pixels'"),
        ({"on": "features", "tasks": ["color"]}, "leave `tasks` and `weights` out"),
    ],
)
def test_wrong_wishes_are_one_line(asked: dict[str, object], message: str) -> None:
    with pytest.raises(PolyheadError, match=message):
        Grouping(**asked)  # type: ignore[arg-type]


def test_parameters_go_to_the_method_that_is_tried() -> None:
    assert Grouping(settings={"eps": 1}).settings_by_method(["dbscan"]) == {"dbscan": {"eps": 1}}
    several = Grouping(settings={"dbscan.eps": 1, "kmeans.n_init": 2})
    assert several.settings_by_method(["kmeans", "dbscan"]) == {"dbscan": {"eps": 1}, "kmeans": {"n_init": 2}}
    with pytest.raises(PolyheadError, match=r"name its method, such as kmeans\.eps"):
        Grouping(settings={"eps": 1}).settings_by_method(["kmeans", "dbscan"])
    with pytest.raises(PolyheadError, match="birch is not tried; the methods tried are kmeans"):
        Grouping(settings={"birch.threshold": 1}).settings_by_method(["kmeans"])


def test_a_range_tries_every_method_that_can_take_so_many_images() -> None:
    assert set(Grouping(k="2..50").list_candidates(600, 400)) == {
        *("kmeans", "agglomerative", "spectral", "birch", "dbscan", "optics", "hdbscan")
    }
    assert set(Grouping(k="2..50").list_candidates(20_000, 400)) == {"kmeans", "birch", "hdbscan"}
    assert Grouping().list_candidates(600, 5) == {"kmeans": range(2, 6)}
    assert Grouping(k=8).list_candidates(600, 400) == {"kmeans": range(8, 9)}
    assert Grouping(methods=["dbscan"]).list_candidates(600, 400) == {"dbscan": ()}
