"""The recipes inside the package, as text: nothing here loads pydantic, so that listing them is quick."""

from importlib import resources

FOLDER = resources.files("polyhead.recipe.builtin")


def built_in_names() -> list[str]:
    """The names of the recipes inside."""
    return sorted(entry.name.removesuffix(".yaml") for entry in FOLDER.iterdir() if entry.name.endswith(".yaml"))


def read_text(name: str) -> str:
    """The YAML text of a recipe inside."""
    return (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


def read_description(name: str) -> str:
    """The line in which a recipe inside says what it answers."""
    lines = (line.partition(": ") for line in read_text(name).splitlines())
    return next(text.strip() for key, _, text in lines if key == "description")
