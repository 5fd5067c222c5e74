"""The commands that make and judge a run, and what all commands have in common.

Data goes to stdout, words and progress to stderr. A user's mistake is one line and exit code 2. Every command imports
what it needs, so that `--help` and `recipes` answer at once.
"""

import json
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from polyhead.cli.arguments import ClickException, Commands, path_option, read_path, read_text, tell_usage
from polyhead.cli.terminal import Screen
from polyhead.cli.use import Force, Model, commands
from polyhead.errors import PolyheadError
from polyhead.run_folder import RunFolder

app = typer.Typer(
    cls=Commands,
    name="polyhead",
    help="One image in, every answer out: train one network with many outputs, judge it honestly, ship one ONNX file.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", parser=read_text, help="A built-in recipe, or a file.")]
Data = Annotated[
    Path | None,
    path_option("--data", "The folder (or CSV) of the data; the recipe's, if absent."),
]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Another seed than the recipe's.")]
Run = Annotated[Path, typer.Argument(metavar="RUN", parser=read_path, help="A run folder.")]


@app.callback(help=app.info.help)
def prepare(
    plugins: Annotated[
        bool, typer.Option("--plugins", help="Load the task kinds and sources that installed packages bring.")
    ] = False,
) -> None:
    """What goes before any command."""
    if plugins:
        from polyhead.recipe.plugins import load_plugins

        load_plugins()


@app.command()
def demo(
    out: Annotated[Path, path_option("--out", "Where to put the data and the run.")] = Path("demo"),
    force: Force = False,
) -> None:
    """Draw a data set of garments, train on it, judge, report: the whole way in under two minutes."""
    from polyhead.runs import train as runs

    with Screen() as screen:
        run = runs.demo(out, force=force, progress=screen)
    _tell_run(run)


@app.command()
def recipes(
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of recipes, for editors.")] = False,
) -> None:
    """List the recipes inside."""
    if schema:
        from polyhead.recipe.schema import Recipe

        print(json.dumps(Recipe.model_json_schema(), indent=2))
        return
    from polyhead.recipe.builtin import built_in_names, read_description

    names = built_in_names()
    for name in names:
        print(f"{name.ljust(max(map(len, names)))}  {read_description(name)}")


@app.command()
def init(
    source: Annotated[
        str, typer.Argument(metavar="DIR_OR_CSV|RECIPE", parser=read_text, help="Data, or a built-in recipe.")
    ],
) -> None:
    """Look at data and print a recipe that trains on it, or print a built-in recipe to edit."""
    from polyhead.runs import explore as runs

    print(runs.propose(source), end="")


@app.command()
def explore(
    recipe: RecipeName,
    out: Annotated[Path, path_option("--out", "Where to put the page.")],
    data: Data = None,
    overrides: Settings = None,
    force: Force = False,
) -> None:
    """Show the data set: samples, distributions, missing labels, repeats, unreadable files."""
    from polyhead.runs import explore as runs

    with Screen() as screen:
        page = runs.explore(recipe, out, data=data, overrides=overrides or (), force=force, progress=screen)
    print(page)


@app.command()
def train(
    recipe: RecipeName,
    out: Annotated[Path, path_option("--out", "The run folder to make.")],
    data: Data = None,
    overrides: Settings = None,
    seed: Seed = None,
    force: Force = False,
) -> None:
    """Train, export, judge on the test images, and write the report."""
    from polyhead.runs import train as runs

    with _resumable(out), Screen() as screen:
        run = runs.train(recipe, out, data=data, overrides=overrides or (), seed=seed, force=force, progress=screen)
    _tell_run(run)


@app.command()
def resume(run: Run, data: Data = None) -> None:
    """Go on with a run that was stopped, wherever it was."""
    from polyhead.runs import train as runs

    with _resumable(run), Screen() as screen:
        runs.resume(run, data=data, progress=screen)
    _tell_run(run)


@app.command()
def evaluate(
    model: Model,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Other labelled images: a folder, a file, a recipe; or where the run's are now."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", help="train, valid, test, unseen; or all, for every image (of other images always)."),
    ] = None,
    overrides: Settings = None,
    out: Annotated[
        Path | None,
        path_option("--out", "Where to put evaluation.json, predictions.csv, report/."),
    ] = None,
    force: Force = False,
) -> None:
    """Judge a model file on labelled images."""
    from polyhead.runs import evaluate as runs

    with Screen() as screen:
        found = runs.evaluate(
            model, data=data, split=split, overrides=overrides or (), out=out, force=force, progress=screen
        )
    _tell_evaluation(found)


@app.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Delete them all.")] = False,
    path: Annotated[str, path_option("--path", "Another cache folder than the user's own.", read_text)] = "auto",
) -> None:
    """Where decoded images are kept, and how much; or clear them."""
    from polyhead.data.images.cache import cache_root, clear_caches, list_caches

    root = cache_root(path)
    if clear:
        print(f"{clear_caches(root) / 1e6:.1f} MB freed in {root}")
        return
    entries = list_caches(root)
    for entry in entries:
        print(f"{entry.name}  {entry.images:,} images  {entry.bytes / 1e6:,.1f} MB")
    print(f"{sum(entry.bytes for entry in entries) / 1e6:,.1f} MB in {root}")


app.add_typer(commands)


def _tell_run(run: os.PathLike[str]) -> None:
    run = Path(run)
    file = run / "evaluation.json"
    try:
        _tell_evaluation(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise PolyheadError(f"{file}: is damaged or missing; delete {run / 'report'} and resume the run") from None
    print(f"report  {run / 'report' / 'index.html'}")
    print(f"model   {run / 'model.onnx'}")


def _tell_evaluation(evaluation: Mapping[str, Any]) -> None:
    """The few figures that say most, each beside its baseline."""
    for split, found in evaluation.items():
        if split == "combinations":
            continue
        for name, task in found["tasks"].items():
            print(f"{split}  {name}: {_main_figures(task)}")
        joint = found["joint"]
        if joint["n"]:
            print(f"{split}  all correct: {joint['all_correct']:.3f} of {joint['n']} images")
        if joint.get("labels") and len(found["tasks"]) > 1:
            mean, baseline = joint["mean_accuracy"], joint["mean_accuracy_baseline"]
            print(f"{split}  mean accuracy: {mean:.3f} (baseline {baseline:.3f}) of {joint['labels']} labels")
    # Of one split alone only its own half is known.
    combinations = [
        f"{key} {value:.3f}" for key, value in evaluation.get("combinations", {}).items() if value is not None
    ]
    if combinations:
        print(f"combinations  {', '.join(combinations)}")


def _main_figures(task: dict[str, Any]) -> str:
    if not task["n"]:
        return "no labels"
    baseline = task["baseline"]
    words = [
        f"{name} {task[name]:.3f}" + (f" (baseline {baseline[name]:.3f})" if baseline.get(name) is not None else "")
        for name in ("accuracy", "macro_f1", "mae", "r2")
        if task.get(name) is not None
    ]
    return ", ".join(words)


@contextmanager
def _resumable(run: Path) -> Iterator[None]:
    """Say how to go on after Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        found = RunFolder(run)
        if found.recipe.exists() and not found.is_whole:  # not the one that was there before and is again
            print(f"polyhead: stopped; to go on: polyhead resume {run}", file=sys.stderr)
        raise


def main() -> None:
    """Run the command line."""
    warnings.filterwarnings("ignore", module="PIL")  # of odd metadata in images that it reads all the same
    try:
        code = app(prog_name="polyhead", standalone_mode=False)
        sys.stdout.flush()
    except ClickException as error:
        if error.format_message().startswith("Usage:"):  # there are no arguments at all
            print(error.format_message(), file=sys.stderr)
            sys.exit(2)
        _fail(tell_usage(error))
    except PolyheadError as error:
        _fail(str(error), error.exit_code)
    except BrokenPipeError:  # who read the answers, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    # What follows is a net for what no check foresaw.
    except MemoryError:
        _fail("there is not enough memory for this; give fewer or smaller images, or a smaller training.batch_size")
    except RecursionError:
        _fail("something given is nested too deeply to be read")
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error))
    sys.exit(code or 0)


def _fail(words: str, code: int = 2) -> NoReturn:
    print(f"polyhead: {PolyheadError(words)}", file=sys.stderr)
    sys.exit(code)
