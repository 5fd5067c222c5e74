"""The recipe reference and the JSON schema, made from the models' own field descriptions (`make docs`)."""

import json
import re
import sys
from pathlib import Path
from typing import Any

from polyhead.recipe.schema import Recipe

HEAD = """# Recipe reference

<!-- Made by `make docs` from the field descriptions in the code; edit those. -->

A recipe is one YAML (1.2) file. Keys that are not listed here are mistakes, and are reported with the nearest right
word. Any key can be set where a recipe is used, by its path and a value in YAML: `training.epochs=5`,
`image.size=[128, 96]`. For
completion and checks in an editor, put this line at the top of a recipe:

```yaml
# yaml-language-server: $schema=recipe.schema.json
```
"""

Schema = dict[str, Any]


def write_reference(folder: Path) -> None:
    """Write `recipe.md` and `recipe.schema.json` into a folder."""
    (folder / "recipe.md").write_text(describe_recipe(), encoding="utf-8")
    (folder / "recipe.schema.json").write_text(
        json.dumps(Recipe.model_json_schema(), indent=2) + "\n", encoding="utf-8"
    )


def describe_recipe() -> str:
    """The reference as Markdown: a section for every part of a recipe, a row for every key."""
    schema = Recipe.model_json_schema()
    sections = [HEAD, _describe("recipe", schema)]
    todo, seen = _parts("", schema), set()
    while todo:
        place, name = todo.pop(0)
        if name not in seen:
            seen.add(name)
            part = schema["$defs"][name]
            sections.append(_describe(_title(place, part), part))
            todo = _parts(place, part) + todo
    return "\n".join(sections)


def _title(place: str, part: Schema) -> str:
    kind = part["properties"].get("kind", {}).get("const")
    return f"{place}, kind: {kind}" if kind else place


def _parts(place: str, part: Schema) -> list[tuple[str, str]]:
    """The models that a part's keys hold, each with its dotted place."""
    found = []
    for key, value in part["properties"].items():
        inner = "NAME" if "additionalProperties" in value else ""
        where = ".".join(word for word in (place, key, inner) if word)
        found += [(where, name) for name in _references(value)]
    return found


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            return [value["$ref"].rpartition("/")[2]]
        return [name for key, inner in value.items() if key != "discriminator" for name in _references(inner)]
    return [name for inner in value for name in _references(inner)] if isinstance(value, list) else []


def _describe(title: str, part: Schema) -> str:
    lines = [f"## `{title}`", "", " ".join(part["description"].split()), "", "| key | value | default | |"]
    lines.append("|---|---|---|---|")
    for key, value in part["properties"].items():
        default = "" if key in part.get("required", ()) else _show(value.get("default"))
        words = " ".join(value.get("description", "").split())
        lines.append(" | ".join([f"| `{key}`", *map(_keep_in_cell, (_type(value), default, words))]) + " |")
    return "\n".join([*lines, ""])


def _keep_in_cell(words: str) -> str:
    """Words for a cell of a table, which a `|` would end, even in code."""
    return re.sub(r"`([^`]*\|[^`]*)`", lambda code: f"<code>{code[1].replace('|', '&#124;')}</code>", words)


def _show(default: Any) -> str:
    if default in (None, "", [], {}) or isinstance(default, dict):
        return ""
    return f"`{json.dumps(default) if not isinstance(default, str) else default}`"


def _type(value: Schema) -> str:
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{word}`" for word in value["enum"])
    if "anyOf" in value or "oneOf" in value:
        kinds = [_type(inner) for inner in value.get("anyOf") or value["oneOf"] if inner.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if value.get("type") == "array":
        inner = value.get("items") or value["prefixItems"][0]
        return f"list of {_type(inner)}"
    if "$ref" in value or value.get("type") == "object":
        return "keys"
    return {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}[value["type"]]


if __name__ == "__main__":
    write_reference(Path(sys.argv[1]))
