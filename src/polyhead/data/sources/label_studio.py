"""Reads what people labelled in Label Studio (https://labelstud.io): its exported JSON, as labels or corrections."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qs, urlsplit

from polyhead.data.images.formats import USUAL_SUFFIXES
from polyhead.data.sources.text_files import read_json
from polyhead.errors import PolyheadError, shorten

T = TypeVar("T")
UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # what Label Studio puts before the name of a file that was uploaded


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
    tasks = read_json(file)
    if not isinstance(tasks, list):
        raise PolyheadError(f"{file}: expected a list of tasks, as Label Studio exports as `JSON`")
    return [correction for found in _read_each(tasks, file, _read_task) for correction in found]


def is_label_studio(found: Any) -> bool:
    """Whether what a JSON file holds has the form that Label Studio exports as `JSON`."""
    return (
        isinstance(found, list)
        and all(
            isinstance(task, dict) and isinstance(task.get("data"), dict) and "annotations" in task
            for task in found[:100]
        )
        and bool(found)
    )


def list_labelled(tasks: Sequence[Any], file: Path) -> list[dict[str, Any]]:
    """A record for each task: `image`, `file` (its name without folders), other data of the task, and its labels.

    Raises:
        PolyheadError: a task is not as Label Studio exports it.
    """
    return _read_each(tasks, file, _read_record)


def _read_each(tasks: Sequence[Any], file: Path, read: Callable[[Any], T]) -> list[T]:
    found: list[T] = []
    for number, task in enumerate(tasks, 1):
        try:
            found.append(read(task))
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


def _read_record(task: dict[str, Any]) -> dict[str, Any]:
    data = task["data"]
    image = data.get("name") or data.get("image") or next(filter(_is_image, data.values()), None)
    if not isinstance(image, str):
        raise KeyError("image")
    if "?d=" in image:  # which Label Studio serves from a folder of its own
        image = _name_image({"image": image})
    others = {key: value for key, value in data.items() if isinstance(value, str | int | float)}
    name = UPLOADED.sub("", PurePosixPath(urlsplit(image).path).name)
    given = [each for each in task["annotations"] if not each.get("was_cancelled")]
    return others | {"image": image, "file": name} | (_read_results(given[-1]["result"]) if given else {})


def _is_image(value: Any) -> bool:
    return isinstance(value, str) and PurePosixPath(urlsplit(value).path).suffix.lower() in USUAL_SUFFIXES


def _read_task(task: dict[str, Any]) -> list[Correction]:
    return list(_list_corrections(task))


def _list_corrections(task: dict[str, Any]) -> Iterator[Correction]:
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
