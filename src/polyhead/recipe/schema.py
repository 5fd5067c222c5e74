"""The recipe: what to learn from which images, as one frozen, validated object.

The reference in `docs/recipe.md` and the JSON schema for editors are made from the descriptions of its fields.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from polyhead.errors import PolyheadError, list_words, nearest, shorten
from polyhead.fields import (
    ImageSize,
    Name,
    Part,
    PathText,
    check_different,
    check_name,
)
from polyhead.recipe.data import DataRecipe, SplitRecipe
from polyhead.recipe.editing import EditableRecipe
from polyhead.recipe.network import Block, NetworkRecipe, Stack
from polyhead.recipe.sources import (
    CELEBA_ATTRIBUTES,
    CelebaSource,
    CsvSource,
    FashionaiSource,
    FilesSource,
    FoldersSource,
    LongForm,
    Source,
    TableSource,
    pattern_fields,
)
from polyhead.recipe.training import Stage, TrainingRecipe
from polyhead.tasks import KINDS, AnyTask, Task
from polyhead.tasks.agreement import check_rules
from polyhead.tasks.rules import MOST_RULES, Rule

RESERVED = frozenset({"features", "path", "split", "content", "image", "error", "joint", "loss", "epoch", "seconds"})
SPLITS = ("train", "valid", "test", "unseen")
TASK_NAME = re.compile(r"[^\s/,|:.][^\n/,|:.]*")  # of an output in a graph, a column, a file


Quality = Literal["fast", "good", "best"]
# What stands for a network that is still to be planned; and the plan, where no pretrained weights are at hand.
FROM_SCRATCH = NetworkRecipe(
    trunk=Stack(
        blocks=[
            Block(filters=32),
            Block(filters=64),
            Block(filters=128, dropout=0.25),
            Block(filters=128, dropout=0.25),
        ],
        end="average",
        dense=[128],
        dropout=0.3,
    )
)


class ImageRecipe(Part):
    """What the network sees of an image."""

    size: ImageSize = Field(default=(96, 96), description="[height, width] in pixels; one number for a square.")
    resize: Literal["stretch", "fit", "cover"] = Field(
        default="stretch",
        description="`stretch` ignores the aspect ratio; `fit` shows the whole image on black; `cover` crops it.",
    )
    cache: PathText = Field(
        default="auto",
        description="Where decoded images are kept: `auto` (the user's cache folder), a folder, or `off` (nowhere).",
    )


class Recipe(EditableRecipe):
    """One YAML file that describes everything."""

    name: Name = Field(description="The recipe's name.")
    description: str = Field(default="", max_length=10_000, description="What it answers, in one line.")
    note: str = Field(
        default="",
        max_length=100_000,
        description="What readers of its report must know, such as what the labels are and are not.",
    )
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**32,
        description="Determines the split, the order of images and all that is random.",
    )
    data: DataRecipe
    image: ImageRecipe = ImageRecipe()
    tasks: dict[str, AnyTask] = Field(
        min_length=1, max_length=1000, description="The tasks by name, which is also the name of the output."
    )
    network: NetworkRecipe = Field(
        default=FROM_SCRATCH,
        description="If absent, training plans it, and `image` and `training` where they are absent too: see "
        "[your own images](guides/own-images.md). With a network of yours, `quality` has the rest planned.",
    )
    training: TrainingRecipe = TrainingRecipe()
    groups: Annotated[list[str], Field(max_length=20)] = Field(
        default=[],
        description="Evaluation also tells the figures of groups of images apart, the worst first: by a task's labels "
        "(a number's `ranges`), by a label of a task with several, such as `Male`, by another column of the "
        "source, such as a camera or a year, or by two of these, as `gender*race`.",
    )
    rules: Annotated[list[str], Field(max_length=MOST_RULES)] = Field(
        default=[],
        description="What labels have to do with one another: `No_Beard excludes Goatee` (no image has both), `heels "
        "requires shoes or sandals` (what has it has one of these, too). A label that two tasks have is written with "
        "its task, `category.other`. Labels and answers that break a rule are counted: see the guide to rules.",
    )
    obey_rules: bool = Field(
        default=False,
        description="Answers keep the `rules`: where an image's would break one, the likeliest combination of labels "
        "that breaks none is answered instead, and says so. If absent, answers are only counted.",
    )
    quality: Quality | None = Field(
        default=None,
        description="How what the recipe leaves out of `network`, `image` and `training` is planned: `fast`, linear "
        "heads on a pretrained network's frozen features; `good`, the same network fine-tuned, in the size that "
        "promises most; `best`, longer and with more variety. If absent, `good` where there is no network; where there "
        "is one, nothing is planned, and the keys have their defaults.",
    )
    minutes: float | None = Field(
        default=None,
        gt=0,
        le=1_000_000,
        description="The run ends within so many minutes: the plan is made for them, and training's last stage is cut "
        "where the machine turns out to be slower, with its learning rate brought down in the time that is left. "
        "If absent, a plan is made for what its quality usually takes, and nothing is cut.",
    )

    @property
    def has_network(self) -> bool:
        """Whether it says what its network is; if not, training plans that, and what else the recipe leaves out."""
        return "network" in self.model_fields_set

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to be planned: neither a network, nor, where there is a quality, size or epochs."""
        said = "size" in self.image.model_fields_set and {"epochs", "stages"} & self.training.model_fields_set
        return self.has_network and bool(self.quality is None or said)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        for name, task in self.tasks.items():
            if name in RESERVED or not TASK_NAME.fullmatch(name):
                raise ValueError(
                    f"tasks: {shorten(name, 60)!r} cannot be a task's name; one has no / , | : or . and is not "
                    f"one of {', '.join(sorted(RESERVED))}"
                )
            _check_names(name, task)
            if task.fitted is not None:
                raise ValueError(f"tasks.{name}.fitted: is learnt from the data; remove it")
            self._check_compared(name)
            if isinstance(self.data.source, FilesSource | FoldersSource):
                given = pattern_fields(self.data.source.pattern)
                for column in task.columns(name):
                    _check_known(f"tasks.{name}", column, given, "the fields of the source's pattern")
        for task_name in self.data.split.stratify:
            _check_known("data.split.stratify", task_name, self.tasks, "the tasks")
        if self.training.sampler_task:
            _check_known("training.sampler_task", self.training.sampler_task, self.tasks, "the tasks")
        check_at("rules", check_different, self.rules)
        self.check_rules(self.tasks)
        for row in self.data.split.hold_out:
            self._check_combination(row)
        combinations = [", ".join(map(": ".join, sorted(row.items()))) for row in self.data.split.hold_out]
        check_at("data.split.hold_out", check_different, combinations)
        if self.has_network:
            if self.quality == "fast" and not (self.is_complete or self.network.backbone):
                raise ValueError("quality: `fast` is for a network with a backbone, and there is none; take `good`")
            self._check_network()
            for index, stage in enumerate(self.training.stages):
                check_at(f"training.stages.{index}.size", self._check_stage_size, stage)
        if not self.has_validation and (self.training.keep in ("best", "soup") or self.training.patience):
            raise ValueError(
                "data.split.valid: there are no validation images to select the best epoch; remove training.keep: "
                f"{'soup' if self.training.keep == 'soup' else 'best'} and training.patience, or set a fraction for "
                "validation"
            )
        for name, task in self.tasks.items():
            for key in task.needs_validation if not self.has_validation else ():
                raise ValueError(
                    f"data.split.valid: there are no validation images, which tasks.{name}.{key} needs; remove that, "
                    "or set a fraction for validation"
                )
        return self

    def check_rules(self, tasks: Mapping[str, Task]) -> list[Rule]:
        """Its rules, as far as they are about labels that the source keeps and that are known.

        Args:
            tasks: its own; with what they have learnt, if they have.

        Raises:
            ValueError: a rule is wrong, or they contradict each other; it begins with the key.
        """
        source = self.data.source
        left_out = (*CELEBA_ATTRIBUTES, *source.drop) if isinstance(source, CelebaSource) else ()
        return check_rules(self.rules, self.obey_rules, tasks, left_out)

    def _check_compared(self, name: str) -> None:
        task, source = self.tasks[name], self.data.source
        dropped = source.drop if isinstance(source, CelebaSource) else []
        if not task.names or (isinstance(source, CelebaSource) and source.keep):  # all others are dropped
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
        for name, task in self.tasks.items():
            self._check_ignored(name)
            if not self.network.shared and name not in self.network.branches and task.ignores != "shape":
                raise ValueError(f"network.branches: the task {name} has no branch; give it one, or add a trunk")
        if self.network.shared and not {"trunk", "gray"} & {*map(self.read_vector, self.tasks)}:
            word = "backbone" if self.network.backbone else "trunk"
            others = "" if len(self.network.branches) == len(self.tasks) else " or ignores shapes"
            raise ValueError(f"network.{word}: every task has a branch of its own{others}; remove the {word}")
        backbone = self.network.backbone
        if backbone and min(self.image.size) < backbone.smallest:
            raise ValueError(
                f"image.size: {backbone.title} takes {backbone.smallest} pixels a side or more; "
                f"got {self.image.size[0]}x{self.image.size[1]}"
            )
        parts = [stage.train for stage in self.training.stages if stage.train != "all"]
        if parts and not self.network.backbone:
            word = "heads" if parts[0] == "heads" else "{last: ...}"
            raise ValueError(f"training.stages: `train: {word}` is for a network with a backbone, and there is none")
        if backbone and backbone.lora and parts.count("heads") == len(self.training.stages) > 0:
            raise ValueError(
                "network.backbone.lora: every stage trains the heads alone, and leaves it without effect; remove it"
            )
        if self.training.layer_decay is not None and not self.network.backbone:
            raise ValueError("training.layer_decay: is for a network with a backbone, and there is none; take it out")
        for name, stack in self.stacks().items():
            if min(stack.smallest(self.image.size)) < 1:
                raise ValueError(
                    f"network.{name}: its pools leave nothing of an image of "
                    f"{self.image.size[0]}x{self.image.size[1]}; enlarge image.size or pool less"
                )

    def _check_stage_size(self, stage: Stage) -> None:
        """Whether a stage can train at a size of its own, where it has one."""
        if stage.size is None:
            return
        size, backbone = stage.size, self.network.backbone
        shown = f"{size[0]}x{size[1]}"
        if size[0] > self.image.size[0] or size[1] > self.image.size[1]:
            raise ValueError(f"expected image.size, {self.image.size[0]}x{self.image.size[1]}, or less; got {shown}")
        if stage.train == "heads":
            raise ValueError("is for stages that train more than the heads; remove it")
        if backbone and backbone.model:
            raise ValueError("the size of a `network.backbone.model` is fixed; give its `builder` instead")
        if backbone and min(size) < backbone.smallest:
            raise ValueError(f"{backbone.title} takes {backbone.smallest} pixels a side or more; got {shown}")
        for name, stack in self.stacks().items():
            if stack.end == "flatten":
                raise ValueError(f"network.{name} ends in `flatten`, for one size alone; take `end: average`")
            if min(stack.smallest(size)) < 1:
                raise ValueError(f"the pools of network.{name} leave nothing of an image of {shown}")

    def _check_ignored(self, name: str) -> None:
        key, ignored, backbone = f"tasks.{name}.ignores", self.tasks[name].ignores, self.network.backbone
        if ignored and name in self.network.branches:
            raise ValueError(f"{key}: is for a task without a branch; remove it, or network.branches.{name}")
        if ignored == "color" and not backbone:
            raise ValueError(
                f"{key}: `color` needs a network.backbone; without one, give the task a branch with "
                f"`color_mode: grayscale` (network.branches.{name})"
            )
        if ignored == "color" and backbone and backbone.color_mode == "grayscale":
            raise ValueError(
                f"{key}: no task sees colours (network.backbone.color_mode: grayscale); remove one of the two"
            )

    def read_vector(self, task: str) -> str:
        """Which vector a task's head reads: `trunk` (of backbone or stack), `gray`, `histogram` or `branches.NAME`."""
        if task in self.network.branches:
            return f"branches.{task}"
        return {None: "trunk", "color": "gray", "shape": "histogram"}[self.tasks[task].ignores]

    def data_root(self) -> Path:
        """Where the data is.

        Raises:
            PolyheadError: the recipe does not say.
        """
        if not self.data.path:
            raise PolyheadError(f"{self.name}: where is the data? give `data`, or data.path in the recipe")
        return Path(self.data.path)

    def stacks(self) -> dict[str, Stack]:
        """The network's stacks by their key in the recipe: `trunk`, or `branches.NAME`."""
        trunk = {"trunk": self.network.trunk} if self.network.trunk else {}
        return trunk | {f"branches.{name}": stack for name, stack in self.network.branches.items()}

    @property
    def has_validation(self) -> bool:
        """Whether there are validation images, apart from the test images, to select the best epoch."""
        return self.data.split.valid not in ("test", 0)

    @property
    def kept_epoch(self) -> Literal["best", "last", "soup"]:
        """Which epoch's weights are kept; or an average of the best ones' weights."""
        return self.training.keep or ("best" if self.has_validation else "last")


def _check_known(key: str, word: str, words: Iterable[str], kind: str) -> None:
    words = list(words)
    if word not in words:
        raise ValueError(
            f"{key}: {shorten(word, 60)!r} is not among {kind} ({list_words(words)}){nearest(word, words)}"
        )


def _check_names(name: str, task: Task) -> None:
    """The names that a task declares are valid and different."""
    check_at(f"tasks.{name}", check_name, name)
    check_at(f"tasks.{name}.blank", check_different, task.blank)
    for key, labels in task.declared_labels.items():
        check_at(f"tasks.{name}.{key}", check_different, labels)
        for label in labels:
            check_at(f"tasks.{name}.{key}", check_name, label)
    for label in task.values.values():
        check_at(f"tasks.{name}.values", check_name, label)


def check_at(key: str, check: Callable[[Any], Any], given: Any) -> None:
    """Check a value; an error begins with the key."""
    try:
        check(given)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


__all__ = [
    "KINDS",
    "Block",
    "CelebaSource",
    "CsvSource",
    "DataRecipe",
    "FashionaiSource",
    "FilesSource",
    "FoldersSource",
    "LongForm",
    "Recipe",
    "Source",
    "SplitRecipe",
    "Stack",
    "TableSource",
    "pattern_fields",
]
