"""What `init` proposes can be trained on as it stands, and its tasks are what a person would have chosen."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from polyhead.data.drawn.synthetic import draw_garments
from polyhead.data.inspect.columns import guess_column
from polyhead.data.inspect.proposal import propose_recipe
from polyhead.data.table import load_dataset
from polyhead.errors import PolyheadError
from polyhead.progress import SILENT
from polyhead.recipe.loading import check_recipe, load_recipe
from polyhead.recipe.schema import Recipe


def draw(root: Path, *paths: str, size: tuple[int, int] = (40, 40)) -> Path:
    for shade, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (shade % 256, shade // 256, 0)).save(root / path)
    return root


def propose(data: Path) -> Recipe:
    """The proposal, checked, and proven by what training does first: load, split, learn from the labels."""
    recipe = check_recipe(YAML(typ="safe", pure=True).load(propose_recipe(data)), "proposal")
    assert recipe.data.path is not None
    dataset = load_dataset(recipe, Path(recipe.data.path), SILENT)
    for name, task in recipe.tasks.items():
        task.fit(name, list(dataset.table.frame[name].iloc[dataset.rows_of("train")]))
    assert all(len(dataset.rows_of(split)) for split in ("train", "valid", "test"))
    return recipe


def kinds(recipe: Recipe) -> dict[str, str]:
    return {name: task.kind for name, task in recipe.tasks.items()}


def source(recipe: Recipe) -> dict[str, Any]:
    return recipe.data.source.model_dump(exclude_none=True)


def test_a_csv_with_all_kinds_of_columns_is_understood(tmp_path: Path) -> None:
    draw_garments(tmp_path, 60, 0, SILENT)
    recipe = propose(tmp_path)
    assert source(recipe) == {"kind": "csv", "file": "labels.csv", "image": "image", "separator": ","}
    assert kinds(recipe) == {
        "category": "categorical",
        "color": "categorical",
        "striped": "binary",
        "details": "multilabel",
        "length": "regression",
        "size": "ordinal",
    }
    tasks = recipe.model_dump()["tasks"]
    assert tasks["striped"]["labels"] == ["no", "yes"]
    assert tasks["size"]["levels"] == ["S", "M", "L", "XL"]
    assert propose(tmp_path / "labels.csv").tasks == recipe.tasks


def test_names_of_folders_that_combine_words_are_several_tasks(tmp_path: Path) -> None:
    folders = ["black_jeans", "blue_jeans", "blue_dress", "red_dress"]
    text = propose_recipe(draw(tmp_path, *(f"{folder}/{number}.png" for folder in folders for number in range(10))))
    assert "# color (folder names): 3 values: black 10, blue 20, red 10" in text
    recipe = propose(tmp_path)
    assert source(recipe) == {"kind": "folders", "pattern": "{color}_{category}"}
    assert kinds(recipe) == {"color": "categorical", "category": "binary"}


def test_names_of_folders_that_combine_nothing_are_one_task(tmp_path: Path) -> None:
    folders = ["golden_retriever", "german_shepherd", "border_collie"]
    recipe = propose(draw(tmp_path, *(f"{folder}/{number}.png" for folder in folders for number in range(10))))
    assert source(recipe)["pattern"] == "{category}"
    assert recipe.data.split.stratify == ["category"]


def test_folders_of_splits_are_splits(tmp_path: Path) -> None:
    paths = [
        f"{part}/{name}/{n}.png"
        for part, many in (("train", 8), ("val", 2), ("test", 2))
        for name in "ab"
        for n in range(many)
    ]
    recipe = propose(draw(tmp_path, *paths))
    assert kinds(recipe) == {"category": "binary"}
    assert recipe.data.split.column == "split"
    assert recipe.data.split.values == {"train": "train", "val": "valid", "test": "test"}


def test_names_of_files_are_read_field_by_field(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = [
        f"{rng.integers(1, 90)}_{rng.integers(2)}_{rng.integers(5)}_2017011{n:09}.jpg.chip.jpg" for n in range(200)
    ]
    recipe = propose(draw(tmp_path, *names, "26_20170116174525125.jpg.chip.jpg"))
    assert source(recipe) == {"kind": "files", "pattern": "{label1}_{label2}_{label3}_{}"}
    assert kinds(recipe) == {"label1": "regression", "label2": "binary", "label3": "categorical"}


def test_folders_are_split_at_spaces_and_called_by_their_words(tmp_path: Path) -> None:
    folders = ["Black Jeans", "Blue Jeans", "Blue Dress", "Red Dress"]
    recipe = propose(draw(tmp_path, *(f"{folder}/{number}.png" for folder in folders for number in range(10))))
    assert source(recipe) == {"kind": "folders", "pattern": "{color} {category}"}


def test_splits_above_two_levels_of_folders(tmp_path: Path) -> None:
    parts = {"train": 8, "val": 2, "test": 2}
    paths = [
        f"{part}/{sex}/{season}/{n}.png"
        for part, many in parts.items()
        for sex in ("Men", "Women")
        for season in ("Summer", "Winter")
        for n in range(many)
    ]
    recipe = propose(draw(tmp_path, *paths))
    assert source(recipe) == {"kind": "folders", "pattern": "{split}/{gender}/{season}"}
    assert kinds(recipe) == {"gender": "binary", "season": "binary"}
    assert recipe.data.split.column == "split"


def test_names_that_words_do_not_tell_are_never_silent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = ["cat_in", "cat_out", "dog_in", "dog_out"]
    draw(tmp_path, *(f"{name}/{number}.png" for name in names for number in range(10)))
    text = propose_recipe(tmp_path)
    assert 'pattern: "{label1}_{label2}"' in text
    told = "label1, label2: the folder names do not tell what this is; give it its name in data.source.pattern"
    assert told in caplog.text
    assert told in " ".join(text.replace("#", " ").split())


def test_names_of_utkface_name_the_built_in_recipe(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = [
        f"{rng.integers(1, 90)}_{rng.integers(2)}_{rng.integers(5)}_20170116{n:09}.jpg.chip.jpg" for n in range(200)
    ]
    draw(tmp_path, *names, "26_20170116174525125.jpg.chip.jpg")
    assert "the built-in recipe utkface-best is made for them" in " ".join(propose_recipe(tmp_path).split())
    recipe = propose(tmp_path)
    assert source(recipe) == {"kind": "files", "pattern": "{age}_{gender}_{race}_{}"}
    assert kinds(recipe) == {"age": "regression", "gender": "categorical", "race": "categorical"}
    assert recipe.tasks["gender"].values == {"0": "male", "1": "female"}


def test_a_recipe_and_its_data_can_be_moved_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(tmp_path / "a/photos", *(f"{folder}/{number}.png" for folder in ("cat", "dog") for number in range(10)))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a/mine.yaml").write_text(propose_recipe(tmp_path / "a/photos", tmp_path / "a"), encoding="utf-8")
    assert "  path: photos\n" in (tmp_path / "a/mine.yaml").read_text(encoding="utf-8")
    (tmp_path / "a").rename(tmp_path / "b")
    assert load_recipe("b/mine.yaml").data.path == str(tmp_path / "b/photos")
    assert "  path: photos\n" not in propose_recipe(tmp_path / "b/photos", tmp_path / "elsewhere")
    # Where it was ever since: in the current folder, if nothing is beside the recipe.
    (tmp_path / "b/photos").rename(tmp_path / "photos")
    assert load_recipe("b/mine.yaml").data.path == "photos"
    assert load_recipe("b/mine.yaml", ["data.path=other"]).data.path == "other"


def test_images_are_found_by_a_column_without_folder_or_suffix(tmp_path: Path) -> None:
    draw(tmp_path, *(f"pictures/{number}.png" for number in range(100, 130)))
    rows = [f"{number};{'AB'[number % 2]}" for number in range(100, 130)]
    (tmp_path / "list.csv").write_text("\n".join(["id;letter", *rows]), encoding="utf-8")
    recipe = propose(tmp_path)
    assert source(recipe) == {"kind": "csv", "file": "list.csv", "image": "pictures/{id}.png", "separator": ";"}
    assert kinds(recipe) == {"letter": "binary"}


def test_many_columns_of_yes_and_no_are_one_task(tmp_path: Path) -> None:
    draw(tmp_path, *(f"{number}.png" for number in range(30)))
    rows = [f"{n}.png,{1 - n % 2 * 2},{n // 2 % 2 * 2 - 1},{-1 if n % 3 else 1},{'xyz'[n % 3]},1" for n in range(30)]
    (tmp_path / "faces.csv").write_text("\n".join(["file,Bald,5_o_Clock,Smiling,loss,all", *rows]), encoding="utf-8")
    recipe = propose(tmp_path)
    tasks = recipe.model_dump()["tasks"]
    assert tasks["attributes"]["from_columns"] == ["Bald", "5_o_Clock", "Smiling"]
    assert kinds(recipe) == {"attributes": "multilabel", "loss_label": "categorical"}  # no task may be called loss
    assert "# not a task: all (column of faces.csv): a single value, 1" in propose_recipe(tmp_path)


def test_rows_without_images_are_allowed_for_and_told(tmp_path: Path) -> None:
    draw(tmp_path, *(f"{number}.png" for number in range(20)))
    rows = [f"{number}.png,{'ab'[number % 2]}" for number in range(30)]
    (tmp_path / "labels.csv").write_text("\n".join(["image,letter", *rows]), encoding="utf-8")
    assert propose(tmp_path).data.max_rejected == pytest.approx(0.35)  # 10 of 30, and a little
    assert "# 10 of 30 cannot be used, such as 20.png: no such file" in propose_recipe(tmp_path)


def test_images_that_are_not_read_are_allowed_for_and_told(tmp_path: Path) -> None:
    draw(tmp_path, *[f"{color}/{number}.png" for color in ("red", "green") for number in range(20)])
    for number in range(5):
        (tmp_path / f"red/layers{number}.psd").write_bytes(b"8BPS" + bytes(number))
    text = propose_recipe(tmp_path)
    assert "5 of 45 cannot be used, such as red/layers0.psd: PSD is not a format that is read here" in text
    recipe = check_recipe(YAML(typ="safe", pure=True).load(text), "proposal")
    table = load_dataset(recipe, tmp_path, SILENT).table
    assert (len(table.frame), list(table.rejected["path"])) == (40, [f"red/layers{number}.psd" for number in range(5)])


def test_words_that_mean_unknown_are_declared(tmp_path: Path) -> None:
    draw(tmp_path, *(f"{number}.png" for number in range(40)))
    rows = [f'{number}.png,"{["yes", "no", "NA", "é: {x}"][number % 4]}"' for number in range(40)]
    (tmp_path / "labels.csv").write_text("\n".join(['image,"a: b, {c}"', *rows]), encoding="utf-8")
    recipe = propose(tmp_path)
    (task,) = recipe.tasks.values()
    assert (task.kind, task.column, task.blank) == ("categorical", "a: b, {c}", ["NA"])
    assert "# 10 of 40 cannot be used, such as 10.png: has no label" in propose_recipe(tmp_path)


@pytest.mark.parametrize(
    ("column", "cells", "kind"),
    [
        ("a", ["yes", "no"] * 10, "binary"),
        ("a", ["1", "0", ""] * 10, "binary"),
        ("a", ["red", "green", "blue", ""] * 5, "categorical"),
        ("a", ["0", "1", "2", "3"] * 5, "categorical"),
        ("a", ["00001", "00002", "00010"] * 5, "categorical"),
        ("a", [f"{number / 7:.2f}" for number in range(20)], "regression"),
        ("a", [str(number * number % 97) for number in range(200)], "regression"),
        ("a", [str(number * 3) for number in range(8)], "regression"),
        ("a", ["low", "high", "medium"] * 5, "ordinal"),
        ("a", ["Poor", "Good", "Excellent", ""] * 5, "ordinal"),
        ("a", ["a|b", "b", "none", "a|?c"] * 6, "multilabel"),
        ("a", ["a, b", "b", "c,a"] * 6, "multilabel"),
        ("a", ["a;b", "b", "c;a"] * 6, "multilabel"),
        ("a", ["1,5", "2,5", "3,5"] * 6, "categorical"),
        ("part", ["train", "val", "test"] * 5, "split"),
        ("a", ["train", "car", "bus"] * 5, "categorical"),
        ("a", [f"Text {number}, and more" for number in range(20)], ""),
        ("a", [str(number) for number in range(20)], ""),
        ("a", [str(7 * number) for number in range(200)], ""),
        ("a", ["20170101", "20170102", "20180101"] * 9, ""),
        ("person_id", ["1", "2", "3"] * 5, ""),
        ("personId", ["1", "2", "3"] * 5, ""),
        ("paid", ["1", "2", "3"] * 5, "categorical"),
        ("a", ["one"] * 20, ""),
        ("a", ["one", "two"] + [""] * 100, ""),
        ("a", [""] * 20, ""),
    ],
)
def test_the_kind_follows_the_evidence(column: str, cells: list[str], kind: str) -> None:
    assert guess_column(column, cells).kind == kind


def test_rare_classes_and_blanks_are_told() -> None:
    reason = guess_column("a", ["red"] * 1200 + ["blue"] * 30 + ["green"] * 2 + [""] * 5).reason
    assert reason == "3 values: blue 30, green 2, red 1,200; rare (fewer than 10 images): green; 5 blank"


@pytest.mark.parametrize(
    ("files", "given", "words"),
    [
        ([], "gone", "gone: there is no such folder or file"),
        ([], ".", "there is no image in it"),
        (["1.png", "2.png", "3.png"], ".", r"no labels were found in the names of its 3 images \(such as 1\.png\)"),
        (["1.png"], "labels.csv", r"labels\.csv: none of its columns \(name, letter\) names images"),
        (["x/a.png", "x/b.png"], "labels.csv", r"labels\.csv: no column looks like labels \(letter: a single value"),
        (["x/a.png", "x/b.png"], "broken.csv", r"broken\.csv line 3: 3 cells, but there are 2 columns"),
    ],
)
def test_data_without_labels_is_one_clear_line(tmp_path: Path, files: list[str], given: str, words: str) -> None:
    draw(tmp_path, *files)
    if given.endswith(".csv"):
        (tmp_path / "labels.csv").write_text("name,letter\na,z\nb,z\n", encoding="utf-8")
        (tmp_path / "broken.csv").write_text("name,letter\na,z\nb,z,z\n", encoding="utf-8")
    with pytest.raises(PolyheadError, match=words) as raised:
        propose_recipe(tmp_path / given)
    assert "\n" not in str(raised.value)
