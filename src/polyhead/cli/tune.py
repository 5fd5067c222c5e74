"""The command that searches for a better recipe."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from polyhead.cli.arguments import path_option, read_text
from polyhead.cli.terminal import Screen
from polyhead.cli.train import Data, Seed, Settings

commands = typer.Typer()


@commands.command()
def tune(
    recipe: Annotated[
        str,
        typer.Argument(metavar="RECIPE|DIR", parser=read_text, help="A recipe to begin with, or labelled images."),
    ],
    out: Annotated[Path, path_option("--out", "The search's folder; one that is there is gone on with.")],
    minutes: Annotated[float, typer.Option("--minutes", help="How long the search may take in all.")],
    trials: Annotated[int | None, typer.Option("--trials", help="How many trials to make at most.")] = None,
    data: Data = None,
    overrides: Settings = None,
    seed: Seed = None,
    engine: Annotated[
        Literal["process", "ray"], typer.Option("--engine", help="One trial at a time, or several on a Ray cluster.")
    ] = "process",
) -> None:
    """Search for a better recipe.

    Each trial trains with other sizes, backbones, rates and the like; validation images choose, no test image is seen.
    """
    from polyhead.runs import tune as runs

    try:
        with Screen() as screen:
            found = runs.tune(
                recipe,
                out,
                minutes=minutes,
                trials=trials,
                data=data,
                overrides=overrides or (),
                seed=seed,
                engine=engine,
                progress=screen,
            )
    except KeyboardInterrupt:
        print("polyhead: stopped; to continue: give the same command again", file=sys.stderr)
        raise
    rows = found.trials.to_dict("records")
    best = max((row for row in rows if row["state"] == "complete"), key=lambda row: row["score"])
    print(f"trials  {len(rows)}, the best is number {best['trial']} with a validation score of {best['score']:.4f}")
    print(f"recipe  {found.path / 'recipe.yaml'}")
    print(f"report  {found.report}")
