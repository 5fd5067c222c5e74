"""How the network learns: stages, rates, what rows and images it sees, what weighs against what."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from polyhead.fields import Fraction, ImageSize, Part, PathText
from polyhead.recipe.augment import Augment, Mix

MOST = 1_000_000  # epochs, or images a step: a bound on what is asked, far above what anyone can wait for
Precision = Literal["float32", "bfloat16"]
TrackerName = Literal["tensorboard", "mlflow", "wandb", "trackio"]


class LastParts(Part):
    """A part of the backbone."""

    last: int = Field(
        ge=1,
        le=12,
        description="The backbone's layers are taken in twelve parts; so many of them, the last ones, are trained, and "
        "all but the backbone. What comes before stays as it is, its batch normalisation too.",
    )


class Stage(Part):
    """Some epochs of the training, with what they train and how fast."""

    train: Literal["heads", "all"] | LastParts = Field(
        default="all",
        description="`heads`: all but the backbone, which stays as it is; `{last: 4}`: that, and the last four of "
        "twelve parts of the backbone; or `all`.",
    )
    size: ImageSize | None = Field(
        default=None,
        description="[height, width] to which training images are made smaller in this stage, before they are changed "
        "(progressive size: Tan, Le 2021): its steps are quicker. For networks that take any size: a backbone, stacks "
        "that end in `average`. Validation, by which epochs are chosen, and the model file keep to `image.size`. If "
        "absent, that.",
    )
    epochs: int = Field(ge=1, le=MOST, description="Passes over the training images.")
    learning_rate: float = Field(default=1e-3, gt=0, description="The learning rate at the stage's start.")
    schedule: Literal["constant", "inverse_time", "cosine"] = Field(
        default="constant", description="How the rate goes on over the stage; see `training.schedule`."
    )
    augment: bool = Field(
        default=True,
        description="Whether its images are changed as `training.augment` and `training.mix` say. A stage of `heads` "
        "without changes computes the backbone's features once, instead of at every step.",
    )


class TrainingRecipe(Part):
    """How the network learns."""

    FORMER_NAMES: ClassVar = {"balance": "task_weighting", "ema": "ema_momentum"}

    epochs: int = Field(default=20, ge=1, le=MOST, description="Passes over the training images.")
    batch_size: int = Field(default=32, ge=1, le=MOST, description="Images a step.")
    devices: Literal["one", "all"] = Field(
        default="one",
        description="`all`: each step's images are shared out among all accelerators of this machine, or its virtual "
        "CPU devices; the losses are those of one device. On the jax backend only; they must divide `batch_size` (an "
        "epoch's last, smaller batch is computed whole by each). Several processes use all of theirs, whatever "
        "stands here.",
    )
    optimizer: Literal[
        "adam",
        "adamw",
        "sgd",
        "rmsprop",
        "adadelta",
        "adagrad",
        "adamax",
        "nadam",
        "lion",
        "ftrl",
        "adafactor",
        "lamb",
        "muon",
        "schedulefreeadamw",
    ] = Field(default="adam", description="The Keras optimiser, with its defaults but the learning rate.")
    learning_rate: float = Field(default=1e-3, gt=0, description="The learning rate at the start.")
    schedule: Literal["constant", "inverse_time", "cosine"] = Field(
        default="constant",
        description="How the rate goes on: unchanged; rate / (1 + rate/epochs x step); or a "
        "warm-up, then half a cosine down to 0.",
    )
    weight_decay: float | None = Field(
        default=None,
        ge=0,
        description="Each step also shrinks the weights by this times the learning rate, apart from the gradient "
        "(Loshchilov, Hutter 2019), with any optimiser; biases, and the scales and offsets of normalisations, are left "
        "out. If absent, the optimiser's own, of all weights: 0.004 for `adamw` and `muon`, none for the others.",
    )
    layer_decay: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Lower rates for a backbone's earlier layers, which are the more general ones (Howard, Ruder 2018; "
        "Bao et al. 2021), such as 0.8. Its layers are taken in twelve parts: the last one has this times the learning "
        "rate, the one before this squared times it, and so on; heads and branches have the whole rate. It holds for "
        "the updates of any optimiser, and for weight decay. If absent, one rate for all.",
    )
    clip_norm: float | None = Field(
        default=None,
        gt=0,
        description="Where the norm of all gradients together is larger, they are scaled down to it (Pascanu, Mikolov, "
        "Bengio 2013), such as 1. If absent, they are taken as they are.",
    )
    warmup: Fraction | None = Field(
        default=None,
        description="The fraction of a stage's steps in which `schedule: cosine` raises the rate, from a hundredth of "
        "it on (Goyal et al. 2017). If absent, 0.05.",
    )
    stages: list[Stage] = Field(
        default=[],
        max_length=100,
        description="Stages one after another, instead of one with `learning_rate` and `schedule`. `epochs` is then "
        "their sum; a smaller number ends the training there.",
    )
    keep: Literal["best", "last", "soup"] | None = Field(
        default=None,
        description="The epoch whose weights are kept: the `best` by validation loss, or the `last`. `soup`: the "
        "average of the best, up to five; from the best on, an epoch's weights join where the validation loss of the "
        "average is then no worse (a greedy soup: Wortsman et al. 2022). That costs an evaluation of each at the end, "
        "and disk for five sets of weights until then. If absent, `best` where validation may choose, or else `last`.",
    )
    patience: int | None = Field(
        default=None, ge=1, description="Stop after so many epochs without a better validation loss; if absent, never."
    )
    sampler: Literal["shuffle", "balanced"] = Field(
        default="shuffle",
        description="Which rows an epoch shows: `shuffle`, each once; `balanced`, as many rows, drawn so that rare "
        "labels are seen as often as frequent ones (rare ones several times an epoch, frequent ones not in each), for "
        "each label of a multilabel task its yes as often as its no, for a number each of its `ranges`. Unknown counts "
        "as one label more. Class weights do not know of it: both together balance twice.",
    )
    sampler_task: str | None = Field(
        default=None,
        description="The task whose labels `sampler: balanced` shows equally often; if absent, all tasks have an equal "
        "say in how often a row is drawn.",
    )
    task_weighting: Literal["fixed", "uncertainty", "dynamic_average"] = Field(
        default="fixed",
        description="What weighs the tasks' losses against each other, times their `loss_weight`: `fixed`, nothing "
        "else; `uncertainty`, a learnt variance for each, so that a task's weight goes to 1 / (2 x its loss) (Kendall, "
        "Gal, Cipolla 2018); `dynamic_average`, more for a task whose training loss fell less over the last two epochs "
        "(Liu, Johns, Davison 2019). Of the methods that go by how fast tasks learn this one needs no gradient of each "
        "task, and so no second pass, and its weights follow from the history alone. Weights of each epoch stand in "
        "the history as TASK.weight. The total losses there, by which the best epoch is chosen, keep to `loss_weight`.",
    )
    ema_momentum: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="The momentum of an exponential moving average of the weights, such as 0.999: epochs are judged by "
        "the averaged weights, and those are kept. If absent, none is taken.",
    )
    precision: Precision = Field(
        default="float32",
        description="`bfloat16` computes in it where the machine does: on a GPU, and on TensorFlow on a CPU with "
        "AVX-512 BF16 or AMX. Elsewhere it would be slower, so it is float32 after all, and training says so. Weights, "
        "and the model file, are float32 always. It pays for networks of large convolutions; measure yours.",
    )
    augment: Augment = Augment()
    mix: Mix = Mix()
    teacher: PathText | None = Field(
        default=None,
        description="A run folder or model file whose answers are learnt beside the labels, and where a label is "
        "blank: a smaller network learns more from a larger one's doubts than from labels alone (Hinton, Vinyals, Dean "
        "2015). It teaches the tasks that have the same name, kind and labels there. Its answers to all training "
        "images are worked out once. A run that was trained on this run's validation or test images is refused; of a "
        "model file alone that is not known.",
    )
    teacher_weight: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="What the teacher's answers weigh in a task's loss; the labels weigh the rest.",
    )
    teacher_temperature: float = Field(
        default=2.0,
        ge=1,
        le=100,
        description="By what the logits of both are divided before they are compared; above 1, small probabilities "
        "teach more.",
    )
    log: list[TrackerName] = Field(
        default=[],
        description="Where the run is followed: the trackers, each an extra of its own, are told the recipe, the "
        "figures of every epoch and those of the finished model, and keep `model.onnx` and the report. `tensorboard` "
        "writes event files into the run; server, project and user of the others are those of their own environment "
        "variables. A resumed run is gone on with there. A tracker that is gone later on does not end the training.",
    )

    @model_validator(mode="before")
    @classmethod
    def _sum_of_stages(cls, given: Any) -> Any:
        stages = given.get("stages") if isinstance(given, dict) else None
        if isinstance(stages, list) and "epochs" not in given:
            epochs = [stage["epochs"] for stage in stages if isinstance(stage, dict) and "epochs" in stage]
            if epochs and all(isinstance(number, int) and 1 <= number <= MOST for number in epochs):
                given = given | {"epochs": min(sum(epochs), MOST)}
        return given

    @model_validator(mode="after")
    def _within_stages(self) -> Self:
        total = sum(stage.epochs for stage in self.stages)
        if self.stages and self.epochs > total:
            raise ValueError(f"epochs: is {self.epochs}, but the stages have {total} in all")
        return self

    @property
    def changes_images(self) -> bool:
        """Whether training images differ each time that they are shown."""
        return self.augment != Augment() or self.mix.mixes

    def plan(self) -> list[Stage]:
        """The stages; one where none are given."""
        whole = Stage(epochs=self.epochs, learning_rate=self.learning_rate, schedule=self.schedule)
        return self.stages or [whole]

    @model_validator(mode="after")
    def _has_layers(self) -> Self:
        if self.layer_decay is not None and all(stage.train == "heads" for stage in self.plan()):
            raise ValueError("layer_decay: is for stages that train the backbone, and there is none; take it out")
        return self

    @model_validator(mode="after")
    def _warms_up(self) -> Self:
        if self.warmup is not None and all(stage.schedule != "cosine" for stage in self.plan()):
            raise ValueError("warmup: has an effect with `schedule: cosine` only; set that too, or take it out")
        return self

    @model_validator(mode="after")
    def _teacher_agrees(self) -> Self:
        for key in ("teacher_weight", "teacher_temperature"):
            if self.teacher is None and getattr(self, key) != TrainingRecipe.model_fields[key].default:
                raise ValueError(f"{key} has an effect with `teacher` only; give that too")
        return self

    @model_validator(mode="after")
    def _sampler_agrees(self) -> Self:
        if self.sampler_task and self.sampler != "balanced":
            raise ValueError("sampler_task has an effect with `sampler: balanced` only; set that too, or take it out")
        return self
