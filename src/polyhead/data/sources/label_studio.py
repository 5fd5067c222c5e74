"""Reads what people labelled in Label Studio (https://labelstud.io): its exported JSON, as corrections."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from polyhead.data.sources.text_files import open_lines
from polyhead.errors import PolyheadError, shorten


class Correction(NamedTuple):
    """A label that a person looked at, a row of corrections.csv: an image's path, the task, whether the label (of an
    image without one, the answer) was `right` or `wrong` or nobody can tell (`unknown`), and the label now, blank where
    it is not known."""

    image: str
    task: str
    verdict: str
    label: str


def read_label_studio(file: Path) -> list[Correction]:
    """The labels of an export in the format `JSON`, in its order.

    An image's last annotation that was not cancelled counts. A label is right where it is what the model had predicted.
    A control without a value adds nothing: it is unknown.

    Raises:
        PolyheadError: the file cannot be read or is no such export; the message names the task.
    """
    try:
        with open_lines(file) as lines:
            tasks = json.loads("".join(lines))
    except ValueError as error:
        raise PolyheadError(f"{file}: is not JSON: {error}") from None
    except RecursionError:
        raise PolyheadError(f"{file}: is nested too deeply") from None
    if not isinstance(tasks, list):
        raise PolyheadError(f"{file}: expected a list of tasks, as Label Studio exports as `JSON`")
    found: list[Correction] = []
    for number, task in enumerate(tasks, 1):
        try:
            found += _read_task(task)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            words = shorten(f"{type(error).__name__}: {error}", 80)
            raise PolyheadError(
                f"{file} task {number}: expected `data` and `annotations`, as Label Studio exports as `JSON`; {words}"
            ) from None
    return found


def list_records(file: Path) -> Iterator[tuple[int, list[str]]]:
    """The same as the rows of a corrections.csv, its header first, each with its number.

    Raises:
        PolyheadError: as `read_label_studio`.
    """
    yield from enumerate([list(Correction._fields), *map(list, read_label_studio(file))])


def _read_task(task: dict[str, Any]) -> Iterator[Correction]:
    image = _name_image(task["data"])
    given = [each for each in task["annotations"] if not each.get("was_cancelled")]
    predicted = [_read_results(each["result"]) for each in task.get("predictions") or [] if isinstance(each, dict)]
    for name, label in (_read_results(given[-1]["result"]) if given else {}).items():
        right = bool(predicted) and predicted[-1].get(name) == label
        yield Correction(image, name, "right" if right else "wrong", label)


def _name_image(data: dict[str, Any]) -> str:
    """`name`, as `select` writes it; or the file of the address, below the folder that Label Studio serves."""
    if isinstance(data.get("name"), str):
        return str(data["name"])
    address = urlsplit(str(data["image"]))
    return parse_qs(address.query).get("d", [address.path])[0]


def _read_results(results: list[dict[str, Any]]) -> dict[str, str]:
    """The label of each control, as tables write it: `a|b`, `none`, a number."""
    found = {}
    for result in results:
        value = result["value"]
        if "number" in value:
            found[str(result["from_name"])] = f"{float(value['number']):.12g}"
        elif "choices" in value:
            chosen = [str(label) for label in value["choices"]]
            labels = [label for label in chosen if label != "none"]
            found[str(result["from_name"])] = "|".join(labels) or "none"
    return found
