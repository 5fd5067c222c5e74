"""Ties between tasks: what one label says of another, by hand-made tables; and where a user is told of them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import call
from polyhead.data.inspect.ties import cramers_v, describe_tie, find_ties, is_color
from polyhead.runs.explore import propose
from polyhead.tasks import Task
from polyhead.tasks.categorical import Categorical
from polyhead.tasks.multilabel import MultiLabel
from polyhead.tasks.regression import Regression

COLOR, KIND = Categorical(kind="categorical"), Categorical(kind="categorical")
TASKS: dict[str, Task] = {"kind": KIND, "color": COLOR, "age": Regression(kind="regression")}


def columns(*rows: tuple[str, str, str, int]) -> dict[str, list[str]]:
    """Rows of kind, color and age, each so many times."""
    listed = [row[:3] for row in rows for _ in range(row[3])]
    return {name: [row[place] for row in listed] for place, name in enumerate(("kind", "color", "age"))}


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ([[50, 0], [0, 50]], 1.0),
        ([[25, 25], [25, 25]], 0.0),
        # chi2 / n = .36, less 1 / 99; of two labels each 1.99 remain for 2 - 1 / 99
        ([[40, 10], [10, 40]], ((0.36 - 1 / 99) / (1 - 1 / 99)) ** 0.5),
        ([[40, 10, 0], [10, 40, 0]], ((0.36 - 1 / 99) / (1 - 1 / 99)) ** 0.5),  # a label that no row has
        ([[100], [20]], 0.0),
    ],
)
def test_cramers_v_is_without_bias(table: list[list[int]], expected: float) -> None:
    assert cramers_v(np.array(table)) == pytest.approx(expected)


def test_labels_that_say_nothing_of_one_another_are_not_tied() -> None:
    rng = np.random.default_rng(0)
    labels = {name: rng.choice(["a", "b", "c"], 400).tolist() for name in ("kind", "color")}
    labels["age"] = [str(age) for age in rng.integers(0, 90, 400)]

    assert [tie for tie in find_ties(TASKS, labels) if tie.is_strong] == []


def test_missing_combinations_are_named_colour_first() -> None:
    labels = columns(("shoes", "black", "", 30), ("dress", "red", "", 40), ("dress", "black", "", 30))

    (tie,) = find_ties(TASKS, labels)

    assert (tie.empty, tie.color, tie.images) == ([("shoes", "red")], "color", 100)
    assert describe_tie(tie, TASKS).endswith("; no red shoes among 100 images.")


def test_a_combination_that_is_rare_by_chance_is_not_missed() -> None:
    labels = columns(("shoes", "black", "", 3), ("dress", "red", "", 10), ("dress", "black", "", 40))

    assert [tie.empty for tie in find_ties(TASKS, labels)] == [[]]


def test_blank_labels_are_no_part_of_a_tie() -> None:
    known = columns(("shoes", "black", "", 30), ("dress", "red", "", 40), ("dress", "black", "", 30))
    blank = columns(("", "red", "30", 50), ("shoes", "", "", 50))

    assert find_ties(TASKS, {name: known[name] + blank[name] for name in known}) == find_ties(TASKS, known)


def test_a_part_and_its_whole_are_said_to_be_so() -> None:
    labels = columns(
        *(("shirt", "clothes", "", 30), ("skirt", "clothes", "", 30), ("boot", "shoes", "", 30)),
        *(("sandal", "shoes", "", 30), ("sandal", "clothes", "", 1)),  # one wrong label changes nothing
    )

    (tie,) = find_ties(TASKS, labels)

    assert (tie.finer, tie.is_strong) == ("kind", True)
    assert describe_tie(tie, TASKS).endswith("(0 none, 1 full): each kind goes with one color, over 121 images.")


def test_two_tasks_that_tell_each_other_are_not_part_and_whole() -> None:
    (tie,) = find_ties(TASKS, columns(("shoes", "black", "", 30), ("dress", "red", "", 40)))

    assert (tie.finer, len(tie.empty)) == ("", 2)


def test_a_number_is_tied_to_labels_that_tell_it() -> None:
    told = columns(
        ("old", "red", "80", 50), ("old", "blue", "81", 50), ("young", "red", "20", 50), ("young", "blue", "21", 50)
    )

    strengths = {(tie.first, tie.second): tie.strength for tie in find_ties(TASKS, told)}

    assert strengths["kind", "age"] > 0.99
    assert strengths["color", "age"] < 0.1


def test_tasks_of_several_labels_and_of_one_are_left_out() -> None:
    tasks: dict[str, Task] = {"kind": KIND, "marks": MultiLabel(kind="multilabel"), "color": COLOR}

    assert find_ties(tasks, {"kind": ["a", "b"] * 9, "marks": ["x", "y"] * 9, "color": ["red"] * 18}) == []


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("colour", ["a", "b"], True),
        ("baseColour", ["a", "b"], True),
        ("label1", ["red", "Navy Blue", "other"], True),
        ("label2", ["redwood", "blueberry", "tan"], False),
        ("rose", ["rose", "tulip", "lily"], False),
    ],
)
def test_a_colour_is_known_by_its_name_or_its_labels(name: str, labels: list[str], expected: bool) -> None:
    assert is_color(name, labels) is expected


def test_explore_and_init_tell_of_ties(tmp_path: Path) -> None:
    for folder in ("red_dress", "black_shoes", "black_dress"):
        (tmp_path / "images" / folder).mkdir(parents=True)
        for number in range(20):
            Image.new("RGB", (40, 40), (number, 0, 0)).save(tmp_path / "images" / folder / f"{number}.png")

    recipe = propose(str(tmp_path / "images"))
    (tmp_path / "recipe.yaml").write_text(recipe, encoding="utf-8")

    words = " ".join(recipe.replace("#", " ").split())
    assert "no red shoes among 60 images" in words
    assert "`ignores: shape` in color, `ignores: color` in category" in words
    assert call("explore", tmp_path / "recipe.yaml", "--out", tmp_path / "page") == 0
    assert "no red shoes among" in (tmp_path / "page/index.html").read_text(encoding="utf-8")
