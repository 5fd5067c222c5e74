"""COCO's JSON: what is annotated in each image, as labels of the whole image (Lin et al. 2014)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polyhead.errors import PolyheadError, shorten

CATEGORY = "category"  # the column of categories


def is_coco(found: Any) -> bool:
    """Whether what a JSON file holds has COCO's form."""
    return isinstance(found, dict) and all(isinstance(found.get(key), list) for key in ("images", "annotations"))


def list_coco(found: Mapping[str, Any], file: Path) -> list[dict[str, Any]]:
    """A record for each image: `image`, and `category` with those of its annotations, in the order of their ids.

    Where no image has two categories, an image without one is unknown; else it has none of them. Attributes of
    annotations, as CVAT exports them, are columns; of several with one name the first counts.

    Raises:
        PolyheadError: an image, annotation or category lacks what COCO gives it.
    """
    categories = found.get("categories")
    if not isinstance(categories, list):
        raise PolyheadError(f"{file}: expected a list of COCO's `categories`; got {shorten(repr(categories), 60)}")
    names = {_key(each, "id", "categories", file): str(each.get("name", "")) for each in categories}
    order = {category: place for place, category in enumerate(names)}
    records = {_key(each, "id", "images", file): {"image": each.get("file_name")} for each in found["images"]}
    seen: dict[Any, list[Any]] = {image: [] for image in records}
    attributes: dict[Any, dict[str, Any]] = {image: {} for image in records}
    for number, each in enumerate(found["annotations"], 1):
        image, category = (_key(each, key, "annotations", file) for key in ("image_id", "category_id"))
        if image not in records or category not in names:
            wrong = ("image", image) if image not in records else ("category", category)
            raise PolyheadError(
                f"{file}: annotation {number} is of the {wrong[0]} {shorten(repr(wrong[1]), 40)}, which is not in it"
            )
        seen[image].append(category)
        given = each.get("attributes")
        attributes[image] = (given if isinstance(given, dict) else {}) | attributes[image]
    several = any(len(set(found)) > 1 for found in seen.values())
    rows = []
    for image, record in records.items():
        labels = [names[category] for category in sorted(set(seen[image]), key=lambda one: order[one])]
        rows.append(record | {CATEGORY: labels if labels or several else None} | attributes[image])
    return rows


def _key(each: Any, key: str, where: str, file: Path) -> Any:
    value = each.get(key) if isinstance(each, dict) else None
    if not isinstance(value, int | str):
        raise PolyheadError(
            f"{file}: expected a number under {key!r} in each of its {where}; got {shorten(repr(each), 60)}"
        )
    return value
