"""What a model file says of itself, a picture of its network included: checked whole, since it may be anybody's."""

import hashlib
import json
from pathlib import PurePath
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from polyhead.errors import PolyheadError, show_text
from polyhead.model.familiarity import Familiarity
from polyhead.model.reference import Reference
from polyhead.recipe.schema import RESERVED, TASK_NAME, ImageRecipe
from polyhead.recipe.sources import PLUGIN_SOURCES
from polyhead.tasks import StoredTask
from polyhead.tasks.agreement import check_rules
from polyhead.tasks.rules import MOST_RULES, Rule, resolve_rules

MOST_BOXES = 1000
MOST_JOINS = 16  # of boxes that read several; a page shows each path to a box separately
Number = Annotated[int, Field(ge=0, lt=2**53)]


class Box(BaseModel, frozen=True):
    """Consecutive layers, or a stage of a backbone."""

    name: str
    lines: list[str] = Field(description="Its layers in words; repeats are counted.")
    shape: list[Number] = Field(min_length=1, max_length=8, description="Of its output, without the batch dimension.")
    layers: Number
    parameters: Number
    inputs: list[str] = Field(description="The names of the boxes that it reads; none for the image.")
    backbone: str = Field(default="", description="The backbone that it is a stage of.")


class Diagram(BaseModel, frozen=True):
    """The boxes of a network, each after those that it reads."""

    boxes: list[Box] = Field(min_length=1, max_length=MOST_BOXES)
    heads: dict[str, str] = Field(description="The box of each task's head, by task, in order.")
    features: list[str] = Field(description="The boxes whose outputs, one after another, are the feature vector.")

    @model_validator(mode="after")
    def _leads_from_the_image_to_the_heads(self) -> Self:
        seen: set[str] = set()
        read = {name for box in self.boxes for name in box.inputs}
        for box in self.boxes:
            if box.name in seen or not seen.issuperset(box.inputs):
                raise ValueError(f"boxes: {box.name[:80]!r} is there twice, or reads a box that is not before it")
            if box.name not in read and box.name not in self.heads.values():
                raise ValueError(f"boxes: {box.name[:80]!r} leads nowhere")
            seen.add(box.name)
        if not seen.issuperset(self.features) or not seen.issuperset(self.heads.values()):
            raise ValueError("heads and features: expected names of boxes")
        if sum(len(box.inputs) for box in self.boxes) > len(self.boxes) + MOST_JOINS:
            raise ValueError("boxes: too many paths from the image to the heads")
        return self


KEY = "polyhead"  # in the file's metadata
CARD_FILE = "polyhead.json"  # the card where it is a file of its own, in formats without such metadata
LARGEST = 2**24  # bytes of a card
LONGEST_NAME = 200  # characters of a task's name
Count = Annotated[int, Field(ge=0, lt=2**53)]
Figures = dict[str, dict[str, float]]


class Card(BaseModel):
    """What a model file says of itself.

    The graph's input is `images`, uint8 (n, height, width, 3); its outputs are one float32 array a task, by the task's
    name, and `features` (n, width), the vectors that the heads read.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    format: Literal[1] = 1
    version: str = Field(description="The Polyhead that wrote it.")
    name: str
    description: str = ""
    note: str = ""
    image: ImageRecipe
    tasks: Annotated[dict[str, StoredTask], Field(min_length=1)]
    recipe: dict[str, Any] = Field(description="The recipe that it was trained by, without the data's path.")
    rows: dict[str, Count] = Field(description="Images in each split.")
    averages: Annotated[int, Field(ge=2, lt=2**53)] | None = Field(
        default=None, description="Of how many networks the outputs are the means; absent where there is one."
    )
    parameters: Count = Field(description="Weights in the network.")
    fingerprint: str = Field(pattern="^[0-9a-f]{16}$", description="A digest of the weights: 16 hex digits.")
    figures: Figures = Field(
        default={},
        description="By task, how good its answers are on the run's test images; none until they are judged.",
    )
    baseline: Figures = Field(default={}, description="The same figures of always giving one answer.")
    familiarity: Familiarity | None = Field(
        default=None, description="What its training images' features are like; absent where it cannot tell."
    )
    reference: Reference | None = Field(
        default=None, description="What the validation images and its answers to them are like; absent where too few."
    )
    rules: Annotated[list[str], Field(max_length=MOST_RULES)] = Field(
        default=[], description="What labels have to do with one another; see the recipe's key."
    )
    obey_rules: bool = Field(default=False, description="Whether answers keep the rules.")
    diagram: Diagram | None = Field(default=None, description="What the network looks like; older files do not say.")

    @field_validator("image")
    @classmethod
    def _no_cache(cls, image: ImageRecipe) -> ImageRecipe:
        """Where images are kept is the user's affair, here and now."""
        return image.model_copy(update={"cache": "auto"})

    @field_validator("recipe")
    @classmethod
    def _no_cache_either(cls, recipe: dict[str, Any]) -> dict[str, Any]:
        image = recipe.get("image")
        return recipe | {"image": image | {"cache": "auto"}} if isinstance(image, dict) else recipe

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        for name in self.tasks:
            if name in RESERVED or not TASK_NAME.fullmatch(name) or show_text(name) != name or len(name) > LONGEST_NAME:
                raise ValueError(f"tasks: {name[:LONGEST_NAME]!r} cannot be a task's name")
        for key in ("figures", "baseline"):
            if others := sorted(set(getattr(self, key)) - set(self.tasks)):
                raise ValueError(f"{key}: {others[0][:LONGEST_NAME]!r} is not among the tasks")
        if self.reference:
            try:
                self.reference.check_tasks(self.tasks)
            except ValueError as error:
                raise ValueError(f"reference: {error}") from None
        check_rules(self.rules, self.obey_rules, self.tasks)
        if self.diagram and set(self.diagram.heads) != set(self.tasks):
            raise ValueError("diagram.heads: are not the tasks'")
        return self

    @property
    def resolved_rules(self) -> list[Rule]:
        """The rules, about labels of the tasks."""
        return resolve_rules(self.rules, self.tasks)

    @property
    def changeable(self) -> tuple[str, ...]:
        """The tasks whose answers may change for the rules' sake."""
        terms = [term for rule in self.resolved_rules for term in rule.terms] if self.obey_rules else []
        return tuple(dict.fromkeys(term.task for term in terms))

    def check_places(self, where: str) -> None:
        """Refuse a recipe by which files outside of the data's folder would be read: it may be a stranger's.

        Raises:
            PolyheadError: with the key; `where` is the model file.
        """
        data = self.recipe.get("data")
        source = data.get("source") if isinstance(data, dict) else None
        kind = source.get("kind") if isinstance(source, dict) else None
        if isinstance(kind, str) and kind in PLUGIN_SOURCES:
            raise PolyheadError(
                f"{where}: the recipe in it reads labels by another package's source, {kind}; give a recipe of your "
                "own for the data"
            )
        for key in ("file", "images", "image"):
            named = source.get(key) if isinstance(source, dict) else None
            if isinstance(named, str) and (PurePath(named).is_absolute() or ".." in PurePath(named).parts):
                raise PolyheadError(
                    f"{where}: the recipe in it names a file outside of the data, data.source.{key}: {named}; give a "
                    "recipe of your own for the data"
                )

    @property
    def digest(self) -> str:
        """16 hex digits that differ where an answer may differ: of the weights, and of all that is said of them."""
        return hashlib.blake2b(self.model_dump_json().encode(), digest_size=8).hexdigest()


def read_card(text: bytes, where: str) -> Card:
    """A card from its JSON.

    Args:
        where: the file's name, which stands before an error.

    Raises:
        PolyheadError: the first thing that is wrong, with its key.
    """
    try:
        if len(text) > LARGEST:
            raise ValueError(f"it is over {LARGEST / 2**20:.0f} MiB long")
        json.loads(text.decode(), object_pairs_hook=_once, parse_constant=_refuse)
        return Card.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        keys = [str(key) for key in first["loc"]]
        if keys[:1] == ["tasks"]:  # behind a task's name stand its kind and, where it was found, `fitted`
            keys = [*keys[:2], *keys[4 if keys[3:4] == ["fitted"] else 3 :]]
        reason = f"{'.'.join(keys)}: " if keys else ""
        reason += first["msg"].removeprefix("Value error, ")
        if first["type"] == "union_tag_invalid" and keys[0] == "tasks":
            kind = str(first.get("ctx", {}).get("tag"))[:LONGEST_NAME]
            reason = (
                f"{keys[0]}.{keys[1]}: the kind {kind!r} is not built in; where an installed package brings it, use "
                "`polyhead.load_plugins()` first"
            )
    except RecursionError:
        reason = "it is nested too deeply"
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError among them
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
    raise PolyheadError(f"{where}: what it says of itself cannot be used: {reason}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for at, key in enumerate(keys) if key in keys[:at])
        raise ValueError(f"{twice[:LONGEST_NAME]}: is there twice")
    return found


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no number")
