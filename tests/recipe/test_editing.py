"""Recipes in Python: from a name, a file, a dict; overridden, compared, written."""

from pathlib import Path
from typing import Any

import pytest

import polyhead
from conftest import TINY_RECIPE
from polyhead.recipe.loading import load_recipe
from polyhead.recipe.schema import Recipe
from polyhead.recipe.yaml import read_yaml

TINY: dict[str, Any] = read_yaml(TINY_RECIPE, "tiny")


def test_a_dict_and_a_recipe_are_read_as_the_file_is(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    read = load_recipe(tmp_path / "tiny.yaml")
    assert load_recipe(TINY) == read == load_recipe(read) == Recipe.load(TINY)
    assert load_recipe(str(tmp_path / "tiny.yaml")) == read
    assert TINY["training"]["epochs"] == 3
    paths = TINY | {"data": TINY["data"] | {"path": tmp_path}, "image": {"size": (16, 16)}}
    assert load_recipe(paths).data.path == str(tmp_path)


def test_overrides_are_texts_or_dotted_keys_and_leave_the_recipe_as_it_is() -> None:
    recipe = load_recipe(TINY)
    by_text = recipe.override("training.epochs=5", "image.size=[32, 32]")
    by_key = recipe.override({"training.epochs": 5, "image.size": (32, 32)})
    assert by_text == by_key == load_recipe(TINY, {"training.epochs": 5, "image.size": [32, 32]})
    assert by_text.training.epochs == 5
    assert recipe == load_recipe(TINY)
    assert recipe.override() == recipe


def test_a_difference_names_dotted_keys_with_both_values() -> None:
    recipe = load_recipe(TINY)
    other = recipe.override("training.epochs=5", {"tasks.width.unit": "cm"}, "data.split.group=person")
    assert recipe.diff(other) == {
        "training.epochs": (3, 5),
        "tasks.width.unit": ("px", "cm"),
        "data.split.group": (None, "person"),
    }
    assert other.diff(recipe)["training.epochs"] == (5, 3)
    assert recipe.diff(recipe) == {}


@pytest.mark.parametrize("name", ["demo", "celeba", "utkface-best"])
def test_what_is_written_reads_as_the_same_recipe(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    assert load_recipe(recipe.save(tmp_path / "mine.yaml")) == recipe
    assert load_recipe(recipe.to_dict()) == recipe
    assert read_yaml(recipe.to_yaml(), "text") == recipe.to_dict()


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (TINY | {"tasks": {"color": {"kind": "catagorical"}}}, "tiny: tasks.color.kind: expected categorical"),
        (TINY | {"trainig": {}}, "tiny: trainig: there is no such key (did you mean 'training'?)"),
        ({"name": "x" * 300}, "name"),
        ({}, "recipe: name: is missing"),
        (TINY | {1: 2}, "tiny: 1: expected a key that is text; put '1' between quotes"),
        ({"name": {"name": "x"}}, "name: expected a valid string"),
        (TINY | {"seed": float("nan")}, "tiny: seed: expected a finite number"),
        (TINY | {"data": "here"}, "tiny: data: expected"),
        (12, "expected a recipe's name, its path, a dict or a Recipe; got int"),
    ],
)
def test_a_wrong_dict_is_one_line_that_names_the_key(recipe: Any, words: str) -> None:
    with pytest.raises(polyhead.PolyheadError) as error:
        load_recipe(recipe)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_dict_within_itself_is_refused() -> None:
    endless: dict[str, Any] = dict(TINY)
    endless["data"] = endless
    with pytest.raises(polyhead.PolyheadError, match="levels deep"):
        load_recipe(endless)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("training.epochs", "expected KEY=VALUE"),
        ({"training.epochs": "many"}, "training.epochs: expected a valid integer"),
        ({"training.epoch": 3}, "did you mean 'epochs'?"),
        ({"name.first": 3}, "there is no such key"),
    ],
)
def test_a_wrong_override_is_one_line(change: Any, words: str) -> None:
    with pytest.raises(polyhead.PolyheadError) as error:
        load_recipe(TINY).override(change)
    assert words in str(error.value)
