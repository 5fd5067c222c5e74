"""Say what is wrong with a recipe: one line that names the key, what was expected, what was found, and what is near."""

import re
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from polyhead.errors import nearest, shorten
from polyhead.recipe.overrides import Location, list_keys, models_at
from polyhead.tasks import is_learnt


def explain(error: ValidationError, raw: Any) -> str:
    """The first error as `key: expected ...; got ... (did you mean ...?)`."""
    first = _choose_error(error.errors(include_url=False), raw)
    keys = _user_keys(first["loc"], raw)
    key = ".".join(shorten(part, 60) for part in keys)
    kind, given, context = first["type"], first["input"], first.get("ctx", {})
    if kind == "value_error":
        message = str(context["error"])
        return f"{key}: {message}" if key else message
    if kind == "extra_forbidden":
        if any(is_learnt(model, keys[-1]) for model in models_at(first["loc"][:-1])):
            return f"{key}: is learnt from the data; remove it"
        return f"{key}: there is no such key{_telllist_keys(first['loc'], keys[-1])}"
    if kind == "missing":
        return (
            f"{key}: is missing"
            if isinstance(first["loc"][-1], str)
            else f"{key}: has too few values; got {show_value(given)}"
        )
    if kind in ("union_tag_invalid", "literal_error"):
        if kind == "union_tag_invalid":
            key, given = f"{key}.{context['discriminator'].strip(chr(39))}", context["tag"]
        expected = context.get("expected_tags") or context["expected"]
        words = expected.replace("'", "").replace(" or ", ", ")
        return f"{key}: expected {words}; got {show_value(given)}{nearest(str(given), words.split(', '))}"
    if kind == "union_tag_not_found":
        return f"{key}.{context['discriminator'].strip(chr(39))}: is missing"
    if kind == "invalid_key" or "[key]" in first["loc"]:
        return f"{key}: expected a key that is text; put {show_value(keys[-1])} between quotes"
    if kind in ("too_long", "too_short"):
        expectation = first["msg"].partition(" should have ")[2].partition(" after ")[0]
        return f"{key}: expected {expectation}; got {context['actual_length']:,}"
    expectation = re.sub(r"^\w+ should (be|have) ", "", first["msg"]).replace("a valid dictionary", "keys")
    if kind == "int_parsing_size":
        expectation = "a smaller number"
    expectation = re.sub(" or (instance of|object to) .*", "", expectation)
    return f"{key}: expected {expectation}; got {show_value(given)}"


def _choose_error(errors: Sequence[Any], raw: Any) -> Any:
    """The first error; of those that pydantic reports for each type of a union, the most specific one."""
    path = _user_keys(errors[0]["loc"], raw)
    same_path = [error for error in errors if _user_keys(error["loc"], raw)[: len(path)] == path]

    def specificity(error: Any) -> tuple[int, bool]:
        likely = "literal_error" if isinstance(error["input"], str) else "too_short"
        return len(_user_keys(error["loc"], raw)), error["type"] == likely

    return max(same_path, key=specificity)


def _telllist_keys(location: Location, key: str) -> str:
    """What may have been meant by an unknown key, and which keys there are."""
    keys = sorted({name for model in models_at(location[:-1]) for name in list_keys(model)})
    others = [model for model in models_at(location[:-2]) if key in list_keys(model)]
    kinds = ", ".join(str(model.model_fields["kind"].default) for model in others if "kind" in model.model_fields)
    hint = f" here, but in kind: {kinds}" if kinds else nearest(key, keys)
    return f"{hint}; expected {', '.join(keys)}"


def _user_keys(location: Location, raw: Any) -> list[str]:
    """The location of an error in the user's own keys, without the kinds and types that pydantic puts between them."""
    keys: list[str] = []
    for item in location:
        if item == "[key]":
            continue
        if isinstance(raw, dict):
            if item not in raw and (item == raw.get("kind") or _is_type(item)):
                continue
            raw = raw.get(item)
        elif isinstance(raw, list) and isinstance(item, int):
            raw = raw[item] if item < len(raw) else None
        else:
            continue
        keys.append(str(item))
    return keys


def _is_type(item: int | str) -> bool:
    """Whether pydantic names a type of a union by it: a class, or `literal[...]`; no key of ours is like either."""
    return isinstance(item, str) and (item[:1].isupper() or "[" in item)


def show_value(value: object) -> str:
    """A value for a message, cut if it is long."""
    return shorten(repr(value), 60)
