"""Figures that somebody else published, to stand beside those of a model."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from polyhead.fields import Part
from polyhead.tasks.task import keys_as_text


class Published(Part):
    """Published accuracies of a multilabel task's labels; nothing is learnt or chosen by them."""

    column: str = Field(min_length=1, description="The name of their column in the report, such as the method's.")
    accuracy: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        min_length=1, description="The accuracy of each label, as a share of 1; labels may be left out."
    )

    @field_validator("accuracy", mode="before")
    @classmethod
    def _labels_as_text(cls, given: Any) -> Any:
        return keys_as_text(given) if isinstance(given, dict) else given
