"""Recipes, arguments and label files that nobody should write: each is one line and exit code 2, or it works.

Nothing is trained. A case is one of five kinds in turn, drawn by Hypothesis from the case's number: a recipe with a
wrong value at one of its keys, a YAML text, a CSV file of labels, a command line, a file of corrections.
"""

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from PIL import Image
from typer.main import get_command

from attack.campaign import Campaign
from polyhead.cli.app import app, main
from polyhead.data.corrections import apply_corrections
from polyhead.data.sources.reading import complete_recipe
from polyhead.errors import PolyheadError
from polyhead.recipe.builtin import built_in_names
from polyhead.recipe.loading import check_recipe, load_recipe, recipe_values, write_recipe
from polyhead.recipe.size import check_size
from polyhead.tasks import KINDS
from tables import read_complete

LONGEST = 1100  # characters of a message
ODD_TEXT = st.text(st.characters(), max_size=12) | st.sampled_from(
    [
        "",
        " ",
        "x" * 300,
        "x" * 9000,
        "a\nb",
        "\x1b[2J",
        "a\0b",
        "\ud800",
        "~nosuchuser",
        "~",
        "/dev/zero",
        ".",
        "..",
        "none",
    ]
)
ODD_NUMBER = st.sampled_from(
    [
        0,
        -1,
        1,
        2**31,
        2**64,
        10**20,
        10**300,
        -(10**300),
        1e20,
        1e300,
        -1e-300,
        float("nan"),
        float("inf"),
        -float("inf"),
    ]
)
ODD_LEAF = st.none() | st.booleans() | ODD_NUMBER | st.integers() | st.floats() | ODD_TEXT
ODD_VALUE = st.recursive(
    ODD_LEAF, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ODD_LEAF, inner, max_size=4), max_leaves=8
)
PIECES = (
    "name: ;data: ;tasks: ;network: ;source: ;trunk: ;blocks: ;filters: ;{filters: 8};kind: binary;{;};[;];,;: ;- ;\n;"
    "\n  ;\t;&a ;*a;<<: *a;? ;! ;!!int ;!!binary ;!!set ;!x ;---\n;...\n;|\n;>\n;';\";#;%YAML 1.1\n;2024-02-30;.nan;"
    "1e999;0x;~;null;\0"
)
YAML_PIECES = st.sampled_from(PIECES.split(";"))
CELLS = st.sampled_from(
    ["red", "a.png", "", "1e300", "nan", "none", "x" * 200_000, '"', "'", "\0", "\x1b", "../a.png", "/a"]
)
PATTERNS = ["{color}", "{color}_{}", "{color", "{}{color}{}", "}{", "{color}/{}"]
COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
CORRECTED_TASKS = {"color": "categorical", "size": "regression", "label": "multilabel"}
FORMS = st.sampled_from(["files", "folders", "csv", "long", "fashionai", "celeba"])


def attack(numbers: range, folder: Path) -> Iterator[str]:
    """Run the cases; a line a failure."""
    for place in ("a.png", "images/b.png"):
        (folder / place).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(folder / place)
    kinds: list[Callable[..., None]] = [try_value, try_text, try_labels, try_arguments, try_corrections]
    for number in numbers:
        try:
            # `.`, `..` and `~` are folders of the campaign's own, not whatever lies around it.
            with contextlib.chdir(folder / "images"), patch.dict(os.environ, {"HOME": str(folder)}):
                run_case(number, partial(kinds[number % len(kinds)], folder=folder))
        except BaseException as error:
            yield f"{number}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"


def run_case(number: int, attempt: Callable[[st.DataObject], None]) -> None:
    """One example, the number's own; where it fails, the smallest one like it."""
    begun = False

    @seeded(number)
    @settings(
        max_examples=2,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def run(data: st.DataObject) -> None:
        nonlocal begun
        data.draw(st.integers(0, 2**62))
        if begun:  # the first example that Hypothesis makes is always the simplest there is
            attempt(data)
        begun = True

    with contextlib.redirect_stdout(io.StringIO()):  # where Hypothesis shows how to repeat it, in many lines
        run()


def expect_line(what: Any, call: Callable[[], object]) -> None:
    """A call ends well, or in a mistake that is one short line."""
    try:
        call()
    except PolyheadError as error:
        words = str(error)
        assert not set(words) & {"\n", "\r", "\x1b"}, f"{what!r}: {words[:80]}"
        assert len(words) <= LONGEST, f"{what!r}: {words[:80]}"
    except Exception as error:
        raise AssertionError(f"{what!r}: {type(error).__name__}: {error}") from error


def try_value(data: st.DataObject, folder: Path) -> None:
    """A recipe inside, with one wrong value at one of its keys, given as values and as YAML."""
    values = recipe_values(load_recipe(data.draw(st.sampled_from(built_in_names()))))
    place: Any = values
    keys: list[Any] = []
    while True:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        keys.append(key)
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.integers(0, 4)) == 0:
            break
        place = inner
    place[key] = data.draw(ODD_VALUE)
    expect_line((keys, place[key]), lambda: check_whole(values, folder))
    text = ".".join(map(str, keys)) + "=" + data.draw(ODD_TEXT | YAML_PIECES)
    expect_line(text, lambda: load_recipe(data.draw(st.sampled_from(built_in_names())), [text]))


def check_whole(values: dict[str, Any], folder: Path) -> None:
    """Everything that is checked of a recipe before an image is decoded; what passes is written and read again."""
    recipe = check_recipe(values, "recipe")
    check_size(recipe, 1000)
    (folder / "again.yaml").write_text(write_recipe(recipe), encoding="utf-8")
    assert load_recipe(folder / "again.yaml") == recipe
    with contextlib.suppress(PolyheadError):
        complete_recipe(recipe, folder)


def try_text(data: st.DataObject, folder: Path) -> None:
    """A YAML text made of pieces of recipes, or of bytes."""
    pieces = data.draw(st.lists(YAML_PIECES | ODD_TEXT, min_size=4, max_size=40))
    content = "".join(pieces).encode("utf-8", "replace") if data.draw(st.booleans()) else data.draw(st.binary())
    content = content[:1000] * data.draw(st.sampled_from([1, 1, 1, 3000]))
    (folder / "text.yaml").write_bytes(content)
    expect_line(content[:200], lambda: load_recipe(folder / "text.yaml"))


def try_labels(data: st.DataObject, folder: Path) -> None:
    """A file of labels of any form, read as a table."""
    rows = data.draw(st.lists(st.lists(CELLS | ODD_TEXT, min_size=1, max_size=5), min_size=1, max_size=6))
    header = data.draw(st.sampled_from(["image,color", "image,color,color", "image;color", "a,b,c", "", "2\ncolor"]))
    separator, end = data.draw(st.sampled_from([",", ";", "\t", " "])), data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    text = end.join([header, *(separator.join(row) for row in rows)])
    encoding = data.draw(st.sampled_from(["utf-8"] * 4 + ["utf-8-sig", "utf-16", "utf-32", "latin-1"]))
    form = data.draw(FORMS)
    name = "list_attr_celeba.txt" if form == "celeba" and data.draw(st.booleans()) else "labels.csv"
    (folder / name).write_bytes(text.encode(encoding, "replace"))
    source: dict[str, Any] = {"kind": "csv" if form == "long" else form}
    if form in ("files", "folders"):
        source["pattern"] = data.draw(
            st.sampled_from(["{color}", "{color}_{}", "{color", "{}{color}{}", "}{", "{color}/{}"])
        )
    else:
        source["file"] = data.draw(st.sampled_from([name] * 9 + ["", "..", "no.csv", "a.png", "/dev/null", "x" * 300]))
    if form == "long":
        source["long"] = {"task": "image", "label": "color"}
    if form == "celeba":
        source["images"] = data.draw(st.sampled_from([".", "images", "no", "x" * 300]))
    task = data.draw(st.sampled_from(["categorical", "multilabel", "regression", "binary", "ordinal"]))
    trunk = {"blocks": [{"filters": 4}]}
    values: dict[str, Any] = {
        "name": "x",
        "data": {"source": source},
        "tasks": {"color": {"kind": task}},
        "network": {"trunk": trunk},
    }
    if data.draw(st.integers(0, 3)) == 3:
        values["data"]["split"] = {
            "file": data.draw(st.sampled_from([name, name, "a.png", "images", "no", "\0", "y" * 300]))
        }
    expect_line((form, text[:200]), lambda: read_complete(check_recipe(values, "recipe"), folder))


def try_corrections(data: st.DataObject, folder: Path) -> None:
    """A file of corrections, or of Label Studio's export, applied to the labels of a table."""
    cell = CELLS | ODD_TEXT | st.sampled_from(["color", "size", "right", "wrong", "unknown", "label", "12"])
    if data.draw(st.booleans()):
        file = folder / "corrections.csv"
        header = data.draw(st.sampled_from(["image,task,label", "image,task,verdict,label", "image,task", "a,b", ""]))
        rows = data.draw(st.lists(st.lists(cell, min_size=1, max_size=5).map(",".join), max_size=6))
        file.write_bytes("\n".join([header, *rows]).encode("utf-8", "replace"))
    else:
        file = folder / "export.json"
        odd = cell | ODD_VALUE.filter(lambda value: not isinstance(value, dict))
        value = st.fixed_dictionaries({}, optional={"choices": st.lists(odd, max_size=3) | odd, "number": odd})
        result = st.fixed_dictionaries({"from_name": odd, "value": value | odd}) | odd
        part = st.fixed_dictionaries({"result": st.lists(result, max_size=3) | odd}, optional={"was_cancelled": odd})
        name = st.fixed_dictionaries({}, optional={"name": odd, "image": odd}) | odd
        task = st.fixed_dictionaries({"data": name, "annotations": st.lists(part | odd, max_size=2) | odd})
        text = json.dumps(data.draw(st.lists(task | odd, max_size=3) | odd))
        file.write_text(data.draw(st.sampled_from([text, text, text, text[: len(text) // 2], "[" * 100_000])))
    tasks = {name: KINDS[kind].model_validate({"kind": kind}) for name, kind in CORRECTED_TASKS.items()}
    fitted = {name: task.fit(name, ["1", "2"]) for name, task in tasks.items()}
    labels = {name: ["1", ""] for name in tasks}
    expect_line(file.read_bytes()[:200], lambda: apply_corrections(file, fitted, ["a.png", "images/b.png"], labels))


def try_arguments(data: st.DataObject, folder: Path) -> None:
    """A command line, which makes nothing where it fails."""
    command = data.draw(st.sampled_from([name for name in COMMANDS if name not in ("demo", "serve")]))
    word = ODD_TEXT | st.sampled_from(["demo", str(folder), str(folder / "a.png"), str(folder / "no"), "/dev/null"])
    known = [name for parameter in COMMANDS[command].params for name in parameter.opts if name.startswith("-")]
    options = st.sampled_from([*known, "--nothing"])
    given = [command, *data.draw(st.lists(word | options, max_size=6))]
    if command in ("train", "explore", "cluster"):
        given += ["--out", str(folder / "out")]
    given = [text for text in given if text not in ("--help", "--clear")]
    code, told = call_quietly(given)
    lines = told.splitlines()
    assert code in (0, 2), f"{given!r} ended in {code}: {told[-300:]}"
    if code == 2:
        found = [line for line in lines if line.startswith("polyhead: ")]
        assert len(found) == 1, f"{given!r}: {told[-300:]}"
        assert len(found[0]) <= LONGEST, f"{given!r}: {told[-300:]}"
        assert "Traceback" not in told, f"{given!r}: {told[-300:]}"
        assert not (folder / "out").exists(), f"{given!r} left its folder"


def call_quietly(arguments: list[str]) -> tuple[int, str]:
    """The exit code of a command line, in this process, and what it said on stderr."""
    told = io.StringIO()
    before, sys.argv = sys.argv, ["polyhead", *arguments]
    try:
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
            main()
    except SystemExit as end:
        return int(end.code or 0), told.getvalue()
    finally:
        sys.argv = before
    return 0, told.getvalue()


CAMPAIGN = Campaign("recipes", cases=2000, few=120, attack=attack)
