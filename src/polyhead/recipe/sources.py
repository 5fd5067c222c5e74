"""The sources of labels: their keys in a recipe. Their readers are in `data/sources/`."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, SerializeAsAny, model_validator

from polyhead.errors import shorten
from polyhead.fields import Different, Part, PathText, check_different, with_plugins


class FilesSource(Part):
    """Labels are in the names of the files."""

    kind: Literal["files"] = "files"
    pattern: str = Field(
        description="What file names look like without their last suffix: `{age}_{gender}_{}` reads two fields and "
        "ignores the rest."
    )


class FoldersSource(Part):
    """Labels are in the names of the folders that contain the images."""

    kind: Literal["folders"] = "folders"
    pattern: str = Field(
        description="What folder names look like: `{color}_{category}`, or `{category}/{color}` for two levels."
    )


class LongForm(Part):
    """A CSV file with one row per image and task."""

    task: str = Field(default="task", description="The column that names the task, as a task's `column` does.")
    label: str = Field(default="label", description="The column that holds the label.")


HOST = re.compile(
    r"(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:\d{1,5})?|"
    r"[0-9a-f:]*:[0-9a-f:.]*|(s3|gs|gcs|az|abfs)://[^/:@\s]+",
    re.IGNORECASE,
)


def _check_hosts(hosts: list[str]) -> list[str]:
    for host in check_different(hosts):
        if not HOST.fullmatch(host):
            raise ValueError(f"expected a host such as images.example.org, or s3://bucket; got {shorten(host, 60)!r}")
    return hosts


Hosts = Annotated[list[str], AfterValidator(_check_hosts)]
FETCH: Any = Field(
    default=None,
    description="Where images may be fetched from whose path is an address: hosts (`images.example.org`; "
    "`*.example.org` for all below it) for http and https, buckets (`s3://bucket`, `gs://bucket`) that fsspec reads. "
    "Each is fetched once and kept beside the cache; others are not fetched, nor any from a private network, "
    "unless named by its IP address.",
)


class CsvSource(Part):
    """Labels are in a CSV file: a row per image and a column per task; or, in long form, a row per image and task."""

    kind: Literal["csv"] = "csv"
    file: PathText | None = Field(
        default=None, description="The CSV file, relative to the data's path; not needed if that path is the file."
    )
    image: str = Field(
        default="image",
        description="The column that holds the image's path, or a path made of columns, such as `images/{id}.jpg`. "
        "Paths are relative to the CSV file's folder or to the data's path.",
    )
    separator: str = Field(default=",", min_length=1, max_length=1, description="The separator between columns.")
    fetch: Hosts | None = FETCH
    long: LongForm | None = Field(
        default=None,
        description="For a file with one row per image and task. Rows of tasks that are not in the recipe are ignored; "
        "if two rows of an image and task differ, the first one counts and the second is listed as rejected.",
    )


class TableSource(Part):
    """Labels are in a label file of any usual form, told by its suffix; see the guide to label files.

    `.csv`, `.tsv`; `.xlsx`; `.json` (records, COCO's, Label Studio's), `.jsonl`; `.parquet`, `.arrow`; `.db`,
    `.sqlite`; `.xml` (CVAT's). A list of labels in a cell is read as labels with `|` between them, a truth as `true` or
    `false`.
    """

    kind: Literal["table"] = "table"
    file: PathText | None = Field(
        default=None,
        description="The label file, relative to the data's path; not needed if that path is the file. Several "
        "are read as one by a pattern: `{split}/metadata.jsonl`, whose field is a column, `labels-{}.parquet`.",
    )
    image: str = Field(
        default="image",
        description="The column that holds the image's path, or a path made of columns, such as `images/{id}.jpg`. "
        "Paths are relative to the label file's folder or to the data's path.",
    )
    table: str | None = Field(
        default=None,
        description="The sheet of an Excel file, the table of an SQLite database, the key of a JSON file's records; "
        "not needed where there is one.",
    )
    fetch: Hosts | None = FETCH
    long: LongForm | None = Field(
        default=None, description="For a file with one row per image and task, as in the kind `csv`."
    )


class FashionaiSource(Part):
    """Labels are in FashionAI's `label.csv`: no header, one row per image and attribute, one letter per class.

    In `Images/collar_design_labels/1.jpg,collar_design_labels,nnynn` the letter `y` marks the class; `n` means no,
    and `m` (maybe) counts as no. A task's `column` names its attribute; the classes have the names that the task
    declares, in the order of the letters, or else their index: `0`, `1`, `2`, ... Rows of attributes that no task
    reads are ignored.
    """

    kind: Literal["fashionai"] = "fashionai"
    file: PathText | None = Field(
        default=None,
        description="The file, relative to the data's path; if absent, `Annotations/label.csv` or `label.csv`, or that "
        "path itself. Image paths are relative to its folder, to the parent of that, or to the data's path.",
    )


CELEBA = (
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair "
    "Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male "
    "Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks "
    "Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace "
    "Wearing_Necktie Young"
)
CELEBA_ATTRIBUTES = tuple(CELEBA.split())


class CelebaSource(Part):
    """Labels are in CelebA's list of attributes, each yes or no: `list_attr_celeba.txt`, or the same as CSV.

    A multilabel task that names no columns has all attributes that are kept; any other task has one. Images that are
    only in the list or only in the folder are listed as rejected.
    """

    kind: Literal["celeba"] = "celeba"
    file: PathText | None = Field(
        default=None,
        description="The list, relative to the data's path; if absent, `list_attr_celeba.txt` or `.csv`, or that path "
        "itself.",
    )
    images: PathText = Field(
        default="img_align_celeba", description="The folder of the images, relative to the data's path."
    )
    keep: Different = Field(default=[], description="The attributes to keep; all if absent.")
    drop: Different = Field(default=[], description="The attributes to leave out.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.keep and self.drop:
            raise ValueError("give `keep` or `drop`, not both")
        return self


SOURCE_KINDS = ("files", "folders", "csv", "table", "fashionai", "celeba")
PLUGIN_SOURCES: dict[str, type[BaseModel]] = {}  # by kind: what installed packages bring; `plugins` fills it
Source = SerializeAsAny[
    Annotated[
        FilesSource | FoldersSource | CsvSource | TableSource | FashionaiSource | CelebaSource,
        Field(discriminator="kind"),
        with_plugins(PLUGIN_SOURCES),
    ]
]


def pattern_fields(pattern: str) -> list[str]:
    """The names in the braces of a source's pattern, or of the template of a path."""
    return [name for name in re.findall(r"{([^{}]*)}", pattern) if name]
