"""The user's own functions and classes, imported by the dotted paths of the user's own recipe: here, and nowhere else.

A dotted path of a model file's card never comes here: see docs/security.md.
"""

import importlib
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from polyhead.errors import PolyheadError
from polyhead.progress import Progress
from polyhead.recipe.own_parts import find_package, list_own_code
from polyhead.recipe.schema import Recipe


def import_own_code(recipe: Recipe, progress: Progress) -> None:
    """Import all that a recipe names, and say so before: what cannot be had is told before any image is read.

    Raises:
        PolyheadError: there is no such module or function, or importing it failed.
    """
    told = set()
    for key, path in list_own_code(recipe).items():
        module, place = path.partition(":")[0], find_package(path, key)
        if module not in told:
            progress.say(f"imports {module} (from {place})")
            told.add(module)
        import_part(path, key)


def import_part(path: str, key: str) -> Callable[..., Any]:
    """What a dotted path names.

    Args:
        path: `package.module:function`.
        key: of the recipe, for the message.

    Raises:
        PolyheadError: there is none, it cannot be called, or importing its module failed.
    """
    name, _, inner = path.partition(":")
    find_package(path, key)
    with own_failures(key, f"importing {name}"):
        try:
            found: Any = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and f"{name}.".startswith(f"{error.name}."):
                raise PolyheadError(f"{key}: there is no module {error.name!r}") from None
            raise
    for word in inner.split("."):
        if not hasattr(found, word):
            raise PolyheadError(f"{key}: there is no {inner} in {name}")
        found = getattr(found, word)
    if not callable(found):
        raise PolyheadError(f"{key}: expected a function or a class; {path} is of type {type(found).__name__}")
    return found  # type: ignore[no-any-return]


@contextmanager
def own_failures(key: str, words: str) -> Iterator[None]:
    """Tell in a line what the user's own code raises, and where; its traceback is the error's cause.

    Args:
        key: of the recipe.
        words: what is being done, such as "importing my_package".
    """
    try:
        yield
    except PolyheadError:
        raise
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        said = " ".join(str(error).split())
        raise PolyheadError(
            f"{key}: {words} failed: {type(error).__name__}: {said} (line {at.lineno} of {at.filename})"
        ) from error
