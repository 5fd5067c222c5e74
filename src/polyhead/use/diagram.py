"""What a network looks like from afar: boxes, and which of them reads which; plain data that a model file carries."""

from pydantic import BaseModel, ConfigDict, Field


class Box(BaseModel):
    """Some layers one after another, or a stage of a backbone."""

    model_config = ConfigDict(frozen=True)

    name: str
    lines: list[str] = Field(description="What it is made of, in words; what is repeated is counted.")
    shape: list[int] = Field(description="Of its output, without the batch: [height, width, channels] or [width].")
    layers: int
    parameters: int
    inputs: list[str] = Field(description="The boxes that it reads, by name; none for the image.")
    backbone: str = Field("", description="The backbone that it is a stage of.")


class Diagram(BaseModel):
    """The boxes of a network, each behind those that it reads."""

    model_config = ConfigDict(frozen=True)

    boxes: list[Box]
    heads: dict[str, str] = Field(description="The box of each task's head, by the task's name, in their order.")
    features: list[str] = Field(description="The boxes whose outputs, one after another, are the feature vector.")
