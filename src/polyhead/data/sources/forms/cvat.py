"""CVAT's XML (https://docs.cvat.ai): the tags of each image and their attributes, as labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.parsers import expat

from polyhead.data.sources.forms.cells import CellRows, give_records
from polyhead.errors import PolyheadError
from polyhead.files import open_regular

LABEL = "label"  # the column of tags; of shapes, where there are no tags
PIECE = 2**20  # bytes that are read at once
SHAPES = ("box", "polygon", "polyline", "points", "ellipse", "mask", "cuboid", "skeleton")
KEPT = ("name", "subset")  # attributes of an image


def read_cvat(file: Path, table: str | None) -> CellRows:
    """The rows of an export in the form `CVAT for images`: `image`, `label`, and a column an attribute.

    An image's labels are those of its tags; where no image has a tag, those of the shapes drawn in it. Of attributes
    with one name the first one counts. Nothing that a document type declares is read: a file with one is refused.

    Raises:
        PolyheadError: it is no such export.
    """
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.add
    parser.StartDoctypeDeclHandler = _refuse
    try:
        with open_regular(file) as stream:
            while piece := stream.read(PIECE):
                parser.Parse(piece, False)
            parser.Parse(b"", True)
    except OSError as error:
        raise PolyheadError(f"{file}: cannot be read: {error.strerror}") from None
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise PolyheadError(f"{file}: is no XML that CVAT exports: {error}") from None
    if not reader.images:
        raise PolyheadError(f"{file}: expected CVAT's export `CVAT for images`; it has no image")
    return give_records(reader.list_records(), file)


def _refuse(*_: object) -> None:
    raise ValueError("it declares a document type, which is not read")


class _Reader:
    """Notes what each image has, as the parser comes to it."""

    def __init__(self) -> None:
        self.images: list[dict[str, Any]] = []
        self._image: dict[str, Any] | None = None
        self._attribute = ""
        self._text: list[str] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "image":
            kept = {key: attributes[key] for key in KEPT if attributes.get(key)}
            self._image = {"kept": kept, "tag": [], "shape": [], "attributes": {}}
            self.images.append(self._image)
        elif self._image is not None and (name == "tag" or name in SHAPES):
            if label := attributes.get("label"):
                self._image["tag" if name == "tag" else "shape"].append(label)
        elif name == "attribute":
            self._attribute, self._text = attributes.get("name", ""), []

    def add(self, text: str) -> None:
        if self._attribute:
            self._text.append(text)

    def end(self, name: str) -> None:
        if name == "image":
            self._image = None
        elif name == "attribute":
            if self._image is not None and self._attribute:
                self._image["attributes"].setdefault(self._attribute, "".join(self._text).strip())
            self._attribute = ""

    def list_records(self) -> list[dict[str, Any]]:
        kind = "tag" if any(image["tag"] for image in self.images) else "shape"
        several = any(len(set(image[kind])) > 1 for image in self.images)
        records = []
        for image in self.images:
            labels = list(dict.fromkeys(image[kind]))
            own = {"image": image["kept"].get("name")}
            own |= {"subset": image["kept"]["subset"]} if "subset" in image["kept"] else {}
            records.append(own | {LABEL: labels if labels or several else None} | image["attributes"])
        return records
