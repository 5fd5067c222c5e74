"""Labels as text: what YAML makes of them, how they are ordered, and how they are read from a source."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator

from polyhead.errors import list_words, shorten
from polyhead.fields import check_name


def natural_key(label: str) -> tuple[bool, float, str]:
    """A key that sorts numbers by size, before words by letters."""
    try:
        return False, float(label), label
    except ValueError:
        return True, 0.0, label


def number_as_text(value: Any) -> Any:
    """A number, or a truth, as the text that YAML took it for; anything else as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def keys_as_text(values: Mapping[Any, Any]) -> dict[Any, Any]:
    """The same values under keys that are texts.

    Raises:
        ValueError: two keys are one text.
    """
    found = {number_as_text(key): value for key, value in values.items()}
    if len(found) < len(values):
        raise ValueError("two of its keys are the same text; remove one")
    return found


def _list_as_text(given: Any) -> Any:
    return [number_as_text(value) for value in given] if isinstance(given, list) else given


def _values_as_text(given: Any) -> Any:
    if not isinstance(given, dict):
        return given
    return keys_as_text({key: number_as_text(value) for key, value in given.items()})


# YAML reads `0: male` with a number for a key, and a class called 12 as a number.
TextList = Annotated[list[str], BeforeValidator(_list_as_text)]
TextValues = Annotated[dict[str, str], BeforeValidator(_values_as_text)]


def read_cell(cell: str, blank: Sequence[str], values: Mapping[str, str]) -> str:
    """What a cell of a source means, "" where that is unknown.

    Args:
        cell: its text.
        blank: texts that mean unknown, besides an empty one.
        values: what each text means; where there are none, a text means itself.

    Raises:
        ValueError: `values` does not have the text.
    """
    text = cell.strip()
    if text in ("", *blank) or not values:
        return "" if text in blank else text
    if text not in values:
        raise ValueError(f"expected {list_words(values)}; got {shorten(text, 60)!r}")
    return values[text]


def check_label(text: str, names: Sequence[str]) -> str:
    """A label, if it is one of the names; where there are none as yet, any that can be a name.

    Raises:
        ValueError: it is none of them, or no name.
    """
    if not names:
        return check_name(text)
    if text not in names:
        raise ValueError(f"expected {list_words(names)}; got {shorten(text, 60)!r}")
    return text


def values_from_column(column: str, texts: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """What each text of a column means: the labels that a task declares, in their order, or else itself.

    Args:
        column: its name, for the message.
        texts: every text that the column can have, in order.
        names: the task's labels, none where it declares none.

    Raises:
        ValueError: there are more labels than texts, or fewer.
    """
    if names and len(names) != len(texts):
        raise ValueError(f"declares {len(names)} labels ({list_words(names)}), but {column} has {len(texts)}")
    return dict(zip(texts, names or texts, strict=True))


def match_labels(
    texts: Mapping[str, int], names: Sequence[str], values: Mapping[str, str]
) -> tuple[float, dict[str, str]]:
    """How much of a column could be read as labels, in other letters' case too, and what each of its texts means.

    Args:
        texts: how many rows have each text; none of them is blank.
        names: the labels.
        values: what the texts of another source mean.

    Returns:
        The fraction of the rows that hold one of the labels, 0 to 1, and the label of each text that is one.
    """
    folded = {name.casefold(): name for name in names} | {name: name for name in names}
    meant = {text: values.get(text) or folded.get(text) or folded.get(text.casefold(), "") for text in texts}
    meant = {text: name for text, name in meant.items() if name in names}
    return fraction_of_rows(texts, meant), meant


def fraction_of_rows(texts: Mapping[str, int], readable: Mapping[str, Any] | set[str]) -> float:
    """The fraction of the rows, 0 to 1, whose text is readable; `texts` has how many rows have each."""
    return sum(rows for text, rows in texts.items() if text in readable) / max(sum(texts.values()), 1)
