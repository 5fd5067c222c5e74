"""The schemas of answers, for the OpenAPI document."""

from typing import Any, Literal

from pydantic import BaseModel, Field

IMAGE = {"type": "string", "format": "binary"}
IMAGES_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"images": {"type": "array", "items": IMAGE, "minItems": 1}},
                "required": ["images"],
            }
        },
        "image/*": {"schema": IMAGE},
        "application/octet-stream": {"schema": IMAGE},
    },
}
IMAGE_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"image": IMAGE}, "required": ["image"]},
        },
        "image/*": {"schema": IMAGE},
        "application/octet-stream": {"schema": IMAGE},
    },
}


class Problem(BaseModel):
    """Why a request was refused."""

    detail: str = Field(description="A sentence.")


class AnswerSchema(BaseModel):
    """One task's answer; which keys are there depends on its kind."""

    answer: str | float | list[str]
    unsure: bool
    probability: float | None = Field(default=None, description="Of the label.")
    top: list[tuple[str, float]] | None = Field(default=None, description="The most probable labels, in order.")
    probabilities: dict[str, float] | None = Field(
        default=None, description="Of each label, where there may be several."
    )
    unit: str | None = Field(default=None, description="Of a number.")
    interval: tuple[float, float] | None = Field(
        default=None,
        description="Of a number whose task promises one (the truth lies in it as often as the task's `promised` says) "
        "or has bins (in four of five cases).",
    )
    set: list[str] | None = Field(
        default=None,
        description="Where the task promises one: the labels that the image may have. It holds the truth as often as "
        "the task's `promised` says.",
    )
    not_sure: list[str] | None = Field(
        default=None, description="Those of `set`, where there may be several, of which it may have none."
    )
    before_rules: str | list[str] | None = Field(
        default=None, description="What it would have been, where the model's rules changed it."
    )
    by_rules: list[str] | None = Field(
        default=None, description="The rules that changed it: those that it would break, had it alone not changed."
    )


class RecordSchema(BaseModel):
    """One image's answers."""

    image: str | None = Field(description="The file name, if the request gives one.")
    error: str | None = Field(description="Why the image could not be read; there are no answers then.")
    answers: dict[str, AnswerSchema]
    unfamiliar: bool | None = Field(
        default=None,
        description="Whether the image is unlike those that the model was trained on; absent if the model cannot tell.",
    )
    unfamiliarity: float | None = Field(default=None, description="How unlike, from 0 to 1.")


class HeatmapSchema(BaseModel):
    """How an answer changes as parts of the image are covered."""

    image: str | None
    task: str
    label: str | None = Field(description="The label explained; null if the answer is a number.")
    value: float = Field(description="For the whole image: the label's log-odds, ln(p / (1 - p)); or the number.")
    changes: list[list[float]] = Field(
        description="How much `value` changes when the cell and its neighbours are covered, row by row. Below 0: the "
        "area supports the answer."
    )


class TaskSchema(BaseModel):
    """A task of the model."""

    kind: str
    answer: Literal["number", "label", "labels"] = Field(description="What each of its answers is.")
    labels: list[str] = Field(description="The possible labels; empty if the answer is a number.")
    unit: str | None = None
    promised: float | None = Field(
        default=None, description="How often the truth lies in an answer's `set` or `interval`, at least, 0 to 1."
    )
    counts: dict[str, int] = Field(description="Training images of each label, or range.")
    figures: dict[str, float] = Field(description="Metrics on test images; empty if it was not evaluated.")
    baseline: dict[str, float] = Field(description="The same metrics of a constant answer.")


class ImageSchema(BaseModel):
    """How images are resized for the network."""

    size: tuple[int, int] = Field(description="Height and width, in pixels.")
    resize: str


class LimitsSchema(BaseModel):
    """The limits of requests."""

    bytes: int
    pixels: int
    images: int
    seconds: float


class ModelSchema(BaseModel):
    """The model file's description of itself."""

    name: str
    description: str
    note: str
    version: str
    fingerprint: str
    parameters: int
    rows: dict[str, int] = Field(description="Images in each split used in training and evaluation.")
    image: ImageSchema
    tasks: dict[str, TaskSchema]
    limits: LimitsSchema
    examples: list[str] = Field(description="URLs of example images.")


class HealthSchema(BaseModel):
    """Whether the server is running."""

    status: str
