"""Task kinds and sources of installed packages: found by name, loaded when a recipe names them, told when broken."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import polyhead
from conftest import TINY_RECIPE
from plugins import GUIDE, forgotten, install_guide, install_package
from polyhead.data.table import read_table
from polyhead.errors import PolyheadError
from polyhead.progress import SILENT
from polyhead.recipe.loading import load_recipe, write_recipe

LISTED = GUIDE[GUIDE.index("# my_package/listed.py") :].partition("```")[0]
SOURCE = "data.source={kind: listed}"
ENTRIES = {"polyhead.sources": {"listed": "listed:ListedSource"}}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages; what is loaded of it is forgotten again."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    with forgotten(folder):
        yield folder


def tiny(folder: Path) -> Path:
    (folder / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    return folder / "tiny.yaml"


def test_a_source_of_an_installed_package_is_loaded_when_a_recipe_names_it(site: Path, tmp_path: Path) -> None:
    install_package(
        site, "listed-labels", {"listed.py": LISTED}, {"polyhead.sources": {"listed": "listed:ListedSource"}}
    )
    load_recipe(tiny(tmp_path))
    assert "listed" not in sys.modules
    recipe = load_recipe(tiny(tmp_path), [SOURCE, "tasks={color: {kind: categorical}}"])
    assert type(recipe.data.source).__name__ == "ListedSource"
    (tmp_path / "again.yaml").write_text(write_recipe(recipe), encoding="utf-8")
    assert load_recipe(tmp_path / "again.yaml") == recipe
    (tmp_path / "labels.txt").write_text("a.png;red\nb.png;blue\n", encoding="utf-8")
    table = read_table(recipe, tmp_path, SILENT)
    assert table.frame[["path", "color"]].to_numpy().tolist() == [["a.png", "red"], ["b.png", "blue"]]


def test_a_key_that_such_a_source_does_not_have_is_told_as_any_other(site: Path, tmp_path: Path) -> None:
    install_package(
        site, "listed-labels", {"listed.py": LISTED}, {"polyhead.sources": {"listed": "listed:ListedSource"}}
    )
    with pytest.raises(PolyheadError, match=r"data\.source\.fiel: there is no such key"):
        load_recipe(tiny(tmp_path), ["data.source={kind: listed, fiel: x}"])


WRONG = {
    "import": ("import no_such_library", "broken:Source", "ModuleNotFoundError: No module named 'no_such_library'"),
    "nothing there": ("", "broken:Source", "AttributeError: module 'broken' has no attribute 'Source'"),
    "no model": ("Source = 3", "broken:Source", "expected a subclass of BaseModel"),
    "other kind": (LISTED, "broken:ListedSource", "expected a field `kind: Literal['mine'] = 'mine'`"),
    "no read": (
        "from typing import Literal\nfrom polyhead.fields import Part\n"
        "class Source(Part):\n    kind: Literal['mine'] = 'mine'\n",
        "broken:Source",
        "expected a method `read`",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_broken_package_is_told_in_a_line_and_others_go_on_working(
    wrong: str, site: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text, place, words = WRONG[wrong]
    install_package(site, "broken-labels", {"broken.py": text}, {"polyhead.sources": {"mine": place}})
    install_package(
        site, "listed-labels", {"listed.py": LISTED}, {"polyhead.sources": {"listed": "listed:ListedSource"}}
    )
    with pytest.raises(PolyheadError) as error:
        load_recipe(tiny(tmp_path), ["data.source={kind: mine}"])
    assert str(error.value).startswith("the source 'mine' of the package broken-labels c")
    assert words in str(error.value)
    assert str(error.value).endswith("update the package, or remove it: pip uninstall broken-labels")
    assert type(load_recipe(tiny(tmp_path), [SOURCE]).data.source).__name__ == "ListedSource"
    assert "listed" in polyhead.load_plugins()
    assert [str(error.value)] == caplog.messages


def test_a_package_cannot_take_the_place_of_a_built_in_kind(
    site: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = LISTED.replace('"listed"', '"csv"')
    install_package(site, "other-csv", {"other.py": text}, {"polyhead.sources": {"csv": "other:ListedSource"}})
    polyhead.load_plugins()
    assert caplog.messages == [
        "the source 'csv' of the package other-csv has the name of a built-in one and is not used; update the package, "
        "or remove it: pip uninstall other-csv"
    ]
    assert type(load_recipe(tiny(tmp_path)).data.source).__name__ == "CsvSource"
    assert "other" not in sys.modules


def test_two_packages_that_bring_the_same_kind_are_told_apart(site: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        entries = {"polyhead.sources": {"listed": f"{name}:ListedSource"}}
        install_package(site, f"listed-{name}", {f"{name}.py": LISTED}, entries)
    with pytest.raises(PolyheadError, match="is also that of another package; remove one of them"):
        load_recipe(tiny(tmp_path), [SOURCE])


def test_a_kind_that_no_package_brings_is_told_with_the_nearest(site: Path, tmp_path: Path) -> None:
    with pytest.raises(PolyheadError, match=r"data\.source\.kind: expected files, .*got 'folder' \(did you mean 'fo"):
        load_recipe(tiny(tmp_path), ["data.source={kind: folder}"])


STARRED = "tasks={width: {kind: stars, most: 4}}"


def test_a_task_kind_of_an_installed_package_is_loaded_when_a_recipe_names_it(site: Path, tmp_path: Path) -> None:
    install_guide(site)
    recipe = load_recipe(tiny(tmp_path), [STARRED])
    assert type(recipe.tasks["width"]).__name__ == "Stars"
    assert "my_package.stars_head" not in sys.modules  # which needs Keras
    (tmp_path / "again.yaml").write_text(write_recipe(recipe), encoding="utf-8")
    assert load_recipe(tmp_path / "again.yaml") == recipe
    with pytest.raises(PolyheadError, match=r"tasks\.width\.mots: there is no such key .*did you mean 'most'"):
        load_recipe(tiny(tmp_path), ["tasks={width: {kind: stars, mots: 4}}"])


def test_a_task_kind_without_a_head_is_refused(site: Path, tmp_path: Path) -> None:
    install_guide(site)
    stars = site / "my_package/stars.py"
    stars.write_text(stars.read_text(encoding="utf-8").replace("my_package.stars_head:StarsHead", ""), encoding="utf-8")
    with pytest.raises(PolyheadError, match="the task kind 'stars' of the package my-package cannot be used: expected"):
        load_recipe(tiny(tmp_path), [STARRED])
