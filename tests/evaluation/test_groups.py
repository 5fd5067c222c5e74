"""Figures of groups: the one that a model fails for comes first, with how far it is behind; few are not compared."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import call
from polyhead.errors import PolyheadError
from polyhead.evaluation.groups import check_groups, measure_groups
from polyhead.tasks import KINDS, Task

TASKS: dict[str, dict[str, Any]] = {
    "shape": {"kind": "categorical", "classes": ["disc", "square"]},
    "marks": {"kind": "multilabel", "labels": ["dot", "bar"]},
    "width": {"kind": "regression", "ranges": [5]},
}


def make(rows: int) -> tuple[dict[str, Task], pd.DataFrame, dict[str, Any]]:
    """Shapes that are named rightly but for a third of those with a dot, and widths that are off by more there."""
    rng = np.random.default_rng(0)
    dot, square = rng.random(rows) < 0.4, rng.random(rows) < 0.5
    width = rng.uniform(0, 10, rows)
    wrong = dot & (rng.random(rows) < 0.33)
    marks = np.where(dot, "dot", "none")
    marks[-1] = ""
    shape = np.where(square, "square", "disc")
    frame = pd.DataFrame({"content": "", "shape": shape, "marks": marks, "width": width.astype(str)})
    tasks = {
        name: KINDS[keys["kind"]].model_validate(keys).fit(name, frame[name].tolist()) for name, keys in TASKS.items()
    }
    outputs = {
        "shape": np.eye(2)[(square ^ wrong).astype(int)] * 0.8 + 0.1,
        "marks": np.column_stack([dot, np.zeros(rows)]) * 0.8 + 0.1,
        "width": (width + rng.normal(0, np.where(dot, 2, 0.5)))[:, None],
    }
    return tasks, frame, outputs


def test_the_group_that_a_model_fails_for_comes_first() -> None:
    tasks, frame, outputs = make(400)
    found = measure_groups(["dot"], tasks, frame, outputs)["dot"]
    assert list(found) == ["dot", "not dot"]
    assert sum(group["n"] for group in found.values()) == 399  # one label is unknown
    gap = found["dot"]["tasks"]["shape"]["gap"]
    assert gap["best"] == "not dot"
    assert gap["behind"] == pytest.approx(1 - found["dot"]["tasks"]["shape"]["accuracy"])
    assert 0.15 < gap["interval"][0] < gap["behind"] < gap["interval"][1] < 0.5
    assert found["dot"]["tasks"]["width"]["gap"]["behind"] > 0.8  # in the task's own unit
    assert "gap" not in found["not dot"]["tasks"]["shape"]


def test_numbers_are_grouped_by_range_and_two_tasks_crossed() -> None:
    tasks, frame, outputs = make(400)
    found = measure_groups(["width", "shape*dot"], tasks, frame, outputs)
    assert set(found["width"]) == {"<5", "5+"}
    assert set(found["shape*dot"]) == {"disc, dot", "disc, not dot", "square, dot", "square, not dot"}


def test_few_images_are_no_best_group_and_come_last() -> None:
    tasks, frame, outputs = make(60)
    found = measure_groups(["dot"], tasks, frame, outputs)["dot"]
    assert list(found) == ["not dot", "dot"]
    assert found["dot"]["n"] < 30 <= found["not dot"]["n"]
    assert "gap" in found["dot"]["tasks"]["shape"]


def test_what_is_no_group_is_refused_by_its_name() -> None:
    with pytest.raises(PolyheadError, match=r"groups: 'dots' is neither a task .* \(did you mean 'dot'\?\)"):
        check_groups(["shape*dots"], make(40)[0])
    with pytest.raises(
        PolyheadError, match=r"groups: expected a task, a label or two of them, as `a\*b`; got 'a\*b\*c'"
    ):
        check_groups(["a*b*c"], make(40)[0])


def test_groups_are_on_the_screen_and_in_the_report(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--set", "training.epochs=1", "--set", "groups=[shape]"]
    assert call("train", shapes.parent / "tiny.yaml", "--data", shapes, "--out", tmp_path / "run", *more) == 0
    assert "by shape: fewer than two groups of 30 images to compare in color" in capsys.readouterr().out
    assert 'href="#groups"' in (tmp_path / "run/report/index.html").read_text()
    assert call("evaluate", tmp_path / "run", "--split", "train", "--by", "colors") == 2
    assert "groups: 'colors' is neither a task" in capsys.readouterr().err
    assert call("evaluate", tmp_path / "run", "--split", "train", "--by", "color*dot") == 0
    assert "by color*dot: " in capsys.readouterr().out
