"""The data part of a recipe: where images and labels are, and how they are split."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from polyhead.fields import Different, Fraction, Part, PathText
from polyhead.recipe.sources import Source
from polyhead.tasks.label_text import keys_as_text, number_as_text


class SplitRecipe(Part):
    """Which images are for training, for validation (valid) and for testing (test)."""

    test: Fraction = Field(default=0.2, description="The fraction of the images in the test split; 0 for none.")
    valid: Fraction | Literal["test"] = Field(
        default=0.2,
        description="The fraction of the remaining images in the validation split, which selects the best epoch; 0 for "
        "none. `test` repeats a published run: the test images are also evaluated during training, but select nothing.",
    )
    stratify: Different = Field(default=[], description="Tasks whose labels have the same distribution in all splits.")
    group: str | None = Field(
        default=None,
        description="A source column; rows with the same value (a person, a product) stay in the same split.",
    )
    column: str | None = Field(default=None, description="A source column that gives the split of each row.")
    file: PathText | None = Field(
        default=None,
        description="A file, relative to the data's path, with a line `image split` for each image (or a CSV file of "
        "two columns).",
    )
    values: dict[str, Literal["train", "valid", "test"]] = Field(
        default={"train": "train", "valid": "valid", "test": "test"},
        description="What the words in the column or file mean.",
    )
    hold_out: list[dict[str, str]] = Field(
        default=[],
        description="Combinations of labels, such as `{color: red, category: dress}`, that are held out of training; "
        "their images are a split of their own, `unseen`. An image stays in the others if one of these labels is "
        "unknown.",
    )

    @field_validator("values", mode="before")
    @classmethod
    def _keys_as_text(cls, given: Any) -> Any:
        return keys_as_text(given) if isinstance(given, dict) else given

    @field_validator("hold_out", mode="before")
    @classmethod
    def _labels_as_text(cls, given: Any) -> Any:
        if not isinstance(given, list):
            return given
        return [
            {name: number_as_text(label) for name, label in row.items()} if isinstance(row, dict) else row
            for row in given
        ]

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.column and self.file:
            raise ValueError("give `column` or `file`, not both")
        return self


class DataRecipe(Part):
    """Where images and labels are, and how they are split."""

    FORMER_NAMES: ClassVar = {"weight": "sample_weight"}

    path: PathText | None = Field(
        default=None,
        description="The folder (or label file) of the data, relative to the recipe's folder, or to the current one "
        "if there is no such folder. Where the recipe is used, another can be given.",
    )
    source: Source
    split: SplitRecipe = SplitRecipe()
    sample_weight: str | None = Field(
        default=None,
        description="A source column with the weight of each row in the losses of training and validation: a number of "
        "0 or more, 1 where blank. A row of weight 2 counts like two rows, one of weight 0 not at all. Metrics and the "
        "evaluation count each row once.",
    )
    corrections: PathText | None = Field(
        default=None,
        description="A CSV file, relative to the data's path, of labels that a person has judged, such as the gallery "
        "saves: columns `image`, `task`, `label` and, if there, `verdict`. The label is replaced, or blanked where "
        "`wrong` or `unknown` comes without one. A `.json` file is read as what Label Studio "
        "exports as `JSON`. See the guide to wrong labels.",
    )
    max_rejected: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Training refuses to start if a larger fraction of the images is unusable.",
    )
