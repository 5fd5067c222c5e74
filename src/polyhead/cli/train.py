"""The commands that look at data, train, and evaluate."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from polyhead.cli.arguments import Force, Model, path_option, read_path, read_text
from polyhead.cli.printing import print_evaluation, print_run, print_worse
from polyhead.cli.terminal import Screen
from polyhead.run_folder import RunFolder
from polyhead.training.processes import leads

commands = typer.Typer()

RecipeName = Annotated[
    str, typer.Argument(metavar="RECIPE", parser=read_text, help="A built-in recipe or a YAML file.")
]
RecipeOrData = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE|DIR|FILE",
        parser=read_text,
        help="A built-in recipe, a YAML file; or labelled images, which a recipe is then planned for.",
    ),
]
Quality = Annotated[
    Literal["fast", "good", "best"] | None,
    typer.Option("--quality", help="What is planned where the recipe has no network; default: good."),
]
Minutes = Annotated[float | None, typer.Option("--minutes", help="How long the run may take, from here to its report.")]
Data = Annotated[
    Path | None,
    path_option("--data", "The folder or label file of the data; default: the recipe's."),
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the recipe; may be repeated.")
]
Seed = Annotated[int | None, typer.Option("--seed", help="The random seed; default: the recipe's.")]
Engine = Annotated[
    Literal["process", "slurm"],
    typer.Option("--engine", help="How several processes that train one network find each other."),
]
Run = Annotated[Path, typer.Argument(metavar="RUN", parser=read_path, help="A run folder.")]


@commands.command()
def demo(
    out: Annotated[Path, path_option("--out", "The folder for the data and the run.")] = Path("demo"),
    force: Force = False,
) -> None:
    """Try it all on drawn garments.

    Draws a data set, trains, evaluates and reports, in two to three minutes on two cores.
    """
    from polyhead.runs import train as runs

    with Screen() as screen:
        run = runs.demo(out, force=force, progress=screen)
    print_run(run)


@commands.command()
def recipes(
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of recipes, for editors.")] = False,
) -> None:
    """List the built-in recipes."""
    if schema:
        from polyhead.recipe.schema import Recipe

        print(json.dumps(Recipe.model_json_schema(), indent=2))
        return
    from polyhead.recipe.builtin import built_in_names, read_description

    names = built_in_names()
    for name in names:
        print(f"{name.ljust(max(map(len, names)))}  {read_description(name)}")


@commands.command()
def init(
    source: Annotated[
        str,
        typer.Argument(metavar="DIR|FILE|RECIPE", parser=read_text, help="Labelled images or a built-in recipe."),
    ],
    quality: Quality = None,
    minutes: Minutes = None,
) -> None:
    """Propose a recipe for a data set.

    Looks at labelled images and prints the recipe that `train` would plan; or prints a built-in recipe to edit.
    """
    from polyhead.runs import explore as runs

    with Screen() as screen:
        text = runs.propose(source, quality, minutes, progress=screen)
    print(text, end="")


@commands.command()
def explore(
    recipe: RecipeOrData,
    out: Annotated[Path, path_option("--out", "The folder for the page.")],
    data: Data = None,
    overrides: Settings = None,
    force: Force = False,
) -> None:
    """Show a data set as a page.

    It has samples, distributions, missing labels, duplicates and unreadable files.
    """
    from polyhead.runs import explore as runs

    with Screen() as screen:
        page = runs.explore(recipe, out, data=data, overrides=overrides or (), force=force, progress=screen)
    print(page)


@commands.command()
def train(
    recipe: RecipeOrData,
    out: Annotated[Path, path_option("--out", "The run folder to create.")],
    data: Data = None,
    quality: Quality = None,
    minutes: Minutes = None,
    overrides: Settings = None,
    seed: Seed = None,
    folds: Annotated[
        int | None, typer.Option("--folds", metavar="K", min=2, max=100, help="Cross-validate, and average K networks.")
    ] = None,
    engine: Engine = "process",
    force: Force = False,
) -> None:
    """Train, export, evaluate and report.

    For labelled images without a recipe, it first looks at them and plans one.
    """
    from polyhead.runs import train as runs

    with _resumable(out), Screen() as screen:
        run = runs.train(
            recipe,
            out,
            data=data,
            quality=quality,
            minutes=minutes,
            overrides=overrides or (),
            seed=seed,
            force=force,
            folds=folds,
            engine=engine,
            progress=screen,
        )
    if leads():
        print_run(run)


@commands.command()
def resume(run: Run, data: Data = None, engine: Engine = "process") -> None:
    """Resume an interrupted run."""
    from polyhead.runs import train as runs

    found = RunFolder(run)
    finished = found.recipe.exists() and found.is_whole
    with _resumable(run), Screen() as screen:
        runs.resume(run, data=data, engine=engine, progress=screen)
    if not leads():
        return
    print_run(run, figures=not finished)


@commands.command()
def evaluate(
    model: Model,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Other labelled images: a folder, a file or a recipe; or where the run's are now."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", help="train, valid, test, unseen, or all; always all for other images."),
    ] = None,
    overrides: Settings = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by", metavar="TASK|COLUMN", help="Figures of groups apart: a task, label, column, or two as `a*b`."
        ),
    ] = None,
    worse: Annotated[
        bool, typer.Option("--worse", help="Also for blurred, compressed, dark, small and turned images.")
    ] = False,
    out: Annotated[
        Path | None,
        path_option("--out", "The folder for evaluation.json, predictions.csv and report/."),
    ] = None,
    force: Force = False,
) -> None:
    """Evaluate a model on labelled images."""
    from polyhead.runs import evaluate as runs

    with Screen() as screen:
        found = runs.evaluate(
            model,
            data=data,
            split=split,
            overrides=overrides or (),
            by=by or (),
            worse=worse,
            out=out,
            force=force,
            progress=screen,
        )
    print_evaluation(found)
    print_worse(found)


@commands.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Delete all cached images.")] = False,
    path: Annotated[str, path_option("--path", "Another cache folder than the user's.", parser=read_text)] = "auto",
) -> None:
    """Show or clear the cache of decoded images."""
    from polyhead.data.images.cache import cache_root, clear_caches, list_caches
    from polyhead.data.images.kept import FOLDER, clear_kept, measure_kept

    root = cache_root(path)
    if clear:
        print(f"{(clear_caches(root) + clear_kept(root)) / 1e6:.1f} MB freed in {root}")
        return
    kept, size = measure_kept(root)
    entries = list_caches(root)
    for entry in entries:
        print(f"{entry.name}  {entry.images:,} images  {entry.bytes / 1e6:,.1f} MB")
    if kept:
        print(f"{FOLDER}  {kept:,} images  {size / 1e6:,.1f} MB")
    print(f"{(sum(entry.bytes for entry in entries) + size) / 1e6:,.1f} MB in {root}")


@contextmanager
def _resumable(run: Path) -> Iterator[None]:
    """Say how to continue after Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        found = RunFolder(run)
        if found.recipe.exists() and not found.is_whole:  # unless it is an earlier run, which was put back
            print(f"polyhead: stopped; to continue: polyhead resume {run}", file=sys.stderr)
        raise
