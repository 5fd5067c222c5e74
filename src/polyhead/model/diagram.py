"""An overview of a network: boxes, and which of them reads which; plain data in a model file."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MOST_BOXES = 1000
MOST_JOINS = 16  # of boxes that read several; a page shows each path to a box separately
Number = Annotated[int, Field(ge=0, lt=2**53)]


class Box(BaseModel):
    """Consecutive layers, or a stage of a backbone."""

    model_config = ConfigDict(frozen=True)

    name: str
    lines: list[str] = Field(description="Its layers in words; repeats are counted.")
    shape: list[Number] = Field(
        min_length=1,
        max_length=8,
        description="Of its output, without the batch dimension: [height, width, channels] or [width].",
    )
    layers: Number
    parameters: Number
    inputs: list[str] = Field(description="The names of the boxes that it reads; none for the image.")
    backbone: str = Field(default="", description="The backbone that it is a stage of.")


class Diagram(BaseModel):
    """The boxes of a network, each after those that it reads."""

    model_config = ConfigDict(frozen=True)

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
