"""The documentation says what is there: made pages are current, every command is told, examples are valid."""

import json
import re
from pathlib import Path

import pytest
from typer.main import get_command

from polyhead.cli.train import app
from polyhead.recipe.builtin import built_in_names
from polyhead.recipe.loading import load_recipe
from polyhead.recipe.reference import describe_recipe
from polyhead.recipe.schema import Recipe

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_recipe_reference_and_the_schema_are_current() -> None:
    assert (ROOT / "docs/recipe.md").read_text(encoding="utf-8") == describe_recipe(), "run `make docs`"
    schema = json.loads((ROOT / "docs/recipe.schema.json").read_text(encoding="utf-8"))
    assert schema == Recipe.model_json_schema(), "run `make docs`"


@pytest.mark.parametrize("command", sorted(get_command(app).commands))  # type: ignore[attr-defined]
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"polyhead {command}" in README


@pytest.mark.parametrize("name", built_in_names())
def test_every_recipe_inside_is_in_the_documentation(name: str) -> None:
    assert name in README
    assert load_recipe(name).description


def test_the_readmes_recipe_is_a_recipe(tmp_path: Path) -> None:
    text = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)[0]
    (tmp_path / "my.yaml").write_text(text, encoding="utf-8")
    assert set(load_recipe(tmp_path / "my.yaml").tasks) == {"category", "color"}


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/clusters.md", "docs/results.md"]
)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text(encoding="utf-8")):
        assert ((ROOT / page).parent / link).exists(), link


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md"])
def test_every_room_of_the_house_is_on_the_map(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for path in (ROOT / "src/polyhead").glob("[!_]*"):
        if path.suffix != ".typed":
            assert (f"  {path.name}/ " if path.is_dir() else path.name) in text, path
