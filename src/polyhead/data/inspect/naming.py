"""Call fields of file and folder names by what their words tell of; and known data sets by their file names."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from polyhead.data.inspect.columns import ColumnGuess, guess_column
from polyhead.data.inspect.layout import Layout
from polyhead.data.inspect.ties import is_color
from polyhead.data.sources.reading import READERS
from polyhead.recipe.loading import load_recipe
from polyhead.recipe.schema import FilesSource

WORDS = {  # what a field is called whose words are mostly these
    "gender": "male female man woman men women boy girl boys girls unisex",
    "season": "spring summer autumn fall winter",
    "size": "xxs xs s m l xl xxl xxxl tiny small medium large huge",
    "shape": "circle disc square triangle rectangle star ellipse oval hexagon pentagon",
    "emotion": "angry anger disgust disgusted fear fearful happy happiness sad sadness surprise surprised neutral",
    "material": "cotton denim leather linen metal plastic polyester silk wood wool glass paper cardboard",
    "weather": "sunny cloudy rainy snowy foggy rain snow fog",
}
NO_WORD = re.compile(r"label\d+")  # what a field is called whose words tell nothing
UTKFACE = re.compile(r"\d{1,3}_[01]_[0-4]_\d{17}")  # age, gender, race, and when the image was taken in
BUILT_IN = "utkface-best"
MIN_FITTING = 0.9  # fraction of the file names that must be such
COPIED = ("unit", "minimum", "maximum", "values")  # keys of a built-in recipe's task that say what the names mean


def name_fields(guesses: Sequence[ColumnGuess], texts: Mapping[str, Collection[str]]) -> dict[str, str]:
    """A name for each field, by the words that stand there: `color`, `gender`, `split`.

    The one field of classes whose words tell nothing is called `category`; where there are several, they keep their
    names, `label1`, `label2`, which a person has to replace.

    Args:
        texts: the different texts of each field.
    """
    names: dict[str, str] = {}
    for guess in guesses:
        name = _find_word(guess, texts[guess.column])
        if name and name not in names.values():
            names[guess.column] = name
    left = [guess.column for guess in guesses if guess.kind and guess.column not in names]
    classes = [guess.column for guess in guesses if guess.column in left and guess.kind != "regression"]
    if len(left) == len(classes) == 1:
        names[left[0]] = "category"
    return {guess.column: names.get(guess.column, guess.column) for guess in guesses}


def _find_word(guess: ColumnGuess, texts: Collection[str]) -> str:
    if guess.kind == "split" or not guess.kind:
        return guess.kind
    if is_color("", list(texts)):
        return "color"
    words = {text.strip().casefold() for text in texts}
    return next((name for name, known in WORDS.items() if 2 * len(words & set(known.split())) > len(words) > 1), "")


def list_unnamed(layout: Layout) -> list[str]:
    """The tasks of file and folder names that nobody has a word for."""
    named = layout.origin.endswith(" names")
    return [task.column for task in layout.tasks if named and NO_WORD.fullmatch(task.column)]


def find_known_names(images: Sequence[Path], root: Path) -> Layout | None:
    """The layout of UTKFace, if the files are called as its are: `AGE_GENDER_RACE_DATE&TIME.jpg`."""
    known = sum(bool(UTKFACE.match(path.name)) for path in images)
    if known < MIN_FITTING * len(images):
        return None
    recipe = load_recipe(BUILT_IN)
    assert isinstance(recipe.data.source, FilesSource)
    requested = dict.fromkeys(recipe.tasks, "data.source.pattern")
    rows = READERS["files"](recipe.data.source, root, requested)
    guesses = []
    for name, task in recipe.tasks.items():
        given = task.model_dump(mode="json", include=set(COPIED), exclude_defaults=True)
        reason = guess_column(name, list(rows.cells[name])).reason
        guesses.append(ColumnGuess(name, task.kind, reason, given))
    remark = f"The files are called as UTKFace's are: the built-in recipe {BUILT_IN} is made for them."
    return Layout(recipe.data.source, rows, guesses, "file names", remark=remark)
