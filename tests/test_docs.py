"""The documentation says what is there: every command, option, key and public name; and its examples run."""

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

import polyhead
from conftest import call
from polyhead.cli.app import app
from polyhead.data.drawn.synthetic import draw_garments
from polyhead.progress import SILENT
from polyhead.recipe.builtin import built_in_names
from polyhead.recipe.loading import check_recipe, load_recipe
from polyhead.recipe.reference import describe_recipe
from polyhead.recipe.schema import Recipe

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), ROOT / "benchmarks/README.md"])
COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
NOT_RUN = re.compile(r"<!-- not run: .+ -->\s*$")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s:#]*)(?:#([^)\s]+))?\)")


class Block(NamedTuple):
    """A piece of code of a page: its language, its text, and whether the page says that it can be run."""

    language: str
    text: str
    runs: bool


def list_blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            found[2],
            re.sub(f"^{found[1]}", "", found[3], flags=re.MULTILINE),
            not NOT_RUN.search(text[: found.start()]),
        )
        for found in FENCE.finditer(text)
    ]


def list_commands(block: Block) -> list[str]:
    """The lines of a terminal that call polyhead."""
    lines = block.text.replace("\\\n", "").splitlines()
    lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [line for line in lines if re.match(r"(\w+=\S+ )*polyhead ", line)]


def name_page(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


GUIDES = [page for page in PAGES if page.is_relative_to(DOCS)]
RUNNABLE = [
    page
    for page in GUIDES
    if any(block.runs and block.language in ("python", "console") for block in list_blocks(page))
]


def test_the_recipe_reference_and_the_schema_are_current() -> None:
    assert (DOCS / "recipe.md").read_text(encoding="utf-8") == describe_recipe(), "run `make docs`"
    schema = json.loads((DOCS / "recipe.schema.json").read_text(encoding="utf-8"))
    assert schema == Recipe.model_json_schema(), "run `make docs`"


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    """What the site's build adds to the pages."""
    spec = importlib.util.spec_from_file_location("hooks", DOCS / "hooks.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_is_documented(command: str, hooks: ModuleType) -> None:
    assert f"polyhead {command}" in README
    reference = hooks.describe_commands()
    assert f"## `polyhead {command}`" in reference
    assert any(f"$ polyhead {command}" in page.read_text(encoding="utf-8") for page in GUIDES)


def test_links_out_of_the_folder_lead_to_the_repository(hooks: ModuleType) -> None:
    led = hooks.lead_links("[a](../benchmarks/README.md#b) [c](recipe.md)", "docs", "https://host/repo")
    assert led == "[a](https://host/repo/blob/main/benchmarks/README.md#b) [c](recipe.md)"
    assert hooks.lead_links("[a](docs/recipe.md)", "", "https://host/repo") == "[a](recipe.md)"


@pytest.mark.parametrize("name", polyhead.__all__)
def test_every_public_name_is_in_the_reference(name: str) -> None:
    assert f"::: polyhead.{name}\n" in (DOCS / "api/python.md").read_text(encoding="utf-8")


def test_every_extra_on_a_page_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for page in PAGES:
        for named in re.findall(r"polyhead\[([\w,]+)\]", page.read_text(encoding="utf-8")):
            assert set(named.split(",")) <= extras.keys(), page


@pytest.mark.parametrize("name", built_in_names())
def test_every_recipe_inside_is_in_the_documentation(name: str) -> None:
    assert name in README
    assert load_recipe(name).description


def test_every_page_is_in_the_navigation() -> None:
    settings = YAML(typ="safe", pure=True).load(ROOT / "mkdocs.yml")

    def list_pages(entry: Any) -> Iterator[str]:
        for inner in entry.values() if isinstance(entry, dict) else entry:
            yield from [inner] if isinstance(inner, str) else list_pages(inner)

    listed = list(list_pages(settings["nav"]))
    assert sorted(listed) == sorted(page.relative_to(DOCS).as_posix() for page in GUIDES)


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="pip install 'polyhead[docs]'")
    command = (sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site"))
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    for name in polyhead.__all__:
        assert f'id="polyhead.{name}"' in (tmp_path / "site/api/python/index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=name_page)
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        target = page.parent / path if path else page
        assert target.exists(), path
        if anchor:
            headings = HEADING.findall(target.read_text(encoding="utf-8"))
            assert anchor in [slug(heading) for heading in headings], f"{path}#{anchor}"


def slug(heading: str) -> str:
    """A heading as the address of its place in a page, as Markdown's `toc` and GitHub make it."""
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


@pytest.mark.parametrize("page", PAGES, ids=name_page)
def test_commands_on_a_page_exist_with_their_options(page: Path) -> None:
    for line in (line for block in list_blocks(page) for line in list_commands(block)):
        _, name, *arguments = shlex.split(re.sub(r"^(\w+=\S+ )+", "", line), comments=True)
        if name.startswith("-"):
            continue
        assert name in COMMANDS, line
        options = {option for parameter in COMMANDS[name].params for option in parameter.opts} | {"--help"}
        given = {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}
        assert given <= options, line


@pytest.mark.parametrize("page", PAGES, ids=name_page)
def test_recipes_on_a_page_are_valid(page: Path) -> None:
    """A part of a recipe is completed by the demo's: other sections, other tasks."""
    demo = load_recipe("demo").model_dump(exclude_unset=True)
    for block in list_blocks(page):
        content = YAML(typ="safe", pure=True).load(block.text) if block.language == "yaml" else None
        if isinstance(content, dict) and content.keys() >= {"data", "tasks", "network"}:
            check_recipe(content, page.name)
        elif isinstance(content, dict):
            data = {"source": demo["data"]["source"], **content.get("data", {})}
            check_recipe(
                {**demo, **content, "tasks": demo["tasks"] | content.get("tasks", {}), "data": data}, page.name
            )


def test_the_readmes_recipe_is_a_recipe(tmp_path: Path) -> None:
    text = next(block.text for block in list_blocks(ROOT / "README.md") if block.language == "yaml")
    (tmp_path / "my.yaml").write_text(text, encoding="utf-8")
    assert set(load_recipe(tmp_path / "my.yaml").tasks) == {"category", "color"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `demo`, as `polyhead demo` leaves it, of fewer images and epochs."""
    folder = tmp_path_factory.mktemp("docs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POLYHEAD_CACHE", str(folder / "cache"))
        draw_garments(folder / "garments", 250, seed=0, progress=SILENT)
        brief = ("--set", "training.epochs=2", "--set", "image.size=[32, 32]")
        assert call("train", "demo", "--data", folder / "garments", "--out", folder / "demo", *brief) == 0
    (folder / "demo/data").symlink_to(folder / "garments")
    return folder / "demo"


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNABLE, ids=name_page)
def test_the_examples_of_a_page_run(
    page: Path, demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In order, in one folder: commands, then what is written in Python, of all that the page does not except."""
    shutil.copytree(demo, tmp_path / "demo", symlinks=True)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    for block in list_blocks(page):
        if block.runs and block.language == "python":
            exec(compile(block.text, str(page), "exec"), names)
        for line in list_commands(block) if block.runs and block.language == "console" else ():
            run_command(line, capfd)


def run_command(line: str, capfd: pytest.CaptureFixture[str]) -> None:
    command, _, out = line.partition(" > ")
    _, *arguments = shlex.split(command, comments=True)
    if arguments[0] == "train":
        arguments += ["--set", "training.epochs=1", "--set", "image.size=[32, 32]"]
    capfd.readouterr()
    code = call(*arguments)
    printed = capfd.readouterr()
    assert code == 0, f"{line}\n{printed.err}"
    if out:
        Path(shlex.split(out, comments=True)[0]).write_text(printed.out, encoding="utf-8")


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md"])
def test_every_room_of_the_house_is_on_the_map(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for path in (ROOT / "src/polyhead").glob("[!_]*"):
        if path.suffix != ".typed":
            assert (f"  {path.name}/ " if path.is_dir() else path.name) in text, path
