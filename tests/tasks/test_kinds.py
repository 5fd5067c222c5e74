"""What holds of every kind's three parts: what the recipe says, what was found, what is answered; and of a new kind."""

import json
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from kinds import EXAMPLES, Example
from polyhead.errors import PolyheadError
from polyhead.model.records import Record, flat_columns, flatten_record
from polyhead.recipe.loading import check_recipe, load_recipe, recipe_values
from polyhead.tasks import KINDS, Answer, AnyTask, Fitted, Regression, StoredTask, Task

KEYS = {  # of an answer's JSON, which others rely on
    "categorical": ("answer", "probability", "unsure", "top"),
    "binary": ("answer", "probability", "unsure", "top"),
    "ordinal": ("answer", "probability", "unsure", "top"),
    "multilabel": ("answer", "probability", "unsure", "probabilities"),
    "regression": ("answer", "unit", "unsure"),
}


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest) -> Example:
    return EXAMPLES[request.param]


def draw_answers(task: Task, count: int = 7) -> list[Answer]:
    """Answers of a fitted task to outputs that are drawn at random."""
    return list(task.decode(np.random.default_rng(0).dirichlet(np.ones(max(task.width, 2)), count)[:, : task.width]))


def test_what_training_finds_changes_nothing_of_what_the_recipe_says(example: Example) -> None:
    fitted = example.task.fit("task", example.labels)
    assert example.task.fitted is None
    assert isinstance(fitted.fitted, Fitted)
    assert fitted.model_copy(update={"fitted": None}) == example.task


def test_a_model_file_has_both_in_one_object(example: Example) -> None:
    adapter: TypeAdapter[Task] = TypeAdapter(StoredTask)
    fitted = example.task.fit("task", example.labels)
    stored = json.loads(adapter.dump_json(fitted))
    loaded = adapter.validate_python(stored)
    assert "fitted" not in stored
    assert stored["counts"] == fitted.counts
    assert loaded.fitted == fitted.fitted
    assert draw_answers(loaded) == draw_answers(fitted)
    assert adapter.dump_python(loaded) == stored


def test_an_answer_is_json_and_comes_back_from_it(example: Example) -> None:
    fitted = example.task.fit("task", example.labels)
    for answer in draw_answers(fitted):
        values = answer.to_dict()
        assert tuple(values) == KEYS[fitted.kind] + (("interval",) if getattr(fitted, "bins", None) else ())
        assert type(answer).from_dict(json.loads(json.dumps(values, allow_nan=False))) == answer
        assert isinstance(answer, fitted.answer_type)


def test_an_answer_is_told_by_its_label_and_by_its_labels(example: Example) -> None:
    fitted = example.task.fit("task", example.labels)
    for answer in draw_answers(fitted):
        said = answer.to_dict()["answer"]
        assert set(answer.labels) <= set(fitted.names)
        assert fitted.numeric == (not answer.labels and not isinstance(said, list))
        assert fitted.several == isinstance(said, list)
        assert float(answer.label) == said if fitted.numeric else fitted.read(answer.label) == answer.label
        assert (answer.probability is None) == fitted.numeric


def test_a_row_of_a_table_has_a_column_for_every_part_of_an_answer(example: Example) -> None:
    fitted = example.task.fit("task", example.labels)
    for answer in draw_answers(fitted):
        flat = flatten_record(Record("a.png", None, {"task": answer}))
        assert list(flat) == flat_columns({"task": fitted})
        assert {type(cell) for cell in flat.values()} <= {str, float, bool, type(None)}


def test_no_method_that_is_written_is_overridden() -> None:
    for kind in KINDS.values():
        written: dict[str, type] = {}
        for base in reversed([base for base in kind.__mro__ if base.__module__.startswith("polyhead.")]):
            for name, method in vars(base).items():
                body = getattr(method, "fget", None) or getattr(method, "__func__", method)
                if not callable(body) or name.startswith(("__", "_abc", "model_")):
                    continue
                assert name not in written, f"{base.__name__}.{name} overrides that of {written[name].__name__}"
                if not getattr(body, "__isabstractmethod__", False):
                    written[name] = base


@pytest.mark.parametrize("key", ["counts", "temperature", "fitted"])
def test_a_recipe_says_nothing_of_what_training_finds(key: str) -> None:
    values = recipe_values(load_recipe("demo"))
    name = next(name for name, task in values["tasks"].items() if task["kind"] == "categorical")
    values["tasks"][name][key] = {"classes": ["a"]} if key == "fitted" else 1
    with pytest.raises(PolyheadError, match=rf"tasks\.{name}\.{key}: is learnt from the data; remove it"):
        check_recipe(values, "mine")


class Stars(Regression):
    """A number of stars."""

    kind: Literal["stars"] = "stars"  # type: ignore[assignment]
    most: int = 5


def test_a_kind_that_is_added_is_checked_read_and_written_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks: dict[str, Any] = {"rating": {"kind": "stars", "most": 3}}
    with pytest.raises(ValidationError, match="union_tag_invalid"):
        TypeAdapter(AnyTask).validate_python(tasks["rating"])
    monkeypatch.setitem(KINDS, "stars", Stars)
    values: dict[str, Any] = {"name": "mine", "data": {"source": {"kind": "csv"}}}
    values["network"] = {"trunk": {"blocks": [{"filters": 4}]}}
    recipe = check_recipe(values | {"tasks": tasks}, "mine")
    assert recipe.tasks["rating"] == Stars(most=3)
    assert recipe_values(recipe)["tasks"]["rating"]["most"] == 3
    with pytest.raises(PolyheadError, match=r"tasks\.rating\.mots: there is no such key \(did you mean 'most'\?\)"):
        check_recipe(values | {"tasks": {"rating": {"kind": "stars", "mots": 3}}}, "mine")
    with pytest.raises(
        PolyheadError, match=r"tasks\.rating\.kind: expected .*stars; got 'star' \(did you mean 'stars'"
    ):
        check_recipe(values | {"tasks": {"rating": {"kind": "star"}}}, "mine")
    fitted = recipe.tasks["rating"].fit("rating", ["1", "2", "4"])
    stored = TypeAdapter(StoredTask).dump_python(fitted)
    assert (stored["kind"], stored["most"], stored["median"]) == ("stars", 3, 2)
    assert TypeAdapter(StoredTask).validate_python(stored) == fitted
