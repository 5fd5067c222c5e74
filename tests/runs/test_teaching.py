"""A teacher's answers: what they are, that they are kept, and which teachers are refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from polyhead.data.table import Dataset, load_dataset
from polyhead.errors import PolyheadError
from polyhead.model.predictor import Predictor
from polyhead.progress import SILENT
from polyhead.recipe.loading import load_recipe
from polyhead.run_folder import RunFolder
from polyhead.runs.teaching import Taught, ask_teacher, check_teacher
from tiny_model import write_tiny_model


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """A model that answers color and brightness."""
    (tmp_path / "teacher").mkdir()
    return write_tiny_model(tmp_path / "teacher/model.onnx")


def load(shapes: Path, teacher: Path, *settings: str) -> Dataset:
    tasks = "tasks={color: {kind: categorical, classes: [red, green, blue]}, width: {kind: regression, unit: px}}"
    recipe = load_recipe(
        shapes.parent / "tiny.yaml", [tasks, f"training.teacher={teacher}", "data.max_rejected=0.9", *settings]
    )
    return load_dataset(recipe.override({"data.path": str(shapes)}), shapes, SILENT)


def ask(dataset: Dataset, run: Path) -> Taught:
    taught = ask_teacher(RunFolder(run), dataset, dataset.fit_tasks(), SILENT)
    assert taught is not None
    return taught


@pytest.mark.parametrize("size", ["[16, 16]", "[24, 20]"])
def test_a_teacher_answers_the_training_images_once_and_at_its_own_size(
    size: str, shapes: Path, teacher: Path, tmp_path: Path
) -> None:
    dataset, run = load(shapes, teacher, f"image.size={size}"), tmp_path / "run"
    (run / "state").mkdir(parents=True)
    rows = dataset.rows_of("train")[[5, 0, 3]]
    found = ask(dataset, run)(rows)
    assert list(found) == ["color"]  # width is not among its tasks
    paths = [shapes / dataset.table.frame["path"].iloc[row] for row in rows]
    expected = [np.array(list(batch.outputs["color"])) for batch in Predictor(teacher).run_files(paths)]
    np.testing.assert_allclose(found["color"], np.concatenate(expected), atol=1e-6)
    answers = run / "state/teacher.f32"
    whole = answers.read_bytes()
    answers.write_bytes(whole[:-4])
    assert np.array_equal(ask(dataset, run)(rows)["color"], found["color"])
    assert answers.read_bytes() == whole
    teacher.unlink()  # what is kept needs no teacher
    assert np.array_equal(ask(dataset, run)(rows)["color"], found["color"])
    answers.unlink()
    with pytest.raises(PolyheadError, match=r"training\.teacher: "):
        ask(dataset, run)
    write_tiny_model(teacher, {"fingerprint": "1" * 16})
    with pytest.raises(PolyheadError, match="is not the model that the run began with"):
        ask(dataset, run)


def test_a_teacher_that_was_trained_on_test_images_is_refused(shapes: Path, teacher: Path, tmp_path: Path) -> None:
    dataset, run = load(shapes, teacher), tmp_path / "run"
    (run / "state").mkdir(parents=True)
    table = dataset.table.frame[["path", "split", "content"]]
    table.to_csv(teacher.parent / "table.csv", index=False)
    ask(dataset, run)  # the same split
    (run / "state/teacher.json").unlink()
    pd.concat([table, table[table["split"] == "test"].head(2).assign(split="train")]).to_csv(
        teacher.parent / "table.csv", index=False
    )
    with pytest.raises(PolyheadError, match="was trained on 2 of the images that this run is validated or tested on"):
        ask(dataset, run)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            ["tasks.color.classes=[blue, green, red]"],
            "the labels of color are blue, green, red here, and red, green, blue in",
        ),
        (
            ["tasks={brightness: {kind: regression, unit: px, column: width}}"],
            "the unit of brightness is px here, and %",
        ),
        (["tasks={color: {kind: multilabel}}"], "color is multilabel here, and categorical in the teacher"),
        (["tasks={width: {kind: regression}}"], "expected one that answers width"),
        (["training.teacher=none"], "training.teacher: none: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_teacher_that_does_not_fit_is_one_line(
    settings: list[str], words: str, shapes: Path, teacher: Path, tmp_path: Path
) -> None:
    dataset = load(shapes, teacher, *settings)

    def begin() -> None:
        check_teacher(dataset.recipe)
        ask(dataset, tmp_path)

    with pytest.raises(PolyheadError) as error:
        begin()
    assert words in str(error.value)
    assert "\n" not in str(error.value)
