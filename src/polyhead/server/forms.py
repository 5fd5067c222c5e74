"""The forms of answers, for the OpenAPI document."""

from typing import Any

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


class AnswerForm(BaseModel):
    """One task's answer; which keys are there depends on its kind."""

    answer: str | float | list[str]
    unsure: bool
    probability: float | None = Field(None, description="Of a label: how sure it is.")
    top: list[tuple[str, float]] | None = Field(None, description="The likeliest labels, likeliest first.")
    probabilities: dict[str, float] | None = Field(None, description="Of several labels: of each, how likely it is.")
    unit: str | None = Field(None, description="Of a number.")


class RecordForm(BaseModel):
    """One image's answers."""

    image: str | None = Field(description="The file's name, where the request gives one.")
    error: str | None = Field(description="Why the image could not be read; then there are no answers.")
    answers: dict[str, AnswerForm]


class HeatForm(BaseModel):
    """How an answer changes as parts of the image are covered."""

    image: str | None
    task: str
    label: str | None = Field(description="The label asked about; none where the answer is a number.")
    value: float = Field(description="For the image as it is: the label's log-odds, ln(p / (1 - p)); or the number.")
    changes: list[list[float]] = Field(
        description="By how much `value` changes when the cell, and its neighbours, are covered; row after row. Below "
        "0, the answer rests on it."
    )


class TaskForm(BaseModel):
    """A question that the model answers."""

    kind: str
    labels: list[str] = Field(description="What it can answer; empty where the answer is a number.")
    unit: str | None = None
    counts: dict[str, int] = Field(description="Training images of each label, or range.")
    figures: dict[str, float] = Field(description="How good its answers are on test images; empty where not judged.")
    baseline: dict[str, float] = Field(description="The same figures of always giving one answer.")


class ImageForm(BaseModel):
    """What the network sees of an image."""

    size: tuple[int, int] = Field(description="Height and width, in pixels.")
    resize: str


class LimitsForm(BaseModel):
    """What a request may ask for."""

    bytes: int
    pixels: int
    images: int
    seconds: float


class ModelForm(BaseModel):
    """What the model file says of itself."""

    name: str
    description: str
    note: str
    version: str
    fingerprint: str
    parameters: int
    rows: dict[str, int] = Field(description="Images in each split that it was trained and judged on.")
    image: ImageForm
    tasks: dict[str, TaskForm]
    limits: LimitsForm
    examples: list[str] = Field(description="Addresses of images to try.")


class HealthForm(BaseModel):
    """That the server is there."""

    status: str
