"""CelebA's lists are read as they are published, as text or as CSV, and what disagrees is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from polyhead.data.inspect.proposal import propose_recipe
from polyhead.data.sources.reading import complete_recipe
from polyhead.data.table import Table
from polyhead.errors import PolyheadError
from polyhead.recipe.loading import check_recipe, load_recipe, write_recipe
from polyhead.recipe.schema import Recipe
from polyhead.tasks import MultiLabel
from tables import read_complete

NAMES = ["5_o_Clock_Shadow", "Bald", "Male", "Smiling"]
FACES = {"000001.jpg": [-1, -1, 1, 1], "000002.jpg": [-1, -1, -1, -1], "000003.jpg": [1, -1, 1, -1]}
PARTS = {"000001.jpg": 0, "000002.jpg": 1, "000003.jpg": 2}
ATTRIBUTES: dict[str, Any] = {"attributes": {"kind": "multilabel"}}


def recipe(source: dict[str, Any] | None = None, tasks: dict[str, Any] = ATTRIBUTES, **split: Any) -> Recipe:
    raw = {
        "name": "faces",
        "data": {"source": {"kind": "celeba"} | (source or {}), "split": split},
        "tasks": tasks,
        "network": {"trunk": {"blocks": [{"filters": 4}]}},
    }
    return check_recipe(raw, "test")


def draw(root: Path, *names: str, folder: str = "img_align_celeba") -> Path:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for shade, name in enumerate(names or FACES):
        Image.new("RGB", (8, 8), (shade, 0, 0)).save(root / folder / name)
    return root


def write_text(root: Path) -> Path:
    """The lists as they are published: the names end in a blank, and 1 has a second blank before it."""
    rows = [f"{name} {' '.join(f'{value:2}' for value in values)}" for name, values in FACES.items()]
    text = "\r\n".join([str(len(FACES)), " ".join(NAMES) + " ", *rows, ""])
    (root / "list_attr_celeba.txt").write_text(text, encoding="utf-8", newline="")
    parts = "".join(f"{name} {part}\n" for name, part in PARTS.items())
    (root / "list_eval_partition.txt").write_text(parts, encoding="utf-8")
    return root


def write_csv(root: Path) -> Path:
    rows = [f"{name},{','.join(map(str, values))}" for name, values in FACES.items()]
    (root / "list_attr_celeba.csv").write_text("\n".join([f"image_id,{','.join(NAMES)}", *rows]), encoding="utf-8")
    parts = ["image_id,partition", *(f"{name},{part}" for name, part in PARTS.items())]
    (root / "list_eval_partition.csv").write_text("\n".join(parts), encoding="utf-8")
    return root


def labels(table: Table, task: str = "attributes") -> list[str]:
    return list(table.frame[task])


def listed(table: Table) -> list[tuple[str, str]]:
    return list(zip(table.rejected["path"], table.rejected["reason"], strict=True))


def test_text_and_csv_give_equal_tables_in_the_official_splits(tmp_path: Path) -> None:
    values = {0: "train", 1: "valid", 2: "test"}
    tables = [
        read_complete(recipe(file=f"list_eval_partition.{kind}", values=values), write(draw(tmp_path / kind)))
        for kind, write in (("txt", write_text), ("csv", write_csv))
    ]
    assert tables[0].frame.equals(tables[1].frame)
    assert tables[0].frame[["path", "split", "attributes"]].to_numpy().tolist() == [
        ["img_align_celeba/000001.jpg", "train", "Male|Smiling"],
        ["img_align_celeba/000002.jpg", "valid", "none"],
        ["img_align_celeba/000003.jpg", "test", "5_o_Clock_Shadow|Male"],
    ]
    assert [listed(table) for table in tables] == [[], []]


@pytest.mark.parametrize(
    ("source", "tasks", "expected"),
    [
        ({"drop": ["Smiling", "Bald"]}, ATTRIBUTES, ["Male", "none", "5_o_Clock_Shadow|Male"]),
        ({"keep": ["Smiling", "Bald"]}, ATTRIBUTES, ["Smiling", "none", "none"]),
        ({}, {"attributes": {"kind": "multilabel", "labels": ["Smiling"]}}, ["Smiling", "none", "none"]),
        ({}, {"attributes": {"kind": "multilabel", "from_columns": ["Male"]}}, ["Male", "none", "Male"]),
        (
            {},
            {"attributes": {"kind": "binary", "column": "Male", "values": {-1: "no", 1: "yes"}}},
            ["yes", "no", "yes"],
        ),
    ],
)
def test_attributes_are_chosen_by_the_source_or_the_task(
    tmp_path: Path, source: dict[str, Any], tasks: dict[str, Any], expected: list[str]
) -> None:
    assert labels(read_complete(recipe(source, tasks), write_text(draw(tmp_path)))) == expected


def test_a_complete_recipe_declares_every_attribute_and_stays_as_it_is(tmp_path: Path) -> None:
    complete = complete_recipe(recipe(), write_text(draw(tmp_path)))
    task = complete.tasks["attributes"]
    assert isinstance(task, MultiLabel)
    assert task.from_columns == NAMES
    assert task.fit("attributes", ["Male", "none"]).names == tuple(NAMES)  # nobody is bald in training
    (tmp_path / "again.yaml").write_text(write_recipe(complete), encoding="utf-8")
    again = load_recipe(tmp_path / "again.yaml")
    assert complete_recipe(again, tmp_path) == again == complete


def test_what_is_in_the_list_or_on_disk_alone_is_listed(tmp_path: Path) -> None:
    table = read_complete(recipe(), write_text(draw(tmp_path, "000002.jpg", "000003.jpg", "000009.jpg")))
    assert list(table.frame["path"]) == ["img_align_celeba/000002.jpg", "img_align_celeba/000003.jpg"]
    assert listed(table) == [
        ("img_align_celeba/000001.jpg", "no such file"),
        ("img_align_celeba/000009.jpg", "is not in list_attr_celeba.txt"),
    ]


@pytest.mark.parametrize("folder", [".", "img_align_celeba/img_align_celeba", "Img/faces"])
def test_the_images_lie_in_any_folder(tmp_path: Path, folder: str) -> None:
    source = {"images": folder.removesuffix("/img_align_celeba")}
    table = read_complete(recipe(source), write_text(draw(tmp_path, folder=folder)))
    assert [Path(path) for path in table.frame["path"]] == [Path(folder) / name for name in FACES]


def test_the_list_may_lie_anywhere_or_be_the_data_itself(tmp_path: Path) -> None:
    write_text(draw(tmp_path)).joinpath("list_attr_celeba.txt").rename(tmp_path / "list.txt")
    for source, data in (({"file": "list.txt"}, tmp_path), ({}, tmp_path / "list.txt")):
        assert labels(read_complete(recipe(source), data)) == ["Male|Smiling", "none", "5_o_Clock_Shadow|Male"]


def test_a_blank_or_strange_value_of_a_csv_leaves_only_that_unknown(tmp_path: Path) -> None:
    text = "image_id,Bald,Male\n000001.jpg,,1\n000002.jpg,2,1\n000003.jpg,0,1\n"
    (draw(tmp_path) / "list_attr_celeba.csv").write_text(text, encoding="utf-8")
    table = read_complete(recipe(), tmp_path)
    assert labels(table) == ["?Bald|Male", "Male"]
    reason = "no label remains; attributes: expected 1, 0, yes or no in column Bald; got '2'"
    assert listed(table) == [("img_align_celeba/000002.jpg", reason)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2\nBald Male\n000001.jpg 1 1\n", "line 1: says 2 images, but 1 rows follow"),
        ("1\nBald Male\n000001.jpg 1 1\n000002.jpg 1 1\n", "line 1: says 1 images, but 2 rows follow"),
        ("Bald Male\n000001.jpg 1 1\n", "line 1: expected the number of images; got 'Bald Male'"),
        ("", "line 1: expected the number of images; got ''"),
        ("1\n\n000001.jpg 1 1\n", "line 2: expected the names of the attributes"),
        ("1\nBald Male Bald\n000001.jpg 1 1 1\n", "line 2: the attribute 'Bald' is named twice"),
        ("2\nBald Male\n000001.jpg 1 1\n000002.jpg 1\n", "line 4: expected an image and 2 values, one per attribute"),
        ("1\nBald Male\n000001.jpg 1 1 -1\n", "line 3: expected an image and 2 values, one per attribute; got 3"),
    ],
)
def test_a_list_that_disagrees_with_itself_is_one_line_with_its_number(tmp_path: Path, text: str, words: str) -> None:
    (draw(tmp_path) / "list_attr_celeba.txt").write_text(text, encoding="utf-8")
    with pytest.raises(PolyheadError) as raised:
        read_complete(recipe(), tmp_path)
    assert f"list_attr_celeba.txt {words}" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image_id,Bald,Male\n000001.jpg,1\n", "list_attr_celeba.csv line 2: expected an image and 2 values"),
        ("image_id,Bald,Male\n000001.jpg,1,1,1\n", "list_attr_celeba.csv line 2: expected an image and 2 values"),
        ("", "list_attr_celeba.csv: expected a line of the attributes' names; the file is empty"),
    ],
)
def test_a_csv_that_disagrees_with_itself_is_one_line_with_its_number(tmp_path: Path, text: str, words: str) -> None:
    (draw(tmp_path) / "list_attr_celeba.csv").write_text(text, encoding="utf-8")
    with pytest.raises(PolyheadError) as raised:
        read_complete(recipe(), tmp_path)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("source", "tasks", "words"),
    [
        (
            {"drop": ["Blad"]},
            ATTRIBUTES,
            "data.source.drop: 'Blad' is not an attribute of list_attr_celeba.txt; there are",
        ),
        ({"keep": ["male"]}, ATTRIBUTES, "Smiling (did you mean 'Male'?)"),
        (
            {"drop": ["Bald"]},
            {"bald": {"kind": "binary", "column": "Bald"}},
            "tasks.bald: 'Bald' is not an attribute of",
        ),
        ({"images": "faces"}, ATTRIBUTES, "data.source.images: there is no folder"),
        ({"file": "list.txt"}, ATTRIBUTES, "data.source.file: there is no file"),
    ],
)
def test_what_a_recipe_asks_for_in_vain_is_named(
    tmp_path: Path, source: dict[str, Any], tasks: dict[str, Any], words: str
) -> None:
    with pytest.raises(PolyheadError) as raised:
        read_complete(recipe(source, tasks), write_text(draw(tmp_path)))
    assert words in str(raised.value)


def test_without_a_list_the_names_looked_for_are_told(tmp_path: Path) -> None:
    with pytest.raises(PolyheadError, match=r"there is no list_attr_celeba\.txt or list_attr_celeba\.csv in "):
        read_complete(recipe(), draw(tmp_path))


@pytest.mark.parametrize("kind", ["txt", "csv"])
def test_init_proposes_the_lists_and_their_splits(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(0)
    names = [f"{number:06}.jpg" for number in range(40)]
    values = {name: [int(value) for value in rng.choice([-1, 1], 3)] for name in names}
    draw(tmp_path, *names)
    if kind == "txt":
        rows = ["40", "Bald Male Smiling", *(f"{name} {' '.join(map(str, row))}" for name, row in values.items())]
        parts = [f"{name} {number % 3}" for number, name in enumerate(names)]
    else:
        rows = ["image_id,Bald,Male,Smiling", *(f"{name},{','.join(map(str, row))}" for name, row in values.items())]
        parts = ["image_id,partition", *(f"{name},{number % 3}" for number, name in enumerate(names))]
    (tmp_path / f"list_attr_celeba.{kind}").write_text("\n".join(rows), encoding="utf-8")
    (tmp_path / f"list_eval_partition.{kind}").write_text("\n".join(parts), encoding="utf-8")
    for data in (tmp_path, tmp_path / f"list_attr_celeba.{kind}"):
        (tmp_path / "my.yaml").write_text(propose_recipe(data), encoding="utf-8")
        proposed = load_recipe(tmp_path / "my.yaml")
        assert proposed.data.source.kind == "celeba"
        table = read_complete(proposed, tmp_path)
        assert table.frame["split"].value_counts().to_dict() == {"train": 14, "valid": 13, "test": 13}
        assert list(proposed.tasks) == ["attributes"]
