"""Where labels stand: the part of a recipe that says it. The readers are in `data/`."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, SerializeAsAny, model_validator

from polyhead.fields import Different, Part, PathText, with_plugins


class FilesSource(Part):
    """Labels stand in the names of the files."""

    kind: Literal["files"] = "files"
    pattern: str = Field(
        description="What a file name looks like without its last suffix: `{age}_{gender}_{}` reads two fields and "
        "passes over the rest."
    )


class FoldersSource(Part):
    """Labels stand in the names of the folders that the images lie in."""

    kind: Literal["folders"] = "folders"
    pattern: str = Field(
        description="What the folder's name looks like: `{color}_{category}`, or `{category}/{color}` for two levels."
    )


class LongForm(Part):
    """A CSV file of one row an image and task."""

    task: str = Field("task", description="The column that names the task, as a task's `column` does.")
    label: str = Field("label", description="The column that holds the label.")


class CsvSource(Part):
    """Labels stand in a CSV file: one row an image, one column a task; or, in long form, one row an image and task."""

    kind: Literal["csv"] = "csv"
    file: PathText | None = Field(
        None, description="The CSV file, relative to the data's path; absent if that path is it."
    )
    image: str = Field(
        "image",
        description="The column that holds the image's path, or a path made of columns, such as `images/{id}.jpg`. "
        "Paths are relative to the CSV file's folder or to the data's path.",
    )
    separator: str = Field(",", min_length=1, max_length=1, description="What stands between two columns.")
    long: LongForm | None = Field(
        None,
        description="For a file of one row an image and task. Rows of other tasks than the recipe's are passed over; "
        "where two rows of one image and task differ, the first stands and the second is listed as rejected.",
    )


class FashionaiSource(Part):
    """Labels stand in FashionAI's `label.csv`: no header, one row an image and attribute, one letter a class.

    In `Images/collar_design_labels/1.jpg,collar_design_labels,nnynn` the letter `y` marks the class; `n` is not, and
    `m` (maybe) counts as not. A task's `column` names its attribute; the classes are called by the names that the task
    declares, in the order of the letters, or else by their place: `0`, `1`, `2`, ... Rows of attributes that no task
    asks for are passed over.
    """

    kind: Literal["fashionai"] = "fashionai"
    file: PathText | None = Field(
        None,
        description="The file, relative to the data's path; if absent, `Annotations/label.csv` or `label.csv`, or that "
        "path itself. Images' paths are relative to its folder, to the one above, or to the data's path.",
    )


class CelebaSource(Part):
    """Labels stand in CelebA's list of attributes, each yes or no: `list_attr_celeba.txt`, or the same as CSV.

    A multilabel task that names no columns asks for all attributes that are kept; any other task asks for one. Images
    of the list that are not in the folder, and those in the folder that are not in the list, are listed as rejected.
    """

    kind: Literal["celeba"] = "celeba"
    file: PathText | None = Field(
        None,
        description="The list, relative to the data's path; if absent, `list_attr_celeba.txt` or `.csv`, or that path "
        "itself.",
    )
    images: PathText = Field("img_align_celeba", description="The folder of the images, relative to the data's path.")
    keep: Different = Field([], description="The attributes to take; all if absent.")
    drop: Different = Field([], description="The attributes to leave out.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.keep and self.drop:
            raise ValueError("give `keep` or `drop`, not both")
        return self


SOURCE_KINDS = ("files", "folders", "csv", "fashionai", "celeba")
PLUGIN_SOURCES: dict[str, type[BaseModel]] = {}  # by kind: what installed packages bring; `plugins` fills it
Source = Annotated[
    FilesSource | FoldersSource | CsvSource | FashionaiSource | CelebaSource,
    Field(discriminator="kind"),
    with_plugins(PLUGIN_SOURCES),
    SerializeAsAny(),
]
