"""Metrics that somebody else published, to stand beside those of a model."""

from typing import Annotated, Any

import numpy as np
from pydantic import Field, field_validator

from polyhead.fields import Part
from polyhead.tasks.label_text import keys_as_text
from polyhead.tasks.metrics import Numbers


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

    def place_beside(self, per_label: Numbers) -> Numbers:
        """Put each label's published accuracy among its metrics.

        Returns:
            `published`: the column's name, and the mean accuracy over the labels that have one, None without any.
        """
        known = {label: self.accuracy[label] for label in per_label if label in self.accuracy}
        for label, accuracy in known.items():
            per_label[label]["published"] = accuracy
        mean = float(np.mean(list(known.values()))) if known else None
        return {"published": {"column": self.column, "accuracy": mean}}
