"""Splits have exact shares, are alike on every machine, and never show one image, person or product to two sides."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from polyhead.data.folds import assign_folds
from polyhead.data.splits import find_duplicates, split_rows
from polyhead.data.table import read_table
from polyhead.errors import PolyheadError
from polyhead.progress import SILENT
from polyhead.recipe.loading import check_recipe
from polyhead.recipe.schema import Recipe


def recipe(seed: int = 0, **split: Any) -> Recipe:
    raw = {
        "name": "test",
        "seed": seed,
        "data": {"source": {"kind": "csv", "file": "labels.csv"}, "split": split},
        "tasks": {
            "color": {"kind": "categorical"},
            "category": {"kind": "categorical"},
            "details": {"kind": "multilabel"},
        },
        "network": {"trunk": {"blocks": [{"filters": 4}]}},
    }
    return check_recipe(raw, "test")


def table(count: int, **columns: list[str]) -> pd.DataFrame:
    """So many rows, each of its own content, and all red dresses unless said otherwise."""
    plain = {
        "path": [f"{number:04}.png" for number in range(count)],
        "split": [""] * count,
        "content": [f"c{number}" for number in range(count)],
        "color": ["red"] * count,
        "category": ["dress"] * count,
        "details": [""] * count,
    }
    return pd.DataFrame(plain | columns, dtype=str)


def split(frame: pd.DataFrame, given: Recipe) -> list[str]:
    """The split of each row, or the reason why it has none."""
    result = split_rows(frame, given)
    assert ((result["split"] == "") != (result["reason"] == "")).all()
    return list(result["split"] + result["reason"])


@pytest.mark.parametrize(
    ("count", "test", "valid", "sizes"),
    [
        (10, 0.2, 0.25, (6, 2, 2)),
        (10, 0.2, 0.2, (6, 2, 2)),  # .2 of the 8 that remain is 1.6
        (10, 0.15, 0, (8, 0, 2)),  # 1.5 goes up
        (10, 0.25, 0, (7, 0, 3)),  # 2.5 goes up, where rounding to even would give 2
        (15, 0.3, 0.3, (7, 3, 5)),  # 4.5 goes up; .3 of 10
        (7, 0.5, 0.5, (1, 2, 4)),  # 3.5 goes up; 1.5 goes up
        (101, 0.1, 0.1, (82, 9, 10)),  # 10.1; 9.1
        (16299, 0.3, 0.3, (7986, 3423, 4890)),  # 4889.7; .3 of 11,409 is 3422.7
        (9, 0, 0, (9, 0, 0)),
    ],
)
def test_shares_are_exact(count: int, test: float, valid: float, sizes: tuple[int, int, int]) -> None:
    found = Counter(split(table(count), recipe(test=test, valid=valid)))
    assert (found["train"], found["valid"], found["test"]) == sizes


def test_the_split_of_a_seed_is_the_same_on_every_machine() -> None:
    # PCG64(0) draws .64 .27 .04 .02 .81 .91 .61 .73 .54 .94 .82 .00: the lowest three are test, the next two valid.
    t, v, e = "train", "valid", "test"
    known = [t, v, e, e, t, t, t, t, v, t, t, e]
    assert split(table(12), recipe(seed=0, test=0.25, valid=0.25)) == known
    assert split(table(12), recipe(seed=1, test=0.25, valid=0.25)) != known


def test_the_order_in_which_images_are_listed_does_not_matter() -> None:
    frame = table(60, color=["red", "blue", "green"] * 20, content=[f"c{number // 2}" for number in range(60)])
    given = recipe(stratify=["color"])
    shuffled = frame.sample(frac=1, random_state=1)
    assert split_rows(shuffled, given).loc[frame.index].equals(split_rows(frame, given))


@pytest.mark.parametrize("seed", range(5))
def test_repeats_and_groups_never_cross_splits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    content = [f"c{number}" for number in rng.integers(0, 300, 400)]
    group = [f"g{number}" if number < 60 else "" for number in rng.integers(0, 120, 400)]
    frame = table(400, content=content).assign(**{"split.group": group})
    frame["split"] = split(frame, recipe(seed=seed, group="person", test=0.3, valid=0.3))
    assert set(frame["split"]) == {"train", "valid", "test"}
    assert (frame.groupby("content")["split"].nunique() == 1).all()
    assert (frame[frame["split.group"] != ""].groupby("split.group")["split"].nunique() == 1).all()


def test_images_tied_through_others_stay_together() -> None:
    # 0-1 share a content, 1-2 a person, 2-3 a content: one group of four rows in six.
    frame = table(6, content=["a", "a", "b", "b", "c", "d"]).assign(**{"split.group": ["", "p", "p", "", "", ""]})
    for seed in range(8):
        found = split(frame, recipe(seed=seed, group="person", test=0.3, valid=0))  # 1.8: two rows
        assert found == ["train"] * 4 + ["test"] * 2


def test_shares_are_within_one_group_of_exact() -> None:
    frame = table(100).assign(**{"split.group": [f"g{number // 7}" for number in range(100)]})  # 14 of 7, one of 2
    for seed in range(5):
        found = Counter(split(frame, recipe(seed=seed, group="person", test=0.2, valid=0)))
        assert found["test"] in (14, 16)  # of 20: two groups of 7, and the small one or not


def test_repeats_are_listed_by_content() -> None:
    assert find_duplicates(table(6, content=["a", "b", "a", "", "b", ""])) == [[0, 2], [1, 4]]


def test_strata_have_their_shares_and_add_up() -> None:
    frame = table(60, color=["red"] * 33 + ["blue"] * 21 + [""] * 6)
    frame["split"] = split(frame, recipe(test=0.1, valid=0, stratify=["color"]))
    found = Counter(frame["color"][frame["split"] == "test"])
    # 3.3 + 2.1 + 0.6 = 6 rows: 3, 2 and 0, and the largest remainder, .6, gets the sixth.
    assert found == {"red": 3, "blue": 2, "": 1}


def test_the_share_of_validation_is_stratified_too() -> None:
    frame = table(100, color=["red"] * 50 + ["blue"] * 50)
    frame["split"] = split(frame, recipe(test=0.2, valid=0.25, stratify=["color"]))
    found = Counter(frame["split"] + " " + frame["color"])
    sizes = {"test": 10, "valid": 10, "train": 30}
    assert found == {f"{name} {color}": size for color in ("red", "blue") for name, size in sizes.items()}


def test_validation_by_the_test_images_makes_no_split_of_its_own() -> None:
    assert Counter(split(table(10), recipe(test=0.2, valid="test"))) == {"train": 8, "test": 2}


COLORS = ["red", "red", "blue", "blue", "", "red", "green", "blue"]
CATEGORIES = ["dress", "shirt", "dress", "shirt", "dress", "", "dress", "shirt"]


def test_held_out_combinations_are_a_pure_split_of_their_own() -> None:
    frame = table(8, color=COLORS, category=CATEGORIES)
    held = [{"color": "red", "category": "dress"}, {"color": "green"}]
    found = split(frame, recipe(hold_out=held, test=0, valid=0))
    # An unknown label matches nothing: rows 4 and 5 train.
    assert found == ["unseen", "train", "train", "train", "train", "train", "unseen", "train"]


def test_what_shares_a_content_or_group_with_a_held_out_image_is_left_out() -> None:
    frame = table(5, color=["red", "blue", "blue", "blue", "blue"], content=["a", "a", "b", "c", "d"])
    frame = frame.assign(**{"split.group": ["p", "", "p", "q", ""]})
    found = split(frame, recipe(hold_out=[{"color": "red"}], group="person", test=0, valid=0))
    reason = "has the same content or group as an image that is held out"
    assert found == ["unseen", reason, reason, "train", "train"]


def test_shares_are_of_the_images_that_are_not_held_out() -> None:
    found = Counter(
        split(table(20, color=["red", "blue"] * 10), recipe(hold_out=[{"color": "red"}], test=0.2, valid=0))
    )
    assert found == {"unseen": 10, "test": 2, "train": 8}


def test_one_of_several_labels_can_be_held_out() -> None:
    frame = table(4, details=["belt|pocket", "?belt|pocket", "none", "belt"])
    found = split(frame, recipe(hold_out=[{"details": "belt"}], test=0, valid=0))
    assert found == ["unseen", "train", "train", "unseen"]


@pytest.mark.parametrize(
    ("combination", "words"),
    [
        ({"color": "read"}, r"no image has the color 'read' \(did you mean 'red'\?\); there are blue, green, red"),
        ({"color": "green", "category": "shirt"}, "no image has all labels of {color: green, category: shirt}"),
    ],
)
def test_a_combination_that_no_image_has_is_refused(combination: dict[str, str], words: str) -> None:
    with pytest.raises(PolyheadError, match=words):
        split(table(8, color=COLORS, category=CATEGORIES), recipe(hold_out=[combination]))


def test_a_split_that_the_source_gives_is_kept() -> None:
    fixed = ["train"] * 6 + ["valid"] * 1 + ["test"] * 3
    assert split(table(10, split=fixed), recipe(column="part", test=0.5, valid=0.5)) == fixed


@pytest.mark.parametrize(
    ("fixed", "sizes"),
    [
        (["train"] * 10, {"test": 2, "valid": 2, "train": 6}),  # .2 of 10, .25 of 8
        (["train"] * 8 + ["test"] * 3, {"test": 3, "valid": 2, "train": 6}),  # .25 of 8
        (["train"] * 8 + ["valid"] * 3, {"test": 2, "valid": 3, "train": 6}),  # .2 of 8 is 1.6
    ],
)
def test_what_the_source_never_says_is_cut_from_train(fixed: list[str], sizes: dict[str, int]) -> None:
    assert Counter(split(table(len(fixed), split=fixed), recipe(column="part", test=0.2, valid=0.25))) == sizes


def test_where_the_source_splits_repeats_the_split_that_judges_keeps_them() -> None:
    frame = table(7, content=list("aabbccd"), split=["train", "test", "valid", "train", "test", "valid", "train"])
    by_test = "has the same content or group as an image of test"
    by_valid = "has the same content or group as an image of valid"
    assert split(frame, recipe(column="part")) == [by_test, "test", "valid", by_valid, "test", by_test, "train"]


@pytest.mark.parametrize(
    ("count", "given", "words"),
    [
        (2, {"test": 0.2}, r"data\.split\.test: is 0\.2 of 2 images, which rounds to none"),
        (4, {"test": 0.25, "valid": 0.1}, r"data\.split\.valid: is 0\.1 of 3 images, which rounds to none"),
        (1, {"test": 0.9, "valid": 0}, "no image is left to train on"),
        (2, {"hold_out": [{"color": "red"}], "test": 0, "valid": 0}, "no image is left to train on"),
    ],
)
def test_a_split_that_comes_out_empty_is_refused(count: int, given: dict[str, Any], words: str) -> None:
    with pytest.raises(PolyheadError, match=words):
        split(table(count), recipe(**given))


def test_a_test_split_that_no_group_fits_into_is_refused() -> None:
    frame = table(20).assign(**{"split.group": ["one"] * 10 + ["two"] * 10})
    with pytest.raises(PolyheadError, match="of 20 images, 4, and every group of duplicates is larger"):
        split(frame, recipe(group="person"))


def test_validation_images_of_the_source_cannot_be_test_images_too() -> None:
    with pytest.raises(PolyheadError, match=r"data\.split\.valid: is `test`, but the source has validation images"):
        split(table(3, split=["train", "valid", "test"]), recipe(column="part", valid="test"))


def draw(root: Path, *paths: str) -> None:
    for shade, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (shade, 0, 0)).save(root / path)


VALUES = {0: "train", 1: "valid", 2: "test"}


def test_words_of_a_column_are_mapped_and_unknown_ones_leave_the_row_out(tmp_path: Path) -> None:
    draw(tmp_path, "a.png", "b.png", "c.png", "d.png")
    text = "image,color,category,details,part\na.png,red,,,0\nb.png,red,,,2\nc.png,red,,,3\nd.png,red,,,\n"
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    found = read_table(recipe(column="part", values=VALUES), tmp_path, SILENT)
    assert list(zip(found.frame["path"], found.frame["split"], strict=True)) == [("a.png", "train"), ("b.png", "test")]
    assert list(zip(found.rejected["path"], found.rejected["reason"], strict=True)) == [
        ("c.png", "the column part gives its split as '3'; data.split.values has 0, 1, 2"),
        ("d.png", "the column part does not give its split"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "a.png 0\nb c.png 2\n",
        "image,partition\na.png,0\nb c.png,2\n",
        "\ufeffimages/a.png\t0\r\n\r\nimages/b c.png\t2\r\n",
        './images/a.png,0\n"images/b c.png",2\nnot/there.png,1\n',
    ],
)
def test_a_file_says_the_split_by_path_or_by_name(tmp_path: Path, text: str) -> None:
    draw(tmp_path, "images/a.png", "images/b c.png")
    rows = "image,color,category,details\nimages/a.png,red,,\nimages/b c.png,red,,\n"
    (tmp_path / "labels.csv").write_text(rows, encoding="utf-8")
    (tmp_path / "parts.txt").write_text(text, encoding="utf-8")
    found = read_table(recipe(file="parts.txt", values=VALUES), tmp_path, SILENT)
    assert list(found.frame["split"]) == ["train", "test"]
    assert found.rejected.empty


def test_a_name_that_two_images_have_says_no_split(tmp_path: Path) -> None:
    draw(tmp_path, "one/a.png", "two/a.png")
    (tmp_path / "labels.csv").write_text("image,color,category,details\none/a.png,red,,\ntwo/a.png,red,,\n", "utf-8")
    (tmp_path / "parts.txt").write_text("a.png 0\ntwo/a.png 2", "utf-8")
    found = read_table(recipe(file="parts.txt", values=VALUES), tmp_path, SILENT)
    assert list(found.frame["path"]) == ["two/a.png"]
    assert list(found.rejected["reason"]) == ["parts.txt does not give its split"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, r"data\.split\.file: .*parts\.txt: cannot be read"),
        ("a.png\n", r"parts\.txt line 1: expected an image and its split; got 'a\.png'"),
        ("a.png 0\na.png 1\n", r"parts\.txt line 2: a\.png is there twice"),
    ],
)
def test_a_file_of_splits_that_is_wrong_is_named_with_its_line(tmp_path: Path, text: str | None, words: str) -> None:
    draw(tmp_path, "a.png")
    (tmp_path / "labels.csv").write_text("image,color,category,details\na.png,red,,\n", "utf-8")
    if text is not None:
        (tmp_path / "parts.txt").write_text(text, "utf-8")
    with pytest.raises(PolyheadError, match=words):
        read_table(recipe(file="parts.txt", values=VALUES), tmp_path, SILENT)


def fold(frame: pd.DataFrame, given: Recipe, count: int) -> list[str]:
    """The fold of each row, where the rows without a split are training rows."""
    return assign_folds(frame.assign(split=frame["split"].replace("", "train")), given, count)


@pytest.mark.parametrize(("rows", "count", "sizes"), [(10, 2, [5, 5]), (11, 3, [4, 4, 3]), (5, 5, [1] * 5)])
def test_folds_are_of_about_equal_size_and_a_matter_of_the_seed(rows: int, count: int, sizes: list[int]) -> None:
    found = fold(table(rows), recipe(), count)
    assert sorted(Counter(found).values(), reverse=True) == sizes
    assert fold(table(rows).sample(frac=1, random_state=1).sort_values("path"), recipe(), count) == found
    assert set(found) == {str(number) for number in range(1, count + 1)}
    if rows == 10:
        assert fold(table(rows), recipe(seed=1), count) != found


def test_only_training_rows_are_in_folds() -> None:
    frame = table(9, split=["test", "", "unseen"] * 3)
    found = fold(frame, recipe(), 3)
    assert sorted(found) == ["", "", "", "", "", "", "1", "2", "3"]
    assert [bool(name) for name in found] == [False, True, False] * 3


def test_rows_that_belong_together_are_in_one_fold() -> None:
    groups = [f"g{number // 3}" for number in range(30)]
    content = [f"c{number}" for number in range(29)] + ["c0"]  # the last group is tied to the first by an image
    found = fold(table(30, **{"split.group": groups}, content=content), recipe(), 4)
    for first in range(0, 30, 3):
        assert len(set(found[first : first + 3])) == 1
    assert found[0] == found[29]
    assert max(Counter(found).values()) - min(Counter(found).values()) <= 6


def test_strata_are_spread_over_all_folds() -> None:
    colors = ["red"] * 20 + ["blue"] * 8 + ["green"] * 4
    found = fold(table(32, color=colors), recipe(stratify=["color"]), 4)
    assert set(Counter(zip(colors, found, strict=True)).values()) == {5, 2, 1}


def test_more_folds_than_groups_are_refused() -> None:
    with pytest.raises(PolyheadError, match="`folds`: 5 are asked for, and there are 4 groups"):
        fold(table(4), recipe(), 5)
