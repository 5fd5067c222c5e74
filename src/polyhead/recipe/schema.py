"""What to learn from which images: one frozen, checked object, read from one YAML file (`recipe_file.py`).

Every field is declared, described and checked here and nowhere else; the reference in `docs/recipe.md` and the JSON
schema for editors are made from these descriptions.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from polyhead.errors import PolyheadError, list_words, nearest, shorten
from polyhead.fields import (
    Different,
    Name,
    Part,
    PathText,
    Share,
    check_different,
    check_name,
)
from polyhead.recipe.editing import EditableRecipe
from polyhead.recipe.network import Block, NetworkRecipe, Stack
from polyhead.recipe.sources import (
    CelebaSource,
    CsvSource,
    FashionaiSource,
    FilesSource,
    FoldersSource,
    LongForm,
    Source,
)
from polyhead.recipe.training import TrainingRecipe
from polyhead.tasks import KINDS, AnyTask, Task
from polyhead.tasks.label_text import keys_as_text, number_as_text

RESERVED = frozenset({"features", "path", "split", "content", "image", "error", "joint", "loss", "epoch", "seconds"})
SPLITS = ("train", "valid", "test", "unseen")
TASK_NAME = re.compile(r"[^\s/,|:.][^\n/,|:.]*")  # of an output in a graph, a column, a file


class SplitRecipe(Part):
    """Which images train, which choose (valid), which judge (test)."""

    test: Share = Field(0.2, description="The share of the images that judges; 0 for none.")
    valid: Share | Literal["test"] = Field(
        0.2,
        description="The share of the remaining images that chooses the best epoch; 0 for none. `test`, to repeat a "
        "published run: the test images are watched during training, and nothing is chosen by them.",
    )
    stratify: Different = Field([], description="Tasks whose labels are to be alike in all splits.")
    group: str | None = Field(
        None, description="A source column; its rows of one value (one person, one product) stay in one split."
    )
    column: str | None = Field(None, description="A source column that says the split of each row.")
    file: PathText | None = Field(
        None,
        description="A file, relative to the data's path, of lines `image split` (or a CSV of two columns) that says "
        "the split of each image.",
    )
    values: dict[str, Literal["train", "valid", "test"]] = Field(
        {"train": "train", "valid": "valid", "test": "test"}, description="What the column's or file's words mean."
    )
    hold_out: list[dict[str, str]] = Field(
        [],
        description="Combinations of labels, such as `{color: red, category: dress}`, that training never sees; their "
        "images are a split of their own, `unseen`. An image of which one of these labels is unknown cannot be told "
        "to be such a one, and stays.",
    )

    @model_validator(mode="before")
    @classmethod
    def _keys_as_text(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("values"), dict):
            given = given | {"values": keys_as_text(given["values"])}
        if isinstance(given, dict) and isinstance(given.get("hold_out"), list):
            rows = [
                {name: number_as_text(label) for name, label in row.items()} if isinstance(row, dict) else row
                for row in given["hold_out"]
            ]
            given = given | {"hold_out": rows}
        return given

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.column and self.file:
            raise ValueError("give `column` or `file`, not both")
        return self


class DataRecipe(Part):
    """Where images and labels are."""

    path: PathText | None = Field(
        None, description="The folder (or CSV file) of the data; where it is used, another can be given."
    )
    source: Source
    split: SplitRecipe = SplitRecipe()
    weight: str | None = Field(
        None,
        description="A source column that says how much each row counts in losses, in training and in validation: a "
        "number of 0 or more, 1 where blank. A row of weight 2 is learnt from as two rows would be, one of weight 0 "
        "not at all. Metrics, and all figures of the evaluation, count each row once.",
    )
    max_rejected: float = Field(
        0.05, ge=0, le=1, description="Training refuses to start where a larger share of the images cannot be used."
    )


Side = Annotated[int, Field(ge=8, le=4096)]


def _as_square(given: Any) -> Any:
    """One number for height and width."""
    if isinstance(given, int) and not isinstance(given, bool):
        return [given, given]
    if not isinstance(given, list | tuple) or len(given) > 2:
        raise ValueError(f"expected [height, width], or one number for a square; got {shorten(repr(given), 60)}")
    return given


class ImageRecipe(Part):
    """What the network sees of an image."""

    size: Annotated[tuple[Side, Side], BeforeValidator(_as_square)] = Field(
        (96, 96), description="[height, width] in pixels; one number for a square."
    )
    resize: Literal["stretch", "fit", "cover"] = Field(
        "stretch",
        description="`stretch` to the size; `fit` the whole image in, black around it; `cover` the size, cut the rest.",
    )
    cache: PathText = Field(
        "auto",
        description="Where decoded images are kept: `auto` (the user's cache folder), `off` (decode on the fly), or "
        "a folder.",
    )


class Recipe(EditableRecipe):
    """One YAML file that says it all."""

    name: Name = Field(description="The recipe's name.")
    description: str = Field("", max_length=10_000, description="What it answers, in a line.")
    note: str = Field(
        "",
        max_length=100_000,
        description="What a reader of its report must know, such as what the labels are and are not.",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Fixes the split, the order of the images and all that is random.")
    data: DataRecipe
    image: ImageRecipe = ImageRecipe()
    tasks: dict[str, AnyTask] = Field(
        min_length=1, max_length=1000, description="The questions, by name; a name is an output's name."
    )
    network: NetworkRecipe
    training: TrainingRecipe = TrainingRecipe()

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        for name, task in self.tasks.items():
            if name in RESERVED or not TASK_NAME.fullmatch(name):
                raise ValueError(
                    f"tasks: {shorten(name, 60)!r} cannot be a task's name; take one without / , | : or . that is not "
                    f"one of {', '.join(sorted(RESERVED))}"
                )
            _check_names(name, task)
            if task.fitted is not None:
                raise ValueError(f"tasks.{name}.fitted: is learnt from the data; take it out")
            self._check_compared(name)
            if isinstance(self.data.source, FilesSource | FoldersSource):
                given = pattern_fields(self.data.source.pattern)
                for column in task.columns(name):
                    _check_known(f"tasks.{name}", column, given, "the fields of the source's pattern")
        for task_name in self.data.split.stratify:
            _check_known("data.split.stratify", task_name, self.tasks, "the tasks")
        if self.training.sampler_task:
            _check_known("training.sampler_task", self.training.sampler_task, self.tasks, "the tasks")
        for row in self.data.split.hold_out:
            self._check_combination(row)
        combinations = [", ".join(map(": ".join, sorted(row.items()))) for row in self.data.split.hold_out]
        check_at("data.split.hold_out", check_different, combinations)
        self._check_network()
        if not self.may_choose and (self.training.keep == "best" or self.training.patience):
            raise ValueError(
                "data.split.valid: no image may choose the best epoch; take training.keep: best and "
                "training.patience out, or give validation a share of its own"
            )
        for name, task in self.tasks.items():
            for key in task.needs_validation if not self.may_choose else ():
                raise ValueError(
                    f"data.split.valid: no image may choose what tasks.{name}.{key} asks for; take that out, or give "
                    "validation a share of its own"
                )
        return self

    def _check_compared(self, name: str) -> None:
        task, source = self.tasks[name], self.data.source
        dropped = source.drop if isinstance(source, CelebaSource) else []
        if not task.names or (isinstance(source, CelebaSource) and source.keep):  # what is not kept is dropped
            return
        for label in task.published_labels:
            _check_known(f"tasks.{name}.published.accuracy", label, [*task.names, *dropped], "the task's labels")

    def _check_combination(self, row: dict[str, str]) -> None:
        for name, label in row.items():
            _check_known("data.split.hold_out", name, self.tasks, "the tasks")
            if not label:
                raise ValueError(f"data.split.hold_out.{name}: expected a label; got a blank one")
            if self.tasks[name].names:
                _check_known(f"data.split.hold_out.{name}", label, self.tasks[name].names, "the declared labels")
        if not row:
            raise ValueError("data.split.hold_out: expected a combination such as {color: red, category: dress}")

    def _check_network(self) -> None:
        for name in self.network.branches:
            _check_known("network.branches", name, self.tasks, "the tasks")
        for name in self.network.heads:
            _check_known("network.heads", name, self.tasks, "the tasks")
        for name in self.tasks:
            if not self.network.shared and name not in self.network.branches:
                raise ValueError(f"network.branches: the task {name} has no branch; give it one, or add a trunk")
        if self.network.shared and len(self.network.branches) == len(self.tasks):
            word = "backbone" if self.network.backbone else "trunk"
            raise ValueError(f"network.{word}: every task has a branch of its own; take the {word} out")
        backbone = self.network.backbone
        if backbone and min(self.image.size) < backbone.smallest:
            raise ValueError(
                f"image.size: {backbone.title} takes {backbone.smallest} pixels a side or more; "
                f"got {self.image.size[0]}x{self.image.size[1]}"
            )
        if any(stage.train == "heads" for stage in self.training.stages) and not self.network.backbone:
            raise ValueError("training.stages: `train: heads` is for a network with a backbone, and there is none")
        for name, stack in self.stacks().items():
            if min(stack.smallest(self.image.size)) < 1:
                raise ValueError(
                    f"network.{name}: its pools leave nothing of an image of "
                    f"{self.image.size[0]}x{self.image.size[1]}; enlarge image.size or pool less"
                )

    def data_root(self) -> Path:
        """Where the data is.

        Raises:
            PolyheadError: the recipe does not say.
        """
        if not self.data.path:
            raise PolyheadError(f"{self.name}: where is the data? give `data`, or data.path in the recipe")
        return Path(self.data.path)

    def stacks(self) -> dict[str, Stack]:
        """The network's stacks by where they stand in the recipe: `trunk`, or `branches.NAME`."""
        trunk = {"trunk": self.network.trunk} if self.network.trunk else {}
        return trunk | {f"branches.{name}": stack for name, stack in self.network.branches.items()}

    @property
    def may_choose(self) -> bool:
        """Whether validation images of its own may choose the best epoch."""
        return self.data.split.valid not in ("test", 0)

    @property
    def keeps(self) -> Literal["best", "last"]:
        """Which epoch's weights are kept."""
        return self.training.keep or ("best" if self.may_choose else "last")


def pattern_fields(pattern: str) -> list[str]:
    """The names between the braces of a pattern."""
    return [name for name in re.findall(r"{([^{}]*)}", pattern) if name]


def _check_known(key: str, word: str, words: Iterable[str], place: str) -> None:
    words = list(words)
    if word not in words:
        raise ValueError(
            f"{key}: {shorten(word, 60)!r} is not among {place} ({list_words(words)}){nearest(word, words)}"
        )


def _check_names(name: str, task: Task) -> None:
    """What a task declares are names that can be told apart."""
    check_at(f"tasks.{name}", check_name, name)
    for key in ("classes", "labels", "levels", "from_columns", "blank"):
        given: list[str] = getattr(task, key, [])
        check_at(f"tasks.{name}.{key}", check_different, given)
        for label in given if key != "blank" else ():
            check_at(f"tasks.{name}.{key}", check_name, label)
    for label in task.values.values():
        check_at(f"tasks.{name}.values", check_name, label)


def check_at(key: str, check: Callable[[Any], Any], given: Any) -> None:
    """Check a value; the key stands before what is wrong with it."""
    try:
        check(given)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


__all__ = [
    "KINDS",
    "Block",
    "CelebaSource",
    "CsvSource",
    "FashionaiSource",
    "FilesSource",
    "FoldersSource",
    "LongForm",
    "Recipe",
    "Source",
    "Stack",
    "pattern_fields",
]
