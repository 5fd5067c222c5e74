"""What a program does with a recipe: build, change, compare and write it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from polyhead.fields import Part, Plain
from polyhead.files import write_text

if TYPE_CHECKING:
    from polyhead.recipe.loading import RecipeLike
    from polyhead.recipe.schema import Recipe


class EditableRecipe(Part):
    """A recipe is never changed in place: what changes it gives another one.

    `load` reads one, also from a dict, and says what is wrong with it in one line; the constructor raises pydantic's
    own `ValidationError`.
    """

    @staticmethod
    def load(recipe: "RecipeLike") -> "Recipe":
        """Read and check a recipe: a built-in one by its name, a YAML file, or a dict of the same keys.

        Raises:
            PolyheadError: the first thing that is wrong, in one line that names the key.
        """
        from polyhead.recipe.loading import load_recipe

        return load_recipe(recipe)

    def override(self, *changes: str | Mapping[str, object]) -> "Recipe":
        """A copy with some values replaced, checked like a file.

        Args:
            changes: `"training.epochs=5"`, the value in YAML; or `{"training.epochs": 5}`, dotted keys with values.

        Raises:
            PolyheadError: a key is unknown, or a value does not fit; in one line that names the key.
        """
        from polyhead.recipe.loading import load_recipe

        return load_recipe(self.to_dict(), changes)

    def diff(self, other: "Recipe") -> dict[str, tuple[Plain, Plain]]:
        """What differs from another recipe: by dotted key, this recipe's value and the other's; None where absent.

        Equal recipes (`==`) differ in nothing.
        """
        mine, others = _flatten(self.to_dict()), _flatten(other.to_dict())
        keys = [*mine, *(key for key in others if key not in mine)]
        return {key: (mine.get(key), others.get(key)) for key in keys if mine.get(key) != others.get(key)}

    def to_dict(self) -> dict[str, Plain]:
        """Every key with its value, as dicts, lists, texts and numbers; `polyhead.load_recipe` reads it."""
        from polyhead.recipe.loading import recipe_values

        values: dict[str, Plain] = recipe_values(self)  # type: ignore[arg-type]
        return values

    def to_yaml(self) -> str:
        """Every key with its value, as YAML text."""
        from polyhead.recipe.loading import write_recipe

        return write_recipe(self)  # type: ignore[arg-type]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the recipe as a YAML file, which `polyhead.load_recipe` reads; its path.

        Raises:
            PolyheadError: it cannot be written.
        """
        write_text(Path(path), self.to_yaml())
        return Path(path)


def _flatten(value: Plain, key: str = "") -> dict[str, Plain]:
    """Values by dotted key; lists whole."""
    if not isinstance(value, dict) or (key and not value):
        return {key: value}
    found: dict[str, Plain] = {}
    for inner, held in value.items():
        found |= _flatten(held, f"{key}.{inner}" if key else inner)
    return found
