"""Figures of groups: the one that a model fails for comes first, with how far it is behind; few are not compared."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import polyhead
from conftest import call
from polyhead.cli.printing import print_evaluation
from polyhead.data.table import read_table
from polyhead.errors import PolyheadError
from polyhead.evaluation.evaluate import evaluate_split
from polyhead.evaluation.groups import check_groups, measure_groups, name_groups
from polyhead.evaluation.intervals import add_intervals
from polyhead.evaluation.results import falls_short
from polyhead.recipe.loading import check_recipe
from polyhead.report.sections.groups import describe_groups
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


def test_values_of_a_column_are_groups_numbers_by_range_and_rare_ones_together() -> None:
    tasks, frame, _ = make(400)
    texts = [f"maker {number}" for number in (*range(60), *range(50), *[0] * 290)]
    frame = frame.assign(**{"column.maker": texts, "column.year": [str(year) for year in range(1600, 2000)]})
    frame = frame.assign(**{"column.doors": ["3", "5", "", "5"] * 100})
    found = name_groups(frame, ["maker*year", "doors"], tasks)
    assert found["column.maker"].nunique() == 51
    assert (found["column.maker"] == "(others)").sum() == 10
    assert set(found["column.year"]) == {"<1680", "1680-1760", "1760-1839", "1839-1919", "1919+"}
    assert found["column.doors"].value_counts().to_dict() == {"5": 200, "3": 100, "": 100}
    assert found["shape"].equals(frame["shape"])


@pytest.mark.parametrize(
    ("cells", "message"),
    [([""] * 400, "is blank in every row"), ([f"n{n}" for n in range(400)], "has 400 values in 400 rows, too many to")],
)
def test_a_column_that_parts_nothing_is_refused(cells: list[str], message: str) -> None:
    tasks, frame, _ = make(400)
    with pytest.raises(PolyheadError, match=f"groups: the column maker {message}"):
        name_groups(frame.assign(**{"column.maker": cells}), ["maker"], tasks)


def add_columns(shapes: Path) -> None:
    """A camera and a year behind the labels; of every third image the camera is not known."""
    lines = (shapes / "labels.csv").read_text().splitlines()
    more = [f",{('Canon', 'Nikon', '')[n % 3]},{1990 + n}" for n in range(len(lines) - 1)]
    (shapes / "labels.csv").write_text(
        "\n".join([lines[0] + ",camera,year", *(line + cells for line, cells in zip(lines[1:], more, strict=True))])
    )


def test_columns_that_are_no_tasks_tell_groups_apart(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_columns(shapes)
    run, out = tmp_path / "run", tmp_path / "out"
    given = ["train", shapes.parent / "tiny.yaml", "--data", shapes, "--out", run, "--set", "training.epochs=1"]
    assert call(*given, "--set", "groups=[camra]") == 2
    told = capsys.readouterr().err
    assert "nor a column of the data (image, camera, year) (did you mean 'camera'?)" in told
    assert call(*given, "--set", "groups=[camera]") == 0
    assert "column.camera" in (run / "table.csv").read_text().splitlines()[0]
    found = json.loads((run / "evaluation.json").read_text())["test"]["groups"]["camera"]
    assert set(found) == {"Canon", "Nikon"}
    # Another column is read where it stands; so are both where the label file is given, or a table.
    both = ["--by", "year*camera", "--split", "train"]
    assert call("evaluate", run, *both, "--out", out) == 0
    groups = json.loads((out / "evaluation.json").read_text())["train"]["groups"]
    assert set(groups) == {"camera", "year*camera"}
    sizes = [sum(group["n"] for group in groups[by].values()) for by in ("camera", "year*camera")]
    assert sizes[0] == sizes[1] > 0
    assert all(group.endswith((", Canon", ", Nikon")) for group in groups["year*camera"])
    capsys.readouterr()
    (shapes / "labels.csv").rename(shapes / "gone.csv")
    assert call("evaluate", run, "--by", "camera") == 0  # kept in the run
    assert call("evaluate", run, "--by", "year") == 2
    assert "groups: 'year' is neither a task" in capsys.readouterr().err
    (shapes / "gone.csv").rename(shapes / "labels.csv")
    frame = pd.read_csv(shapes / "labels.csv", dtype=str, keep_default_na=False)
    frame["image"] = [str(shapes / path) for path in frame["image"]]
    given_table: Any = polyhead.evaluate(run, data=frame, by=["year"], progress=False)["all"]
    assert len(given_table["groups"]["year"]) == 5
    without: Any = polyhead.evaluate(run, data=frame.drop(columns="camera"), progress=False)["all"]
    assert "groups" not in without


def test_a_table_in_memory_keeps_the_columns_of_groups(shapes: Path, tmp_path: Path) -> None:
    add_columns(shapes)
    frame = pd.read_csv(shapes / "labels.csv", dtype=str, keep_default_na=False)
    frame["image"] = [str(shapes / path) for path in frame["image"]]
    changes = {"training.epochs": 1, "groups": ["camera"]}
    run = polyhead.train(shapes.parent / "tiny.yaml", tmp_path / "run", data=frame, overrides=changes, progress=False)
    found: Any = run.evaluation["test"]
    assert set(found["groups"]["camera"]) == {"Canon", "Nikon"}


def test_how_far_probabilities_are_off_and_how_many_are_unsure_has_intervals_in_each_group() -> None:
    tasks, frame, outputs = make(1200)
    shape = tasks["shape"].model_copy(update={"answer_accuracy": 0.9})
    asked = tasks | {"shape": shape.calibrate(frame["shape"][:600].tolist(), outputs["shape"][:600])}
    by = measure_groups(["dot"], asked, frame, outputs)["dot"]
    for figures in (by[group]["tasks"]["shape"] for group in by):
        for name in ("ece", "unsure"):
            low, high = figures["intervals"][name]
            assert 0 <= low <= figures[name] <= high <= 1
    # All answers are equally sure, and a third of those with a dot are wrong.
    assert by["dot"]["tasks"]["shape"]["intervals"]["ece"][0] > 0.05


def test_what_answers_promise_is_told_of_each_group(capsys: pytest.CaptureFixture[str]) -> None:
    tasks, frame, outputs = make(1200)
    promising = {}
    for name, task in tasks.items():
        half = frame[name][:600].tolist()
        asked = task.model_copy(update={"coverage": 0.9})
        promising[name] = asked.calibrate(half, outputs[name][:600])
    rest, given = frame[600:].reset_index(drop=True), {name: values[600:] for name, values in outputs.items()}
    whole = evaluate_split(promising, rest, given)
    add_intervals(whole, promising, rest, given)
    for name in tasks:
        found, (low, high) = whole["tasks"][name], whole["tasks"][name]["intervals"]["coverage"]
        assert low - 1e-9 <= found["coverage"] <= high + 1e-9
    by = measure_groups(["dot"], promising, rest, given)["dot"]
    # Widths are off by more where there is a dot, so that what holds over all images holds too seldom there.
    dot, plain = (by[group]["tasks"]["width"] for group in ("dot", "not dot"))
    assert dot["coverage"] < 0.85 < plain["coverage"]
    assert falls_short(dot)
    assert not falls_short(plain)
    assert dot["interval_width"] == pytest.approx(plain["interval_width"], rel=0.2)
    assert {"promised", "coverage", "set_size"} <= set(by["dot"]["tasks"]["shape"])
    assert {"promised", "coverage", "not_sure"} <= set(by["dot"]["tasks"]["marks"])
    shares = [by[group]["n"] * by[group]["tasks"]["width"]["coverage"] for group in by]
    assert sum(shares) == pytest.approx(whole["tasks"]["width"]["coverage"] * 600, abs=1.1)  # one mark is unknown
    (table,) = describe_groups({"dot": by}, promising)
    assert [name for name, _ in table["promises"]["heads"]] == ["shape", "marks", "width"]
    cells = {row["name"]: row["cells"][2]["behind"] for row in table["promises"]["rows"]}
    assert cells == {"dot": "less than promised", "not dot": ""}
    told = {"test": {"tasks": {}, "joint": {"n": 0}, "groups": {"dot": by}}}
    print_evaluation(told)
    assert "width by dot: what is promised holds the truth in 0." in capsys.readouterr().out


def test_a_field_of_a_file_name_is_a_column_too(tmp_path: Path) -> None:
    for number in range(6):
        draw = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
        draw.save(tmp_path / f"p{number % 2}_{'red' if number % 3 else 'blue'}_{number}.png")
    source = {"kind": "files", "pattern": "{person}_{color}_{number}"}
    values = {"name": "faces", "data": {"source": source}, "tasks": {"color": {"kind": "categorical"}}}
    frame = read_table(check_recipe({**values, "groups": ["person*color"]}, "faces"), tmp_path).frame
    assert frame["column.person"].tolist() == ["p0"] * 3 + ["p1"] * 3
    assert "column.person" not in read_table(check_recipe(values, "faces"), tmp_path).frame
