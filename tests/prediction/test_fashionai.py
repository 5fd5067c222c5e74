"""FashionAI's files are read and answered in the very form that they are published in."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

import polyhead
from conftest import call
from polyhead.data.inspect.proposal import propose_recipe
from polyhead.data.sources.reading import complete_recipe
from polyhead.data.table import Table, load_dataset
from polyhead.errors import PolyheadError
from polyhead.model.predictor import Batch, Predictor
from polyhead.prediction.fashionai import write_fashionai_answers
from polyhead.progress import SILENT
from polyhead.recipe.loading import check_recipe, load_recipe, write_recipe
from polyhead.recipe.schema import Recipe
from polyhead.tasks import Binary, Categorical, Ordinal, Regression, Task
from polyhead.tasks.agreed import Agreed
from tables import read_complete

SLEEVES = ["Invisible", "Short", "Long"]
TASKS: dict[str, Any] = {
    "sleeve": {"kind": "categorical", "column": "sleeve_labels", "classes": SLEEVES},
    "collar_labels": {"kind": "categorical"},
}
ROWS = [
    "Images/sleeve/1.png,sleeve_labels,nny",
    "Images/sleeve/2.png,sleeve_labels,ymn",
    "Images/collar/3.png,collar_labels,nyn",
    "Images/collar/4.png,collar_labels,mny",
    "Images/sleeve/1.png,collar_labels,ynn",
]


def recipe(source: dict[str, Any] | None = None, tasks: dict[str, Any] = TASKS, **data: Any) -> Recipe:
    raw = {
        "name": "garments",
        "data": {"source": source or {"kind": "fashionai"}, "split": {"test": 0, "valid": 0}, **data},
        "image": {"size": [8, 8]},
        "tasks": tasks,
        "network": {"trunk": {"blocks": [{"filters": 4}]}},
    }
    return check_recipe(raw, "test")


def write(root: Path, *rows: str, file: str = "Annotations/label.csv") -> Path:
    """The file with these rows, and an image for each that they name in a folder."""
    for shade, path in enumerate(row.split(",")[0] for row in rows):
        if "/" in path:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (shade, 0, 0)).save(root / path)
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return root


def read(root: Path, *rows: str, **tasks: Any) -> Table:
    return read_complete(recipe(tasks=tasks or TASKS), write(root, *rows))


def listed(table: Table) -> list[list[str]]:
    return [list(map(str, row)) for row in table.rejected.to_numpy().tolist()]


def test_the_same_images_in_csv_long_csv_and_fashionai_give_equal_tables(tmp_path: Path) -> None:
    write(tmp_path, *ROWS)
    wide = ["image,sleeve_labels,collar_labels"]
    wide += ["Images/sleeve/1.png,Long,0", "Images/sleeve/2.png,Invisible,"]
    wide += ["Images/collar/3.png,,1", "Images/collar/4.png,,2"]
    (tmp_path / "wide.csv").write_text("\n".join(wide), encoding="utf-8")
    names = {"nny": "Long", "ymn": "Invisible", "nyn": "1", "mny": "2", "ynn": "0"}
    long = [f"{image},{task},{names[letters]}" for image, task, letters in (row.split(",") for row in ROWS)]
    (tmp_path / "long.csv").write_text("\n".join(["image,task,label", *long]), encoding="utf-8")
    sources: list[dict[str, Any]] = [
        {"kind": "fashionai"},
        {"kind": "csv", "file": "wide.csv"},
        {"kind": "csv", "file": "long.csv", "long": {}},
    ]
    first, *others = (read_complete(recipe(source), tmp_path) for source in sources)
    assert first.frame[["path", "sleeve", "collar_labels"]].to_numpy().tolist() == [
        ["Images/collar/3.png", "", "1"],
        ["Images/collar/4.png", "", "2"],
        ["Images/sleeve/1.png", "Long", "0"],
        ["Images/sleeve/2.png", "Invisible", ""],
    ]
    for other in others:
        assert other.frame.equals(first.frame)
        assert (listed(other), listed(first)) == ([], [])


@pytest.mark.parametrize("file", ["Annotations/label.csv", "label.csv", "made/by/me/labels.csv"])
def test_the_file_may_lie_above_beside_or_away_from_the_images(tmp_path: Path, file: str) -> None:
    write(tmp_path, *ROWS, file=file)
    source = {"kind": "fashionai"} | ({"file": file} if "made" in file else {})
    assert len(read_complete(recipe(source), tmp_path).frame) == 4
    if "made" not in file:  # the data may be the file itself
        table = read_complete(recipe(), tmp_path / file)
        assert sorted((table.root / path).resolve() for path in table.frame["path"]) == sorted(
            (tmp_path / "Images").resolve().rglob("*.png")
        )


def test_rows_of_attributes_that_no_task_asks_for_are_passed_over(tmp_path: Path) -> None:
    table = read(tmp_path, *ROWS, sleeve_labels={"kind": "categorical"})
    assert list(table.frame["path"]) == ["Images/sleeve/1.png", "Images/sleeve/2.png"]
    assert list(table.frame["sleeve_labels"]) == ["2", "0"]
    assert listed(table) == []


def test_a_task_has_as_many_classes_as_letters_even_if_none_is_seen(tmp_path: Path) -> None:
    complete = complete_recipe(recipe(), write(tmp_path, *ROWS))
    sleeve, collar = (complete.tasks[name] for name in TASKS)
    assert sleeve.values == {"0": "Invisible", "1": "Short", "2": "Long"}
    assert sleeve.fit("sleeve", ["Long"]).names == ("Invisible", "Short", "Long")
    assert collar.fit("collar_labels", ["1"]).names == ("0", "1", "2")
    (tmp_path / "again.yaml").write_text(write_recipe(complete), encoding="utf-8")
    assert complete_recipe(load_recipe(tmp_path / "again.yaml"), tmp_path) == complete


@pytest.mark.parametrize(
    ("task", "labels"),
    [
        ({"kind": "ordinal", "levels": ["none", "short", "long"]}, ["long", "none"]),
        ({"kind": "categorical", "values": {0: "a", 1: "a", 2: "b"}}, ["b", "a"]),
        ({"kind": "regression"}, ["2", "0"]),
    ],
)
def test_an_attribute_may_be_a_task_of_another_kind(tmp_path: Path, task: Any, labels: list[str]) -> None:
    assert list(read(tmp_path, *ROWS, sleeve_labels=task).frame["sleeve_labels"]) == labels


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("nnn", "expected one y; got 'nnn'"),
        ("yny", "expected one y; got 'yny'"),
        ("mnm", "expected one y; got 'mnm'"),
        ("nxy", "expected letters y, n and m; got 'nxy'"),
        ("NNY", "expected letters y, n and m; got 'NNY'"),
        ("", "expected letters y, n and m; got ''"),
        ("nnny", "expected 3 letters, as in the other rows of its attribute; got 'nnny'"),
        ("ny", "expected 3 letters, as in the other rows of its attribute; got 'ny'"),
    ],
)
def test_a_bad_row_is_listed_with_its_line_and_the_images_other_labels_stay(
    tmp_path: Path, row: str, reason: str
) -> None:
    bad = [f"Images/sleeve/9.png,sleeve_labels,{row}", f"Images/collar/3.png,sleeve_labels,{row}"]
    table = read(tmp_path, *ROWS, *bad)
    assert listed(table) == [
        ["Images/collar/3.png", "sleeve", row, f"{reason} (label.csv line 7)"],
        ["Images/sleeve/9.png", "", "", f"no label remains; sleeve: {reason} (label.csv line 6)"],
    ]
    assert dict(zip(table.frame["path"], table.frame["collar_labels"], strict=True))["Images/collar/3.png"] == "1"


def test_other_rows_that_cannot_be_used_are_listed(tmp_path: Path) -> None:
    rows = ["5.png,sleeve_labels,nny", "5.png,collar_labels,nny", ",sleeve_labels,nny", "a,b.png,sleeve_labels,nny"]
    table = read(
        tmp_path, *ROWS, *rows, "Images/sleeve/1.png,sleeve_labels,yn", "Images/sleeve/1.png,sleeve_labels,nyn"
    )
    assert listed(table) == [
        ["", "", "", "its row names no image"],
        ["5.png", "", "", "no such file"],
        [
            *("Images/sleeve/1.png", "sleeve", "yn"),
            "expected 3 letters, as in the other rows of its attribute; got 'yn' (label.csv line 10)",
        ],
        ["Images/sleeve/1.png", "sleeve", "1", "a row before this one says '2'; got '1' (label.csv line 11)"],
        ["a", "", "", "expected an image, an attribute and letters; got 4 cells (label.csv line 9)"],
    ]


def test_too_many_bad_rows_refuse_to_train_and_show_one(tmp_path: Path) -> None:
    root = write(tmp_path, *ROWS, "Images/sleeve/9.png,sleeve_labels,nnn")
    with pytest.raises(PolyheadError) as raised:
        load_dataset(recipe(), root, SILENT)
    assert (
        "1 of 5 images cannot be used: 1 x no label remains (such as Images/sleeve/9.png; sleeve: expected one y; "
        "got 'nnn' (label.csv line 6)); data.max_rejected allows 0.05"
    ) in str(raised.value)
    assert len(load_dataset(recipe(max_rejected=0.2), root, SILENT).table.frame) == 4


@pytest.mark.parametrize(
    ("rows", "task", "words"),
    [
        (
            ROWS,
            {"column": "sleeve_lables"},
            "'sleeve_lables' is not an attribute of label.csv; there are sleeve_labels, c",
        ),
        (ROWS, {"column": "sleeve_lables"}, "(did you mean 'sleeve_labels'?)"),
        (
            ROWS,
            {"column": "sleeve_labels", "classes": ["Short", "Long"]},
            "tasks.sleeve: declares 2 labels (Short, Long), but sleeve_labels has 3 in ",
        ),
        ([], {}, "label.csv: expected rows such as Images/collar/1.jpg,collar,nnynn; there is none"),
        (['"1.png,sleeve_labels,nny'], {}, "label.csv line 1: is not CSV"),
    ],
)
def test_a_file_that_does_not_fit_the_recipe_is_one_clear_line(
    tmp_path: Path, rows: list[str], task: dict[str, Any], words: str
) -> None:
    with pytest.raises(PolyheadError) as raised:
        read(tmp_path, *rows, sleeve={"kind": "categorical"} | task)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_without_a_file_the_names_looked_for_are_told(tmp_path: Path) -> None:
    with pytest.raises(PolyheadError, match=r"there is no Annotations/label\.csv or label\.csv in .*; say which file"):
        read_complete(recipe(), tmp_path)


def test_init_proposes_a_task_for_every_attribute(tmp_path: Path) -> None:
    rows = [f"Images/{n}.png,{('sleeve', 'collar')[n % 2]}_labels,{('nny', 'yn')[n % 2]}" for n in range(40)]
    write(tmp_path, *rows)
    for data in (tmp_path, tmp_path / "Annotations/label.csv"):
        (tmp_path / "my.yaml").write_text(propose_recipe(data), encoding="utf-8")
        proposed = load_recipe(tmp_path / "my.yaml")
        assert proposed.data.source.kind == "fashionai"
        assert {name: task.kind for name, task in proposed.tasks.items()} == {
            "sleeve_labels": "categorical",
            "collar_labels": "categorical",
        }
        table = read_complete(proposed, Path(str(proposed.data.path)))
        assert (len(table.frame), listed(table)) == (40, [])


class Fake:
    """A predictor that gives these outputs for every image that is a file, two images a batch."""

    def __init__(self, tasks: dict[str, Task], outputs: dict[str, list[float]]) -> None:
        self.card = SimpleNamespace(tasks=tasks)
        self.outputs = outputs

    def run_files(self, images: Sequence[Path]) -> Iterator[Batch]:
        for at in range(0, len(images), 2):
            chunk = images[at : at + 2]
            outputs = {name: np.array([row] * len(chunk), np.float32) for name, row in self.outputs.items()}
            errors = [None if image.is_file() else "no such file" for image in chunk]
            yield Batch(chunk, errors, np.zeros((len(chunk), 1, 1, 3), np.uint8), Agreed(outputs, outputs, {}))


TEN = [f"c{number}" for number in range(10)]
LEARNT: dict[str, Task] = {
    "sleeve": Categorical(column="sleeve_labels", classes=TEN, values={str(n): name for n, name in enumerate(TEN)}),
    # The places are in another order than the classes, and the last of them is no class of the model.
    "collar_labels": Categorical(classes=["b", "a"], values={"1": "b", "0": "a", "2": "c"}),
    "coat": Binary(column="coat_labels", labels=["no", "yes"]),
    "skirt_labels": Categorical(classes=["b", "a"], values={"small": "a", "big": "b"}),  # no places: as declared
    "pant_labels": Ordinal(levels=["S", "M", "L"]),
    "sigmoids": Categorical(classes=["x", "y"], activation="sigmoid"),
    "age": Regression(),
}
OUTPUTS = {
    "sleeve": [0.91, *[0.01] * 9],
    "collar_labels": [0.25, 0.75],
    "coat": [0.125],
    "skirt_labels": [0.25, 0.75],
    "pant_labels": [0.5, 0.25, 0.25],
    "sigmoids": [0.375, 0.125],
    "age": [3.0],
}


def answer(root: Path, question: bytes) -> bytes:
    (root / "Tests").mkdir(exist_ok=True)
    (root / "Tests/question.csv").write_bytes(question)
    fake = cast(Predictor, Fake(LEARNT, OUTPUTS))
    write_fashionai_answers(root / "Tests/question.csv", fake, root / "answers.csv")
    return (root / "answers.csv").read_bytes()


@pytest.mark.parametrize(
    ("attribute", "third"),
    [
        ("sleeve_labels", "0.91000003;" + ";".join(["0.01000000"] * 9)),  # .91 as the nearest float of 32 bits
        ("sleeve", "0.91000003;" + ";".join(["0.01000000"] * 9)),
        ("collar_labels", "0.75000000;0.25000000;0.00000000"),
        ("coat_labels", "0.87500000;0.12500000"),
        ("skirt_labels", "0.25000000;0.75000000"),
        ("pant_labels", "0.50000000;0.25000000;0.25000000"),
        ("sigmoids", "0.75000000;0.25000000"),  # .375 and .125, to a sum of 1
    ],
)
def test_the_third_column_holds_all_classes_with_eight_decimals(tmp_path: Path, attribute: str, third: str) -> None:
    write(tmp_path, "Images/1.png,,")
    assert answer(tmp_path, f"Images/1.png,{attribute},\n".encode()) == f"Images/1.png,{attribute},{third}\n".encode()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "end"])
def test_rows_keep_their_order_and_their_first_two_columns(tmp_path: Path, end: str, last: str) -> None:
    paths = ["Images/2.png", "Images/1.png", "Images/gone.png", '"Images/a, ""b"".png"', " Images/1.png "]
    write(tmp_path, "Images/1.png,,", "Images/2.png,,")
    Image.new("RGB", (8, 8)).save(tmp_path / 'Images/a, "b".png')
    starts = [f"{path},coat_labels" for path in paths] + ["Images/1.png,pant_labels"]
    question = end.join([*(f"{start}," for start in starts[:-1]), starts[-1]]) + (end if last else "")
    coat, pant = "0.87500000;0.12500000", "0.50000000;0.25000000;0.25000000"
    thirds = [coat, coat, "", coat, coat, pant]
    expected = end.join(f"{start},{third}" for start, third in zip(starts, thirds, strict=True)) + (end if last else "")
    assert answer(tmp_path, question.encode()) == expected.encode()


@pytest.mark.parametrize("folder", ["Tests/Images", "Images"])
def test_images_lie_beside_the_question_file_or_beside_its_folder(
    tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, f"{folder}/1.png,,")
    assert answer(tmp_path, b"Images/1.png,coat_labels,\n").endswith(b",0.87500000;0.12500000\n")
    monkeypatch.chdir(tmp_path / "Tests")
    fake = cast(Predictor, Fake(LEARNT, OUTPUTS))
    assert write_fashionai_answers(Path("question.csv"), fake, tmp_path / "again.csv") == 0


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (b"1.png,coat_labels,\n1.png,coat_label,\n", "line 2: the model has no classes for 'coat_label'; it answers"),
        (b"1.png,coat_label,\n", "(did you mean 'coat_labels'?)"),
        (b"1.png,age,\n", "line 1: the model has no classes for 'age'"),
        (b"1.png,coat_labels,nny\n", "line 1: expected an image, an attribute and an empty third column; got"),
        (b"1.png\n", "line 1: expected an image, an attribute and an empty third column; got"),
        (b"\xff.png,coat_labels,\n", "line 1: is not CSV in UTF-8"),
        (b"\n", "question.csv: expected rows such as Images/collar/1.jpg,collar; there are none"),
    ],
)
def test_a_bad_question_file_is_one_clear_line_and_leaves_no_answers(
    tmp_path: Path, question: bytes, words: str
) -> None:
    with pytest.raises(PolyheadError) as raised:
        answer(tmp_path, question)
    assert words in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["Tests"]


def test_from_labels_to_answers_that_read_back(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    letters = {"sleeve_labels": ("ynnnnn", "nnnynn", "nnnnny"), "collar_labels": ("yn", "ny")}
    rows = []
    for number in range(48):
        attribute = ("sleeve_labels", "collar_labels")[number % 2]
        rows.append(f"Images/{attribute}/{number}.png,{attribute},{letters[attribute][number // 2 % 2]}")
    write(tmp_path / "data", *rows)
    tasks = {name: {"kind": "categorical"} for name in letters}
    small = recipe(tasks=tasks).model_copy(update={"training": recipe().training.model_copy(update={"epochs": 1})})
    (tmp_path / "small.yaml").write_text(write_recipe(small), encoding="utf-8")
    overrides = ["data.split={test: 0.25, valid: 0.25}"]
    run = polyhead.train(tmp_path / "small.yaml", tmp_path / "run", data=tmp_path / "data", overrides=overrides)
    assert load_recipe(run / "recipe.yaml").tasks["sleeve_labels"].names == tuple("012345")
    test = polyhead.evaluate(run)["test"]["tasks"]
    assert test["sleeve_labels"]["n"] + test["collar_labels"]["n"] == 12

    (tmp_path / "data/Tests").mkdir()
    question = tmp_path / "data/Tests/question.csv"
    question.write_text("".join(f"{','.join(row.split(',')[:2])},\n" for row in rows), encoding="utf-8")
    assert call("predict", run, "--answers", question, "--csv", tmp_path / "answers.csv") == 0
    with (tmp_path / "answers.csv").open(encoding="utf-8") as file:
        answers = list(csv.reader(file))
    assert [row[:2] for row in answers] == [row.split(",")[:2] for row in rows]
    records = polyhead.load_model(run).predict([tmp_path / "data" / row[0] for row in answers])
    for (_, attribute, third), record in zip(answers, records, strict=True):
        shares = [float(share) for share in third.split(";")]
        assert len(shares) == len(letters[attribute][0])
        assert sum(shares) == pytest.approx(1, abs=1e-6)
        found = record["answers"][attribute]
        assert str(int(np.argmax(shares))) == found["answer"]
        assert max(shares) == pytest.approx(found["probability"], abs=1e-6)

    capfdbinary.readouterr()
    assert call("predict", run, "--answers", question) == 0
    assert capfdbinary.readouterr().out == (tmp_path / "answers.csv").read_bytes()
    (tmp_path / "data/Images/sleeve_labels/0.png").unlink()
    assert call("predict", run, "--answers", question, "--csv", tmp_path / "answers.csv") == 1
    assert b"0.png: No such file" in capfdbinary.readouterr().err
    for wrong in ([], [tmp_path, "--answers", question], ["--answers", question, "--json"]):
        assert call("predict", run, *wrong) == 2
        assert b"polyhead: predict: " in capfdbinary.readouterr().err
